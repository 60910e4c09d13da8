"""A strategy from another distribution, from its tests to the command line."""

import shutil
import sys
from pathlib import Path

import pytest

from avhash_nas.space import load_space
from avhash_nas.space.architecture import Architecture
from testing import marginal
from training.tiny import avnas, metrics_of


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution on the path as pip leaves it there, which nobody has imported."""
    site = tmp_path / "site-packages"
    info = site / "marginal_nas-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marginal-nas\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[avhash_nas.strategies]\nmean-loss = marginal_nas:Marginal\n")
    shutil.copy(Path(marginal.__file__), site / "marginal_nas.py")
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("marginal_nas", None)


@pytest.mark.parametrize("name", ["mean_loss", "marginal_nas.Marginal"])
def test_a_search_with_the_strategy_of_another_distribution(name, installed, tiny_config, tmp_path):
    out = tmp_path / "run"
    options = ("--search.epochs=1", "--finetune.epochs=1", "--finetune.patience=0")
    assert avnas("fit", "--config", tiny_config, f"--strategy={name}", *options, "--out", out) == 0
    assert metrics_of(out)["search"] == {"steps": 5}
    load_space("full").check(Architecture.load(out / "architecture.json"))


def test_its_entry_point_is_offered_beside_our_own(installed, tiny_config, capsys):
    assert avnas("fit", "--config", tiny_config, "--strategy=mean_los") == 2
    error = capsys.readouterr().err
    assert "did you mean 'mean-loss'?" in error
    assert "avnas" in error
