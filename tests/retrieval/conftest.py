import pytest

from retrieval.backends import KINDS, STORES, Places


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A file of Milvus Lite, shared because its server takes a second to start."""
    return tmp_path_factory.mktemp("milvus") / "codes.db"


@pytest.fixture(params=STORES)
def places(request, tmp_path, database):
    """Addresses for every kind of store."""
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
    else:
        pytest.importorskip("faiss")
    return Places(request.param, tmp_path, database)


@pytest.fixture(params=KINDS)
def files(request, tmp_path):
    """Addresses for every kind of index file: fast enough for property tests, unlike Milvus."""
    pytest.importorskip("faiss")
    return Places(request.param, tmp_path, None)
