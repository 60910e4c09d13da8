"""A running service under overload: every request is answered or rejected, and the service recovers."""

import random
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from media.make import cut, make_video
from serving.running import until
from serving.shop import IDS

HEAD = (
    b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
)


def test_full_queue_rejects_requests(server, client, shop):
    """Slow uploads occupy all six slots (two workers, four waiting); requests that need no slot still work."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    with ExitStack() as held:
        for _ in range(6):
            connection = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
            connection.sendall(HEAD)
        until(lambda: client.get("/health").json()["waiting"] == 4)
        with shop.video().open("rb") as file:
            reply = client.post("/api/search", files={"video": file})
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "busy" in reply.json()["error"]
        assert client.get("/api/search", params={"id": IDS[0]}).status_code == 200
    until(lambda: client.get("/health").json()["running"] == 0)
    with shop.video().open("rb") as file:
        assert client.post("/api/search", files={"video": file}).status_code == 200


class Mix:
    """Random good and bad requests."""

    def __init__(self, server, shop, folder):
        self.server = server
        good = shop.video(4).read_bytes()
        self.sent = 0
        self.uploads = {
            "good": (good, 200),
            "text": (b"no video " * 10_000, 415),
            "broken": (cut(make_video(folder / "cut.mp4", seconds=1)).read_bytes(), 422),
            "noise": (good[:40] + random.Random(0).randbytes(10**6), 422),
            "large": (good[:40] + bytes(2**21), 413),
        }
        self.addresses = {
            f"/api/search?id={quote(IDS[0])}": 200,
            "/api/search?id=nobody": 404,
            f"/thumbnails/{quote(IDS[3])}": 200,
            f"/media/{quote(IDS[5])}": 200,
            "/api/videos?prefix=disc": 200,
            "/health": 200,
        }

    def run(self, count, clients, seed):
        """Statuses of `count` requests by `clients` concurrent clients."""
        choices = random.Random(seed).choices([*self.uploads, *self.addresses], k=count)
        with ThreadPoolExecutor(clients) as threads, self.server.client() as client:
            return list(threads.map(lambda choice: self._one(client, choice), choices))

    def _one(self, client, choice):
        if choice in self.addresses:
            reply = client.get(choice)
            assert reply.status_code == self.addresses[choice], (choice, reply.text)
            return reply.status_code
        content, status = self.uploads[choice]
        self.sent += len(content)
        reply = client.post("/api/search", files={"video": (choice, content)})
        assert reply.status_code in (status, 503), (choice, reply.text)
        if reply.status_code == 200:
            assert reply.json()["answers"][0]["id"] == IDS[4]
        else:
            assert reply.json().keys() == {"error"}
        return reply.status_code


def well(server, client):
    until(lambda: client.get("/health").json()["running"] == 0)
    assert client.get("/health").json()["status"] == "ok"
    assert server.process.poll() is None
    assert server.uploads() == []
    assert "Traceback" not in server.log()


def test_mixed_load_is_answered(server, client, shop, tmp_path):
    statuses = Mix(server, shop, tmp_path).run(60, clients=16, seed=0)
    assert {200, 404, 413, 415} <= set(statuses)
    well(server, client)


@pytest.mark.slow
def test_memory_does_not_grow_with_uploads(server, client, shop, tmp_path):
    mix = Mix(server, shop, tmp_path)
    mix.run(100, clients=16, seed=1)
    before, mix.sent = server.memory(), 0
    mix.run(400, clients=16, seed=2)
    assert mix.sent > 10**8
    assert server.memory() - before < mix.sent / 4
    well(server, client)
