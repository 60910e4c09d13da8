from pathlib import Path
from typing import Any

import pytest

from training.tiny import avnas, fit_with, tiny_options, write_config


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory, tiny_config: Path) -> Path:
    """A run through all stages that nothing stopped."""
    out = tmp_path_factory.mktemp("run") / "unbroken"
    assert avnas("fit", "--config", tiny_config, "--out", out) == 0
    return out


@pytest.fixture(scope="session")
def strategies_config(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_cache: Path) -> Path:
    """Options for a run with any strategy."""
    options = tiny_options(tiny_data, tiny_cache)
    del options["strategy"]
    options["search"] = {"epochs": 2, "lr": 0.005, "body_lr": 0.5, "average": 0.9}
    options["finetune"] = {"epochs": 1, "lr": 0.002}
    options["augmentation"] = {"frames": 3}
    return write_config(tmp_path_factory.mktemp("config") / "every.yaml", options)


@pytest.fixture(scope="session")
def run_of(strategies_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Finished runs by strategy, made when first asked for."""
    folder = tmp_path_factory.mktemp("every")

    def run(name: str) -> Path:
        if not (folder / name).exists():
            assert fit_with(strategies_config, name, folder / name) == 0
        return folder / name

    return run
