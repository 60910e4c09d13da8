"""Audio features from CLAP, which share their space with text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.extraction.extractor import AudioExtractor, Segments, Vectors
from avhash_nas.extraction.pretrained import PretrainedExtractor, from_pretrained, transformers


class CLAP(PretrainedExtractor, AudioExtractor):
    """The audio embedding of CLAP (Wu et al., ICASSP 2023), with model and processor of transformers; not normalized.

    One vector for each segment, where VALOR takes a map of 64 x 768 for ten seconds (`data.clap_steps`). The processor
    of the fusion checkpoints marks a random segment of each batch as longer than ten seconds if none is, and so gives
    other features each time; here none is marked, as `read_clip` returns none that is longer.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once (620 MB for the default).
        options: See ``PretrainedExtractor``.
    """

    rate = 48000

    def __init__(self, checkpoint: str = "laion/clap-htsat-fused", **options: Any) -> None:
        super().__init__(checkpoint, **options)

    @override
    def __call__(self, segments: Segments) -> Vectors:
        return self._embed(segments)

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        auto = transformers()
        model, missing = from_pretrained(auto.ClapAudioModelWithProjection, self.checkpoint)
        processor = auto.ClapFeatureExtractor.from_pretrained(self.checkpoint)
        if processor.sampling_rate != self.rate:
            raise ValueError(f"its processor does not take {self.rate} samples a second")
        return model, processor, missing

    @override
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        inputs = self.loaded().processor(list(batch), sampling_rate=self.rate, return_tensors="pt")
        features = inputs["input_features"]
        return {"input_features": features, "is_longer": torch.zeros(len(features), 1, dtype=torch.bool)}

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        return self.loaded().model(**inputs).audio_embeds

    @override
    def _example(self) -> NDArray[Any]:
        return np.zeros((1, 4800), np.float32)
