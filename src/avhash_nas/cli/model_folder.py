"""Models on the command line: the folder of a run, or a folder that `save_pretrained` wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import HashNetwork


def model_folder(path: str | Path) -> Path:
    """The folder with the weights: the folder itself, or `model/` of a run.

    Args:
        path: Folder of a model or of a run.

    Raises:
        AvnasError: The folder holds neither a model nor a finished run.
    """
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / "config.json").exists():
            return folder
    if (path / "config.yaml").exists():
        raise AvnasError(f"{path}: this run is not finished; run its `avnas fit` again")
    raise AvnasError(f"{path}: holds no model (config.json is missing) and no run")


def check_fits(extraction: "Extraction", network: "HashNetwork", model: str, source: str) -> None:
    """Check that a network takes the features of extractors.

    Args:
        extraction: The extractors.
        network: The network.
        model: Names the network in the error.
        source: Names the extractors in the error.

    Raises:
        AvnasError: The widths differ, or an extractor cannot be loaded.
    """
    for name in ("visual", "audio"):
        width, expected = getattr(extraction, name).dim, network.arguments()[f"{name}_dim"]
        if width != expected:
            raise AvnasError(
                f"{model}: the network takes {name} features of width {expected}; "
                f"the extractor for {source} makes {width}"
            )
