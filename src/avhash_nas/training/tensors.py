"""Tensors in files that are written atomically."""

from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole


def write_tensors(path: Path, data: dict[str, Any]) -> None:
    """Write tensors and plain values by torch.save, atomically."""
    write_whole(path, lambda partial: save_or_oserror(lambda: torch.save(data, partial)))


def save_or_oserror(save: Callable[[], object]) -> None:
    """Call `save`, which calls torch.save, and turn torch's RuntimeError on a full disk into OSError."""
    try:
        save()
    except RuntimeError as error:
        raise OSError(str(error).splitlines()[0]) from error


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a file of `write_tensors`; only tensors and plain values are loaded.

    Raises:
        AvnasError: The file cannot be read.
    """
    try:
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).split("\n")[0] or "it is empty"
        raise AvnasError(f"{path}: cannot be read: {reason}; remove it to redo this stage") from error
    return data
