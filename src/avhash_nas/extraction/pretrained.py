"""Base class of the extractors that run a model of transformers: loading, fingerprint of the weights, batching."""

import hashlib
import importlib
import textwrap
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from typing_extensions import override

from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.extraction.extractor import Extractor, Vectors

DTypes = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode on its device, its processor, and the digest of its weights."""

    model: Any
    processor: Any
    fingerprint: str


class PretrainedExtractor(Extractor):
    """An extractor that loads a checkpoint of transformers on first use.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once.
        dtype: Type that the model computes in.
        batch_size: Frames, segments or texts per forward pass.
        device: Device of the model, such as `cpu`, `cuda` or `cuda:1`; `auto` uses a GPU if there is one.
    """

    def __init__(self, checkpoint: str, dtype: DTypes = "float32", batch_size: int = 25, device: str = "auto") -> None:
        if batch_size < 1:
            raise AvnasError(f"batch_size={batch_size} must be at least 1")
        if dtype not in get_args(DTypes):
            raise AvnasError(f"dtype={dtype!r} must be one of {', '.join(get_args(DTypes))}")
        folder = Path(checkpoint)
        self.checkpoint = str(folder.resolve()) if folder.is_dir() else checkpoint
        self.dtype = dtype
        self.batch_size = batch_size
        self.device = device
        self._loaded: Loaded | None = None
        self._dim: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the model: each worker process loads its own."""
        return self.__dict__ | {"_loaded": None}

    @property
    @override
    def dim(self) -> int:
        if self._dim is None:
            try:
                self._dim = self._embed(self._example()).shape[1]
            except (ValueError, RuntimeError, TypeError, AttributeError) as error:
                raise AvnasError(
                    f"{self._description()} does not work with its processor: {_summary(error)}"
                ) from error
        return self._dim

    @override
    def arguments(self) -> dict[str, Any]:
        return {"checkpoint": self.checkpoint, "dtype": self.dtype}

    @override
    def fingerprint(self) -> str:
        return self.loaded().fingerprint

    def loaded(self) -> Loaded:
        """The model, loaded on first use.

        Raises:
            AvnasError: It cannot be loaded, or the checkpoint lacks weights of the model.
        """
        if self._loaded is None:
            if self.checkpoint.startswith(("/", ".", "~")) and not Path(self.checkpoint).is_dir():
                raise AvnasError(f"{self._description()}: there is no such folder")
            with _quiet(), _loading_errors(self._description()):
                model, processor, missing = self._load()
                if missing:
                    raise ValueError(f"it lacks weights, such as {min(missing)}")
                model = self._to_device(model)
                self._loaded = Loaded(model, processor, _digest(model.state_dict()))
        return self._loaded

    @override
    def release(self) -> None:
        self._loaded = None

    @abstractmethod
    def _load(self) -> tuple[Any, Any, list[str]]:
        """Model, processor, and names of weights that the checkpoint lacks."""

    @abstractmethod
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        """The processor's output for frames, segments or texts."""

    @abstractmethod
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        """The model's output, a tensor (n, dim)."""

    @abstractmethod
    def _example(self) -> NDArray[Any]:
        """One small input."""

    def _embed(self, items: NDArray[Any]) -> Vectors:
        model = self.loaded().model
        vectors = []
        with torch.inference_mode():
            for start in range(0, len(items), self.batch_size):
                inputs = self._inputs(items[start : start + self.batch_size])
                on_device = {name: _moved(tensor, model) for name, tensor in inputs.items()}
                vectors.append(self._output(on_device).float().cpu().numpy())
        return np.concatenate(vectors)

    def _to_device(self, model: Any) -> Any:
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return model.eval().to(torch.device(device), getattr(torch, self.dtype))
        except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
            raise AvnasError(f"device={device!r} cannot be used: {_summary(error)}") from error

    def _description(self) -> str:
        return f"{type(self).__name__} checkpoint {self.checkpoint!r}"


def _moved(tensor: torch.Tensor, model: Any) -> torch.Tensor:
    """An input on the model's device, in its type unless it holds whole numbers."""
    return tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)


def from_pretrained(model_class: Any, checkpoint: str) -> tuple[Any, list[str]]:
    """A model, and the names of weights that the checkpoint lacks."""
    model, info = model_class.from_pretrained(checkpoint, output_loading_info=True)
    return model, list(info["missing_keys"])


def transformers() -> Any:
    """The package transformers, untyped, because its types differ between versions.

    Raises:
        MissingExtraError: It or pillow is not installed.
    """
    for package in ("PIL", "transformers"):
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "extract", "a model of transformers") from error
    return module


@contextmanager
def _loading_errors(description: str) -> Iterator[None]:
    """Turns errors of transformers, torch and safetensors into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise AvnasError(
            f"{description} cannot be loaded: {_summary(error)}; pass a local folder with config.json,"
            " model.safetensors and preprocessor_config.json, or a name of the Hugging Face hub while it is reachable"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses transformers' progress bars, logging and warnings within the block."""
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):  # such as one about AST's own spectrogram, in every process
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _digest(weights: Mapping[str, Any]) -> str:
    """A digest of all tensors, 16 hexadecimal digits; names are ignored, as they differ between versions."""

    def of_tensor(tensor: Any) -> str:
        plain = tensor.detach().cpu().contiguous()
        digest = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)}".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    return hashlib.sha256("".join(sorted(map(of_tensor, weights.values()))).encode()).hexdigest()[:16]


def _summary(error: Exception) -> str:
    """The first line of an error of transformers, which may be pages long."""
    line = " ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__
    return textwrap.shorten(line, 200, placeholder=" ...").rstrip(".")
