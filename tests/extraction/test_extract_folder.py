import csv
import fcntl
import json
import os
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from avhash_nas.data import HashingData, check
from avhash_nas.data.media import read_media
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import ColorGradients, Extraction, Labeling, LogMel, Tracks, extract_folder, workers
from extraction.folders import make_clip, make_folder
from media.make import make_video
from media.remux import gathered

EXTRACTION = Extraction(ColorGradients(grid=2), LogMel(bands=8), steps=4)
FOLDERS = Labeling("folders")


def extract(videos, out, labeling=FOLDERS, extraction=EXTRACTION, **options):
    return extract_folder(videos, out, extraction, labeling, workers=0, **options)


def content(folder):
    """All that an extraction leaves, by file; features by bytes."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                found |= {
                    (path.name, name): (group["vectors"][...].tobytes(), dict(group.attrs))
                    for name, group in file.items()
                }
        else:
            found[path.name] = path.read_bytes() if path.is_file() else sorted(path.iterdir())
    return found


@pytest.fixture
def extracted(monkeypatch):
    """Names of the videos that are extracted."""
    names = []
    real = workers.ExtractVideo.__call__

    def noted(self, item):
        names.append(item.name)
        return real(self, item)

    monkeypatch.setattr(workers.ExtractVideo, "__call__", noted)
    return names


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Videos and what was extracted from them, to be copied."""
    root = tmp_path_factory.mktemp("ready")
    make_folder(root / "videos")
    extract(root / "videos", root / "out")
    return root


@pytest.fixture
def place(ready, tmp_path):
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_output_is_a_valid_dataset(ready, tmp_path):
    report = check(ready / "out")
    assert report.problems == ()
    assert report.splits == {"train": 6, "val": 3, "test": 3}
    assert report.class_sizes == (2, 2, 2)
    data = HashingData(ready / "out", cache_dir=tmp_path).prepare()
    assert data.class_names == ("Vögel", "cats", "dogs")
    assert (data.frames, data.visual_dim, data.audio_dim) == (4, ColorGradients(grid=2).dim, LogMel(bands=8).dim)
    for row, name in enumerate(data.ids):
        assert data.class_names[data.labels[row].argmax()] == name.split(":")[0]


def test_stored_features_equal_those_of_single_files(ready):
    media = read_media(ready / "out")
    assert sorted(media) == sorted(f"{name}:clip {i}" for name in ("cats", "dogs", "Vögel") for i in range(4))
    with h5py.File(ready / "out" / "image.h5") as image, h5py.File(ready / "out" / "audio.h5") as audio:
        for name, each in media.items():
            expected = EXTRACTION.features(each.path)
            np.testing.assert_array_equal(image[name]["vectors"], expected.visual)
            np.testing.assert_array_equal(audio[name]["vectors"], expected.audio)
            assert each.seconds == pytest.approx(expected.seconds, abs=1e-3)
            assert Path(each.path) == ready / "videos" / (name.replace(":", "/") + ".mp4")


def test_extraction_json_restores_the_features_of_a_query(ready):
    described = json.loads((ready / "out" / "extraction.json").read_text())
    query = Extraction.from_dict(described).features(ready / "videos" / "cats" / "clip 0.mp4")
    with h5py.File(ready / "out" / "image.h5") as image:
        np.testing.assert_array_equal(image["cats:clip 0"]["vectors"], query.visual)


def test_second_run_changes_nothing(place, extracted):
    before = content(place / "out")
    outcome = extract(place / "videos", place / "out")
    assert extracted == []
    assert (outcome.videos, outcome.new, outcome.problems) == (12, 0, ())
    # Paths in videos.csv are those of the copy.
    assert content(place / "out") | {"videos.csv": 0} == before | {"videos.csv": 0}


def test_only_new_and_changed_files_are_extracted(place, extracted):
    splits = {name: each.split for name, each in read_media(place / "out").items()}
    make_clip(place / "videos" / "cats" / "new.mp4")
    make_clip(place / "videos" / "dogs" / "clip 1.mp4", hue=0.9)
    outcome = extract(place / "videos", place / "out")
    assert sorted(extracted) == ["cats/new.mp4", "dogs/clip 1.mp4"]
    assert (outcome.videos, outcome.new) == (13, 2)
    assert any("keep the split of an earlier extraction: 12; --resplit" in line for line in outcome.remarks)
    assert {name: each.split for name, each in read_media(place / "out").items() if name in splits} == splits
    with h5py.File(place / "out" / "image.h5") as image:
        expected = EXTRACTION.features(place / "videos" / "dogs" / "clip 1.mp4").visual
        np.testing.assert_array_equal(image["dogs:clip 1"]["vectors"], expected)
    assert check(place / "out").problems == ()


def test_interrupted_extraction_resumes_with_equal_output(ready, tmp_path, monkeypatch, extracted):
    counted = workers.ExtractVideo.__call__

    def stopped(self, item):
        if len(extracted) == 5:
            raise KeyboardInterrupt
        return counted(self, item)

    monkeypatch.setattr(workers.ExtractVideo, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract(ready / "videos", tmp_path / "out")
    monkeypatch.setattr(workers.ExtractVideo, "__call__", counted)
    assert not (tmp_path / "out" / "image.h5").exists()
    outcome = extract(ready / "videos", tmp_path / "out")
    assert len(extracted) == len(set(extracted)) == 12
    assert outcome.new == 7
    assert content(tmp_path / "out") == content(ready / "out")


def test_sigterm_stops_like_ctrl_c(ready, tmp_path, monkeypatch, extracted, capsys):
    counted = workers.ExtractVideo.__call__

    def stopped(self, item):
        if len(extracted) == 3:
            signal.raise_signal(signal.SIGTERM)
        return counted(self, item)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(workers.ExtractVideo, "__call__", stopped)
    with pytest.raises(SystemExit) as leaving:
        extract(ready / "videos", tmp_path / "out")
    assert leaving.value.code == 128 + signal.SIGTERM
    assert "stopped at 3/12 videos" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_missing_files_are_dropped_only_on_request(place):
    (place / "videos" / "cats" / "clip 2.mp4").unlink()
    before = content(place / "out")
    with pytest.raises(AvnasError, match=r"the files of 1 of its 12 videos are gone, such as cats:clip 2"):
        extract(place / "videos", place / "out")
    assert content(place / "out") == before
    outcome = extract(place / "videos", place / "out", drop_missing=True)
    assert outcome.videos == 11
    assert "cats:clip 2" not in read_media(place / "out")
    assert check(place / "out").problems == ()


def test_another_folder_of_videos_is_rejected(place, tmp_path):
    make_clip(tmp_path / "one.mp4")
    with pytest.raises(AvnasError, match="the files of 12 of its 12 videos are gone"):
        extract(tmp_path / "one.mp4", place / "out", Labeling())


def test_moved_folder_of_videos_is_recognized(place, extracted):
    (place / "videos").rename(place / "moved")
    extract(place / "moved", place / "out")
    assert extracted == []
    assert Path(read_media(place / "out")["cats:clip 0"].path) == place / "moved" / "cats" / "clip 0.mp4"


def test_other_options_need_overwrite(place, extracted):
    (place / "out" / "notes.md").write_text("mine")
    before = content(place / "out")
    other = Extraction(ColorGradients(grid=1), LogMel(bands=8), steps=4)
    with pytest.raises(AvnasError, match=r"visual was .*\"grid\": 2.* and is .*\"grid\": 1.*--overwrite"):
        extract(place / "videos", place / "out", extraction=other)
    with pytest.raises(AvnasError, match="steps was 4 and is 3 now"):
        extract(place / "videos", place / "out", extraction=Extraction(EXTRACTION.visual, EXTRACTION.audio, 3))
    assert content(place / "out") == before
    extract(place / "videos", place / "out", Labeling(), other, overwrite=True)
    assert len(extracted) == 12
    left = {"audio.h5", "dataset.yaml", "extraction.json", "image.h5", "notes.md", "videos.csv"}
    assert {path.name for path in (place / "out").iterdir()} == left


def test_folder_with_other_files_is_rejected(ready, tmp_path):
    (tmp_path / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(AvnasError, match=r"holds thesis\.tex, which is not from an extraction"):
            extract(ready / "videos", tmp_path, overwrite=overwrite)
    with pytest.raises(AvnasError, match=r"thesis\.tex: cannot be created"):
        extract(ready / "videos", tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_concurrent_extraction_is_rejected(ready, tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(AvnasError, match="another extraction runs in it"):
        extract(ready / "videos", tmp_path)
    os.close(descriptor)
    assert extract(ready / "videos", tmp_path).videos == 12


def test_invalid_options_create_no_folder(ready, tmp_path):
    for labeling, message in ((Labeling("no.csv"), "no.csv: cannot be read"), (Labeling("folders"), "in no folder")):
        with pytest.raises(AvnasError, match=message):
            extract(ready / "videos" / "cats", tmp_path / "out", labeling)
    with pytest.raises(AvnasError, match="workers=-1 must be at least 0"):
        extract_folder(ready / "videos", tmp_path / "out", EXTRACTION, workers=-1)
    assert list(tmp_path.iterdir()) == []


def test_failed_files_are_reported_and_retried(place, extracted):
    (place / "videos" / "cats" / "text.mp4").write_text("no video")
    (place / "videos" / "dogs" / "empty.avi").touch()
    (place / "videos" / "dogs" / "gone.avi").symlink_to("nowhere")
    outcome = extract(place / "videos", place / "out")
    assert outcome.videos == 12
    assert [Path(path).name for path, _ in outcome.problems] == ["gone.avi", "text.mp4", "empty.avi"]
    assert all(reason and "/" not in reason for _, reason in outcome.problems)
    make_clip(place / "videos" / "cats" / "text.mp4")
    extracted.clear()
    assert extract(place / "videos", place / "out").videos == 13
    assert sorted(extracted) == ["cats/text.mp4", "dogs/empty.avi"]


def test_only_failures(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("no video")
    outcome = extract(tmp_path / "videos", tmp_path / "out", Labeling())
    assert (outcome.videos, len(outcome.problems)) == (0, 1)
    assert not (tmp_path / "out" / "image.h5").exists()


def test_non_finite_features_are_a_problem(ready, tmp_path):
    class Broken(LogMel):
        def __call__(self, segments):
            return np.full_like(super().__call__(segments), np.nan)

    outcome = extract(ready / "videos", tmp_path / "out", Labeling(), Extraction(ColorGradients(), Broken(), steps=2))
    assert {reason for _, reason in outcome.problems} == {"its features are not finite numbers"}


def test_notes_are_counted_and_stored(tmp_path):
    (tmp_path / "videos").mkdir()
    make_clip(tmp_path / "videos" / "a.mp4")
    make_video(tmp_path / "videos" / "silent.mp4", seconds=0.5, audio=None)
    outcome = extract(tmp_path / "videos", tmp_path / "out", Labeling())
    assert outcome.notes["no_audio"] == 1
    with h5py.File(tmp_path / "out" / "audio.h5") as audio:
        assert "no_audio" in audio["silent"].attrs["notes"]
        assert not audio["silent"]["vectors"][...].any()
        assert audio["a"]["vectors"][...].any()


def test_choice_of_tracks_is_recorded(tmp_path):
    (tmp_path / "videos").mkdir()
    sounds = [make_video(tmp_path / f"{tone}.mkv", tone=tone, seconds=0.5) for tone in (300.0, 900.0)]
    tracks = [(sounds[0], "video", True, "und"), (sounds[0], "audio", True, "eng"), (sounds[1], "audio", False, "deu")]
    gathered(tmp_path / "videos" / "a.mkv", tracks)
    german = Extraction(EXTRACTION.visual, EXTRACTION.audio, 4, tracks=Tracks(audio="deu"))
    outcome = extract(tmp_path / "videos", tmp_path / "out", Labeling(), german)
    assert outcome.notes["audio_track_1"] == 1
    record = json.loads((tmp_path / "out" / "extraction.json").read_text())
    assert record["tracks"] == {"video": "best", "audio": "deu"}
    assert Extraction.from_dict(record).tracks == german.tracks
    with h5py.File(tmp_path / "out" / "audio.h5") as audio:
        alone = EXTRACTION.features(sounds[1])
        np.testing.assert_array_equal(audio["a"]["vectors"][...], alone.audio)
    with pytest.raises(AvnasError, match=r"tracks was .*deu.* and is .*best"):
        extract(tmp_path / "videos", tmp_path / "out", Labeling())


def test_extraction_of_an_earlier_version_is_continued(place, extracted):
    """It knew no choice of tracks."""
    path = place / "out" / "extraction.json"
    record = json.loads(path.read_text())
    del record["tracks"]
    path.write_text(json.dumps(record))
    assert Extraction.from_dict(record).tracks == Tracks()
    extract(place / "videos", place / "out")
    assert extracted == []


def test_csv_of_labels_and_splits(ready, tmp_path):
    rows = [("file", "labels", "split")]
    rows += [(f"cats/clip {i}.mp4", "cat;pet", split) for i, split in enumerate(("train", "train", "val", "test"))]
    rows += [(f"dogs/clip {i}", "dog;pet", split) for i, split in enumerate(("train", "val", "test", ""))]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    outcome = extract(ready / "videos", tmp_path / "out", Labeling(str(tmp_path / "labels.csv")))
    assert outcome.lists == {"train": 3, "val": 2, "test": 2}
    assert "videos without a label, in no list: 4" in outcome.remarks
    data = HashingData(tmp_path / "out", cache_dir=tmp_path / "cache").prepare()
    assert data.class_names == ("cat", "dog", "pet")
    assert data.labels[data.ids.index("cats:clip 0")].tolist() == [True, False, True]
    assert read_media(tmp_path / "out")["dogs:clip 0"].labels == "dog;pet"


def test_no_lists_without_labels(ready, tmp_path, place):
    outcome = extract(place / "videos", place / "out", Labeling())
    assert set(outcome.lists.values()) == {0}
    assert not list((place / "out").glob("*.txt"))
    assert read_media(place / "out")["cats:clip 0"].labels == ""


def test_float16_features_are_stored(ready, tmp_path):
    half = Extraction(EXTRACTION.visual, EXTRACTION.audio, steps=4, dtype="float16")
    extract(ready / "videos", tmp_path / "out", extraction=half)
    with h5py.File(tmp_path / "out" / "image.h5") as file, h5py.File(ready / "out" / "image.h5") as exact:
        for name in exact:
            assert file[name]["vectors"].dtype == np.float16
            np.testing.assert_array_equal(file[name]["vectors"], exact[name]["vectors"][...].astype(np.float16))


def test_videos_inside_the_output_folder_have_relative_paths(ready, tmp_path):
    extract(ready / "videos", tmp_path / "out")
    shutil.copytree(ready / "videos", tmp_path / "out" / "videos", copy_function=shutil.copy2)
    extract(tmp_path / "out" / "videos", tmp_path / "out")
    assert "videos/cats/clip 0.mp4" in (tmp_path / "out" / "videos.csv").read_text()
