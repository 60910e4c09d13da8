"""The caption files of published datasets, written by the tests in their published forms."""

import csv
import json
import pickle

import pytest
import yaml

from avhash_nas.data import Caption, read_captions, read_layout, read_splits
from avhash_nas.data.caption_sources import read_source
from avhash_nas.data.import_captions import add_entry, import_captions
from avhash_nas.errors import AvnasError


def write_json(path, data):
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def write_csv(path, columns, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])


@pytest.fixture
def msrvtt(tmp_path):
    folder = tmp_path / "msrvtt"
    folder.mkdir()
    videos = [f"video{number}" for number in range(12)]
    splits = ["train"] * 7 + ["validate"] * 2 + ["test"] * 3
    write_json(
        folder / "MSRVTT_data.json",
        {
            "videos": [
                {"video_id": video, "category": number % 3, "url": "u", "split": split, "id": number}
                for number, (video, split) in enumerate(zip(videos, splits, strict=True))
            ],
            "sentences": [
                {"caption": f"caption {k} of {video}, ändern", "video_id": video, "sen_id": k}
                for video in videos
                for k in range(4)
            ],
        },
    )
    write_csv(folder / "MSRVTT_train.9k.csv", ["video_id"], [[video] for video in videos[:9]])
    rows = [[f"ret{n}", f"msr{n}", video, f"one sentence of {video}"] for n, video in enumerate(videos[9:])]
    write_csv(folder / "MSRVTT_JSFUSION_test.csv", ["key", "vid_key", "video_id", "sentence"], rows)
    return folder


def test_msrvtt_9k_trains_on_all_captions_and_tests_on_one_a_video(msrvtt):
    found = read_source(msrvtt, "msrvtt-9k", holdout=2)
    assert {split: len(videos) for split, videos in found.splits.items()} == {"train": 7, "val": 2, "test": 3}
    of_test = [caption for caption in found.captions if caption.video in found.splits["test"]]
    assert of_test[0] == Caption("video9", "one sentence of video9", "en")
    assert len(of_test) == 3
    assert len(found.captions) == 9 * 4 + 3
    assert found.labels["video4"] == "category 1"
    again = read_source(msrvtt, "msrvtt-9k", holdout=2)
    assert again.splits == found.splits


def test_msrvtt_3k_has_the_splits_of_its_file(msrvtt):
    found = read_source(msrvtt, "msrvtt-3k")
    assert {split: len(videos) for split, videos in found.splits.items()} == {"train": 7, "val": 2, "test": 3}
    assert len(found.captions) == 48


def test_vatex_in_both_forms(tmp_path):
    ids = ["aB3dE_fGhI0_000012_000022", "zY9-xW8vUt7_000105_000115", "-_b_000001_000011"]
    for split, video in zip(("train", "val", "test"), ids, strict=True):
        (tmp_path / f"{split}_list.txt").write_text(f"{video}\n")
    write_json(tmp_path / "ref_captions.json", {video: ["a girl ties a scarf", "another"] for video in ids})
    assert read_source(tmp_path, "vatex").captions[0] == Caption(ids[0], "a girl ties a scarf", "en")
    original = [{"videoID": video, "enCap": ["a girl"], "chCap": ["一个女孩", "红围巾"]} for video in ids]
    write_json(tmp_path / "vatex_training_v1.0.json", original)
    found = read_source(tmp_path, "vatex")
    assert found.captions[:3] == [
        Caption(ids[0], "a girl", "en"), Caption(ids[0], "一个女孩", "zh"), Caption(ids[0], "红围巾", "zh"),
    ]  # fmt: skip
    assert found.splits == {"train": [ids[0]], "val": [ids[1]], "test": [ids[2]]}


def test_activitynet_joins_sentences_to_paragraphs(tmp_path):
    def described(*sentences):
        return {"duration": 61.4, "timestamps": [[0, 1]] * len(sentences), "sentences": list(sentences)}

    train = {f"v_{number}": described(f"Number {number}.") for number in range(4)}
    write_json(tmp_path / "train.json", train)
    write_json(tmp_path / "train_ids.json", list(train))
    write_json(tmp_path / "val_ids.json", ["v_-_ab12CD34x", "v_missing"])
    write_json(tmp_path / "val_1.json", {"v_-_ab12CD34x": described("A woman opens a box.", " She builds a lamp.")})
    found = read_source(tmp_path, "activitynet", holdout=1)
    assert found.captions[-1] == Caption("-_ab12CD34x", "A woman opens a box. She builds a lamp.", "en")
    assert {split: len(videos) for split, videos in found.splits.items()} == {"train": 3, "val": 1, "test": 1}


@pytest.fixture
def msvd(tmp_path):
    for split, video in (("train", "aa_0_5"), ("val", "bb_1_2"), ("test", "cc_3_9")):
        (tmp_path / f"{split}_list.txt").write_text(f"{video}\n")
    return tmp_path


def test_msvd_in_words_and_in_many_languages(msvd):
    words = {video: [["a", "man", "runs"], ["he", "runs"]] for video in ("aa_0_5", "bb_1_2", "cc_3_9")}
    (msvd / "raw-captions.pkl").write_bytes(pickle.dumps(words))
    assert read_source(msvd, "msvd").captions[:2] == [
        Caption("aa_0_5", "a man runs", "en"),
        Caption("aa_0_5", "he runs", "en"),
    ]
    columns = ["VideoID", "Start", "End", "WorkerID", "Source", "AnnotationTime", "Language", "Description"]
    rows = [
        ["aa", "0", "5", "1", "clean", "9", "German", "Ein Mann läuft"],
        ["bb", "1", "2", "1", "clean", "9", "English", "A man, running"],
        ["cc", "3", "9", "1", "clean", "9", "Tamil", "x"],
        ["cc", "3", "9", "1", "clean", "9", "English", ""],
    ]
    write_csv(msvd / "video_corpus.csv", columns, rows)
    found = read_source(msvd, "msvd")
    assert found.captions[:2] == [Caption("aa_0_5", "Ein Mann läuft", "de"), Caption("bb_1_2", "A man, running", "en")]
    assert found.remarks == ["left out: 1 empty captions"]


def test_a_pickle_that_names_code_is_refused(msvd):
    (msvd / "raw-captions.pkl").write_bytes(pickle.dumps({"aa_0_5": print}))
    with pytest.raises(AvnasError, match=r"it holds .*print, not words alone"):
        read_source(msvd, "msvd")


def test_didemo_joins_the_descriptions_of_a_video(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}_list.txt").write_text(f"{split}@N02_1.mov\n")
        moments = [
            {"annotation_id": 1, "video": f"{split}@N02_1.mov", "description": text, "times": [[0, 0]]}
            for text in ("a dog sits ", "it barks")
        ]
        write_json(tmp_path / f"{split}_data.json", moments)
    found = read_source(tmp_path, "didemo")
    assert found.captions[0] == Caption("train@N02_1", "a dog sits it barks", "en")
    assert found.splits["val"] == ["val@N02_1"]


def test_what_is_left_out_is_said(tmp_path):
    (tmp_path / "train_list.txt").write_text("a\nb\nsilent\n")
    (tmp_path / "val_list.txt").write_text("b\nc\n")
    (tmp_path / "test_list.txt").write_text("d\n")
    write_json(tmp_path / "ref_captions.json", {"a": ["x", " "], "b": ["y"], "c": ["z"], "d": ["w"], "e": ["v"]})
    found = read_source(tmp_path, "vatex")
    assert found.splits == {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    assert found.remarks == [
        "left out: 1 empty captions",
        "left out: 1 captions of videos in no list",
        "left out: 1 listed videos without a caption",
        "left out: 1 videos that are in an earlier list as well",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("msrvtt", "there is no 'msrvtt'; known are msrvtt-9k"),
        ("msrvtt-9k", "MSRVTT_data.json: cannot be read"),
        ("vatex", "not in the form of vatex"),
    ],
)
def test_bad_sources_are_one_line(tmp_path, name, message):
    write_json(tmp_path / "vatex_training_v1.0.json", [{"enCap": ["x"]}])
    with pytest.raises(AvnasError, match=message):
        read_source(tmp_path, name)


def test_import_into_a_new_folder_writes_lists_and_layout(msrvtt, tmp_path):
    out = tmp_path / "out"
    written = import_captions(msrvtt, "msrvtt-3k", out)
    assert (written.captions, written.videos) == (48, {"train": 7, "val": 2, "test": 3})
    layout = read_layout(out)
    splits = read_splits(layout)
    assert splits.class_names == ("category 0", "category 1", "category 2")
    assert len(read_captions(layout.captions, splits.ids)) == 48


def test_import_into_a_dataset_keeps_its_lists(msrvtt, make_set, tmp_path):
    lists = {"train": ("video0,0", "video1,1"), "val": ("video8,0",), "test": ("video9,1", "other,0")}
    root = make_set(lists=lists, described={"classes": ["cat", "dog"]})
    with (root / "dataset.yaml").open("a") as file:
        file.write("# mine\n")
    with pytest.raises(AvnasError, match="its lists lack 8 of the videos with captions, such as 'video10'; --drop_m"):
        import_captions(msrvtt, "msrvtt-9k", root, holdout=2)
    written = import_captions(msrvtt, "msrvtt-9k", root, holdout=2, drop_missing=True)
    assert written.captions == 3 * 4 + 1
    assert written.videos == {"train": 2, "val": 1, "test": 1}
    assert written.remarks == ("left out: 26 captions of 8 videos that the lists lack",)
    text = (root / "dataset.yaml").read_text()
    assert "# mine" in text
    assert yaml.safe_load(text) == {"classes": ["cat", "dog"], "captions": "captions.jsonl"}


def test_entries_are_added_to_what_a_file_has(tmp_path):
    path = tmp_path / "dataset.yaml"
    add_entry(path, {"captions": "c.jsonl"})
    add_entry(path, {"files": {"text": "t.h5"}})
    add_entry(path, {"files": {"visual": "v.h5"}})
    assert yaml.safe_load(path.read_text()) == {"captions": "c.jsonl", "files": {"text": "t.h5", "visual": "v.h5"}}
