"""What extractors by models of transformers have in common: loading, the weights' identity, batches."""

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

from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.extraction.extractor import Extractor, Vectors

DTypes = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Loaded:
    """A model that is ready.

    Attributes:
        model: In evaluation mode, on its device.
        processor: From frames or segments to the model's inputs.
        fingerprint: Of the weights.
    """

    model: Any
    processor: Any
    fingerprint: str


class PretrainedExtractor(Extractor):
    """An extractor by a checkpoint that transformers loads when it is first needed.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and preprocessor_config.json, or a name of the
            Hugging Face hub, which is downloaded once.
        dtype: Type that the model computes in.
        batch_size: Frames or segments that go through the model at once.
        device: Where the model runs, such as `cpu`, `cuda` or `cuda:1`; `auto` takes the GPU where there is one.
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
        """Without the model: each worker process loads its own."""
        return self.__dict__ | {"_loaded": None}

    @property
    def dim(self) -> int:
        """Dimensions of a vector, found by trying the model on one input."""
        if self._dim is None:
            try:
                self._dim = self._embed(self._probe()).shape[1]
            except (ValueError, RuntimeError, TypeError, AttributeError) as error:
                raise AvnasError(f"{self._named()} does not work with its processor: {_line(error)}") from error
        return self._dim

    def arguments(self) -> dict[str, Any]:
        """Checkpoint, a folder with its whole path, and the type computed in."""
        return {"checkpoint": self.checkpoint, "dtype": self.dtype}

    def fingerprint(self) -> str:
        """A digest of all tensors of the model, 16 hexadecimal digits.

        Their names do not count, as they differ between versions of transformers.
        """
        return self.loaded().fingerprint

    def loaded(self) -> Loaded:
        """The model, loaded if it is not yet.

        Raises:
            AvnasError: It cannot be loaded, or the checkpoint lacks weights that the model has.
        """
        if self._loaded is None:
            if self.checkpoint.startswith(("/", ".", "~")) and not Path(self.checkpoint).is_dir():
                raise AvnasError(f"{self._named()}: there is no such folder")
            with _quiet(), _explained(self._named()):
                model, processor, missing = self._load()
                if missing:
                    raise ValueError(f"it lacks weights, such as {min(missing)}")
                model = self._placed(model)
                self._loaded = Loaded(model, processor, _digest(model.state_dict()))
        return self._loaded

    def release(self) -> None:
        """Let go of the model."""
        self._loaded = None

    @abstractmethod
    def _load(self) -> tuple[Any, Any, list[str]]:
        """Model, processor, and names of weights that the checkpoint lacks."""

    @abstractmethod
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        """What the processor makes of frames or segments."""

    @abstractmethod
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        """What the model makes of that, a tensor (n, dim)."""

    @abstractmethod
    def _probe(self) -> NDArray[Any]:
        """One input, small."""

    def _embed(self, items: NDArray[Any]) -> Vectors:
        model = self.loaded().model
        parts = []
        with torch.inference_mode():
            for start in range(0, len(items), self.batch_size):
                inputs = self._inputs(items[start : start + self.batch_size])
                placed = {name: tensor.to(model.device, model.dtype) for name, tensor in inputs.items()}
                parts.append(self._output(placed).float().cpu().numpy())
        return np.concatenate(parts)

    def _placed(self, model: Any) -> Any:
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return model.eval().to(torch.device(device), getattr(torch, self.dtype))
        except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts that it has it
            raise AvnasError(f"device={device!r} cannot be used: {_line(error)}") from error

    def _named(self) -> str:
        return f"{type(self).__name__} checkpoint {self.checkpoint!r}"


def from_pretrained(kind: Any, checkpoint: str) -> tuple[Any, list[str]]:
    """A model, and the names of weights that the checkpoint lacks.

    Args:
        kind: A class of transformers.
        checkpoint: Folder or name.
    """
    model, found = kind.from_pretrained(checkpoint, output_loading_info=True)
    return model, list(found["missing_keys"])


def transformers() -> Any:
    """The package, without its types, which differ between its versions.

    Raises:
        MissingExtraError: It or pillow is not installed.
    """
    for package in ("PIL", "transformers"):
        try:
            found = importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "extract", "a model of transformers") from error
    return found


@contextmanager
def _explained(named: str) -> Iterator[None]:
    """Errors of transformers, torch and safetensors as one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise AvnasError(
            f"{named} cannot be loaded: {_line(error)}; pass a local folder with config.json, model.safetensors and"
            " preprocessor_config.json, or the name of one on the Hugging Face hub while that can be reached"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars, remarks and warnings; its settings come back behind the block."""
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):  # such as one on AST's own spectrogram, for every process
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _digest(weights: Mapping[str, Any]) -> str:
    def of_tensor(tensor: Any) -> str:
        plain = tensor.detach().cpu().contiguous()
        digest = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)}".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    return hashlib.sha256("".join(sorted(map(of_tensor, weights.values()))).encode()).hexdigest()[:16]


def _line(error: Exception) -> str:
    """The beginning of an error of transformers, which may be pages."""
    line = " ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__
    return textwrap.shorten(line, 200, placeholder=" ...").rstrip(".")
