import os
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data.lists import parse_list
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.listing import ids_of, list_videos

LETTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
PARTS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda part: part not in (".", ".."))
STEMS = st.sampled_from(["a", "b", "a.mp4", "%", ":", "a:b", " a", "a,b"]) | PARTS
NAMES = st.builds(
    lambda folders, stem, ending: "/".join([*folders, stem + ending]),
    st.lists(STEMS, max_size=2),
    STEMS,
    st.sampled_from([".mp4", ".avi", ".MP4", ""]),
)


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")


def names_of(root, **options):
    return [video.name for video in list_videos(root, **options).videos]


@given(st.sets(NAMES, min_size=1, max_size=12).map(sorted))
def test_ids_are_distinct_and_the_same_in_any_order(names):
    ids = ids_of(names)
    assert len(set(ids)) == len(names)
    assert dict(zip(names, ids)) == dict(zip(names[::-1], ids_of(names[::-1])))


@given(st.sets(NAMES, min_size=1, max_size=6).map(sorted))
def test_ids_are_valid_in_hdf5_and_in_lists(tmp_path_factory, names):
    ids = ids_of(names)
    folder = tmp_path_factory.mktemp("ids", numbered=True)
    with h5py.File(folder / "ids.h5", "w") as file:
        for each in ids:
            file.create_group(each)["vectors"] = np.zeros((1, 1))
        assert sorted(file) == sorted(ids)
    (folder / "list.txt").write_text("".join(f"{each},0\n" for each in ids), encoding="utf-8")
    problems = []
    assert [line.id for line in parse_list("train", folder / "list.txt", problems)] == ids
    assert problems == []


def test_ids_contain_the_folders():
    names = ["tom.mp4", "cats/tom.mp4", "dogs/tom.mp4", "Vögel/Tü tü.mkv"]
    assert ids_of(names) == ["tom", "cats:tom", "dogs:tom", "Vögel:Tü tü"]


def test_suffix_is_kept_if_names_differ_only_in_it():
    assert ids_of(["a.mp4", "a.avi", "a.mp4.mkv", "b.mp4"]) == ["a.mp4", "a.avi", "a.mp4.mkv", "b"]


def test_videos_at_any_depth_without_hidden_ones(tmp_path):
    touch(tmp_path, "a.mp4", "x/b.MKV", "x/y/c.webm", ".d.mp4", ".x/e.mp4", "x/notes.txt", "x/f.gif", "README")
    listing = list_videos(tmp_path)
    assert [video.name for video in listing.videos] == ["a.mp4", "x/b.MKV", "x/y/c.webm"]
    assert listing.others == {".txt": 1, ".gif": 1, "": 1}
    assert all(video.path == tmp_path / video.name for video in listing.videos)
    assert names_of(tmp_path, suffixes=(".GIF",)) == ["x/f.gif"]


def test_single_file_with_any_suffix(tmp_path):
    touch(tmp_path, "clip.dat", "other.mp4")
    assert names_of(tmp_path / "clip.dat") == ["clip.dat"]


def test_links_are_followed_once(tmp_path):
    touch(tmp_path / "videos", "x/a.mp4")
    touch(tmp_path / "elsewhere", "b.mp4")
    (tmp_path / "videos" / "x" / "loop").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "videos" / "c.mp4").symlink_to(tmp_path / "elsewhere" / "b.mp4")
    assert names_of(tmp_path / "videos") == ["c.mp4", "linked/b.mp4", "x/a.mp4"]


def test_unreadable_files_are_reported(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")).write_bytes(b"0")
    listing = list_videos(tmp_path)
    assert [video.name for video in listing.videos] == ["a.mp4"]
    assert sorted((PurePosixPath(path).name, reason) for path, reason in listing.unusable) == [
        ("\\xff.mp4", "its name is not UTF-8 text: rename it"),
        ("gone.mp4", "cannot be read: No such file or directory"),
    ]


def test_key_changes_with_size_and_modification_time(tmp_path):
    touch(tmp_path, "a.mp4")

    def key():
        return list_videos(tmp_path).videos[0].key

    first = key()
    assert key() == first
    (tmp_path / "a.mp4").write_bytes(b"00")
    longer = key()
    os.utime(tmp_path / "a.mp4", (1, 1))
    assert len({first, longer, key()}) == 3


def test_keys_do_not_depend_on_the_parent_folder(tmp_path):
    touch(tmp_path / "one", "x/a.mp4")
    (tmp_path / "one").rename(tmp_path / "other")
    moved = list_videos(tmp_path / "other").videos[0].key
    (tmp_path / "other").rename(tmp_path / "one")
    assert list_videos(tmp_path / "one").videos[0].key == moved


def test_folder_without_videos_is_rejected(tmp_path):
    with pytest.raises(AvnasError, match="gone: no such file or folder"):
        list_videos(tmp_path / "gone")
    with pytest.raises(AvnasError, match=r"holds no video files$"):
        list_videos(tmp_path)
    touch(tmp_path, "a.txt", "b.txt", "c")
    with pytest.raises(AvnasError, match=r"holds no video files; other files: 2 \.txt, 1 without suffix$"):
        list_videos(tmp_path)
