"""Text encoders: tiny models saved by the tests, against the models called directly."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import CharacterNgrams, CLIPText, SentenceTransformer, TextEncoder
from extraction.checkpoints import save_clip_text, save_sentence_transformer

TEXTS = ["a dog barks", "cat", "der hund runs"]


@pytest.fixture(scope="module")
def clip_text(tmp_path_factory):
    return save_clip_text(tmp_path_factory.mktemp("clip_text"))


@pytest.fixture(scope="module")
def sentence(tmp_path_factory):
    return save_sentence_transformer(tmp_path_factory.mktemp("sentence"))


@torch.no_grad()
def test_clip_text_equals_the_model_called_directly_text_by_text(clip_text):
    texts = ["dog", "cat runs", "a"]
    model = transformers.CLIPModel.from_pretrained(clip_text).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(clip_text)
    expected = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        hidden = model.text_model(input_ids=ids).last_hidden_state[0, -1]  # the end token
        expected.append((model.text_projection.weight @ hidden).numpy())
    encoder = CLIPText(str(clip_text), batch_size=2)
    assert encoder.dim == 12
    np.testing.assert_allclose(encoder(texts), expected, atol=1e-6)


@torch.no_grad()
def test_sentence_transformer_is_the_mean_over_tokens_of_length_one(sentence):
    model = transformers.AutoModel.from_pretrained(sentence).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(sentence)
    vectors = SentenceTransformer(str(sentence))(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)


@torch.no_grad()
def test_modules_are_followed(tmp_path, sentence):
    folder = save_sentence_transformer(tmp_path / "dense", modules=("Pooling", "Dense"))
    dense = load_file(folder / "2_Dense" / "model.safetensors")
    plain = save_sentence_transformer(tmp_path / "plain", modules=("Pooling",))
    pooled = torch.from_numpy(SentenceTransformer(str(plain))(TEXTS))
    expected = torch.tanh(pooled @ dense["linear.weight"].T + dense["linear.bias"])
    np.testing.assert_allclose(SentenceTransformer(str(folder))(TEXTS), expected.numpy(), atol=1e-6)
    (plain / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    model, tokenizer = (kind.from_pretrained(plain) for kind in (transformers.AutoModel, transformers.AutoTokenizer))
    first = model.eval()(**tokenizer("cat", return_tensors="pt")).last_hidden_state[0, 0]
    np.testing.assert_allclose(SentenceTransformer(str(plain))(["cat"])[0], first.numpy(), atol=1e-6)
    unknown = save_sentence_transformer(tmp_path / "unknown", modules=("LSTM",))
    with pytest.raises(AvnasError, match="module LSTM is not supported"):
        SentenceTransformer(str(unknown)).dim  # noqa: B018


def test_longer_texts_are_refused_or_cut(sentence, clip_text):
    encoder = SentenceTransformer(str(sentence))
    assert encoder.limit == 10
    long = " ".join(["dog"] * 9)
    assert encoder.token_counts(["dog", long]) == [3, 11]
    with pytest.raises(AvnasError, match=r"'dog dog .* has 11 tokens, SentenceTransformer takes 10"):
        encoder(["dog", long])
    cut = SentenceTransformer(str(sentence), truncate=True)
    assert cut.limit is None
    np.testing.assert_allclose(cut([long]), encoder([" ".join(["dog"] * 8)]), atol=1e-6)
    with pytest.raises(AvnasError, match="has 5 tokens, CLIPText takes 4"):
        CLIPText(str(clip_text), tokens=4)(["dog"])


def test_records_give_the_same_encoder_and_notice_other_weights(sentence, tmp_path):
    encoder = SentenceTransformer(str(sentence))
    record = json.loads(json.dumps(encoder.to_dict()))
    np.testing.assert_array_equal(TextEncoder.from_dict(record).prepare()(TEXTS), encoder(TEXTS))
    other = save_sentence_transformer(tmp_path / "other", seed=1)
    record["arguments"]["checkpoint"] = str(other)
    with pytest.raises(AvnasError, match=r"SentenceTransformer .*: its weights are"):
        TextEncoder.from_dict(record).prepare()
    with pytest.raises(AvnasError, match="is not a TextEncoder"):
        TextEncoder.from_dict({"class": "avhash_nas.extraction.CLIP", "arguments": {}})


def test_a_missing_package_is_one_line():
    with pytest.raises(AvnasError, match="neither a folder nor an installed package"):
        SentenceTransformer("no_such_package").dim  # noqa: B018


def test_ngrams_know_spelling_only_and_any_language():
    encoder = CharacterNgrams(width=256)
    same, near, far, other = encoder(["Barking dog", "  barking  DOG ", "barking dogs", "ζέβρα"])
    np.testing.assert_array_equal(same, near)
    assert same @ far > 0.7
    assert abs(same @ other) < 0.4
    assert np.linalg.norm(other) == pytest.approx(1)
    assert encoder(["a"])[0].any()


def test_ngrams_equal_the_definition():
    vector = CharacterNgrams(width=1 << 16, shortest=2, longest=2)(["aaa"])[0]
    weights = sorted(abs(vector[vector != 0]))  # " a", "a ", and "aa" twice
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.5**0.5], rtol=1e-6)
