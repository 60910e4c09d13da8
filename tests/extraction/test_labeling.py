from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.annotations import Annotation
from avhash_nas.extraction.labeling import Labeling, draw_splits
from avhash_nas.extraction.listing import VideoFile, ids_of


def labeled(*counts):
    return {f"{name}{i}": Annotation((name,)) for name, count in zip("abcdefgh", counts) for i in range(count)}


def sizes(annotations):
    return Counter(each.split for each in annotations.values())


def videos(*names):
    return [VideoFile(Path("/videos") / name, name, own, name) for name, own in zip(names, ids_of(names))]


def test_every_class_is_split_in_the_same_proportion():
    found = Labeling(split=(0.5, 0.25, 0.25)).assign_splits(labeled(8, 8, 4))[0]
    by_class = Counter((name[0], each.split) for name, each in found.items())
    assert by_class == {
        (name, split): count // share
        for name, count in (("a", 8), ("b", 8), ("c", 4))
        for split, share in (("train", 2), ("val", 4), ("test", 4))
    }


@given(
    st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True), min_size=1, max_size=60),
    st.sampled_from([(0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.2, 0.3, 0.5)]),
    st.integers(0, 5),
)
def test_shares_hold_over_all_videos(labels, shares, seed):
    drawn = draw_splits({str(i): each for i, each in enumerate(labels)}, shares, seed)
    assert list(drawn) == [str(i) for i in range(len(labels))]
    counts = Counter(drawn.values())
    assert all(abs(counts[split] - share * len(labels)) <= 2 for split, share in zip(("train", "val", "test"), shares))


def test_splits_depend_on_the_seed_alone():
    once, again, other = (Labeling(seed=seed).assign_splits(labeled(20, 20))[0] for seed in (1, 1, 2))
    assert once == again != other


def test_new_videos_do_not_move_old_ones():
    """A network trained on the first would else be tested on what it was trained on."""
    first = Labeling().assign_splits(labeled(10, 10))[0]
    previous = {name: each.split for name, each in first.items()}
    both = Labeling(split=(0.2, 0.4, 0.4)).assign_splits(labeled(20, 10, 10), previous)[0]
    assert {name: both[name] for name in first} == first
    new = {name: each for name, each in both.items() if name not in first}
    assert sizes(new) == {"train": 4, "val": 8, "test": 8}


def test_resplit_draws_all_splits_again():
    previous = dict.fromkeys(labeled(20), "train")
    assert sizes(Labeling(resplit=True).assign_splits(labeled(20), previous)[0]) == {"train": 10, "val": 5, "test": 5}


def test_no_new_videos_keep_all_splits():
    previous = dict.fromkeys(labeled(3), "val")
    assert sizes(Labeling().assign_splits(labeled(3), previous)[0]) == {"val": 3}


def test_given_splits_are_previous():
    given_ones = {"a": Annotation(("x",), "test"), "b": Annotation(("x",))}
    assert Labeling().assign_splits(given_ones, {"b": "train"})[0] == given_ones


def test_labels_from_folders():
    names = [f"{name}/{i}.mp4" for name in ("cats", "dogs") for i in range(4)]
    assert len(Labeling("folders").read(videos(*names))) == 8


def test_no_labels():
    assert Labeling("none").read(videos("a.mp4")) == {}


def test_too_few_videos_for_three_splits():
    with pytest.raises(AvnasError, match="labels=folders: no labeled video is left for val and test"):
        Labeling("folders").read(videos("cats/a.mp4"))


def test_csv_with_an_empty_split_is_rejected(tmp_path):
    (tmp_path / "l.csv").write_text("file,label,split\na.mp4,x,train\nb.mp4,x,test\n")
    with pytest.raises(AvnasError, match="no labeled video is left for val"):
        Labeling(str(tmp_path / "l.csv")).read(videos("a.mp4", "b.mp4"))


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.8, 0.4, -0.2), ()])
def test_invalid_shares_are_rejected(shares):
    with pytest.raises(AvnasError, match="give three shares above 0 that add up to 1, for train, val, test"):
        Labeling(split=shares)
