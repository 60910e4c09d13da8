"""Frame features by CLIP's image side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import Frames, Vectors, VisualExtractor
from avhash_nas.extraction.pretrained import DTypes, PretrainedExtractor, from_pretrained, transformers

_CLIP = ("clip", "clip_vision_model")


class CLIP(PretrainedExtractor, VisualExtractor):
    """The image embedding of CLIP (Radford et al., 2021), by transformers' own model and processor.

    The default is the paper's model (section 5.1): ViT-L/14 at 336 pixels, 24 layers, 16 heads, hidden size 1024, whose
    visual projection, a fully connected layer that was trained with it, gives 768 dimensions. The paper speaks of a
    fully connected layer from 1024 to 768 without saying whose; CLIP's own is of this size and needs no training.
    Vectors are not normalized to unit length.

    Other checkpoints: any CLIP (through its visual projection); models with an image embedding for comparison with
    text, such as SigLIP; models of images alone with a pooled output, such as DINOv2 and ViT. Frames are resized and
    cropped as the checkpoint's processor says, always by pillow: torchvision, where it is there, gives other pixels.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once (1.7 GB for the default).
        dtype: Type that the model computes in.
        batch_size: Frames that go through the model at once.
        device: Where the model runs, such as `cpu`, `cuda` or `cuda:1`; `auto` takes the GPU where there is one.
    """

    def __init__(
        self,
        checkpoint: str = "openai/clip-vit-large-patch14-336",
        dtype: DTypes = "float32",
        batch_size: int = 25,
        device: str = "auto",
    ) -> None:
        super().__init__(checkpoint, dtype, batch_size, device)

    def __call__(self, frames: Frames) -> Vectors:
        """The embeddings of frames.

        Args:
            frames: RGB, upright, shape (T, H, W, 3).

        Returns:
            Shape (T, dim).
        """
        return self._embed(frames)

    def _load(self) -> tuple[Any, Any, list[str]]:
        auto = transformers()
        clip = auto.AutoConfig.from_pretrained(self.checkpoint).model_type in _CLIP
        kind = auto.CLIPVisionModelWithProjection if clip else auto.AutoModel
        model, missing = from_pretrained(kind, self.checkpoint)
        # Pillow's processors, as transformers 5 asks for them and as version 4 did.
        processor = auto.AutoImageProcessor.from_pretrained(self.checkpoint, backend="pil", use_fast=False)
        return model, processor, missing

    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        inputs = self.loaded().processor(list(batch), return_tensors="pt", input_data_format="channels_last")
        return {"pixel_values": inputs["pixel_values"]}

    def _output(self, inputs: Mapping[str, Any]) -> Any:
        model = self.loaded().model
        output = model.get_image_features(**inputs) if hasattr(model, "get_image_features") else model(**inputs)
        if isinstance(output, torch.Tensor):  # so version 4 has it
            return output
        names = [name for name in ("image_embeds", "pooler_output") if getattr(output, name, None) is not None]
        if not names:
            raise AvnasError(f"{self._named()}: a {type(model).__name__} gives no image embedding and no pooled output")
        return getattr(output, names[0])

    def _probe(self) -> NDArray[Any]:
        return np.zeros((1, 8, 8, 3), np.uint8)
