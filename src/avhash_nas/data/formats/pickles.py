"""A reader of pickles that hold nothing but data."""

import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.errors import AvnasError


def _latin1(text: str, encoding: str) -> bytes:
    """What Python 2 and old protocols store in place of bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"holds text to be encoded as {encoding}")
    return text.encode("latin1")


_RECONSTRUCT, _SCALAR = np.ndarray.__reduce__(np.empty(0))[0], np.float64(0).__reduce__()[0]
_FROM_BUFFER = np.empty(0).__reduce_ex__(5)[0]
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): collections.OrderedDict,
    **{("builtins", kind.__name__): kind for kind in (set, frozenset)},
    **{("__builtin__", kind.__name__): kind for kind in (set, frozenset)},
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _RECONSTRUCT),
            ("multiarray", "scalar", _SCALAR),
            ("numeric", "_frombuffer", _FROM_BUFFER),
        )
    },
}


class _DataUnpickler(pickle.Unpickler):
    @override
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"holds {module_name}.{global_name}") from None


def read_pickle(path: Path) -> Any:
    """Reads a pickle of Python's built-in values and NumPy arrays; nothing else is made, imported or called.

    Args:
        path: The file.

    Raises:
        AvnasError: It holds anything else, is damaged or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _DataUnpickler(file, encoding="latin1").load()
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, IndexError, KeyError) as error:
        line = " ".join(str(error).split())
        raise AvnasError(
            f"{path}: not a pickle of plain values and arrays: {line}; save them as .npy or .npz"
        ) from error
