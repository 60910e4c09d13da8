from pathlib import Path

import pytest

from training.tiny import avnas, tiny_options, write_config


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_config: Path) -> Path:
    """A run through all stages that tests only read."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert avnas("fit", "--config", tiny_config, "--search.epochs=2", "--finetune.epochs=2", "--out", out) == 0
    return out


@pytest.fixture
def mlp_config(tmp_path: Path, tiny_data: Path, tiny_cache: Path) -> Path:
    """The quickest run: nothing to search, one epoch."""
    kept = ("bits", "data", "page")
    options = {name: value for name, value in tiny_options(tiny_data, tiny_cache).items() if name in kept}
    options |= {"network": {"class_path": "mlp", "init_args": {"hidden": 8}}, "finetune": {"epochs": 1}}
    return write_config(tmp_path / "mlp.yaml", options)
