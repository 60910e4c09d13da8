import resource
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import VideoFeatures, feature_files
from avhash_nas.extraction.feature_files import Parts, read_entries, write_features
from avhash_nas.extraction.listing import VideoFile


def video(name, key=None):
    return VideoFile(Path("/videos") / name, name, name, key or f"{name}-key")


def features(name):
    """Features that depend on the name of the video."""
    random = np.random.default_rng(list(name.encode()))
    visual, audio = (random.normal(size=(3, dim)).astype(np.float32) for dim in (4, 2))
    return VideoFeatures(visual, audio, len(name) / 7, ("no_audio", "short") if "q" in name else ())


def fill(parts, *names):
    for name in names:
        parts.write(video(name).key, features(name), "float32")


def content(folder):
    found = {}
    for file in ("image.h5", "audio.h5"):
        with h5py.File(folder / file) as opened:
            for name, group in opened.items():
                found[file, name] = (group["vectors"][...].tobytes(), dict(group.attrs))
    return found


def bytes_of(folder):
    return [(folder / file).read_bytes() for file in ("image.h5", "audio.h5")]


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "parts")


def test_groups_contain_features_and_notes(tmp_path, parts):
    fill(parts, "a", "q")
    entries, damaged = write_features(tmp_path, [video("a"), video("q")], parts)
    assert damaged == []
    assert [(entry.id, entry.notes) for entry in entries] == [("a", ()), ("q", ("no_audio", "short"))]
    with h5py.File(tmp_path / "audio.h5") as file:
        assert sorted(file) == ["a", "q"]
        np.testing.assert_array_equal(file["q"]["vectors"], features("q").audio)
        assert file["q"].attrs["notes"] == "no_audio;short"
    assert list(read_entries(tmp_path).values()) == entries


def test_files_do_not_depend_on_the_order_of_writing(tmp_path, parts):
    names = ["a", "b", "c", "q"]
    fill(parts, *names)
    write_features(tmp_path, [video(name) for name in names], parts)
    for step in (["c"], ["a", "q"], ["b"]):
        other = Parts(tmp_path / "other" / "parts")
        fill(other, *step)
        write_features(tmp_path / "other", [video(name) for name in names], other)
        other.clear()
    assert bytes_of(tmp_path) == bytes_of(tmp_path / "other")


@pytest.mark.parametrize("file", ["image.h5", "audio.h5"])
def test_interruption_between_the_two_files_is_recovered(tmp_path, parts, monkeypatch, file):
    """The first may be new already and the second still old; the parts are there until both are."""
    fill(parts, "a", "b")
    write_features(tmp_path, [video("a"), video("b")], parts)
    parts.clear()
    changed = [replace(video("a"), key="changed"), video("c")]
    parts.write("changed", features("other"), "float32")
    fill(parts, "c")
    whole = feature_files.write_whole

    def stopped(path, write):
        if path.name == file:
            raise KeyboardInterrupt
        whole(path, write)

    monkeypatch.setattr(feature_files, "write_whole", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_features(tmp_path, changed, parts)
    monkeypatch.undo()
    assert {entry.id for entry in read_entries(tmp_path).values()} <= {"a", "b"}
    entries, _ = write_features(tmp_path, changed, parts)
    assert [entry.id for entry in entries] == ["a", "c"]
    with h5py.File(tmp_path / "image.h5") as image, h5py.File(tmp_path / "audio.h5") as audio:
        assert sorted(image) == sorted(audio) == ["a", "c"]
        np.testing.assert_array_equal(image["a"]["vectors"], features("other").visual)
        np.testing.assert_array_equal(audio["a"]["vectors"], features("other").audio)


@pytest.fixture
def small_disk():
    """No file may grow beyond 10 kB: writing fails as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_keeps_the_old_files(tmp_path, parts, request):
    fill(parts, "a")
    write_features(tmp_path, [video("a")], parts)
    before = bytes_of(tmp_path)
    names = [f"b{i}" for i in range(30)]
    fill(parts, *names)
    request.getfixturevalue("small_disk")
    with pytest.raises(AvnasError, match=r"image\.h5: cannot be written: File too large$"):
        write_features(tmp_path, [video(name) for name in ["a", *names]], parts)
    assert bytes_of(tmp_path) == before
    assert len(parts.keys()) == 31
    assert not list(tmp_path.glob("*.partial"))


def test_videos_without_features_are_skipped_and_others_removed(tmp_path, parts):
    fill(parts, "a", "b")
    write_features(tmp_path, [video("a"), video("b"), video("c")], parts)
    assert [entry.id for entry in read_entries(tmp_path).values()] == ["a", "b"]
    parts.clear()
    write_features(tmp_path, [video("b")], parts)
    assert [entry.id for entry in read_entries(tmp_path).values()] == ["b"]


def test_id_of_a_video_may_change(tmp_path, parts):
    """As when a.avi joins a.mp4."""
    fill(parts, "a")
    write_features(tmp_path, [video("a")], parts)
    parts.clear()
    write_features(tmp_path, [replace(video("a"), id="a.mp4")], parts)
    with h5py.File(tmp_path / "image.h5") as file:
        np.testing.assert_array_equal(file["a.mp4"]["vectors"], features("a").visual)


def test_damaged_part_is_dropped_and_reported(tmp_path, parts):
    fill(parts, "a", "b")
    parts.path("a-key").write_bytes(b"PK")
    entries, damaged = write_features(tmp_path, [video("a"), video("b")], parts)
    assert [entry.id for entry in entries] == ["b"]
    assert damaged == [video("a")]
    assert parts.keys() == {"b-key"}


def test_files_are_not_rewritten_without_new_parts(tmp_path, parts):
    fill(parts, "b", "a")
    videos = [video("b"), video("a")]  # not in the order in which HDF5 lists groups
    write_features(tmp_path, videos, parts)
    parts.clear()
    before = (tmp_path / "image.h5").stat().st_mtime_ns
    write_features(tmp_path, videos, parts)
    assert (tmp_path / "image.h5").stat().st_mtime_ns == before


def test_damaged_feature_file_is_one_error_line(tmp_path, parts):
    fill(parts, "a")
    write_features(tmp_path, [video("a")], parts)
    whole = (tmp_path / "audio.h5").read_bytes()
    (tmp_path / "audio.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AvnasError, match=r"audio\.h5: not a whole file of features .*--overwrite"):
        read_entries(tmp_path)
