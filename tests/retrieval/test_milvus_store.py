"""MilvusStore: addresses, kills, foreign collections, limits."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import HNSW, IVF, create_store, milvus_rows, open_store
from avhash_nas.retrieval.milvus_rows import batches, rows_of
from avhash_nas.retrieval.milvus_server import MilvusServer, split_place
from avhash_nas.retrieval.milvus_store import MilvusStore
from avhash_nas.retrieval.store import StoreHeader
from retrieval.backends import codes_of

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

KILLED = """
import os, signal, sys
from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import create_store, milvus_rows

create_store(sys.argv[1], CodeSet.load(sys.argv[2]))
milvus_rows._MOST_ROWS = 2

def told(done, total):
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)

create_store(sys.argv[1], CodeSet.load(sys.argv[3]), replace=True, progress=told)
"""


def test_sigkill_keeps_the_old_index_and_a_retry_succeeds(tmp_path):
    """SIGKILL after sending the first rows of a new index."""
    where = f"milvus:{tmp_path}/codes.db"
    old, new = codes_of(["a", "b", "c"]), codes_of([f"n{row}" for row in range(9)], seed=1)
    old.save(tmp_path / "old.npz")
    new.save(tmp_path / "new.npz")
    command = [sys.executable, "-c", KILLED, where, str(tmp_path / "old.npz"), str(tmp_path / "new.npz")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    store = open_store(where)
    assert store.first_ids() == ["a", "b", "c"]
    np.testing.assert_array_equal(store.search(old.packed, 1).distances, [[0], [0], [0]])
    assert create_store(where, new, replace=True).first_ids() == sorted(new.ids.tolist())
    server = MilvusServer(f"{tmp_path}/codes.db")
    assert sorted(server.client.list_collections()) == ["avhash", "avhash_2"]


def test_foreign_collections_are_not_touched(database):
    server = MilvusServer(str(database))
    key = {"type": "VARCHAR", "max_length": 10, "is_primary": True}
    index = {"field_name": "v", "index_type": "BIN_FLAT", "metric_type": "HAMMING"}
    server.create_collection("others", {"key": key, "v": {"type": "BINARY_VECTOR", "dim": 8}}, index)
    for attempt in (
        lambda: open_store(f"milvus:{database}#others"),
        lambda: create_store(f"milvus:{database}#others", codes_of(["a"]), replace=True),
    ):
        with pytest.raises(AvnasError, match="the collection others is not an index of this program"):
            attempt()
    assert server.client.has_collection("others")


def test_one_file_holds_two_indexes(database):
    one = create_store(f"milvus:{database}#one", codes_of(["a"]))
    two = create_store(f"milvus:{database}#two", codes_of(["b"], fingerprint="ffff"))
    assert (one.first_ids(), two.first_ids()) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("codes", "ends with .db, or a server"),
        ("codes.db#1st", "starts with no digit"),
        ("codes.db#a-b", "starts with no digit"),
    ],
)
def test_invalid_addresses_are_rejected(place, words):
    with pytest.raises(AvnasError, match=words):
        split_place(place)


def test_unsupported_kinds_are_rejected(tmp_path):
    codes = codes_of([f"v{row}" for row in range(100)])
    assert IVF().milvus_index(10_000) == ("BIN_IVF_FLAT", {"nlist": 100}, {"nprobe": 6})
    with pytest.raises(AvnasError, match="searches exactly; use --kind=flat, or a server"):
        create_store(f"milvus:{tmp_path}/codes.db", codes, IVF())
    with pytest.raises(AvnasError, match="Milvus has no such index for binary vectors"):
        create_store(f"milvus:{tmp_path}/codes.db", codes, HNSW())
    assert list(tmp_path.iterdir()) == []


def test_unreachable_server_is_reported(monkeypatch):
    monkeypatch.setattr("avhash_nas.retrieval.milvus_server._SECONDS", 1.0)
    with pytest.raises(AvnasError, match=r"milvus:http://127\.0\.0\.1:9: "):
        open_store("milvus:http://127.0.0.1:9")


def test_rows_are_sent_in_batches(monkeypatch):
    codes = codes_of([f"v{row}" for row in range(10)])
    header = StoreHeader(12, codes.fingerprint, HNSW(), codes.class_names, values=True, frames=(3, 5))
    rows = list(rows_of(codes, header))
    assert [len(batch) for batch in batches(iter(rows))] == [10]
    monkeypatch.setattr(milvus_rows, "_MOST_ROWS", 4)
    assert [len(batch) for batch in batches(iter(rows))] == [4, 4, 2]
    monkeypatch.setattr(milvus_rows, "_BATCH", 150)
    cut = list(batches(iter(rows)))
    assert max(len(batch) for batch in cut) < 4
    assert [row for batch in cut for row in batch] == rows


def test_milvus_limits_are_reported(database, monkeypatch):
    where = f"milvus:{database}#much"
    with pytest.raises(AvnasError, match="exceed the limit of Milvus; leave them out"):
        create_store(where, codes_of(["a"], frames=np.zeros((1, 25, 1024), np.float16)))
    with pytest.raises(AvnasError, match="the limit of Milvus is 1024"):
        create_store(where, codes_of(["ü" * 200]))
    store = create_store(where, codes_of(["a", "b"]), replace=True)
    monkeypatch.setattr(MilvusStore, "__len__", lambda self: 20_000)
    with pytest.raises(AvnasError, match="at most 16384 answers per query, got top 17000"):
        store.search(codes_of(["q"]).packed, 17_000)
