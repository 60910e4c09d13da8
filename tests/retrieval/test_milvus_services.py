"""MilvusStore on a server: restarts, many codes, rerank, versions."""

import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import IVF, create_store, open_store
from avhash_nas.retrieval.rerank import part
from avhash_nas.retrieval.values import ValueRerank
from retrieval.backends import codes_of

pytestmark = pytest.mark.services


@pytest.fixture
def where(milvus_server, tmp_path):
    return f"milvus:http://127.0.0.1:{milvus_server.listen_port}#{tmp_path.name.replace('-', '_')}"


def test_a_restart_within_an_add_loses_nothing(milvus_server, where, monkeypatch):
    """Rows that the server has acknowledged are there after a restart; the add says so and is repeated."""
    monkeypatch.setattr("avhash_nas.retrieval.milvus_rows._MOST_ROWS", 3)
    monkeypatch.setattr("avhash_nas.retrieval.milvus_server._SECONDS", 3.0)
    first, more = codes_of(list("abc")), codes_of([f"n{row}" for row in range(12)], seed=1)
    store = create_store(where, first)

    def stop(done, _):
        if done == 6:
            milvus_server.stop()

    with pytest.raises(AvnasError, match="milvus:http"):
        store.add(more, progress=stop)
    milvus_server.start()
    reopened = open_store(f"milvus:http://127.0.0.1:{milvus_server.listen_port}#{where.partition('#')[2]}")
    found = set(reopened.first_ids())
    assert found >= {*"abc", *(f"n{row}" for row in range(6))}
    assert len(reopened) == len(found)
    reopened.add(more, replace=True)
    assert sorted(reopened.first_ids()) == sorted([*"abc", *more.ids])
    np.testing.assert_array_equal(reopened.fetch(more.ids.tolist()).packed, more.packed)
    assert (reopened.search(more.packed, 1).distances == 0).all()


@pytest.mark.parametrize("kind", [None, IVF()])
def test_many_codes_are_searched_as_in_a_file(where, tmp_path, kind):
    """More rows than an answer or a request holds."""
    codes = codes_of([f"v{row:05d}" for row in range(20_000)], bits=64, spread=256, values=None, frames=None)
    store = create_store(where, codes, kind)
    assert len(store) == 20_000
    wanted = create_store(str(tmp_path / "x.avnas"), codes).search(codes.packed[:50], 10).distances
    found = store.search(codes.packed[:50], 10).distances
    if kind is None:
        np.testing.assert_array_equal(found, wanted)
    else:  # an approximate index: every query finds itself, and nothing is nearer than it is
        assert (found[:, 0] == 0).all()
        assert (found >= wanted[:, : found.shape[1]]).all()
    assert store.remove(codes.ids[:5000].tolist()) == 5000
    assert len(store) == 15_000


def test_rerank_reads_values_and_frames(where):
    codes = codes_of([f"v{row}" for row in range(30)])
    store = create_store(where, codes)
    near = store.fetch(store.search(codes.packed[:1], 30).ids[0].tolist())
    for name in ("values", "frames"):
        rows = [codes.ids.tolist().index(video) for video in near.ids]
        np.testing.assert_array_equal(part(near, name), part(codes, name)[rows])
    order, _ = ValueRerank(depth=30).order(codes.take([0]), near)
    assert near.ids[order[0]] == "v0"


def test_an_old_server_is_refused_in_one_line(where, monkeypatch):
    monkeypatch.setattr("pymilvus.MilvusClient.get_server_version", lambda self: "v2.2.16")
    with pytest.raises(AvnasError, match=r"the server is Milvus v2.2.16; needs 2.3 or later"):
        open_store(where)
