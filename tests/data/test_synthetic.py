import filecmp

import h5py
import numpy as np
import pytest

from avhash_nas.data import check, write_synthetic
from avhash_nas.data.synthetic import _concepts
from avhash_nas.errors import AvnasError

TINY = {"classes": 3, "train": 6, "val": 3, "test": 3, "visual_dim": 8, "audio_dim": 6, "frames": 5}


def same_files(first, second):
    names = sorted(path.name for path in first.iterdir())
    return (
        names == sorted(path.name for path in second.iterdir())
        and not filecmp.cmpfiles(first, second, names, shallow=False)[1]
    )


def test_synthetic_dataset_is_valid(tmp_path):
    root = write_synthetic(tmp_path / "deep" / "set", **TINY)
    report = check(root)
    assert report.problems == ()
    assert report.warnings == ()
    assert report.splits == {"train": 18, "val": 9, "test": 9}
    assert report.class_sizes == (6, 6, 6)
    assert (report.files["visual"].dim, report.files["audio"].dim, report.files["visual"].frames) == (8, 6, 5)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["set"]


def test_synthetic_dataset_is_reproducible_and_depends_on_the_seed(tmp_path):
    first, second = (write_synthetic(tmp_path / name, **TINY) for name in ("first", "second"))
    other = write_synthetic(tmp_path / "other", **TINY, seed=1)
    assert same_files(first, second)
    assert not same_files(first, other)


def test_global_random_state_is_unchanged(tmp_path):
    np.random.seed(3)
    write_synthetic(tmp_path / "set", **TINY)
    drawn = np.random.random()
    np.random.seed(3)
    assert np.random.random() == drawn


@pytest.mark.parametrize("classes", [2, 3, 10, 13])
def test_every_two_classes_differ_and_pairs_share_one_concept(classes):
    visual, audio = _concepts(classes)
    both = {(*v, *a) for v, a in zip(visual.tolist(), audio.tolist(), strict=True)}
    assert len(both) == classes
    for label in range(0, classes - 1, 2):
        same_visual = np.array_equal(visual[label], visual[label + 1])
        same_audio = np.array_equal(audio[label], audio[label + 1])
        assert (same_visual, same_audio) == ((True, False) if label % 6 == 0 else (False, True))
        if label % 6 == 4:
            assert visual[label].tolist() == visual[label + 1][::-1].tolist()


def class_means(root, file, classes):
    labels = dict(line.split(",") for line in (root / "train.txt").read_text().split())
    with h5py.File(root / file) as archive:
        vectors = {name: archive[name]["vectors"][()] for name in labels}
    return [np.mean([v for name, v in vectors.items() if int(labels[name]) == c], 0) for c in range(classes)]


def test_signal_of_class_pairs_matches_the_docstring(tmp_path):
    root = write_synthetic(tmp_path / "set", classes=6, train=200, val=1, test=1, frames=8, noise=0.1)
    visual, audio = class_means(root, "image.h5", 6), class_means(root, "audio.h5", 6)

    def pooled(means, a, b):
        return np.linalg.norm(means[a].mean(0) - means[b].mean(0))

    def ordered(means, a, b):
        return np.linalg.norm(means[a] - means[b], axis=1).max()

    assert pooled(visual, 0, 1) < 0.2 < 0.4 < pooled(audio, 0, 1)
    assert pooled(audio, 2, 3) < 0.2 < 0.4 < pooled(visual, 2, 3)
    assert pooled(audio, 4, 5) < 0.2
    assert pooled(visual, 4, 5) < 0.2  # the mean over time does not tell them apart,
    assert ordered(visual, 4, 5) > 1  # their order does


def test_non_empty_folder_is_rejected(tmp_path):
    root = write_synthetic(tmp_path / "set", **TINY)
    before = (root / "train.txt").read_text()
    with pytest.raises(AvnasError, match="not empty"):
        write_synthetic(root, **TINY, seed=1)
    assert (root / "train.txt").read_text() == before
    write_synthetic(root, **TINY, seed=1, overwrite=True)
    assert (root / "train.txt").read_text() != before
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(AvnasError, match=r"thesis\.tex"):
        write_synthetic(root, **TINY, overwrite=True)
    assert (root / "thesis.tex").exists()
    with pytest.raises(AvnasError, match="is not a folder"):
        write_synthetic(root / "thesis.tex", **TINY, overwrite=True)


def test_failed_writing_keeps_the_old_dataset(tmp_path, monkeypatch):
    root = write_synthetic(tmp_path / "set", **TINY)
    copy = write_synthetic(tmp_path / "copy", **TINY)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("avhash_nas.data.synthetic.h5py.File", full)
    with pytest.raises(AvnasError, match="set: cannot be written: No space left on device"):
        write_synthetic(root, **TINY, seed=1, overwrite=True)
    assert same_files(root, copy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "set"]


@pytest.mark.parametrize("option", ["classes", "train", "val", "test", "frames", "visual_dim", "seed", "noise"])
def test_numbers_out_of_range_are_rejected(tmp_path, option):
    with pytest.raises(AvnasError, match=f"{option}=-1"):
        write_synthetic(tmp_path / "set", **{**TINY, option: -1})
    assert not (tmp_path / "set").exists()
