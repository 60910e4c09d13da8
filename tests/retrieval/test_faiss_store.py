"""FaissStore: kills, concurrent writers and readers, damaged files, and removal from a graph."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.retrieval import HNSW, IVF, Flat, archive, create_store, faiss_store, open_store
from avhash_nas.retrieval.lock import locked
from retrieval.backends import codes_of

faiss = pytest.importorskip("faiss")

KILLED = """
import os, signal, sys
from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import create_store, open_store
from avhash_nas.retrieval.archive import Joined

blocks, left = Joined.blocks, int(sys.argv[4])

def dying(joined):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    yield from blocks(joined)

Joined.blocks = dying
codes = CodeSet.load(sys.argv[3])
if sys.argv[1] == "add":
    open_store(sys.argv[2]).add(codes, replace=True)
else:
    create_store(sys.argv[2], codes, replace=True)
"""


@pytest.mark.parametrize(("action", "pieces"), [("build", 3), ("add", 6)])
def test_sigkill_keeps_the_old_index_and_a_retry_succeeds(tmp_path, action, pieces):
    """SIGKILL during writing."""
    where = str(tmp_path / "x.avnas")
    create_store(where, codes_of(["a", "b", "c"]))
    before = (tmp_path / "x.avnas").read_bytes()
    new = codes_of(["c", "d"], seed=1)
    new.save(tmp_path / "new.npz")
    command = [sys.executable, "-c", KILLED, action, where, str(tmp_path / "new.npz")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run([*command, str(pieces)], env=environment, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "x.avnas.partial").exists()
    assert (tmp_path / "x.avnas").read_bytes() == before
    assert open_store(where).first_ids() == ["a", "b", "c"]
    store = open_store(where)
    store.add(new, replace=True)
    assert store.first_ids() == ["a", "b", "c", "d"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.npz", "x.avnas"]


@pytest.mark.filterwarnings("ignore:.*another process writes")
def test_concurrent_writers_lose_nothing(tmp_path):
    where = str(tmp_path / "x.avnas")
    create_store(where, codes_of(["first"]))
    stores = [open_store(where) for _ in range(5)]

    def write(number):
        for turn in range(4):
            stores[number].add(codes_of([f"{number} {turn}"]))
        stores[number].remove([f"{number} 0"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {"first", *(f"{number} {turn}" for number in range(5) for turn in (1, 2, 3))}
    assert set(open_store(where).first_ids()) == wanted


@pytest.mark.filterwarnings("ignore:.*another process writes")
def test_lock_is_exclusive(tmp_path):
    inside = []

    def hold(number):
        for _ in range(20):
            with locked(tmp_path / "file"):
                inside.append(number)
                assert inside == [number]
                inside.pop()

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == []
    assert list(tmp_path.iterdir()) == []


def test_open_store_keeps_its_snapshot(tmp_path):
    where = str(tmp_path / "x.avnas")
    codes = codes_of(["a", "b", "c"])
    reader = create_store(where, codes, HNSW())
    create_store(where, codes_of(["d"], seed=3, bits=64), replace=True)
    assert reader.search(codes.packed, 3).ids.shape == (3, 3)
    np.testing.assert_array_equal(reader.fetch(["b"]).values, codes.values[[1]])
    with pytest.raises(AvnasError, match=r"codes of 12 bits; .* holds codes of 64 bits"):
        reader.add(codes_of(["e"]))


def test_invalid_index_files_are_rejected(tmp_path):
    create_store(str(tmp_path / "x.avnas"), codes_of(["a", "b", "c"]), HNSW())
    whole = (tmp_path / "x.avnas").read_bytes()
    codes_of(["a"]).save(tmp_path / "codes.npz")
    (tmp_path / "half.avnas").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.avnas").write_text("no")
    (tmp_path / "empty.avnas").touch()
    (tmp_path / "folder.avnas").mkdir()
    (tmp_path / "newer.avnas").write_bytes(whole.replace(b'{"format": 1', b'{"format": 2'))
    for name in ("codes.npz", "half.avnas", "text.avnas", "empty.avnas", "folder.avnas"):
        with pytest.raises(AvnasError, match=f"{name}: not an index, or damaged"):
            open_store(str(tmp_path / name))
    with pytest.raises(AvnasError, match=r"newer.avnas: unknown index format 2"):
        open_store(str(tmp_path / "newer.avnas"))
    damaged = whole.replace(b"IBHf", b"IB??")
    assert damaged != whole
    (tmp_path / "x.avnas").write_bytes(damaged)
    with pytest.raises(AvnasError, match="the index is damaged; rebuild it"):
        open_store(str(tmp_path / "x.avnas")).search(np.zeros((1, 2), np.uint8), 1)


def test_failed_write_keeps_the_store(tmp_path, monkeypatch):
    where = str(tmp_path / "x.avnas")
    store = create_store(where, codes_of(["a", "b", "c"]), IVF())

    def full(path, parts):
        path.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(faiss_store, "write_archive", full)
        with pytest.raises(AvnasError, match="cannot be written: No space left on device"):
            store.add(codes_of(["d"]))
    assert store.first_ids() == open_store(where).first_ids() == ["a", "b", "c"]
    store.add(codes_of(["d"]))
    assert len(store.search(codes_of(["q"]).packed, 9).ids[0]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["x.avnas"]


def graph_size(store):
    return store._index.graph.ntotal


def test_graph_is_rebuilt_after_many_removals(tmp_path):
    """Removed codes are never returned, K answers remain, and the graph is rebuilt after a fifth is removed.

    Copies of codes that the graph has, removed ones included, take no node.
    """
    codes = codes_of([f"v{row}" for row in range(200)], bits=64, spread=256)
    store = create_store(str(tmp_path / "x.avnas"), codes, HNSW(m=8))
    near = store.search(codes.packed[:1], 40).ids[0].tolist()
    store.remove(near)
    assert graph_size(store) == 200
    found = store.search(codes.packed[:1], 60)
    assert len(set(found.ids[0]) - set(near) - {""}) == 60
    store.add(replace(codes.take(range(5)), ids=np.array(list("abcde"))))
    assert graph_size(store) == 200
    store.remove(["v190", "v191"] + [f"v{row}" for row in range(150, 160)])
    assert graph_size(store) == len(np.unique(store.fetch(store.first_ids(999)).packed, axis=0)) < 160
    assert (store.search(codes.packed[:5], 1).distances == 0).all()


def test_hnsw_finds_codes_beside_copies_of_another(tmp_path):
    """FAISS alone finds none of the ten (findings/faiss-binary-hnsw-loses-codes-beside-copies.sh)."""
    rare = np.random.default_rng(0).integers(0, 256, (10, 8), dtype=np.uint8)
    packed = np.concatenate([np.repeat(np.arange(8, dtype=np.uint8)[None], 10_000, axis=0), rare])
    codes = codes_of([f"v{row}" for row in range(len(packed))], packed, bits=64, values=None, frames=None)
    store = create_store(str(tmp_path / "x.avnas"), codes, HNSW())
    assert graph_size(store) == 11
    found = store.search(rare, 12)
    assert found.ids[:, 0].tolist() == [f"v{row}" for row in range(10_000, 10_010)]
    assert (found.distances[:, 0] == 0).all()
    assert store.search(packed[:1], 3).of(0) == [("v0", 0), ("v1", 0), ("v2", 0)]


def test_hnsw_of_an_earlier_version_opens_and_grows(tmp_path):
    """Its file holds a graph of all codes, the number of a code being its place there; some were removed."""
    codes = codes_of([f"v{row}" for row in range(40)], np.arange(40) // 2, bits=8)
    where = tmp_path / "x.avnas"
    create_store(str(where), codes, HNSW(m=4))
    graph = faiss.IndexBinaryHNSW(8, 4)
    graph.add(codes.packed)
    parts = dict(np.load(where))
    kept = np.delete(np.arange(40), [3, 10])
    old = {name: part for name, part in parts.items() if not name.startswith("hnsw_")}
    old = {name: part[kept] if len(part) == 40 else part for name, part in old.items()}
    old |= {"index": faiss.serialize_index_binary(graph), "order": np.argsort(old["ids"], kind="stable")}
    archive.write_archive(where, old)
    store = open_store(str(where))
    assert store.search(codes.packed[[3, 10]], 1).ids[:, 0].tolist() == ["v2", "v11"]
    store.add(codes_of(["new"], [1], bits=8))
    store.remove(["v2"])
    assert store.search(codes.packed[[3]], 1).of(0) == [("new", 0)]


def test_ivf_scans_complete_lists(tmp_path):
    """With nprobe=1, queries find themselves; a large `top` is completed exactly."""
    codes = codes_of([f"v{row}" for row in range(500)], bits=64, spread=256)
    store = create_store(str(tmp_path / "x.avnas"), codes, IVF(nlist=10, nprobe=1))
    found = store.search(codes.packed[:20], 5)
    assert (found.ids[:, 0] == codes.ids[:20]).all()
    some = store.search(codes.packed[:1], 400)
    assert len(set(some.ids[0])) == 400


def test_missing_faiss_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    for attempt in (lambda: create_store(str(tmp_path / "x"), codes_of(["a"])), lambda: open_store("x.avnas")):
        with pytest.raises(MissingExtraError, match=r"needs faiss: pip install 'avhash-nas\[index\]'"):
            attempt()


def test_missing_milvus_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"needs pymilvus: pip install 'avhash-nas\[milvus\]'"):
        create_store(f"milvus:{tmp_path}/codes.db", codes_of(["a"]), Flat())


def test_numpy_can_load_the_codes_of_a_store(tmp_path):
    codes = codes_of(["a", "b"])
    create_store(str(tmp_path / "x.avnas"), codes)
    with np.load(tmp_path / "x.avnas") as arrays:
        np.testing.assert_array_equal(arrays["packed"], codes.packed)
