from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from browsing import browser, visit
from distributed.processes import Ranks
from training.tiny import tiny_options, tiny_set, write_config

__all__ = ["browser", "visit"]  # fixtures of pages looked at by a browser

# Each run tries the same examples, so that a failure is the change's and not the draw's;
# `pytest --hypothesis-profile=explore` tries new ones, and more of them.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker of `pytest -n 2 --dist loadgroup` run a folder, and one all tests of ranks: fixtures are dear."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            ranks = "three_ranks" in getattr(item, "fixturenames", ())
            folder = item.path.relative_to(config.rootpath).parts[:-1][:2]
            item.add_marker(pytest.mark.xdist_group("ranks" if ranks else "/".join(folder)))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_set(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_cache: Path) -> Path:
    return write_config(tmp_path_factory.mktemp("config") / "tiny.yaml", tiny_options(tiny_data, tiny_cache))


@pytest.fixture(scope="session")
def three_ranks() -> Iterator[Ranks]:
    ranks = Ranks(3)
    yield ranks
    ranks.close()
