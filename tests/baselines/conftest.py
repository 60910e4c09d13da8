from pathlib import Path

import pytest

from avhash_nas.data import HashingData
from baselines.planted import planted_set


@pytest.fixture(scope="session")
def planted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    planted_set(folder / "data")
    return folder


@pytest.fixture
def planted(planted_folder: Path) -> HashingData:
    return HashingData(planted_folder / "data", cache_dir=planted_folder / "cache").prepare()
