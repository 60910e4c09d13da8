import subprocess
import sys

import numpy as np
from rich.console import Console

from avhash_nas.data import check, print_report


def printed(report, width=40):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    print_report(report, console)
    return console.export_text()


def test_valid_dataset_has_no_problems(make_set):
    root = make_set(frames=3)
    report = check(root)
    assert report.problems == ()
    assert report.warnings == ()
    assert report.splits == {"train": 6, "val": 3, "test": 3}
    assert (report.classes, report.class_sizes, report.several_labels) == (3, (2, 2, 2), 0)
    assert (report.line, report.label_base, report.database, report.overlaps) == ("id,label...", 0, "train", {})
    visual, audio = report.files["visual"], report.files["audio"]
    assert (visual.videos, visual.unlisted, visual.usable, visual.frames, visual.dim) == (12, 0, 12, 3, 5)
    assert (audio.dim, audio.dtype) == (3, "float32")
    assert sorted(path.name for path in root.iterdir()) == sorted(
        ["image.h5", "audio.h5", "train.txt", "val.txt", "test.txt"]
    )


def test_every_problem_and_warning_in_one_pass(make_set, rewrite):
    lists = {"train": ("a,0", "b,0,1", "c,2", "d,3", "a,1"), "val": ("g,0", "b,1", "bad,?"), "test": ("x,9", "y,0")}
    root = make_set(lists, {"classes": 5, "label_base": 0, "line": "id,label...", "color": "red"})
    rewrite(root / "image.h5", "a", np.full((4, 5), np.nan, np.float32))
    rewrite(root / "image.h5", "c", np.ones((4, 5), np.float32))
    rewrite(root / "audio.h5", "c", None)
    rewrite(root / "audio.h5", "y", np.zeros((4, 3), np.float32))
    report = check(root)
    expected = [
        "dataset.yaml: unknown entry 'color'",
        "val.txt:3: 'bad,?' is not an id",
        "train.txt:5: video a is listed twice",
        "val.txt:2: video b of split val is also in split train",
        "test.txt:1: label 9 of video x is not in 0..4",
        "image.h5: video a: 20 of 20 values are NaN",
        "audio.h5: video c: no such group",
    ]
    assert len(report.problems) == len(expected)
    assert all(part in problem for part, problem in zip(expected, report.problems, strict=True))
    warned = [
        "3 classes have a single training video: it serves as a negative, never as an anchor: 1, 2, 3",
        "1 of the classes that dataset.yaml counts are in no list",
        "image.h5: video c: all time steps are equal",
        "audio.h5: T = 4 is larger than dim = 3",
        "audio.h5: video y: all values are zero",
    ]
    assert len(report.warnings) == len(warned)
    assert all(part in warning for part, warning in zip(warned, report.warnings, strict=True))
    assert report.overlaps == {("train", "val"): 1}
    assert report.several_labels == 1
    assert report.files["visual"].non_finite == ("a",)
    assert (report.files["audio"].usable, report.files["audio"].suspicions.zero) == (6, ["y"])
    assert any(line.startswith("class 3 has a single") for line in check(root, every=True).warnings)


def test_printed_report_has_one_line_per_problem(make_set):
    root = make_set({"train": ("a,0", "a,0", "b,[0]"), "val": ("c,0",), "test": ("c,1", "d,1")})
    report = check(root)
    assert len(report.problems) == 3
    lines = printed(report).splitlines()
    for problem in report.problems:
        assert f"problem: {problem}" in lines
    assert any(line.split()[:2] == ["val", "1"] and "test (1)" in line for line in lines)
    assert lines[-1] == f"problems: 3, warnings: {len(report.warnings)}"


def test_missing_folder_gives_a_report(tmp_path):
    report = check(tmp_path / "nowhere")
    assert len(report.problems) == 6  # the folder, three lists, two files
    assert "image.h5" in printed(report)


def test_unlisted_videos_are_counted(make_set):
    root = make_set()
    (root / "test.txt").write_text("j,0\n")
    assert check(root).files["visual"].unlisted == 2


def test_checking_needs_neither_torch_nor_lightning():
    code = "import sys, avhash_nas.data; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
