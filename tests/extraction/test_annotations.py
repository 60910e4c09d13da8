import unicodedata
from pathlib import Path

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.annotations import Annotation, annotate_by_csv, annotate_by_folders
from avhash_nas.extraction.listing import VideoFile, ids_of


def videos(*names):
    return [VideoFile(Path("/videos") / name, name, own, name) for name, own in zip(names, ids_of(names))]


VIDEOS = videos("cats/a.mp4", "cats/deep/b.mp4", "dogs/a.mp4", "dogs/c.mkv", "dogs/c.mp4")


def csv_of(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_topmost_folder_is_the_class():
    found = annotate_by_folders(VIDEOS)
    assert {name: each.labels for name, each in found.items()} == {
        "cats:a": ("cats",),
        "cats:deep:b": ("cats",),
        "dogs:a": ("dogs",),
        "dogs:c.mkv": ("dogs",),
        "dogs:c.mp4": ("dogs",),
    }
    assert {each.split for each in found.values()} == {""}


def test_topmost_folders_may_be_splits():
    found = annotate_by_folders(videos("train/cats/a.mp4", "val/cats/a.mp4", "test/dogs/x/a.mp4"))
    assert found == {
        "train:cats:a": Annotation(("cats",), "train"),
        "val:cats:a": Annotation(("cats",), "val"),
        "test:dogs:x:a": Annotation(("dogs",), "test"),
    }


def test_folders_without_labels_are_rejected():
    with pytest.raises(AvnasError, match=r"/videos/a\.mp4: lies in no folder of a class"):
        annotate_by_folders(videos("a.mp4", "cats/b.mp4"))
    with pytest.raises(AvnasError, match="folders test, train name splits, and there is no val"):
        annotate_by_folders(videos("train/cats/a.mp4", "test/cats/b.mp4"))
    with pytest.raises(AvnasError, match="lies in no folder of a class"):
        annotate_by_folders(videos("train/a.mp4", "val/b.mp4", "test/c.mp4"))
    with pytest.raises(AvnasError, match="cannot hold a semicolon"):
        annotate_by_folders(videos("a;b/c.mp4"))


def test_csv_with_file_column(tmp_path):
    path = csv_of(tmp_path, "file,labels,split\ncats/a.mp4,cat; pet ;cat,train\n./cats/deep/b, cat,val\nno,x,test\n")
    assert annotate_by_csv(path, VIDEOS) == {
        "cats:a": Annotation(("cat", "pet"), "train"),
        "cats:deep:b": Annotation(("cat",), "val"),
    }


def test_csv_with_id_column(tmp_path):
    path = csv_of(tmp_path, "\ufeffnumber, id ,label\r\n1,dogs:a,dog\r\n2,dogs:c.mkv,\r\n")
    assert annotate_by_csv(path, VIDEOS) == {"dogs:a": Annotation(("dog",))}


def test_names_without_suffix_must_be_unambiguous(tmp_path):
    path = csv_of(tmp_path, "file,label\ndogs/c,both\ndogs/c.mp4,one\n")
    assert annotate_by_csv(path, VIDEOS) == {"dogs:c.mp4": Annotation(("one",))}


def test_unicode_normalization_of_names(tmp_path):
    path = csv_of(tmp_path, f"file,label\n{unicodedata.normalize('NFC', 'Vögel/ü.mp4')},bird\n")
    names = unicodedata.normalize("NFD", "Vögel/ü.mp4")
    assert [each.labels for each in annotate_by_csv(path, videos(names)).values()] == [("bird",)]


def test_csv_without_splits_uses_split_folders(tmp_path):
    path = csv_of(tmp_path, "file,label\ntrain/a.mp4,x\nval/a.mp4,y\n")
    found = annotate_by_csv(path, videos("train/a.mp4", "val/a.mp4", "test/a.mp4"))
    assert {name: each.split for name, each in found.items()} == {"train:a": "train", "val:a": "val"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"first line must name the columns 'file' or 'id', and 'labels'; it names nothing"),
        ("name,labels\n", "it names 'name', 'labels'"),
        (
            "file,label\nx.mp4,cat\n",
            r"none of the videos; its column 'file' holds names like 'x.mp4', those of the videos are like 'cats/a",
        ),
        ("file,label\n", "none of the videos; its column 'file' holds names like 'nothing'"),
        ("file,label,split\ncats/a.mp4,cat,training\n", r":2: split 'training' is not one of train, val, test"),
        ("file,label\ncats/a.mp4,cat\ncats/a,dog\n", r":3: cats/a is listed twice, first in line 2"),
    ],
)
def test_invalid_csv_is_rejected(tmp_path, text, message):
    with pytest.raises(AvnasError, match=message):
        annotate_by_csv(csv_of(tmp_path, text), VIDEOS)


def test_unreadable_csv_is_rejected(tmp_path):
    with pytest.raises(AvnasError, match="cannot be read: No such file"):
        annotate_by_csv(tmp_path / "gone.csv", VIDEOS)
    with pytest.raises(AvnasError, match="not a CSV file in UTF-8"):
        annotate_by_csv(csv_of(tmp_path, "file,label\nVögel.mp4,x\n", "latin-1"), VIDEOS)


def test_number_of_reported_problems_is_limited(tmp_path):
    path = csv_of(tmp_path, "file,label,split\n" + "cats/a.mp4,,x\n" * 9)
    with pytest.raises(AvnasError, match="4 more such lines") as caught:
        annotate_by_csv(path, VIDEOS)
    assert len(str(caught.value).splitlines()) == 6
