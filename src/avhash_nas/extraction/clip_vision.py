"""Frame features from CLIP's image encoder."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import Frames, Vectors, VisualExtractor
from avhash_nas.extraction.pretrained import PretrainedExtractor, from_pretrained, transformers

_CLIP = ("clip", "clip_vision_model")


class CLIP(PretrainedExtractor, VisualExtractor):
    """The image embedding of CLIP (Radford et al., 2021), with model and processor of transformers.

    The default is the paper's model (section 5.1): ViT-L/14 at 336 pixels, 24 layers, 16 heads, hidden size 1024, whose
    pretrained visual projection gives 768 dimensions. The paper mentions a fully connected layer from 1024 to 768
    without saying which; CLIP's own projection has this size and needs no training. Vectors are not normalized.

    Other checkpoints: any CLIP (through its visual projection); models with an image embedding for comparison with
    text, such as SigLIP; image models with a pooled output, such as DINOv2 and ViT. Frames are resized and cropped as
    the checkpoint's processor specifies, always by pillow: torchvision, even if installed, gives other pixels.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once (1.7 GB for the default).
        options: See ``PretrainedExtractor``.
    """

    def __init__(self, checkpoint: str = "openai/clip-vit-large-patch14-336", **options: Any) -> None:
        super().__init__(checkpoint, **options)

    @override
    def __call__(self, frames: Frames) -> Vectors:
        return self._embed(frames)

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        auto = transformers()
        is_clip = auto.AutoConfig.from_pretrained(self.checkpoint).model_type in _CLIP
        model_class = auto.CLIPVisionModelWithProjection if is_clip else auto.AutoModel
        model, missing = from_pretrained(model_class, self.checkpoint)
        # Processors that use pillow: `backend` is the option of transformers 5, `use_fast` that of version 4.
        processor = auto.AutoImageProcessor.from_pretrained(self.checkpoint, backend="pil", use_fast=False)
        return model, processor, missing

    @override
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        inputs = self.loaded().processor(list(batch), return_tensors="pt", input_data_format="channels_last")
        return {"pixel_values": inputs["pixel_values"]}

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        model = self.loaded().model
        output = model.get_image_features(**inputs) if hasattr(model, "get_image_features") else model(**inputs)
        if isinstance(output, torch.Tensor):  # transformers 4
            return output
        names = [name for name in ("image_embeds", "pooler_output") if getattr(output, name, None) is not None]
        if not names:
            raise AvnasError(
                f"{self._description()}: a {type(model).__name__} gives no image embedding and no pooled output"
            )
        return getattr(output, names[0])

    @override
    def _example(self) -> NDArray[Any]:
        return np.zeros((1, 8, 8, 3), np.uint8)
