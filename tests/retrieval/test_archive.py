"""Arrays in one file: round trip, memory mapping, and compatibility with numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.retrieval import archive
from avhash_nas.retrieval.archive import Joined, map_archive, write_archive

ARRAYS = {
    "bytes": np.arange(7, dtype=np.uint8),
    "ids": np.array([b"a", b"bcd"]),
    "half": np.linspace(0, 1, 30, dtype=np.float16).reshape(5, 2, 3),
    "numbers": np.arange(9),
    "empty": np.empty((0, 4), np.float16),
    "ends": np.arange(3),
}


@pytest.fixture
def file(tmp_path):
    write_archive(tmp_path / "file", ARRAYS)
    return tmp_path / "file"


def test_arrays_are_mapped_aligned_and_read_only(file):
    mapped = map_archive(file)
    assert mapped.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(mapped[name], array)
        assert mapped[name].dtype == array.dtype
        if array.size:
            assert mapped[name].ctypes.data % 64 == 0
            assert not mapped[name].flags.writeable
            assert isinstance(mapped[name].base, np.memmap)


def test_numpy_can_load_the_file(file):
    with np.load(file) as loaded:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(loaded[name], array)


def test_mapped_arrays_survive_replacing_the_file(file):
    mapped = map_archive(file)
    file.with_name("new").write_bytes(b"another")
    file.with_name("new").replace(file)
    np.testing.assert_array_equal(mapped["half"], ARRAYS["half"])


@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_rejected(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    write_archive(folder / "whole", ARRAYS)
    whole = (folder / "whole").read_bytes()
    (folder / "part").write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(ValueError, match="not a zip file"):
        map_archive(folder / "part")


def test_compressed_members_are_rejected(tmp_path):
    np.savez_compressed(tmp_path / "file.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="compressed"):
        map_archive(tmp_path / "file.npz")


@pytest.mark.parametrize("block", [1, 50, 2**26])
def test_joined_rows_are_concatenated(monkeypatch, tmp_path, block):
    """Some rows of one array, all of a wider one, none of a third, for several block sizes."""
    monkeypatch.setattr(archive, "_BLOCK", block)
    narrow, wide = np.arange(12, dtype=np.uint8).reshape(6, 2), np.ones((4, 3), np.uint8)
    joined = Joined((narrow, np.array([5, 0, 1])), (wide, None), (narrow, np.array([], np.int64)))
    wanted = np.concatenate([np.pad(narrow[[5, 0, 1]], ((0, 0), (0, 1))), wide])
    np.testing.assert_array_equal(joined.whole(), wanted)
    write_archive(tmp_path / "file", {"joined": joined})
    np.testing.assert_array_equal(map_archive(tmp_path / "file")["joined"], wanted)
