"""Models on the command line: the folder of a run, or a folder that `save_pretrained` wrote."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from avhash_nas.errors import AvnasError, MissingExtraError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import VideoNetwork


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


def check_fits(extraction: "Extraction", network: "VideoNetwork", model: str, source: str) -> None:
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


def ready_extraction(described: dict[str, Any], network: "VideoNetwork", model: str, source: str) -> "Extraction":
    """The extraction that a record describes, with its weights loaded.

    Args:
        described: Content of `extraction.json`.
        network: The network that takes the features.
        model: Names the network in an error.
        source: Names the record in an error.

    Raises:
        AvnasError: The network takes features of other widths, or an extractor cannot be loaded.
        MissingExtraError: The packages that read video files are not installed.
    """
    from avhash_nas.extraction import Extraction

    extraction = Extraction.from_dict(described)
    check_fits(extraction, network, model, source)
    try:
        import av  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "extract", "reading video files") from error
    return extraction.prepare()
