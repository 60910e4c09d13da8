"""Versions of Python and of the packages that a result depends on, without importing them."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("avhash-nas", "torch", "lightning", "torchmetrics", "numpy", "mamba-ssm", "wandb")


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
