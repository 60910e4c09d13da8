"""The script that builds the stamps videos, on a package made here: a few pictures and tones, no download."""

import csv
import io
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.debian import make_package, wav
from experiments.loading import EXPERIMENTS, load

av = pytest.importorskip("av")
Image = pytest.importorskip("PIL.Image")

BIRDS = "usr/share/tuxpaint/stamps/animals/birds"
RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load("stamps/videos/make_videos.py")


def png(left, right) -> bytes:
    """40 x 30: one color on the left, another on the right."""
    picture = Image.new("RGBA", (40, 30), left)
    picture.paste(right, (20, 0, 40, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def birds_package(path: Path) -> Path:
    """A .deb file with eight birds, each with a voice, and things that are no stamps with sounds."""
    files = {f"{BIRDS}/small/bird{i}.png": png(RED, BLUE) for i in range(8)}
    files |= {f"{BIRDS}/small/bird{i}_desc_fr.wav": wav(0.3) for i in range(8)}
    files |= {f"{BIRDS}/small/bird0.wav": wav(0.5), f"{BIRDS}/dumb.png": png(RED, RED), f"{BIRDS}/bird.txt": b"a bird"}
    files |= {f"{BIRDS}/../../out.png": b"", "usr/share/tuxpaint/stamps/animals/other/cow.png": png(RED, RED)}
    return make_package(path, files)


def build(package: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXPERIMENTS / "stamps/videos/make_videos.py", package, out, "--workers=1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_package_becomes_videos_that_are_the_same_again(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, out = birds_package(tmp_path / "stamps.deb"), tmp_path / "out"
    done = build(package, out)
    assert done.returncode == 0, done.stderr
    videos = sorted((out / "videos").rglob("*.mp4"))
    assert len(videos) == 8 * 2
    assert not (tmp_path / "out.png").exists()
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(out / "videos" / row["file"] for row in rows) == videos
    assert {row["labels"] for row in rows} == {"bird"}
    for path in videos[:3]:
        with av.open(str(path)) as container:
            seen, heard = container.streams.video[0], container.streams.audio[0]
            assert (seen.codec_context.name, heard.codec_context.name) == ("h264", "aac")
            assert 2.4 < float(seen.duration * seen.time_base) < 3.1
            assert heard.duration * heard.time_base == pytest.approx(seen.duration * seen.time_base, abs=0.1)

    before, stamp = videos[1].read_bytes(), videos[0].stat().st_mtime_ns
    planned = {video.path: video for video in script.plan(script.find_stamps(out / "package"), seed=0)}
    script.make_video(planned[videos[1].relative_to(out / "videos").as_posix()], videos[1])
    assert videos[1].read_bytes() == before
    assert script.main([str(package), str(out)]) == 0
    assert videos[0].stat().st_mtime_ns == stamp
    assert script.main([str(package), str(out), "--seed=1"]) == 2
    assert "made with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<html>not found</html>", "is no Debian package"), (b"!<arch>\n", "ends early"), (None, "No such file")],
)
def test_what_is_no_package_is_refused(
    script: ModuleType, content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "some.deb").write_bytes(content)
    assert script.main([str(tmp_path / "some.deb"), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_splits_are_disjoint_by_picture_and_the_own_sound_comes_first(script: ModuleType) -> None:
    stamps = [
        script.Stamp(label, f"{label}{i}", Path(f"{label}{i}.png"), (Path(f"{label}{i}.ogg"), *voices))
        for label in ("bird", "house")
        for i in range(30)
        for voices in [[Path(f"{label}{i}_desc_{language}.ogg") for language in ("fr", "ru", "es")]]
    ]
    videos = script.plan(stamps, seed=3)
    assert videos == script.plan(stamps[::-1], seed=3)
    assert videos != script.plan(stamps, seed=4)
    assert len({video.path for video in videos}) == len(videos) == 2 * script.PICTURES * script.VIDEOS
    splits: dict[Path, set[str]] = {}
    for video in videos:
        splits.setdefault(video.stamp.picture, set()).add(video.split)
        assert (video.sound == video.stamp.sounds[0]) == video.path.endswith("-0.mp4")
    assert all(len(each) == 1 for each in splits.values())
    assert sum(each == {"train"} for each in splits.values()) == script.PICTURES


def test_a_picture_moves_before_a_background(script: ModuleType) -> None:
    picture = Image.new("RGBA", (60, 60), RED)
    frames = [np.stack(list(script.moving(picture, (80, 60), 7, random.Random(seed)))) for seed in (0, 0, 1)]
    assert frames[0].shape == (7, 60, 80, 3)
    assert (frames[0] == frames[1]).all()
    assert (frames[0] != frames[2]).any()
    red = (frames[0] == RED[:3]).all(3)
    assert ((red.mean((1, 2)) > 0.3) & (red.mean((1, 2)) < 0.95)).all()
    assert (red[0] != red[-1]).any()


@pytest.mark.parametrize("seconds", [0.05, 0.5, 4.0])
def test_a_sound_fills_its_time(script: ModuleType, seconds: float) -> None:
    sound = np.sin(np.arange(round(seconds * script.SOUND_RATE)) / 20).astype(np.float32) * 0.01
    filled = script.filled(sound, 2 * script.SOUND_RATE)
    assert len(filled) == 2 * script.SOUND_RATE
    assert np.abs(filled).max() == pytest.approx(0.5, rel=0.01)
    again = round((seconds + 0.4) * script.SOUND_RATE)
    assert (filled[again:] == filled[: max(len(filled) - again, 0)]).all()


def test_a_silent_sound_stays_silent(script: ModuleType) -> None:
    assert (script.filled(np.zeros(100, np.float32), 1000) == 0).all()
