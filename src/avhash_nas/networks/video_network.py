"""The base class of all networks on videos: features in, saving and loading, a fingerprint."""

import functools
import hashlib
import importlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json, write_whole
from avhash_nas.legacy import first_names, renamed


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


class VideoNetwork(nn.Module, ABC):
    """A network on the features of a video. What it gives is up to the two kinds, `HashNetwork` and `ParsingNetwork`.

    A subclass takes `visual_dim` and `audio_dim` among its constructor's arguments. The arguments are recorded for
    `save_pretrained` and `from_pretrained`; a subclass with an argument that is not a JSON value overrides `arguments`
    and `from_arguments`.

    Attributes:
        modalities: What the network reads: `visual`, `audio` or both.
        default_components: Classes that other options of the command line default to, by option:
            `{"objective": "package.module.Class"}`. A method names its own loss and sampling here.
    """

    modalities: tuple[str, ...] = ("visual", "audio")
    default_components: ClassVar[Mapping[str, str]] = {}
    config_format: ClassVar[int] = 1
    _arguments: dict[str, Any]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """The layers from the representation to the output, which a recipe may train at another rate."""

    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return dict(self._arguments)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        """Inverse of `arguments`."""
        return cls(**arguments)

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch of training, counted from 0, for networks with an epoch-dependent parameter."""

    def summary(self) -> dict[str, float]:
        """Values to log at each validation, such as learned weights of modalities; none by default."""
        return {}

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
    def recording(self: VideoNetwork, *args: Any, **keywords: Any) -> None:
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
    if not (isinstance(network_class, type) and issubclass(network_class, VideoNetwork)):
        raise AvnasError(f"{source}: {path!r} is not a VideoNetwork")
    return network_class
