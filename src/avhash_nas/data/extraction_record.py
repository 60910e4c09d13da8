"""`extraction.json`: how the features of a folder were made from video files, kept beside them and beside models."""

from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.legacy import renamed

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
    return renamed(read_json(path)) if path.exists() else None


def check_same_extraction(
    of_model: dict[str, Any] | None, of_features: dict[str, Any] | None, model: str | Path, features: str | Path
) -> None:
    """Refuse features that were made otherwise than those that a model has learnt from, as far as both are known.

    An extractor with weights is the same where the weights are, wherever they were loaded from.

    Args:
        of_model: What the model folder says.
        of_features: What the feature folder says.
        model: Named in the error.
        features: Named in the error.

    Raises:
        AvnasError: An extractor differs.
    """
    for modality in ("visual", "audio"):
        learnt, made = ((renamed(record) or {}).get(modality) for record in (of_model, of_features))
        if learnt is None or made is None:
            continue
        if any(
            learnt.get(key) != made.get(key) for key in ("class", "weights" if made.get("weights") else "arguments")
        ):
            raise AvnasError(
                f"{features}: its {modality} features are by {_shown(made)}, those that {model} has learnt from by "
                f"{_shown(learnt)}; extract the videos by the latter"
            )


def _shown(extractor: dict[str, Any]) -> str:
    name = str(extractor.get("class")).rpartition(".")[2]
    arguments = ", ".join(f"{key}={value}" for key, value in extractor.get("arguments", {}).items())
    weights = f" with weights {extractor['weights']}" if extractor.get("weights") else ""
    return f"{name}({arguments}){weights}"
