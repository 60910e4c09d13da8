from pathlib import Path

import pytest

from training.tiny import avnas


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory, tiny_config: Path) -> Path:
    """A run through all stages that nothing stopped."""
    out = tmp_path_factory.mktemp("run") / "unbroken"
    assert avnas("fit", "--config", tiny_config, "--out", out) == 0
    return out
