"""Invalid uploads to a running service: each is rejected with one line and leaves nothing behind."""

import gzip
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from media.make import claim_size, cut, make_video, patch, scribble
from serving.running import until


@pytest.fixture(scope="module", autouse=True)
def service_still_accepts_uploads(server, shop):
    """After all tests, an upload is answered."""
    yield
    with server.client() as client:
        assert upload(client, shop.video().read_bytes()).status_code == 200


@pytest.fixture(autouse=True)
def service_is_idle(server, client):
    """After each test, the service responds, no job is left, and uploads are removed."""
    yield
    health = client.get("/health").json()
    assert (health["status"], health["running"], health["waiting"]) == ("ok", 0, 0)
    assert server.uploads() == []


def upload(client, content, name="file.mp4", **fields):
    return client.post("/api/search", files={"video": (name, content)}, data=fields)


def assert_rejected(reply, status, words=""):
    assert reply.status_code == status, reply.text
    assert reply.json().keys() == {"error"}
    assert words in reply.json()["error"]
    assert "\n" not in reply.json()["error"]
    assert "avnas-serve" not in reply.json()["error"]  # the path of the service's file


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"Dear Sir or Madam, this is not a video.\n" * 100, 415, "not a video"),
        (b"short", 415, "not a video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "not a video"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", 415, "not a video"),
        (b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n", 415, "not a video"),
        (b"<?xml version='1.0'?><MPD></MPD>", 415, "not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), 415, "not a video"),
        (gzip.compress(bytes(10**7)), 415, "not a video"),
        (b"PK\x03\x04" + bytes(500), 415, "not a video"),
        (bytes(10**5), 415, "not a video"),
        (b"\x00\x00\x00\x18ftypmp42" + b"#EXTM3U\nfile:///etc/passwd\n" * 20, 422, "file.mp4: not a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 40, 422, "file.mp4: not a video"),
        (b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(1000), 422, ""),
    ],
)
def test_non_videos_are_rejected(client, content, status, words):
    assert_rejected(upload(client, content), status, words)


def small(path: Path, **options) -> Path:
    return make_video(path, **{"seconds": 1, "size": (64, 48), **options})


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("cut.mp4", lambda path: cut(small(path))),
        ("noise.mp4", lambda path: scribble(small(path), 0.1, 1.0)),
        ("noise.mkv", lambda path: scribble(small(path), 0.05, 1.0)),
        ("sound.mp4", lambda path: small(path, codec=None)),
    ],
)
def test_damaged_videos_are_rejected(client, tmp_path, name, spoil):
    assert_rejected(upload(client, spoil(tmp_path / name).read_bytes(), name), 422, name)


def test_truncated_video_is_searched_with_a_note(client, tmp_path):
    path = cut(small(tmp_path / "cut.mkv", seconds=4), 0.6)
    reply = upload(client, path.read_bytes())
    assert reply.status_code == 200
    assert "truncated" in reply.json()["notes"]


def test_oversized_frames_are_rejected(client, tmp_path):
    gif = claim_size(make_video(tmp_path / "a.gif", codec="gif", audio=None, pixels="rgb8", seconds=0.5), 16384, 16384)
    assert_rejected(upload(client, gif.read_bytes()), 422, "pixels")
    black = np.zeros((4000, 4000, 3), np.uint8)
    real = make_video(
        tmp_path / "a.mkv",
        size=(4000, 4000),
        seconds=0.1,
        audio=None,
        codec="mjpeg",
        pixels="yuvj420p",
        picture=lambda _: black,
    )
    assert real.stat().st_size < 2**20 < black.nbytes
    assert_rejected(upload(client, real.read_bytes()), 422, "pixels")


def test_excessive_duration_is_rejected(client, tmp_path):
    long = make_video(tmp_path / "long.mp4", seconds=90, fps=1, size=(16, 16), audio=None)
    assert_rejected(upload(client, long.read_bytes()), 422, "longer than 60 s")


def test_false_duration_in_the_header_is_harmless(client, tmp_path):
    """One second of video whose header claims a month."""
    path = small(tmp_path / "liar.mp4")
    started = time.monotonic()
    reply = upload(client, patch(path, b"mvhd", 20, (2**31 - 1).to_bytes(4, "big")).read_bytes())
    assert reply.status_code in (200, 422)
    assert time.monotonic() - started < 20  # the service's own limit


def test_oversized_file_is_rejected_by_its_declared_length(server):
    """The client sends `Expect: 100-continue`."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    head = (
        f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 10000000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(4096).splitlines()[0]


def test_oversized_file_is_rejected_during_the_upload(client):
    sent = []

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n\x00\x00\x00\x18ftypmp42'
        for _ in range(64):
            sent.append(2**16)
            yield bytes(2**16)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_rejected(client.post("/api/search", content=body(), headers=kind), 413, "larger than the limit of 1 MiB")


def test_slow_upload_times_out(client):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n\x00\x00\x00\x18ftypmp42'
        for _ in range(14):
            time.sleep(0.5)
            yield bytes(10)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_rejected(client.post("/api/search", content=body(), headers=kind), 408, "longer than 5 s")


PART = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("video/mp4", b"\x00\x00\x00\x18ftypmp42", 415, "multipart/form-data"),
        ("multipart/form-data", PART, 415, "multipart/form-data"),
        ("application/x-www-form-urlencoded", b"video=1", 415, "multipart/form-data"),
        ("multipart/form-data; boundary=b", b"", 400, "too early"),
        ("multipart/form-data; boundary=b", b"no form at all", 400, "damaged"),
        ("multipart/form-data; boundary=b", PART + b"\x00\x00\x00\x18ftypmp42" + bytes(10**4), 400, "too early"),
        ("multipart/form-data; boundary=b", PART.replace(b"video", b"film") + b"x\r\n--b--\r\n", 400, "no file"),
        (
            "multipart/form-data; boundary=b",
            PART + b"GIF89a" + b"x" * 400 + b"\r\n" + PART + b"x",
            400,
            "more than one",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="top"\r\n\r\n' + b"1" * 9999,
            400,
            "longer",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 50, 400, ""),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 9999, 400, ""),
    ],
)
def test_invalid_forms_are_rejected(client, kind, body, status, words):
    assert_rejected(client.post("/api/search", content=body, headers={"Content-Type": kind}), status, words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"top": "0"}, "top must be between 1 and 100"),
        ({"top": "101"}, "top"),
        ({"top": "-1"}, "top"),
        ({"top": "٣"}, "top"),
        ({"top": "9" * 100}, "top"),
        ({"rerank": "perhaps"}, "rerank must be true or false"),
        ({"color": "red"}, "unknown field 'color'"),
    ],
)
def test_invalid_options_are_rejected(client, shop, fields, words):
    assert_rejected(upload(client, shop.video().read_bytes(), **fields), 422, words)


def test_disconnected_client_leaves_no_job(server, client):
    host, _, port = server.address.removeprefix("http://").partition(":")
    head = (
        f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + PART + b"\x00\x00\x00\x18ftypmp42" + bytes(1000))
        until(lambda: client.get("/health").json()["running"] == 1)
    until(lambda: client.get("/health").json()["running"] == 0)
