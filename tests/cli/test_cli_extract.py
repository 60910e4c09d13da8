"""`avnas extract` as a command."""

import json
import re
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from avhash_nas.extraction import Extraction
from extraction.checkpoints import save_ast, save_clip
from extraction.folders import make_clip, make_folder
from forking import Forked, run_command
from media.make import cut
from training.tiny import avnas, metrics_of

QUICK = ("--visual=color_gradients", "--audio=log_mel", "--visual.grid=2", "--labels=folders")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("films") / "videos", per_class=8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, videos):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert avnas("extract", videos, "--out", out, *QUICK, "--workers=0") == 0
    return out


def parts_in(out):
    return len(list(out.glob("parts/??/*.npz")))


def test_killed_it_goes_on_and_ends_the_same(videos, whole, tmp_path):
    out = tmp_path / "out"
    command = ("extract", videos, "--out", out, *QUICK)
    process = Forked(run_command, [*map(str, command), "--workers=2"])
    while parts_in(out) < 5:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert 5 <= parts_in(out) < 24
    assert not (out / "image.h5").exists()
    assert avnas(*command, "--workers=0") == 0
    assert not (out / "parts").exists()
    for path in whole.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_track_is_an_option(videos, tmp_path):
    command = ("extract", videos, "--out", tmp_path / "out", *QUICK, "--workers=0")
    assert avnas(*command, "--audio_track=0") == 0
    assert json.loads((tmp_path / "out" / "extraction.json").read_text())["tracks"] == {"video": "best", "audio": "0"}
    assert avnas(*command, "--audio_track=3", "--overwrite") == 1


def test_what_it_leaves_goes_to_fit_at_once(whole, tmp_path):
    assert avnas("data", "check", whole) == 0
    sampling = ("--data.sampling=ClassBalanced", "--data.sampling.classes=3", "--data.sampling.videos=2")
    arguments = ("--network=mlp", "--network.hidden=8", "--bits=8", "--finetune.epochs=2", "--page=false", *sampling)
    data = (f"--data.root={whole}", f"--data.cache_dir={tmp_path / 'cache'}")
    assert avnas("fit", *arguments, *data, "--out", tmp_path / "run") == 0
    assert metrics_of(tmp_path / "run")["test"]


def test_files_of_all_kinds(tmp_path, capsys):
    """Same names in two folders, the same name with two endings, one that breaks off, one that is no video."""
    videos = tmp_path / "films"
    for folder in ("a", "b/c", "ü"):
        (videos / folder).mkdir(parents=True)
    first = make_clip(videos / "a" / "film.mp4")
    shutil.copy(first, videos / "b" / "c" / "film.mp4")
    shutil.copy(first, videos / "ü" / "日本, 東京.mp4")
    make_clip(videos / "a" / "film.mkv")
    cut(Path(shutil.copy(first, videos / "a" / "half.mp4")))
    (videos / "a" / "words.mp4").write_text("not a video")
    (videos / "a" / "words.txt").write_text("no video, and not called one")
    out = tmp_path / "out"
    shutil.copy(first, videos / "a" / "odd.film")
    assert avnas("extract", videos, "--out", out, *QUICK[:3], "--workers=0", "--suffixes=dat, .film") == 1
    printed = capsys.readouterr().out
    assert "words.mp4" in printed
    assert "half.mp4" in printed
    assert "files without features: 2; the same command tries them again" in printed
    assert "files with other suffixes, skipped: 1 .txt" in printed
    assert re.search(r"out: 5 videos, 5 of them new \(5 short\)", printed)
    with h5py.File(out / "image.h5") as file:
        assert sorted(file) == ["a:film.mkv", "a:film.mp4", "a:odd", "b:c:film", "ü:日本%2C 東京"]


def test_tiny_clip_and_ast(videos, tmp_path):
    clip, ast = save_clip(tmp_path / "clip"), save_ast(tmp_path / "ast")
    models = (f"--visual.checkpoint={clip}", f"--audio.checkpoint={ast}", "--visual.device=cpu", "--audio.batch_size=3")
    command = ("extract", videos / "cats", "--out", tmp_path / "out", "--steps=3", "--dtype=float16", *models)
    assert avnas(*command, "--workers=1") == 0
    described = json.loads((tmp_path / "out" / "extraction.json").read_text())
    expected = Extraction.from_dict(described).features(videos / "cats" / "clip 0.mp4")
    assert expected.visual.shape == (3, 12)
    with h5py.File(tmp_path / "out" / "image.h5") as image, h5py.File(tmp_path / "out" / "audio.h5") as audio:
        assert image["clip 0"]["vectors"].dtype == np.float16
        np.testing.assert_allclose(image["clip 0"]["vectors"], expected.visual, atol=2e-3)
        np.testing.assert_allclose(audio["clip 0"]["vectors"], expected.audio, atol=2e-3)
    save_clip(clip, seed=1)
    assert avnas(*command) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("empty",), "empty: holds no video files"),
        (("gone",), "gone: no such file or folder"),
        ((), "required: videos"),
        (("videos", "--visual=cilp"), "there is no 'cilp', did you mean 'clip'?"),
        (("videos", "--visual.checkpoint=gone/clip"), "CLIP checkpoint 'gone/clip' cannot be loaded"),
        (("videos", "--split=half"), "--split: 'half' is not a list of numbers such as 0.5"),
        (("videos", "--split=0.9,0.2,0.2"), "split=0.9,0.2,0.2: give three shares above 0 that add up to 1"),
        (("videos", "--labels=labels.csv"), "labels.csv: cannot be read"),
        (("videos", "--steps=0"), "steps=0 must be at least 1"),
        (("videos", "--dtype=int8"), "int8"),
    ],
)
def test_bad_options_are_one_line(videos, tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "videos").symlink_to(videos)
    chosen = () if any("--visual" in each for each in arguments) else ("--visual=color_gradients",)
    assert avnas("extract", *arguments, "--out", tmp_path / "out", "--audio=log_mel", *chosen) == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()
