"""The catalogue, and the thumbnail cache."""

from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data import Media
from avhash_nas.serving import Catalogue
from avhash_nas.serving.catalogue import media_type
from avhash_nas.serving.gallery import ThumbnailCache

IDS = st.lists(st.text("abÄ\U0001f600", max_size=4), unique=True, max_size=30)


@given(IDS, st.text("abÄ\U0001f600", max_size=3), st.integers(0, 8), st.integers(1, 8))
def test_pages_are_slices_of_the_sorted_ids_with_a_prefix(ids, prefix, start, count):
    page = Catalogue({video: Media(video, "") for video in ids}).page(prefix, start, count)
    wanted = sorted(video for video in ids if video.startswith(prefix))
    assert page.total == len(wanted)
    assert [video.id for video in page.videos] == wanted[start : start + count]


def test_only_listed_existing_files_are_returned(tmp_path):
    (tmp_path / "there.mp4").write_bytes(b"x")
    (tmp_path / "folder.mp4").mkdir()
    paths = {"there": "there.mp4", "gone": "gone.mp4", "folder": "folder.mp4"}
    catalogue = Catalogue(
        {video: Media(video, str(tmp_path / path)) for video, path in paths.items()} | {"no": Media("no", "")}
    )
    assert catalogue.file("there") == tmp_path / "there.mp4"
    assert [catalogue.file(video) for video in ("gone", "folder", "no", "there.mp4", str(tmp_path / "there.mp4"))] == [
        None
    ] * 5


def test_html_and_scripts_are_served_as_bytes(tmp_path):
    assert media_type(tmp_path / "film.MP4") == "video/mp4"
    assert {media_type(tmp_path / name) for name in ("a.html", "a.svg", "a.js", "a")} == {"application/octet-stream"}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=60))
def test_thumbnail_cache_evicts_least_recently_used(puts):
    cache, kept = ThumbnailCache(4000), []
    for video, size in puts:
        cache.put(str(video), bytes(size))
        kept = [(name, length) for name, length in kept if name != str(video)] + [(str(video), size)]
        while sum(length + 256 for _, length in kept) > 4000:
            kept.pop(0)
        assert len(cache) == len(kept)
        oldest = kept[0][0]
        assert cache.get(oldest) == bytes(kept[0][1])
        kept.append(kept.pop(0))
