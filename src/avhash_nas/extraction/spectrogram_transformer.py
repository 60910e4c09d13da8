"""Audio features by the Audio Spectrogram Transformer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import AudioExtractor, Segments, Vectors
from avhash_nas.extraction.pretrained import DTypes, PretrainedExtractor, from_pretrained, transformers

_WINDOW = 0.025  # seconds of the spectrogram's window; its computation fails on less


class AST(PretrainedExtractor, AudioExtractor):
    """The pooled output of the Audio Spectrogram Transformer (Gong et al., 2021), by transformers' model and processor.

    The default is a model of 12 layers, 12 heads and 768 dimensions, finetuned on AudioSet, as in the paper (section
    5.1). The pooled output is the mean of the class token and the distillation token behind the last layer norm, 768
    dimensions: what the model's own classifier starts from.

    The processor makes a log-mel spectrogram of 10.24 s: a shorter segment is padded, and of a longer one the first
    10.24 s are heard. (`read_clip` gives none that are longer.)

    Other checkpoints: any audio model of transformers that takes 16,000 samples a second and has a pooled output.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once (350 MB for the default).
        dtype: Type that the model computes in.
        batch_size: Segments that go through the model at once.
        device: Where the model runs, such as `cpu`, `cuda` or `cuda:1`; `auto` takes the GPU where there is one.
    """

    def __init__(
        self,
        checkpoint: str = "MIT/ast-finetuned-audioset-10-10-0.4593",
        dtype: DTypes = "float32",
        batch_size: int = 25,
        device: str = "auto",
    ) -> None:
        super().__init__(checkpoint, dtype, batch_size, device)

    def __call__(self, segments: Segments) -> Vectors:
        """The pooled outputs of segments.

        Args:
            segments: Mono, within [-1, 1], shape (T, S), S at least 1. Less than 25 ms are padded with silence.

        Returns:
            Shape (T, dim).
        """
        return self._embed(segments)

    def _load(self) -> tuple[Any, Any, list[str]]:
        model, missing = from_pretrained(transformers().AutoModel, self.checkpoint)
        processor = transformers().AutoFeatureExtractor.from_pretrained(self.checkpoint)
        if getattr(processor, "sampling_rate", None) != self.rate:
            raise ValueError(f"its processor does not take {self.rate} samples a second")
        return model, processor, missing

    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        lacking = max(0, round(_WINDOW * self.rate) - batch.shape[1])
        padded = np.pad(batch, ((0, 0), (0, lacking)))
        inputs: Mapping[str, Any] = self.loaded().processor(list(padded), sampling_rate=self.rate, return_tensors="pt")
        return inputs

    def _output(self, inputs: Mapping[str, Any]) -> Any:
        model = self.loaded().model
        pooled = getattr(model(**inputs), "pooler_output", None)
        if pooled is None:
            raise AvnasError(f"{self._named()}: a {type(model).__name__} has no pooled output")
        return pooled

    def _probe(self) -> NDArray[Any]:
        return np.zeros((1, 400), np.float32)
