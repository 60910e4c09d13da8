import numpy as np
import pytest
import torch
import transformers
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import CLIP
from extraction.checkpoints import TEXT, VISION, save_clip

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 40, 60, 3), np.uint8)


def pixels(processor, folder):
    return processor.from_pretrained(folder)(list(FRAMES), return_tensors="pt")["pixel_values"]


@torch.no_grad()
def test_embeddings_equal_the_model_called_directly(tiny_clip):
    model = transformers.CLIPModel.from_pretrained(tiny_clip).eval()
    pooled = model.vision_model(pixel_values=pixels(CLIPImageProcessorPil, tiny_clip)).pooler_output
    expected = pooled @ model.visual_projection.weight.T
    extractor = CLIP(str(tiny_clip))
    vectors = extractor(FRAMES)
    assert extractor.dim == 12
    assert (vectors.shape, vectors.dtype) == ((5, 12), np.float32)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-6)


def test_vision_only_checkpoint_gives_the_same_features(tiny_clip, tmp_path):
    transformers.CLIPVisionModelWithProjection.from_pretrained(tiny_clip).save_pretrained(tmp_path)
    CLIPImageProcessorPil.from_pretrained(tiny_clip).save_pretrained(tmp_path)
    both, alone = CLIP(str(tiny_clip)), CLIP(str(tmp_path))
    assert both.fingerprint() == alone.fingerprint()
    np.testing.assert_array_equal(both(FRAMES), alone(FRAMES))


@torch.no_grad()
def test_siglip(tmp_path):
    torch.manual_seed(0)
    config = transformers.SiglipConfig(text_config=TEXT | {"projection_size": 16}, vision_config=VISION)
    model = transformers.SiglipModel(config).eval()
    model.save_pretrained(tmp_path)
    SiglipImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained(tmp_path)
    expected = model.vision_model(pixel_values=pixels(SiglipImageProcessorPil, tmp_path)).pooler_output
    np.testing.assert_allclose(CLIP(str(tmp_path))(FRAMES), expected.numpy(), atol=1e-6)


@torch.no_grad()
def test_image_only_model(tmp_path):
    torch.manual_seed(0)
    config = {name: value for name, value in VISION.items() if name != "intermediate_size"}
    model = transformers.Dinov2Model(transformers.Dinov2Config(**config)).eval()
    model.save_pretrained(tmp_path)
    size = {"height": 28, "width": 28}
    BitImageProcessorPil(size={"shortest_edge": 28}, crop_size=size).save_pretrained(tmp_path)
    expected = model(pixel_values=pixels(BitImageProcessorPil, tmp_path)).pooler_output
    np.testing.assert_allclose(CLIP(str(tmp_path))(FRAMES), expected.numpy(), atol=1e-6)


def test_model_without_pooled_output_is_rejected(tiny_clip, tmp_path):
    config = {name: value for name, value in VISION.items() if name in ("hidden_size", "image_size", "patch_size")}
    transformers.ViTMAEModel(
        transformers.ViTMAEConfig(**config, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(tmp_path)
    CLIPImageProcessorPil.from_pretrained(tiny_clip).save_pretrained(tmp_path)
    with pytest.raises(AvnasError, match="a ViTMAEModel gives no image embedding and no pooled output"):
        _ = CLIP(str(tmp_path)).dim


def test_frames_of_extreme_shape(tmp_path):
    extractor = CLIP(str(save_clip(tmp_path)))
    assert np.isfinite(extractor(np.zeros((2, 2, 50, 3), np.uint8))).all()
