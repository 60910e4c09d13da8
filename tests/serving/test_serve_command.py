"""`avnas serve`: checks before listening, and shutdown."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.cli import main
from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import create_store, open_store
from avhash_nas.serving import server as listening
from serving.running import until
from serving.shop import IDS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def apps(monkeypatch):
    """Collects apps instead of serving them."""
    caught = []
    monkeypatch.setattr(listening, "serve", lambda app, *_: caught.append(app))
    return caught


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--store": "none.index"}, "none.index"),
        ({"--model": "none"}, "config.json"),
        ({"--features": "."}, "no videos.csv"),
        ({"--host": "nowhere.invalid"}, "--host nowhere.invalid"),
        ({"--host": "192.0.2.1"}, "cannot listen"),
        ({"--port": "70000"}, "--port must be"),
        ({"--limits.top": "0"}, "limits.top must be at least 1"),
        ({"--rerank": "values", "--rerank.depth": "0"}, "depth must be at least 1"),
        ({"--device": "abacus"}, "--device abacus"),
    ],
)
def test_invalid_options_fail_before_listening(shop, apps, capsys, changed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = dict(argument.split("=", 1) for argument in shop.arguments) | {"--port": "0"} | changed
    assert main(["serve", *(f"{name}={value}" for name, value in options.items())]) == 2
    told = capsys.readouterr()
    assert message in told.err.splitlines()[-1]
    assert "http://" not in told.out
    assert apps == []


def test_network_of_other_codes_is_rejected(shop, apps, capsys, tmp_path):
    torch.manual_seed(1)
    arguments = {**_arguments(shop.model), "bits": 32}
    MeanPoolMLP(**arguments).save_pretrained(tmp_path / "other")
    assert main(["serve", *shop.arguments, f"--model={tmp_path / 'other'}", "--port=0"]) == 2
    assert "cannot be compared" in capsys.readouterr().err
    assert apps == []


def _arguments(model):
    from avhash_nas.networks import HashNetwork

    return HashNetwork.from_pretrained(model).arguments()


def test_port_in_use_is_reported(shop, apps, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["serve", *shop.arguments, f"--port={other.getsockname()[1]}"]) == 2
    assert "Address already in use" in capsys.readouterr().err
    assert apps == []


def test_without_a_model_only_ids_and_codes_work(shop, apps, capsys):
    assert main(["serve", f"--store={shop.store}", "--port=0"]) == 0
    told = capsys.readouterr()
    assert "no --run or --model: queries by id and by code only" in told.err
    with TestClient(apps[0], base_url="http://localhost") as client:
        health = client.get("/health").json()
        assert (health["uploads"], health["rerank"]) == (False, False)
        assert client.get("/api/search", params={"id": IDS[0]}).status_code == 200
        assert client.get("/api/search", params={"id": IDS[0], "rerank": True}).status_code == 400
        assert client.get("/api/videos").json()["total"] == len(open_store(str(shop.store)))
        assert client.get("/api/videos").json()["videos"][0]["media"] is None
        reply = client.post("/api/search", files={"video": shop.video().read_bytes()})
        assert reply.status_code == 400
        assert "by id and by code only" in reply.json()["error"]


def test_store_without_extraction_rejects_uploads(shop, apps, capsys, tmp_path):
    """The extraction of these features is unknown, so uploads cannot be compared."""
    store = open_store(str(shop.store))
    codes = store.fetch(store.first_ids())
    without = CodeSet(codes.ids, codes.packed, codes.bits, codes.fingerprint)
    create_store(str(tmp_path / "other.index"), without)
    assert main(["serve", *shop.arguments, f"--store={tmp_path / 'other.index'}", "--port=0"]) == 0
    assert "says how features are extracted" in capsys.readouterr().err
    with TestClient(apps[0], base_url="http://localhost") as client:
        assert client.get("/health").json()["uploads"] is False


@pytest.mark.parametrize(
    ("options", "host", "status"),
    [
        ([], "127.0.0.1", 200),
        ([], "rebound.example", 421),
        (["--hosts=[nas.example]"], "nas.example", 200),
        (["--host=0.0.0.0"], "nas.example", 200),
        (["--host=0.0.0.0", "--hosts=[nas.example]"], "rebound.example", 421),
    ],
)
def test_accepted_host_names(shop, apps, options, host, status):
    assert main(["serve", f"--store={shop.store}", "--port=0", *options]) == 0
    with TestClient(apps[0], base_url=f"http://{host}") as client:
        assert client.get("/health").status_code == status


def test_graceful_shutdown(running_server, shop):
    """Of two uploads, one is finished after the signal and answered; the other is canceled."""
    with running_server() as running:
        assert running.address.startswith("http://127.0.0.1:")
        host, _, port = running.address.removeprefix("http://").partition(":")
        body = _form(shop.video())
        head = (
            f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        ).encode()
        with (
            running.client() as client,
            socket.create_connection((host, int(port)), timeout=60) as going_on,
            socket.create_connection((host, int(port)), timeout=60) as stuck,
        ):
            for connection in (going_on, stuck):
                connection.sendall(head + body[:1000])
            until(lambda: len(running.uploads()) == 2)
            assert client.get("/health").json()["running"] == 2
            children = _children(running.process.pid)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            going_on.sendall(body[1000:])
            assert going_on.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert stuck.recv(65536).startswith(b"HTTP/1.1 503 ")
            assert running.process.wait(timeout=60) == 0
        assert list(running.temporary.iterdir()) == []
        assert "Traceback" not in running.log()
    until(lambda: not any(_alive(child) for child in children))


def _form(path: Path) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
    return head + path.read_bytes() + b"\r\n--b--\r\n"


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
