import json
import shutil

import h5py
import numpy as np
import pytest
import yaml

from avhash_nas.data.fingerprint import differences, fingerprint, surely_equal


def rewritten(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def changed_feature(file, video):
    def change(root):
        with h5py.File(root / file, "a") as features:
            features[video]["vectors"][0, 0] += 1

    return change


def described(**entries):
    return lambda root: (root / "dataset.yaml").write_text(yaml.safe_dump(entries))


CHANGES = {
    "labels": (lambda root: rewritten(root / "test.txt", "j,0", "j,1"), "split test has other labels"),
    "videos": (
        lambda root: rewritten(root / "train.txt", "f,2\n", ""),
        "split train has other videos (6 then, 5 now)",
    ),
    "order": (lambda root: rewritten(root / "val.txt", "g,0\nh,1", "h,1\ng,0"), "split val is in another order"),
    "visual": (changed_feature("image.h5", "b"), "split train has other visual features"),
    "audio": (changed_feature("audio.h5", "l"), "split test has other audio features"),
    "database": (described(database="test"), "other database"),
    "classes": (described(classes=["x", "y", "z"]), "other classes"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_named_and_nothing_else(change, make_set, tmp_path):
    root, cache = make_set(), tmp_path / "cache"
    stored = json.loads(json.dumps(fingerprint(root, cache)))
    apply, words = CHANGES[change]
    apply(root)
    assert not surely_equal(stored, root, tmp_path / "cache")
    assert differences(stored, fingerprint(root, cache)) == words


def test_several_changes_are_all_named(make_set, tmp_path):
    root = make_set()
    stored = fingerprint(root, tmp_path / "cache")
    for name in ("labels", "audio", "visual"):
        CHANGES[name][0](root)
    found = differences(stored, fingerprint(root, tmp_path / "cache"))
    assert found == "; ".join(CHANGES[name][1] for name in ("visual", "labels", "audio"))


def test_a_copy_elsewhere_with_other_dates_is_the_same_data(make_set, tmp_path):
    root = make_set(described={"database": "train"})
    stored = fingerprint(root, tmp_path / "cache")
    assert surely_equal(stored, root, tmp_path / "cache")
    copy = shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    (copy / "dataset.yaml").write_text("# a comment\nlists: {train: list.txt}\n")
    (copy / "train.txt").rename(copy / "list.txt")
    (copy / "test.txt").write_bytes((root / "test.txt").read_bytes().replace(b"\n", b"\r\n"))
    assert not surely_equal(stored, copy, tmp_path / "cache")
    assert differences(stored, fingerprint(copy, tmp_path / "other cache")) == ""


def test_lists_that_are_not_used_do_not_matter(make_set, tmp_path):
    root = make_set()
    stored = fingerprint(root, tmp_path / "cache")
    (root / "pool.txt").write_text("a,0\nj,0\n")
    described(lists={"pool": "pool.txt"})(root)
    assert differences(stored, fingerprint(root, tmp_path / "cache")) == ""
    assert differences(stored, fingerprint(root, tmp_path / "cache", "pool")) == "other database"


def test_videos_are_hashed_once(make_set, tmp_path, monkeypatch):
    root, cache = make_set(), tmp_path / "cache"
    first = fingerprint(root, cache)
    stored = list(cache.glob("*.hashes.npy"))
    assert len(stored) == 2
    with monkeypatch.context() as patched:
        patched.setattr("avhash_nas.data.features.Features.hash", None)
        assert fingerprint(root, cache) == first
    for damaged in stored:
        damaged.write_bytes(damaged.read_bytes()[:50])
    assert fingerprint(root, cache) == first
    assert np.load(stored[0]).shape == (12, 16)
