"""Valid HDF5 files other than plain ones: links, virtual datasets, MATLAB's, mixed types, nested groups, unfinished."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from avhash_nas.data import FeatureFolder, HashingData, check
from avhash_nas.data.features import open_features
from avhash_nas.data.hdf5 import list_videos
from avhash_nas.errors import DataError

IDS = ("a", "b", "c", "d")
VALUES = {name: np.random.default_rng(number).standard_normal((4, 5)).astype("f4") for number, name in enumerate(IDS)}


def write(path, values, dtype="f4"):
    with h5py.File(path, "w") as file:
        for name, vectors in values.items():
            file[f"{name}/vectors"] = np.asarray(vectors, dtype)
    return path


def read(path, cache, ids=IDS, **options):
    return open_features(path, ids, cache_dir=cache, **options).read(np.arange(len(ids)))


def problems(path, cache, ids=IDS):
    with pytest.raises(DataError) as caught:
        read(path, cache, ids)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def touch(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # the clock may be coarser than a test is fast


def virtual(file, name, source, dataset, shape=(4, 5)):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(source, dataset, shape=shape)
    file.create_group(name).create_virtual_dataset("vectors", layout)


@pytest.fixture
def linked(tmp_path):
    """A file whose videos lie elsewhere, each in another way, and the files that they lie in."""
    folder = tmp_path / "links"
    (folder / "parts").mkdir(parents=True)
    parts = {name: write(folder / "parts" / f"{name}.h5", {name: VALUES[name]}) for name in IDS}
    with h5py.File(folder / "parts" / "between.h5", "w") as file:
        file["b"] = h5py.ExternalLink("b.h5", "/b")
    raw = folder / "parts" / "d.raw"
    raw.write_bytes(VALUES["d"].tobytes())
    with h5py.File(folder / "all.h5", "w") as file:
        file["a"] = h5py.ExternalLink("parts/a.h5", "/a")
        file["hidden/b"] = h5py.ExternalLink("parts/between.h5", "/b")
        file["b"] = h5py.SoftLink("/hidden/b")
        virtual(file, "c", "parts/c.h5", "c/vectors")
        file.create_group("d").create_dataset("vectors", (4, 5), "f4", external=[(str(raw), 0, 80)])
    return folder / "all.h5", {**parts, "d": raw}


def test_features_behind_links_are_read(linked, tmp_path):
    path, _ = linked
    assert np.array_equal(read(path, tmp_path / "cache"), np.stack(list(VALUES.values())))


@pytest.mark.parametrize("name", IDS)
def test_a_change_behind_a_link_is_seen(linked, tmp_path, name):
    path, parts = linked
    cache = tmp_path / "cache"
    before = open_features(path, IDS, cache_dir=cache)
    assert open_features(path, IDS, cache_dir=cache).path == before.path
    new = VALUES[name] + 1
    if name == "d":
        parts[name].write_bytes(new.tobytes())
    else:
        write(parts[name], {name: new})
    touch(parts[name])
    assert np.array_equal(read(path, cache)[IDS.index(name)], new)
    assert np.array_equal(before.read(np.array([IDS.index(name)]))[0], VALUES[name])  # of a run that still reads it


MISSING = {
    "a": "the file parts/a.h5 of a link is missing",
    "b": "the file b.h5 of a link is missing",
    "c": "the source parts/c.h5 of a virtual dataset is missing",
    "d": "d.raw of its values is missing",
}


@pytest.mark.parametrize("name", IDS)
def test_a_missing_file_behind_a_link_is_named(linked, tmp_path, name):
    path, parts = linked
    parts[name].unlink()
    (problem,) = problems(path, tmp_path / "cache")
    assert problem.startswith(f"video {name}: ")
    assert problem.endswith(MISSING[name])


def test_a_missing_dataset_of_a_source_and_a_short_external_file_are_named(linked, tmp_path):
    path, parts = linked
    write(parts["c"], {"other": VALUES["c"]})
    parts["d"].write_bytes(b"\0" * 79)
    first, second = problems(path, tmp_path / "cache")
    assert first == "video c: the dataset c/vectors in the source parts/c.h5 of a virtual dataset is missing"
    assert second.startswith("video d: the end of the external file")


def test_missing_sources_of_all_videos_are_one_line(tmp_path):
    with h5py.File(tmp_path / "all.h5", "w") as file:
        for name in IDS:
            virtual(file, name, "gone.h5", f"{name}/vectors")
    assert problems(tmp_path / "all.h5", tmp_path / "cache") == [
        "4 videos: the source gone.h5 of a virtual dataset is missing: a, b, c, ..."
    ]


def test_a_renamed_file_whose_virtual_dataset_names_itself(tmp_path):
    path = write(tmp_path / "old.h5", {"hidden": VALUES["a"]})
    with h5py.File(path, "a") as file:
        virtual(file, "a", "old.h5", "hidden/vectors")
        virtual(file, "b", ".", "hidden/vectors")
    assert np.array_equal(read(path, tmp_path / "cache", ("a", "b")), [VALUES["a"]] * 2)
    path = path.rename(tmp_path / "new.h5")
    assert problems(path, tmp_path / "cache", ("a", "b")) == [
        "video a: the source old.h5 of a virtual dataset is missing"
    ]


def test_ids_with_the_suffix_of_a_file_are_explained(tmp_path):
    path = write(tmp_path / "all.h5", VALUES)
    assert problems(path, tmp_path / "cache", [f"{name}.mp4" for name in IDS]) == [
        "4 videos: no such group, though a list names it; the file has it without the suffix: a.mp4, b.mp4, c.mp4, ..."
    ]


def test_circular_links_end(tmp_path):
    path = write(tmp_path / "all.h5", VALUES)
    with h5py.File(path, "a") as file:
        file["a/up"] = file["/"]
        virtual(file, "loop", "all.h5", "loop/vectors")
    assert list_videos(path) == [*IDS, "loop"]
    with h5py.File(path) as file:
        assert "loop" in file


def test_never_written_videos_are_warned_of_in_every_fit(make_set, tmp_path, rewrite):
    root = make_set()
    for name in "aj":
        rewrite(root / "image.h5", name, None)
        with h5py.File(root / "image.h5", "a") as file:
            file.create_dataset(f"{name}/vectors", (4, 5), "f4")
    line = f"{root / 'image.h5'}: 2 videos: all values are zero: a, j"
    assert line in check(root).warnings
    for _ in range(2):  # also when the features are in the cache
        with pytest.warns(UserWarning, match="2 videos: all values are zero: a, j"):
            HashingData(root, cache_dir=tmp_path / "cache").prepare()


def as_matlab(path, values, name="vectors"):
    """Writes as MATLAB's `save -v7.3` does: axes in reverse, and the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for video, vectors in values.items():
            data = file.create_dataset(f"{video}/{name}", data=vectors.T)
            data.attrs["MATLAB_class"] = np.bytes_("single")
        file.create_group("#refs#")


def test_matlab_files_are_read_with_their_own_axes(tmp_path):
    path = tmp_path / "matlab.h5"
    as_matlab(path, VALUES)
    assert np.array_equal(read(path, tmp_path / "cache"), np.stack(list(VALUES.values())))
    assert list_videos(path) == list(IDS)
    square = {name: vectors[:, :4] for name, vectors in VALUES.items()}
    as_matlab(path, square)
    touch(path)
    assert np.array_equal(read(path, tmp_path / "cache"), np.stack(list(square.values())))


def test_vectors_longer_than_wide_are_warned_of(make_set, tmp_path):
    root = make_set(frames=6)  # written with h5write, MATLAB leaves no attribute
    expected = [f"{root / name}.h5: T = 6 is larger than dim = {dim}" for name, dim in (("image", 5), ("audio", 3))]
    for line, start in zip(check(root).warnings, expected, strict=True):
        assert line.startswith(start)
    with pytest.warns(UserWarning, match="T = 6 is larger than dim = 3"):
        HashingData(root, cache_dir=tmp_path / "cache").prepare()


@pytest.mark.parametrize("odd", [0, 1, 77, 199])
def test_a_mix_of_float16_and_float32_is_read_as_float32(tmp_path, odd):
    ids = [f"{number:03d}" for number in range(200)]
    values = {name: np.full((2, 3), 1 / 3, "f4" if number == odd else "f2") for number, name in enumerate(ids)}
    with h5py.File(tmp_path / "mixed.h5", "w") as file:
        for name, vectors in values.items():
            file[f"{name}/vectors"] = vectors
    opened = open_features(tmp_path / "mixed.h5", ids, cache_dir=tmp_path / "cache")
    assert opened.dtype == np.float32
    assert np.array_equal(opened.read(np.arange(200)), np.stack([each.astype("f4") for each in values.values()]))


def test_integers_are_one_line_that_names_the_type(tmp_path):
    path = write(tmp_path / "whole.h5", VALUES, "i1")
    expected = ["4 videos: vectors are int8, expected float32 or float16: a, b, c, ..."]
    assert problems(path, tmp_path / "cache") == expected


def test_one_stacked_array_is_one_line_that_names_the_command(make_set, tmp_path):
    root = make_set()
    with h5py.File(root / "image.h5", "w") as file:
        file["feats"] = np.zeros((12, 4, 5), "f4")
    (problem,) = check(root).problems
    assert problem.startswith(f"{root / 'image.h5'}: holds 'feats' (12, 4, 5), one array of all videos")
    assert "avnas data convert --from=stacked" in problem


@pytest.mark.parametrize("flushed", [1000, 5000])
def test_a_file_whose_writer_was_killed_is_one_line(make_set, flushed):
    root = make_set({"train": ("00000,0", "00999,1"), "val": ("05998,0",), "test": ("05999,1",)})
    code = (
        "import h5py, os, sys\n"
        "file = h5py.File(sys.argv[1], 'w')\n"
        "for number in range(6000):\n"
        "    file[f'{number:05d}/vectors'] = [[0.5] * 5] * 4\n"
        f"    number == {flushed} and file.flush()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, root / "image.h5"], check=True)
    problems = [problem for problem in check(root).problems if "image.h5" in problem]
    assert len(problems) == 1


def nested_set(make_set):
    names = {"train": ("cat/a", "cat/b", "dog/a", "dog/b/2"), "val": ("cat/c",), "test": ("dog/c", "dog/d")}
    return make_set({split: [f"{name},{int(name[0] == 'd')}" for name in ids] for split, ids in names.items()})


def test_ids_with_slashes_are_videos_everywhere(make_set, tmp_path):
    root = nested_set(make_set)
    report = check(root)
    assert not report.problems
    assert (report.files["visual"].videos, report.files["visual"].unlisted) == (7, 0)
    HashingData(root, cache_dir=tmp_path / "cache").prepare()
    everything = FeatureFolder(root, cache_dir=tmp_path / "cache")
    assert everything.ids.tolist() == ["cat/a", "cat/b", "dog/a", "dog/b/2", "cat/c", "dog/c", "dog/d"]
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").unlink()
    assert FeatureFolder(root, cache_dir=tmp_path / "cache").ids.tolist() == sorted(everything.ids)


def test_unlisted_ids_with_slashes_are_counted(make_set):
    root = nested_set(make_set)
    (root / "train.txt").write_text("cat/a,0\ndog/a,1\n")
    assert [(file.videos, file.unlisted) for file in check(root).files.values()] == [(7, 2), (7, 2)]


def test_a_dataset_may_have_one_modality(make_set, tmp_path):
    root = make_set(described={"files": {"audio": None}})
    (root / "audio.h5").unlink()
    report = check(root)
    assert not report.problems
    assert list(report.files) == ["visual"]
    data = HashingData(root, cache_dir=tmp_path / "cache").prepare()
    assert (data.visual_dim, data.audio_dim, data.frames) == (5, 0, 4)
    assert data.batch(np.arange(3)).audio.shape == (3, 4, 0)
    assert len(FeatureFolder(root, cache_dir=tmp_path / "cache")) == 12
