"""Models as the commands that use one take them: by the folder of a run, or by what `save_pretrained` wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import HashNetwork


def model_folder(path: str | Path) -> Path:
    """The folder with the weights: that of the model itself, or `model/` of a run.

    Args:
        path: A folder of either kind.

    Raises:
        AvnasError: It holds neither.
    """
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / "config.json").exists():
            return folder
    if (path / "config.yaml").exists():
        raise AvnasError(f"{path}: this run is not finished; run its `avnas fit` again")
    raise AvnasError(f"{path}: holds no model (config.json is missing) and no run")


def check_fits(extraction: "Extraction", network: "HashNetwork", model: str, source: str) -> None:
    """See that a network takes the features that extractors make.

    Args:
        extraction: The extractors.
        network: That takes the features.
        model: Named in the error, for the network.
        source: Named in the error, for the extractors.

    Raises:
        AvnasError: The widths differ, or an extractor cannot be loaded.
    """
    for name in ("visual", "audio"):
        made, wanted = getattr(extraction, name).dim, network.arguments()[f"{name}_dim"]
        if made != wanted:
            raise AvnasError(
                f"{model}: the network takes {name} features of width {wanted}; the extractor for {source} makes {made}"
            )
