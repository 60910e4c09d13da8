import numpy as np
import pytest
import torch
import transformers

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AST
from extraction.checkpoints import save_ast

SEGMENTS = np.random.default_rng(0).uniform(-1, 1, (5, 4000)).astype(np.float32)


@torch.no_grad()
def test_vectors_equal_the_classifier_input(tiny_ast):
    classifier = transformers.ASTForAudioClassification.from_pretrained(tiny_ast).eval()
    processor = transformers.ASTFeatureExtractor.from_pretrained(tiny_ast)
    inputs = processor(list(SEGMENTS), sampling_rate=16000, return_tensors="pt")
    extractor = AST(str(tiny_ast))
    vectors = extractor(SEGMENTS)
    assert extractor.dim == 16
    assert (vectors.shape, vectors.dtype) == ((5, 16), np.float32)
    logits = classifier.classifier(torch.from_numpy(vectors))
    np.testing.assert_allclose(logits.numpy(), classifier(**inputs).logits.numpy(), atol=1e-5)


@torch.no_grad()
def test_vectors_are_the_mean_of_both_tokens(tiny_ast):
    model = transformers.ASTModel.from_pretrained(tiny_ast).eval()
    processor = transformers.ASTFeatureExtractor.from_pretrained(tiny_ast)
    inputs = processor(list(SEGMENTS), sampling_rate=16000, return_tensors="pt")
    expected = model(**inputs).last_hidden_state[:, :2].mean(1)
    np.testing.assert_allclose(AST(str(tiny_ast))(SEGMENTS), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("samples", [1, 100, 399, 400, 401])
def test_very_short_segments_are_padded_with_silence(tiny_ast, samples):
    extractor = AST(str(tiny_ast))
    padded = np.pad(SEGMENTS[:, :samples], ((0, 0), (0, max(0, 400 - samples))))
    np.testing.assert_array_equal(extractor(SEGMENTS[:, :samples]), extractor(padded))


def test_only_the_beginning_of_a_long_segment_is_used(tiny_ast):
    """The spectrogram has 64 windows, 10 ms apart, of 25 ms: 0.655 s."""
    extractor, heard = AST(str(tiny_ast)), 63 * 160 + 400
    long = np.random.default_rng(1).uniform(-1, 1, (1, 32000)).astype(np.float32)
    # The mean is taken away over the whole segment, so compare segments whose rest is of the same mean.
    changed = long.copy()
    changed[:, heard:] = long[:, heard:][:, ::-1]
    np.testing.assert_allclose(extractor(changed), extractor(long), atol=1e-5)


def test_other_sampling_rate_is_rejected(tmp_path):
    folder = save_ast(tmp_path)
    transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=16, sampling_rate=8000).save_pretrained(folder)
    with pytest.raises(AvnasError, match="does not take 16000 samples a second"):
        AST(str(folder)).fingerprint()


def test_image_model_is_rejected(tiny_clip):
    with pytest.raises(AvnasError, match="AST checkpoint"):
        AST(str(tiny_clip)).fingerprint()
