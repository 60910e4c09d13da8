import errno
import os
import pickle
import platform
import threading

import h5py
import numpy as np
import pytest

from avhash_nas.cache import default_cache_dir
from avhash_nas.data import features
from avhash_nas.data.features import open_features
from avhash_nas.errors import DataError

IDS = tuple("fedcba")


@pytest.fixture
def source(make_set):
    return make_set() / "image.h5"


def stored(source, ids=IDS):
    with h5py.File(source) as file:
        return np.stack([file[name]["vectors"][()] for name in ids])


def cached(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".lock", ".json"))


def test_rows_follow_the_ids(source, tmp_path):
    opened = open_features(source, IDS, cache_dir=tmp_path / "cache")
    assert (len(opened), opened.frames, opened.dim, opened.dtype) == (6, 4, 5, np.float32)
    rows = np.array([4, 0, 4])
    assert np.array_equal(opened.read(rows), stored(source)[rows])


def test_float16_is_cached_as_float16_and_read_as_float32(make_set, tmp_path):
    source = make_set(dtype="float16") / "image.h5"
    opened = open_features(source, IDS, cache_dir=tmp_path / "cache")
    assert opened.dtype == np.float16
    read = opened.read(np.arange(6))
    assert read.dtype == np.float32
    assert np.array_equal(read, stored(source).astype(np.float32))


def test_float64_becomes_float32(make_set, tmp_path):
    source = make_set(dtype="float64") / "image.h5"
    opened = open_features(source, IDS, cache_dir=tmp_path / "cache")
    assert opened.dtype == np.float32
    assert np.array_equal(opened.read(np.arange(6)), stored(source).astype(np.float32))


def test_second_opening_uses_the_cache(source, tmp_path, monkeypatch):
    first = open_features(source, IDS, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(features, "open_file", lambda path: pytest.fail("converted twice"))
    assert open_features(source, IDS, cache_dir=tmp_path / "cache").path == first.path


def test_changed_file_or_list_is_converted_again(source, tmp_path, rewrite):
    cache = tmp_path / "cache"
    before = open_features(source, IDS, cache_dir=cache)
    rewrite(source, "a", np.full((4, 5), 7, np.float32))
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))  # the clock may be coarser than this test is fast
    after = open_features(source, IDS, cache_dir=cache)
    assert after.path != before.path
    assert (after.read(np.array([5])) == 7).all()
    fewer = open_features(source, IDS[:2], cache_dir=cache)
    assert len(fewer) == 2
    assert len(cached(cache)) == 3


def test_damaged_cache_file_is_converted_again(source, tmp_path):
    cache = tmp_path / "cache"
    path = open_features(source, IDS, cache_dir=cache).path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(UserWarning, match="damaged"):
        opened = open_features(source, IDS, cache_dir=cache)
    assert np.array_equal(opened.read(np.arange(6)), stored(source))


def test_full_disk_leaves_a_valid_cache(source, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    sound = open_features(source, IDS[:3], cache_dir=cache)
    write = features._write

    def fill_up(out, array, written=[]):  # noqa: B006
        if len(written) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(array)
        write(out, array)

    monkeypatch.setattr(features, "_write", fill_up)
    with pytest.raises(DataError, match="cache: the cache cannot be written: No space left on device") as caught:
        open_features(source, IDS, cache_dir=cache)
    assert len(caught.value.problems) == 1
    assert cached(cache) == [sound.path.name]
    assert np.array_equal(open_features(source, IDS[:3], cache_dir=cache).read(np.arange(3)), stored(source, IDS[:3]))
    monkeypatch.undo()
    assert np.array_equal(open_features(source, IDS, cache_dir=cache).read(np.arange(6)), stored(source))


def test_too_little_disk_space_is_an_error_before_conversion(source, tmp_path, monkeypatch):
    monkeypatch.setattr(features.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(DataError, match=r"cache: the cache needs 0\.00 GB and 0\.00 GB are free"):
        open_features(source, IDS, cache_dir=tmp_path / "cache")
    assert cached(tmp_path / "cache") == []


def test_interruption_leaves_no_file(source, tmp_path, monkeypatch):
    def interrupt(out, array):
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_features(source, IDS, cache_dir=tmp_path / "cache")
    assert cached(tmp_path / "cache") == []


def test_temporary_files_of_killed_processes_are_removed(source, tmp_path):
    cache = tmp_path / "cache"
    path = open_features(source, IDS, cache_dir=cache).path
    path.unlink()
    (cache / f"{path.stem}.{platform.node()}-4711.tmp").write_bytes(b"half")
    open_features(source, IDS, cache_dir=cache)
    assert cached(cache) == [path.name]


def test_concurrent_opening_converts_once(source, tmp_path, monkeypatch):
    conversions, opened = [], []
    convert = features._convert
    monkeypatch.setattr(features, "_convert", lambda *args: (conversions.append(args), convert(*args)))
    start = threading.Barrier(4)

    def run():
        start.wait()
        opened.append(open_features(source, IDS, cache_dir=tmp_path / "cache"))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert len(conversions) == 1


def test_only_the_path_is_pickled(make_set, tmp_path):
    source = make_set(frames=2000) / "image.h5"
    opened = open_features(source, IDS, cache_dir=tmp_path / "cache")
    pickled = pickle.dumps(opened)
    assert len(pickled) < 1000
    assert np.array_equal(pickle.loads(pickled).read(np.arange(6)), stored(source))


@pytest.mark.parametrize("below_file", [False, True])
def test_unusable_cache_folder_is_one_error_line(source, tmp_path, below_file):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cache" if below_file else tmp_path / "file"
    with pytest.raises(DataError, match=r"file.*: the cache cannot be written: ") as caught:
        open_features(source, IDS, cache_dir=folder)
    assert len(caught.value.problems) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_unwritable_cache_folder_is_one_error_line(source, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(DataError, match="the cache cannot be written: Permission denied"):
        open_features(source, IDS, cache_dir=folder)


def test_default_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "avhash-nas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "avhash-nas"
