import numpy as np
import pytest

from avhash_nas.data.dataset import open_dataset
from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS, read_layout
from avhash_nas.data.splits import parse_splits, query_problems, read_splits
from avhash_nas.errors import DataError


def splits_of(make_set, train, val, test, **described):
    lists = {"train": tuple(train), "val": tuple(val), "test": tuple(test)}
    return parsed(make_set(lists, described or None))


def parsed(root):
    splits, problems = parse_splits(read_layout(root))
    return splits, [str(problem) for problem in problems]


def labels_of(splits):
    return {video.id: video.labels for video in splits.videos}


def test_rows_follow_the_lists_split_after_split(make_set):
    splits = read_splits(read_layout(make_set()))
    assert "".join(splits.ids) == "abcdefghijkl"
    assert splits.rows("train").tolist() == [0, 1, 2, 3, 4, 5]
    assert splits.rows("test").tolist() == [9, 10, 11]
    assert splits.class_names == ("0", "1", "2")
    assert splits.multi_hot().argmax(1).tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("base", [0, 1])
def test_label_base_is_inferred_when_label_0_or_1_occurs(make_set, base):
    train = [f"t{n},{n + base}" for n in range(3)]
    splits, problems = splits_of(make_set, train, [f"v,{base}"], [f"w,{base + 2}"])
    assert not problems
    assert (splits.label_base, len(splits.class_names)) == (base, 3)
    assert labels_of(splits) == {"t0": (0,), "t1": (1,), "t2": (2,), "v": (0,), "w": (2,)}
    assert splits.class_names == tuple(str(base + n) for n in range(3))


def test_label_base_is_inferred_from_the_last_class(make_set):
    splits, problems = splits_of(make_set, ["a,2", "b,5"], ["c,3"], ["d,4"], classes=5)
    assert not problems
    assert splits.label_base == 1


def test_ambiguous_label_base_names_the_entry_to_add(make_set):
    _, problems = splits_of(make_set, ["a,1", "b,3"], ["c,3"], ["d,4"], classes=5)
    assert len(problems) == 1
    assert "dataset.yaml" in problems[0]
    assert "label_base: 0 or label_base: 1" in problems[0]


def test_frames_column_of_raw_counts_is_recognized(make_set):
    splits, problems = splits_of(make_set, ["a,310,0", "b,45,1"], ["c,900,2"], ["d,77,0,2"])
    assert not problems
    assert splits.line == ID_FRAMES_LABELS
    assert labels_of(splits) == {"a": (0,), "b": (1,), "c": (2,), "d": (0, 2)}


def test_frames_column_of_one_value_is_recognized(make_set):
    train = [f"t{n},2,{n}" for n in range(4)]  # as labels, they would be gapless too, and all videos relevant
    splits, problems = splits_of(make_set, train, ["v,2,0"], ["w,2,3"])
    assert not problems
    assert splits.line == ID_FRAMES_LABELS
    assert labels_of(splits)["w"] == (3,)


def test_several_labels_with_a_single_label_line(make_set):
    splits, problems = splits_of(make_set, ["a,0,1", "b,2", "c,1,1,2"], ["v,0"], ["w,2,0"])
    assert not problems
    assert splits.line == ID_LABELS
    assert labels_of(splits) == {"a": (0, 1), "b": (2,), "c": (1, 2), "v": (0,), "w": (2, 0)}
    assert splits.multi_hot()[2].tolist() == [False, True, True]
    assert splits.multi_hot(first_label_only=True)[2].tolist() == [False, True, False]
    assert splits.multi_hot(first_label_only=True)[4].tolist() == [False, False, True]


AMBIGUOUS = (["a,1,0", "b,2,1"], ["c,1,2"], ["d,2,0"])


def test_ambiguous_line_format_names_the_entry_to_add(make_set):
    _, problems = splits_of(make_set, *AMBIGUOUS)
    assert len(problems) == 1
    assert f"line: '{ID_LABELS}' or line: '{ID_FRAMES_LABELS}'" in problems[0]


def test_labels_may_be_any_numbers_and_cost_only_what_occurs(make_set):
    splits, problems = splits_of(make_set, ["a,1", "b,20000001"], ["c,40000001"], [f"d,1,{10**30}"])
    assert not problems
    assert splits.class_names == ("1", "20000001", "40000001", str(10**30))
    assert splits.multi_hot().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]


def test_stated_classes_that_are_absent_cost_nothing(make_set):
    splits, problems = splits_of(make_set, ["a,0", "b,20000001"], ["c,7"], ["d,0"], classes=40_000_000)
    assert not problems
    assert (splits.class_names, splits.absent) == (("0", "7", "20000001"), 39_999_997)
    assert splits.multi_hot().shape == (4, 3)


@pytest.mark.parametrize(("line", "expected"), [(ID_LABELS, (2, 1)), (ID_FRAMES_LABELS, (1,))])
def test_dataset_yaml_resolves_ambiguous_lines(make_set, line, expected):
    splits, problems = splits_of(make_set, *AMBIGUOUS, line=line)
    assert not problems
    assert labels_of(splits)["b"] == expected


def test_one_broken_line_does_not_turn_frames_into_labels(make_set):
    _, problems = splits_of(make_set, ["a,310,0", "b,45,1", "x,12"], ["c,900,2"], ["d,77,0"])
    assert len(problems) == 1
    assert "two line formats" in problems[0]


def test_windows_line_ends_byte_order_mark_and_blank_lines(make_set):
    root = make_set()
    (root / "train.txt").write_bytes(b"\xef\xbb\xbfa, 0\r\nb ,1\r\n\r\n")
    splits = read_splits(read_layout(root))
    assert [(video.id, video.labels, video.line) for video in splits.videos[:2]] == [("a", (0,), 1), ("b", (1,), 2)]


def test_every_problem_of_the_lists_in_one_pass(make_set):
    root = make_set(described={"classes": 3, "label_base": 0, "line": ID_LABELS})
    (root / "train.txt").write_bytes(b"a,0\nno label\nb,1.5\n,1\na,1\nz,7\n\xff\xfe,1\nc,1_0\n")
    (root / "val.txt").write_text("g,1\na,0\n")
    (root / "test.txt").unlink()
    with pytest.raises(DataError) as caught:
        read_splits(read_layout(root))
    expected = [
        ("train.txt: 3 lines:", "not an id and whole numbers separated by commas: 3 'b,1.5', 7 '", "1', 8 'c,1_0'"),
        ("train.txt:4:", "lacks an id"),
        ("test.txt:", "no such file"),
        ("train.txt:5:", "video a is listed twice, first in line 1"),
        ("val.txt:2:", "video a of split val is also in split train (train.txt:1)"),
        ("train.txt:6:", "label 7 of video z is not in 0..2"),
    ]
    assert len(caught.value.problems) == len(expected)
    for problem, parts in zip(caught.value.problems, expected, strict=True):
        assert "\n" not in problem
        assert all(part in problem for part in parts), problem


def test_frames_format_needs_frames(make_set):
    root = make_set({"train": ("a,25,0", "b,0,1"), "val": ("c,9,0",), "test": ("d,9,1",)}, {"line": ID_FRAMES_LABELS})
    _, problems = parsed(root)
    assert len(problems) == 1
    assert "train.txt:2: video b lacks a positive number of frames" in problems[0]


def test_a_kind_of_problem_of_many_lines_is_one_line(make_set):
    root = make_set()
    (root / "train.txt").write_text("".join(f"{name},0\n" for name in ["a", "b", "a", "b", "c", "c", "", "", "", ""]))
    (root / "val.txt").write_text("a,0\n")
    (root / "test.txt").write_text("h/,0\nh//i,0\n")
    with pytest.raises(DataError) as caught:
        read_splits(read_layout(root))
    assert [problem.removeprefix(f"{root}/") for problem in caught.value.problems] == [
        "train.txt: 4 lines: lacking an id: 7 ',0', 8 ',0', 9 ',0', ...",
        "test.txt: 2 lines: an id with an empty or '.' part between slashes, which names another group in HDF5: "
        "1 'h/', 2 'h//i'",
        "test.txt: the test split is empty",
        "train.txt: 3 lines: videos listed before: 3 (a, line 1), 4 (b, line 2), 6 (c, line 5)",
        "val.txt:1: video a of split val is also in split train (train.txt:1); a video belongs to one of them",
    ]


def test_negative_label_is_out_of_range(make_set):
    _, problems = splits_of(make_set, ["a,0", "b,-2", "e,1,-1"], ["c,1"], ["d,2"])
    assert len(problems) == 2
    assert "train.txt:3: video e has both labels and -1" in problems[0]
    assert "train.txt:2: label -2 of video b" in problems[1]


@pytest.mark.parametrize(
    ("lines", "described"),
    [
        (("x", "y,", "z,-1", "w, -1"), {}),
        (("x", "y,30", "z,30,-1", "w,-1"), {"line": ID_FRAMES_LABELS}),
        (("x", "y", "z,30,-1", "w,-1"), {}),
    ],
)
def test_videos_without_a_label_may_fill_the_database(make_set, lines, described):
    frames = any("30" in line for line in lines)
    lists = {name: tuple(f"{name}{n},{f'9{n},' * frames}{n}" for n in range(3)) for name in ("train", "val", "test")}
    described = {"lists": {"pool": "pool.txt"}, "database": "pool", **described}
    layout = read_layout(make_set({**lists, "pool": lines}, described))
    splits, problems = parse_splits(layout)
    assert not problems
    assert [video.id for video in splits.unlabeled("pool")] == ["x", "y", "z", "w"]
    assert (splits.label_base, len(splits.class_names)) == (0, 3)
    assert not splits.multi_hot()[splits.rows("pool")].any()
    assert not query_problems(layout, splits)


def test_a_query_without_a_label_is_one_line(make_set):
    layout = read_layout(make_set({"train": ("a,0", "b,1"), "val": ("c,0",), "test": ("d,1", "e,-1", "f")}))
    (problem,) = query_problems(layout, parse_splits(layout)[0])
    assert "test.txt:2: query e has no label, and 1 more have none" in problem
    with pytest.raises(DataError, match="query e has no label"):
        open_dataset(layout.root, layout.root / "cache")


def test_a_further_list_may_name_videos_again(make_set):
    lists = {"train": ("a,0", "b,1"), "val": ("c,0",), "test": ("d,1", "e,0"), "pool": ("d,1", "p,1", "a,0", "q")}
    layout = read_layout(make_set(lists, {"lists": {"pool": "pool.txt"}, "database": "pool"}))
    splits = read_splits(layout)
    assert splits.ids == ("a", "b", "c", "d", "e", "p", "q")
    assert splits.rows("pool").tolist() == [0, 3, 5, 6]
    assert splits.rows("test").tolist() == [3, 4]
    assert splits.overlaps == {("test", "pool"): 1, ("train", "pool"): 1}
    (layout.root / "pool.txt").write_text("d,0\np,1\n")
    with pytest.raises(DataError, match=r"pool.txt:1: video d has other labels than in split test \(test.txt:1\)"):
        read_splits(layout)


def test_further_lists_and_class_names(make_set):
    lists = {"train": ("a,1",), "val": ("b,2",), "test": ("c,1",), "pool": ("d,2",)}
    described = {"lists": {"pool": "pool.txt"}, "classes": ["cat", "dog"], "database": "pool"}
    layout = read_layout(make_set(lists, described))
    splits = read_splits(layout)
    assert (layout.database, splits.class_names) == ("pool", ("cat", "dog"))
    assert splits.rows("pool").tolist() == [3]
    assert np.array_equal(splits.multi_hot(), [[True, False], [False, True], [True, False], [False, True]])
