"""Forms are parsed independently of chunking, and limits are enforced."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.serving.schemas import RefusalError, ServiceLimits
from avhash_nas.serving.uploads import is_video, receive

MP4 = b"\x00\x00\x00\x18ftypmp42"
KIND = 'multipart/form-data; boundary="a line"'


def form(video, name="film.mp4", **fields):
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    head = f'Content-Disposition: form-data; name="video"; filename="{name}"\r\nContent-Type: video/mp4\r\n\r\n'
    parts.insert(len(parts) // 2, head.encode() + video)
    return b"".join(b"--a line\r\n" + part + b"\r\n" for part in parts) + b"--a line--\r\n"


def pieces(body, cuts):
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


def received(chunks, path, limits=None):
    async def stream():
        for chunk in chunks:
            yield chunk

    return asyncio.run(receive(stream(), KIND, path, limits or ServiceLimits()))


@given(
    video=st.binary(max_size=3000),
    top=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    cuts=st.lists(st.integers(0, 10**4), max_size=40),
)
def test_chunking_does_not_matter(tmp_path_factory, video, top, cuts):
    path = tmp_path_factory.mktemp("upload") / "file"
    upload = received(pieces(form(MP4 + video, "größe.mp4", top=top, rerank="true"), cuts), path)
    assert path.read_bytes() == MP4 + video
    assert upload.name == "größe.mp4"
    assert upload.fields == {"top": top, "rerank": "true"}


@given(video=st.binary(min_size=1, max_size=3000), cuts=st.lists(st.integers(0, 10**4), max_size=40))
def test_container_check_does_not_depend_on_chunking(tmp_path_factory, video, cuts):
    path = tmp_path_factory.mktemp("upload") / "file"
    if is_video(video):
        return
    with pytest.raises(RefusalError, match="not a video"):
        received(pieces(form(video), cuts), path)
    assert path.stat().st_size == 0


@given(body=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 10**4), max_size=10))
def test_random_bodies_are_rejected(tmp_path_factory, body, cuts):
    with pytest.raises(RefusalError):
        received(pieces(body, cuts), tmp_path_factory.mktemp("upload") / "file")


def test_no_more_than_the_limit_is_written(tmp_path):
    body = form(MP4 + bytes(2**23))
    chunks = [body[start : start + 2**16] for start in range(0, len(body), 2**16)]
    with pytest.raises(RefusalError, match="larger than the limit of 1 MiB") as raised:
        received(chunks, tmp_path / "file", ServiceLimits(upload_bytes=2**20))
    assert raised.value.status == 413
    assert (tmp_path / "file").stat().st_size <= 2**20 + 2**16


def test_file_name_is_never_used_as_path(tmp_path):
    upload = received([form(MP4, name="../../etc/passwd")], tmp_path / "file")
    assert (upload.path, upload.name) == (tmp_path / "file", "../../etc/passwd")


def test_full_disk_is_reported():
    with pytest.raises(RefusalError, match="cannot be stored") as raised:
        received([form(MP4 + bytes(10**7))], Path("/dev/full"))
    assert raised.value.status == 507
