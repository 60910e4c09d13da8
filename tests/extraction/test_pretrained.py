"""What CLIP and AST have in common: identity of the weights, batches, and checkpoints that cannot be used."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AST, CLIP
from avhash_nas.extraction.pretrained import _digest
from extraction.checkpoints import save_ast, save_clip

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), np.uint8)


def test_fingerprint_identifies_the_weights(tiny_clip, tmp_path):
    same = save_clip(tmp_path / "same")
    other = save_clip(tmp_path / "other", seed=1)
    assert CLIP(str(tiny_clip)).fingerprint() == CLIP(str(same)).fingerprint()
    assert CLIP(str(tiny_clip)).fingerprint() != CLIP(str(other)).fingerprint()


def test_changed_weight_changes_the_fingerprint(tiny_clip, tmp_path):
    shutil.copytree(tiny_clip, tmp_path / "copy")
    weights = load_file(tmp_path / "copy" / "model.safetensors")
    weights["visual_projection.weight"][0, 0] += 1e-3
    save_file(weights, tmp_path / "copy" / "model.safetensors", {"format": "pt"})
    assert CLIP(str(tiny_clip)).fingerprint() != CLIP(str(tmp_path / "copy")).fingerprint()


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
def test_features_do_not_depend_on_the_batch_size(tiny_clip, batch_size):
    expected = CLIP(str(tiny_clip))(FRAMES)
    np.testing.assert_allclose(CLIP(str(tiny_clip), batch_size=batch_size)(FRAMES), expected, atol=1e-6)


def test_half_precision_gives_nearly_the_same(tiny_clip):
    exact, half = (CLIP(str(tiny_clip), dtype=dtype)(FRAMES) for dtype in ("float32", "bfloat16"))
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()


def test_arguments_restore_the_extractor_without_machine_settings(tiny_clip, monkeypatch):
    monkeypatch.chdir(tiny_clip.parent)
    extractor = CLIP(tiny_clip.name, batch_size=2, device="cpu")
    assert extractor.arguments() == {"checkpoint": str(tiny_clip), "dtype": "float32"}
    np.testing.assert_allclose(CLIP(**extractor.arguments())(FRAMES), extractor(FRAMES), atol=1e-6)


def test_model_is_not_pickled(tiny_clip):
    extractor = CLIP(str(tiny_clip))
    expected = extractor(FRAMES)
    pickled = pickle.dumps(extractor)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled)(FRAMES), expected)


def test_loading_keeps_transformers_settings(tiny_clip):
    from transformers.utils import logging

    logging.set_verbosity_info()
    CLIP(str(tiny_clip)).fingerprint()
    assert logging.get_verbosity() == logging.INFO
    assert logging.is_progress_bar_enabled()
    logging.set_verbosity_warning()


@pytest.mark.parametrize("extractor", [CLIP, AST])
def test_unreachable_hub_is_one_error_line(extractor):
    with pytest.raises(AvnasError, match=r"checkpoint '.*/.*' cannot be loaded: .*; pass a local folder") as caught:
        extractor().fingerprint()
    assert "\n" not in str(caught.value)


def test_missing_checkpoint_folder(tmp_path):
    with pytest.raises(AvnasError, match="gone': there is no such folder"):
        CLIP(str(tmp_path / "gone")).fingerprint()


def test_folder_without_checkpoint(tmp_path):
    with pytest.raises(AvnasError, match=r"cannot be loaded: .*pass a local folder with config.json"):
        CLIP(str(tmp_path)).fingerprint()


def test_damaged_weights(tmp_path):
    folder = save_ast(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AvnasError, match=r"AST checkpoint .* cannot be loaded"):
        AST(str(folder)).fingerprint()


def test_checkpoint_with_missing_weights_is_rejected(tmp_path):
    """transformers would draw them at random, anew each time."""
    folder = save_clip(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(AvnasError, match=r"lacks weights, such as visual_projection\.weight"):
        CLIP(str(folder)).fingerprint()


def test_processor_of_another_model_is_rejected(tmp_path):
    folder = save_clip(tmp_path)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["crop_size"] = {"height": 40, "width": 40}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(AvnasError, match="does not work with its processor"):
        _ = CLIP(str(folder)).dim


def test_invalid_options_are_rejected():
    with pytest.raises(AvnasError, match="batch_size=0 must be at least 1"):
        CLIP(batch_size=0)
    with pytest.raises(AvnasError, match="dtype='int8' must be one of float32, bfloat16, float16"):
        CLIP(dtype="int8")


def test_fingerprint_of_known_weights_is_stable():
    """Known weights, whatever they are called, give a known fingerprint: what is written to disk stays valid."""
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}
    renamed = {"z.b": weights["b"], "model.a": weights["a"]}
    assert _digest(weights) == _digest(renamed) == "8d729a6b5bcc2635"
    assert _digest(weights) != _digest({"a": weights["a"].reshape(3, 2), "b": weights["b"]})


def test_unavailable_device(tiny_clip):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(AvnasError, match="device='cuda' cannot be used: "):
        CLIP(str(tiny_clip), device="cuda").fingerprint()
