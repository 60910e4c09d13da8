"""Every kind of bad input of the issue, as a user meets it: HashingData before any training."""

import h5py
import numpy as np
import pytest

from avhash_nas.data import HashingData, check
from avhash_nas.errors import AvnasError, DataError


def nan_in(values, value):
    values = values.copy()
    values[2, 1] = value
    return values


GOOD = np.ones((4, 5), np.float32)


def truncate(root, rewrite):
    path = root / "image.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_vectors(root, rewrite):
    with h5py.File(root / "audio.h5", "a") as file:
        del file["c"]["vectors"]


def vectors_is_a_group(root, rewrite):
    with h5py.File(root / "audio.h5", "a") as file:
        del file["c"]["vectors"]
        file["c"].create_group("vectors")


def video_is_no_group(root, rewrite):
    with h5py.File(root / "audio.h5", "a") as file:
        del file["c"]
        file["c"] = np.zeros(3)


def all_audio_shorter(root, rewrite):
    with h5py.File(root / "audio.h5", "a") as file:
        for name in list(file):
            del file[name]
            file.create_group(name)["vectors"] = np.ones((3, 3), np.float32)


def write(name, text):
    return lambda root, rewrite: (root / name).write_text(text)


def put(video, values, file="image.h5"):
    return lambda root, rewrite: rewrite(root / file, video, values)


CASES = {
    "missing file": (lambda root, _: (root / "audio.h5").unlink(), "audio.h5: no such file"),
    "truncated": (truncate, "image.h5: not a whole HDF5 file, copy it again"),
    "folder as file": (
        lambda root, _: ((root / "image.h5").unlink(), (root / "image.h5").mkdir()),
        "image.h5: cannot be read: Is a directory",
    ),
    "not HDF5": (write("image.h5", "text"), "image.h5: not a whole HDF5 file"),
    "no vectors": (no_vectors, "audio.h5: video c: the group has no dataset 'vectors'"),
    "vectors is a group": (vectors_is_a_group, "audio.h5: video c: 'vectors' is not a dataset"),
    "no group": (video_is_no_group, "audio.h5: video c: the group has no dataset 'vectors'"),
    "three dimensions": (put("a", GOOD[None]), "image.h5: video a: vectors have shape (1, 4, 5), expected (4, 5)"),
    "wrong T": (put("l", GOOD[:3]), "image.h5: video l: vectors have shape (3, 5), expected (4, 5)"),
    "odd dim": (put("a", GOOD[:, :3]), "image.h5: video a: vectors have shape (4, 3), expected (4, 5)"),
    "T of the modalities": (all_audio_shorter, "audio.h5: videos have 3 time steps, those of"),
    "integers": (put("b", GOOD.astype(int)), "image.h5: video b: vectors are int64"),
    "NaN": (put("b", nan_in(GOOD, np.nan)), "image.h5: video b: 1 of 20 values are NaN or infinite, first at time"),
    "inf": (put("k", nan_in(GOOD, -np.inf)), "image.h5: video k: 1 of 20 values are NaN or infinite"),
    "too large": (put("k", GOOD.astype(float) * 1e300), "image.h5: video k: 20 of 20 values are NaN or infinite"),
    "not in image": (put("d", None), "image.h5: video d: no such group, though a list names it"),
    "not in audio": (put("d", None, "audio.h5"), "audio.h5: video d: no such group, though a list names it"),
    "duplicate id": (write("val.txt", "g,0\nh,1\ng,0\n"), "val.txt:3: video g is listed twice, first in line 1"),
    "two splits": (write("val.txt", "g,0\na,0\n"), "val.txt:2: video a of split val is also in split train"),
    "unparsable": (write("val.txt", "g,0\nh;1\n"), "val.txt:2: 'h;1' is not an id and whole numbers"),
    "no label": (write("val.txt", "g,0\nh\n"), "val.txt:2: query h has no label"),
    "label no number": (write("val.txt", "g,0\nh,cat\n"), "val.txt:2: 'h,cat' is not an id and whole numbers"),
    "label range": (write("val.txt", "g,0\nh,3\n"), "val.txt:2: label 3 of video h is not in 0..2"),
    "empty split": (write("test.txt", "\n"), "test.txt: the test split is empty"),
    "missing list": (lambda root, _: (root / "test.txt").unlink(), "test.txt: no such file"),
    "folder as list": (
        lambda root, _: ((root / "test.txt").unlink(), (root / "test.txt").mkdir()),
        "test.txt: cannot be read: Is a directory",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_error_line_and_leaves_a_valid_cache(case, make_set, tmp_path, rewrite):
    spoil, message = CASES[case]
    cache = tmp_path / "cache"
    good = HashingData(make_set(name="good"), cache_dir=cache).prepare()
    whole = {path for path in cache.iterdir() if path.suffix not in (".lock", ".json")}
    root = make_set(described={"classes": 3, "label_base": 0, "line": "id,label..."})
    spoil(root, rewrite)

    with pytest.raises(DataError) as caught:
        HashingData(root, cache_dir=cache).prepare_data()
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{root / message.split(':')[0]}:")
    assert message in caught.value.problems[0]
    assert "\n" not in caught.value.problems[0]

    left = {path for path in cache.iterdir() if path.suffix not in (".lock", ".json")} - whole
    assert all(path.suffix == ".npy" and len(np.load(path)) == 12 for path in left)  # at most the other, sound file
    again = HashingData(good.root, cache_dir=cache).prepare()
    assert np.array_equal(again.batch(np.arange(12)).visual, good.batch(np.arange(12)).visual)

    assert message in " ".join(check(root).problems)


def test_problems_of_both_files_are_reported_together(make_set, tmp_path, rewrite):
    root = make_set()
    rewrite(root / "image.h5", "a", GOOD[:2])
    rewrite(root / "image.h5", "b", nan_in(GOOD, np.inf))
    rewrite(root / "audio.h5", "c", None)
    with pytest.raises(DataError) as caught:
        HashingData(root, cache_dir=tmp_path / "cache").prepare_data()
    assert [problem.split(": ")[1] for problem in caught.value.problems] == ["video a", "video b", "video c"]


def test_frames_in_dataset_yaml_override_the_inferred_ones(make_set, tmp_path):
    root = make_set(described={"frames": 25})
    with pytest.raises(DataError) as caught:
        HashingData(root, cache_dir=tmp_path / "cache").prepare_data()
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "12 videos: vectors have another shape than (25, 5): a (4, 5), b (4, 5), c (4, 5), ...",
        "12 videos: vectors have another shape than (25, 3): a (4, 3), b (4, 3), c (4, 3), ...",
    ]


@pytest.mark.parametrize(
    "lines", [("a,0", "b,1", "c,2"), ("a,0", "b,0", "c,0")], ids=["single videos only", "one class"]
)
def test_labels_without_any_triplet_are_rejected(make_set, tmp_path, lines):
    root = make_set({"train": lines, "val": ("d,1",), "test": ("e,2",)})
    with pytest.raises(DataError, match="so no video has a"):
        HashingData(root, cache_dir=tmp_path / "cache").prepare()


def test_unknown_database_is_rejected(make_set, tmp_path):
    with pytest.raises(DataError, match="database='pool' is not a split; there are train, val, test"):
        HashingData(make_set(), cache_dir=tmp_path / "cache", database="pool").prepare()


@pytest.mark.parametrize("option", ["eval_batch_size", "workers", "seed"])
def test_options_out_of_range_are_rejected(tmp_path, option):
    with pytest.raises(AvnasError, match=f"{option}=-1 must be at least"):
        HashingData(tmp_path, **{option: -1})
