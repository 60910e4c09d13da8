"""The versions that a result depends on."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("avhash-nas", "torch", "lightning", "torchmetrics", "numpy", "mamba-ssm", "wandb")


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
