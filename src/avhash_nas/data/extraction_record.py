"""`extraction.json`: how the features of a folder were made from video files, kept beside them and beside models."""

from pathlib import Path
from typing import Any

from avhash_nas.files import read_json

EXTRACTION_FILE = "extraction.json"
"""Its name, in a feature folder and in a model folder."""


def read_extraction(folder: str | Path) -> dict[str, Any] | None:
    """What a feature or model folder says of its extraction; None where it says nothing.

    Args:
        folder: The folder.

    Raises:
        AvnasError: The file is damaged.
    """
    path = Path(folder) / EXTRACTION_FILE
    return read_json(path) if path.exists() else None
