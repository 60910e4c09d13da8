from pathlib import Path

import pytest

from training.tiny import tiny_options, tiny_set, write_config


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_set(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_cache: Path) -> Path:
    return write_config(tmp_path_factory.mktemp("config") / "tiny.yaml", tiny_options(tiny_data, tiny_cache))
