import numpy as np
import pytest
import torch
import transformers
import yaml

from avhash_nas.data import ParsingData, check, write_synthetic_events
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import CLAP, CLAPText
from avhash_nas.offline import fit_thresholds, logits
from extraction.checkpoints import save_clap
from training.tiny import avnas

SEGMENTS = np.random.default_rng(0).uniform(-1, 1, (3, 48000)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny_clap(tmp_path_factory):
    return save_clap(tmp_path_factory.mktemp("clap"))


@torch.no_grad()
def test_vectors_are_those_of_the_whole_model(tiny_clap):
    model = transformers.ClapModel.from_pretrained(tiny_clap).eval()
    processor = transformers.ClapFeatureExtractor.from_pretrained(tiny_clap)
    features = processor(list(SEGMENTS), sampling_rate=48000, return_tensors="pt")["input_features"]
    audio = model.audio_model(input_features=features, is_longer=torch.zeros(3, 1, dtype=torch.bool)).pooler_output
    vectors = CLAP(str(tiny_clap))(SEGMENTS)
    np.testing.assert_allclose(vectors, model.audio_projection(audio).numpy(), atol=1e-5)
    assert vectors.shape == (3, 12)


def test_the_same_segments_give_the_same_vectors_alone_or_together(tiny_clap):
    """The processor draws a segment of a batch at random and marks it as long."""
    extractor = CLAP(str(tiny_clap))
    together = extractor(SEGMENTS)
    np.testing.assert_allclose(together, extractor(SEGMENTS), atol=1e-6)
    alone = np.concatenate([extractor(segment[None]) for segment in SEGMENTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@torch.no_grad()
def test_text_vectors_are_those_of_the_whole_model(tiny_clap):
    model = transformers.ClapModel.from_pretrained(tiny_clap).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(tiny_clap)(["a dog", "rain"], return_tensors="pt", padding=True)
    text = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
    vectors = CLAPText(str(tiny_clap))(["a dog", "rain"])
    np.testing.assert_allclose(vectors, model.text_projection(text).numpy(), atol=1e-5)
    with pytest.raises(AvnasError, match="has 102 tokens, CLAPText takes 62"):
        CLAPText(str(tiny_clap))(["a" * 100])


@pytest.mark.parametrize("pseudo", ["filtered", "unfiltered"])
def test_class_texts_and_pseudo_labels_of_a_dataset(tiny_clap, tmp_path, pseudo):
    root = write_synthetic_events(
        tmp_path / "set", classes=3, train=8, val=3, test=3, visual_dim=12, audio_dim=12, frames=4
    )
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    del described["events"]["pseudo"], described["events"]["texts"]
    (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    encoders = (f"--audio=clap_text --audio.checkpoint={tiny_clap}", "--visual=clap_text")
    assert avnas("data", "events", root, *" ".join(encoders).split(), f"--visual.checkpoint={tiny_clap}",
                 f"--pseudo={pseudo}", "--cache_dir", tmp_path / "cache") == 0  # fmt: skip
    data = ParsingData(root, cache_dir=tmp_path / "cache").prepare()
    expected = CLAPText(str(tiny_clap))([f"this is a sound of class{number}" for number in range(3)])
    np.testing.assert_allclose(data.events.texts[0], expected, atol=1e-5)
    assert data.events.filtered == (pseudo == "filtered")
    audio = torch.cat([piece.audio for piece in data.pieces(np.arange(14))]).numpy()
    values = logits(audio, expected)
    train = data.splits["train"]
    on = values > fit_thresholds(values[train], data.labels[train])
    assert (data.events.pseudo[:, 0] == (on & data.labels[:, None] if pseudo == "filtered" else on)).all()
    assert check(root).problems == ()


def test_another_kind_of_checkpoint_is_rejected(tiny_clip):
    with pytest.raises(AvnasError, match="CLAP checkpoint"):
        CLAP(str(tiny_clip)).fingerprint()
