"""Atomic writing of files, and JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file atomically: under a temporary name in the same folder, then renamed.

    Args:
        path: The file; its folder is created if missing.
        write: Called with the temporary path.

    Raises:
        AvnasError: The file cannot be written (no space, no permission); an existing file is left unchanged.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise AvnasError(f"{path}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Writes indented JSON atomically."""
    write_whole(path, lambda partial: partial.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8"))


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        AvnasError: The file cannot be read or is not a JSON object.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise AvnasError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise AvnasError(f"{path}: expected a JSON object, found {type(data).__name__}")
    return data
