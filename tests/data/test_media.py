"""The list of video files beside features."""

import pytest

from avhash_nas.data.media import Media, read_media, write_media
from avhash_nas.errors import AvnasError


def test_media_round_trip_with_absolute_paths(tmp_path):
    inside = Media("a", "sub/ä, b.mp4", "cat;Hündin", "train", 1.25, "no_audio;short")
    outside = Media("b", str(tmp_path.parent / 'o"dd\n.mkv'))
    write_media(tmp_path, [inside, outside])
    found = read_media(tmp_path)
    assert found["a"] == Media("a", str(tmp_path / "sub/ä, b.mp4"), "cat;Hündin", "train", 1.25, "no_audio;short")
    assert found["b"] == outside


def test_folder_without_videos_csv_is_empty(tmp_path):
    assert read_media(tmp_path) == {}


@pytest.mark.parametrize("text", ["id,path\na,b\n", "id,path,labels,split,seconds,notes\na,b,,,long,\n", "id\n\xff"])
def test_damaged_videos_csv_is_rejected(tmp_path, text):
    (tmp_path / "videos.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(AvnasError, match=r"videos\.csv: not a list of videos"):
        read_media(tmp_path)
