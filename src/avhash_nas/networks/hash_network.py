"""The base class of all hashing networks: relaxed codes, packed codes, saving and loading."""

import functools
import hashlib
import importlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avhash_nas.codes import pack
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json, write_whole
from avhash_nas.legacy import first_names, renamed
from avhash_nas.networks.route import Route


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Sets evaluation mode within the block; afterwards every module is in its former mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class CodesAndSteps(NamedTuple):
    """Codes of videos and of their time steps, from one pass.

    Attributes:
        codes: Relaxed codes of the videos, shape (B, q), values in [-1, 1]. Their sign is the code.
        steps: A code for each time step, shape (B, T, q), values in [-1, 1], relaxed or already binary.
    """

    codes: Tensor
    steps: Tensor


class HashNetwork(nn.Module, ABC):
    """A network from the features of a video to a q-bit code.

    A subclass takes `visual_dim`, `audio_dim` and `bits` among its constructor's arguments. The arguments are recorded
    for `save_pretrained` and `from_pretrained`; a subclass with an argument that is not a JSON value overrides
    `arguments` and `from_arguments`.

    Attributes:
        bits: q.
        modalities: What the network reads: `visual`, `audio` or both.
        default_components: Classes that other options of the command line default to, by option:
            `{"objective": "package.module.Class"}`. A method names its own loss and sampling here.
    """

    bits: int
    modalities: tuple[str, ...] = ("visual", "audio")
    default_components: ClassVar[Mapping[str, str]] = {}
    config_format: ClassVar[int] = 1
    _arguments: dict[str, Any]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        """Computes relaxed codes.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell of a supernet; networks without choices ignore it.

        Returns:
            Shape (B, q), values in [-1, 1]; their sign is the code.
        """

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """The layers from the pooled representation to the code, which a recipe may train at another rate."""

    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return dict(self._arguments)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        """Inverse of `arguments`."""
        return cls(**arguments)

    @torch.inference_mode()
    def encode(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the codes of videos in evaluation mode: b = Sign(f), Sign(0) = +1 (Eq. 35), packed 8 bits to a byte.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Returns:
            uint8, shape (B, ceil(q / 8)).
        """
        with evaluating(self):
            return pack(self(visual, audio))

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,
        positions: Tensor | None = None,  # noqa: ARG002
    ) -> CodesAndSteps:
        """Computes relaxed codes of videos and of each of their time steps; differentiable.

        By default the code of a time step is that of a video which consists of this time step alone.

        Args:
            visual: Frame features, shape (B, T, visual_dim); of a masked view, those of the visible time steps.
            audio: Segment features, shape (B, T, audio_dim), likewise.
            route: A choice for every cell of a supernet.
            positions: Positions of the time steps in the whole video, shape (B, T), int64, ascending in each row; None
                for 0 to T - 1. Networks without position vectors ignore it.
        """
        alone: Tensor = self(visual.flatten(0, 1)[:, None], audio.flatten(0, 1)[:, None], route)
        codes: Tensor = self(visual, audio, route)
        return CodesAndSteps(codes, alone.view(*visual.shape[:2], -1))

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch of training, counted from 0, for networks with an epoch-dependent parameter."""

    @torch.inference_mode()
    def time_steps(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes a relaxed code for each time step in evaluation mode, for frame-level reranking.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Returns:
            Shape (B, T, q), values in [-1, 1].
        """
        with evaluating(self):
            return self.codes_and_steps(visual, audio).steps

    def fingerprint(self) -> str:
        """A digest of class, arguments and weights, which identifies the network that made a set of codes.

        Codes of networks with different fingerprints cannot be compared. Device and file format do not change it, nor
        does saving and loading.

        Returns:
            16 hexadecimal digits of SHA-256.
        """
        digest = hashlib.sha256()
        kind = type(self)
        digest.update(
            json.dumps(
                [f"{kind.__module__}.{kind.__qualname__}", first_names(self.arguments())], sort_keys=True
            ).encode()
        )
        for name, tensor in sorted(self.state_dict().items()):
            plain = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes `model.safetensors` and `config.json`, each atomically; no pickle.

        Args:
            folder: Created if missing.
        """
        folder = Path(folder)
        kind = type(self)
        config = {
            "format": self.config_format,
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "arguments": self.arguments(),
        }
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_whole(folder / "model.safetensors", lambda partial: save_file(weights, partial))
        write_json(folder / "config.json", config)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Loads a network that `save_pretrained` wrote, in evaluation mode.

        Raises:
            AvnasError: A file is missing or damaged, or the folder holds a network of another class than `cls`.
        """
        folder = Path(folder)
        config = read_json(folder / "config.json")
        if config.get("format") != cls.config_format:
            raise AvnasError(
                f"{folder / 'config.json'}: format {config.get('format')!r} is not {cls.config_format}, "
                "the one that this version reads"
            )
        network_class = _import_class(str(config.get("class")), folder / "config.json")
        if not issubclass(network_class, cls):
            raise AvnasError(f"{folder / 'config.json'}: holds a {network_class.__name__}, not a {cls.__name__}")
        try:
            network = network_class.from_arguments(renamed(config["arguments"]))
            network.load_state_dict(load_file(folder / "model.safetensors"))
        except (OSError, SafetensorError) as error:
            raise AvnasError(f"{folder / 'model.safetensors'}: cannot be read: {error}") from error
        except (KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())  # torch lists every tensor on a line of its own
            raise AvnasError(f"{folder}: config.json and model.safetensors do not fit: {reason}") from error
        return network.eval()


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that records its arguments by name, defaults included.

    The record of a subclass replaces that of its base, unless it takes `*args`, which have no names.
    """
    signature = inspect.signature(init)
    kinds = {parameter.kind: name for name, parameter in signature.parameters.items()}

    @functools.wraps(init)
    def recording(self: HashNetwork, *args: Any, **keywords: Any) -> None:
        init(self, *args, **keywords)
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            bound = signature.bind(self, *args, **keywords)
            bound.apply_defaults()
            _, *named = bound.arguments.items()
            self._arguments = dict(named)
            self._arguments |= self._arguments.pop(kinds.get(inspect.Parameter.VAR_KEYWORD, ""), {})

    return recording


def _import_class(path: str, source: Path) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        network_class = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise AvnasError(f"{source}: network class {path!r} cannot be imported: {error}") from error
    if not (isinstance(network_class, type) and issubclass(network_class, HashNetwork)):
        raise AvnasError(f"{source}: {path!r} is not a HashNetwork")
    return network_class
