"""`extraction.json`: how features were extracted from video files. Feature folders and model folders have one."""

from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.legacy import renamed

EXTRACTION_FILE = "extraction.json"


def read_extraction(folder: str | Path) -> dict[str, Any] | None:
    """The extraction record of a feature or model folder; None if it has none.

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
    """Rejects features from other extractors than those that a model was trained on, as far as both are known.

    Extractors with weights are compared by the weights, wherever these were loaded from.

    Args:
        of_model: Extraction record of the model.
        of_features: Extraction record of the features.
        model: Name of the model in the error.
        features: Name of the features in the error.

    Raises:
        AvnasError: An extractor differs.
    """
    for modality in ("visual", "audio"):
        expected, actual = ((renamed(record) or {}).get(modality) for record in (of_model, of_features))
        if expected is None or actual is None:
            continue
        identity = ("class", "weights" if actual.get("weights") else "arguments")
        if any(expected.get(key) != actual.get(key) for key in identity):
            raise AvnasError(
                f"{features}: its {modality} features are by {_describe(actual)}, but {model} was trained on features"
                f" by {_describe(expected)}; extract the videos with the latter"
            )


def _describe(extractor: dict[str, Any]) -> str:
    name = str(extractor.get("class")).rpartition(".")[2]
    arguments = ", ".join(f"{key}={value}" for key, value in extractor.get("arguments", {}).items())
    weights = f" with weights {extractor['weights']}" if extractor.get("weights") else ""
    return f"{name}({arguments}){weights}"
