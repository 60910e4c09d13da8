from collections.abc import Iterator

import httpx
import pytest

from serving.running import Running
from serving.shop import Shop, make_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def server(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for all tests, with limits that tests can reach."""
    limits = {"upload_bytes": 2**20, "upload_seconds": 2, "video_seconds": 60, "decode_seconds": 20, "waiting": 4}
    arguments = [f"--limits.{name}={value}" for name, value in limits.items()]
    with Running([*shop.arguments, "--rerank=asymmetric", *arguments], tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
