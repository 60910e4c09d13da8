"""Audio features from the Audio Spectrogram Transformer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import AudioExtractor, Segments, Vectors
from avhash_nas.extraction.pretrained import PretrainedExtractor, from_pretrained, transformers

_WINDOW = 0.025  # seconds of a spectrogram window, the shortest input


class AST(PretrainedExtractor, AudioExtractor):
    """The pooled output of the Audio Spectrogram Transformer (Gong et al., 2021), with transformers' model.

    The default is a model of 12 layers, 12 heads and 768 dimensions, finetuned on AudioSet, as in the paper (section
    5.1). The pooled output is the mean of the class token and the distillation token after the last layer norm: the
    input of the model's classifier.

    The processor computes a log-mel spectrogram of 10.24 s. Shorter segments are padded, those below 25 ms with
    silence; of a longer segment, the first 10.24 s are used. (`read_clip` returns no longer ones.)

    Other checkpoints: any audio model of transformers that takes 16,000 samples per second and has a pooled output.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once (350 MB for the default).
        options: See ``PretrainedExtractor``.
    """

    def __init__(self, checkpoint: str = "MIT/ast-finetuned-audioset-10-10-0.4593", **options: Any) -> None:
        super().__init__(checkpoint, **options)

    @override
    def __call__(self, segments: Segments) -> Vectors:
        return self._embed(segments)

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        model, missing = from_pretrained(transformers().AutoModel, self.checkpoint)
        processor = transformers().AutoFeatureExtractor.from_pretrained(self.checkpoint)
        if getattr(processor, "sampling_rate", None) != self.rate:
            raise ValueError(f"its processor does not take {self.rate} samples a second")
        return model, processor, missing

    @override
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        missing = max(0, round(_WINDOW * self.rate) - batch.shape[1])
        padded = np.pad(batch, ((0, 0), (0, missing)))
        inputs: Mapping[str, Any] = self.loaded().processor(list(padded), sampling_rate=self.rate, return_tensors="pt")
        return inputs

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        model = self.loaded().model
        pooled = getattr(model(**inputs), "pooler_output", None)
        if pooled is None:
            raise AvnasError(f"{self._description()}: a {type(model).__name__} has no pooled output")
        return pooled

    @override
    def _example(self) -> NDArray[Any]:
        return np.zeros((1, 400), np.float32)
