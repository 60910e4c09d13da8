"""Models as the commands that use one take them: by the folder of a run, or by what `save_pretrained` wrote."""

from pathlib import Path

from avhash_nas.errors import AvnasError


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
