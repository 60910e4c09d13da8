from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from serving.running import Running
from serving.shop import Shop, make_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def running_server(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Running]]:
    """The service shared by all tests, with low limits. Calling it starts a new one if a test has stopped the last."""
    limits = {"upload_bytes": 2**20, "upload_seconds": 5, "video_seconds": 60, "decode_seconds": 20, "waiting": 4}
    arguments = [f"--limits.{name}={value}" for name, value in limits.items()]
    started: list[Running] = []
    with ExitStack() as stack:

        def get() -> Running:
            if not started or started[-1].process.poll() is not None:
                folder = tmp_path_factory.mktemp("server")
                service = Running([*shop.arguments, "--rerank=asymmetric", "--grace=3", *arguments], folder)
                started.append(stack.enter_context(service))
            return started[-1]

        yield get


@pytest.fixture(scope="module")
def server(running_server: Callable[[], Running]) -> Running:
    return running_server()


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
