"""The JSON API of a running service: answers match the Python search, and files are served by id only."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from avhash_nas.extraction import Extraction
from avhash_nas.networks import HashNetwork
from avhash_nas.retrieval import AsymmetricRerank, open_store
from avhash_nas.serving import VideoSearch
from serving.shop import EVIL, IDS, UNLISTED, UNSTORED


@pytest.fixture(scope="module")
def search(shop):
    store = open_store(str(shop.store))
    network = HashNetwork.from_pretrained(shop.model)
    return VideoSearch(store, network, Extraction.from_dict(store.extraction), AsymmetricRerank())


@pytest.fixture(scope="module")
def plain(search):
    return VideoSearch(search.store, search.network, search.extraction)


def told(answers):
    """Answers of the API or of the Python search in a comparable form."""
    if isinstance(answers, list):
        return [(each.id, each.distance, each.score, list(each.labels)) for each in answers]
    assert answers.status_code == 200, answers.text
    return [(each["id"], each["distance"], each["score"], each["labels"]) for each in answers.json()["answers"]]


def send(client, path: Path, **fields):
    with path.open("rb") as file:
        return client.post("/api/search", files={"video": (path.name, file)}, data=fields)


def test_upload_matches_the_python_search(client, shop, search, plain):
    path = shop.video(3)
    reply = send(client, path, top="5")
    assert told(reply) == told(search.by_video(path, 5))
    assert reply.json()["answers"][0]["distance"] == 0
    assert reply.json()["query"] == "3.mp4"
    assert told(send(client, path, top="5", rerank="false")) == told(plain.by_video(path, 5))
    assert len(told(send(client, path))) == 10


def test_id_matches_the_python_search(client, search, plain):
    for video in (IDS[0], EVIL, UNLISTED):
        assert told(client.get("/api/search", params={"id": video, "top": 4})) == told(search.by_id(video, 4))
    reply = client.get("/api/search", params={"id": IDS[0], "top": 4, "rerank": "false"})
    assert told(reply) == told(plain.by_id(IDS[0], 4))
    assert {each["score"] for each in reply.json()["answers"]} == {None}


def test_listed_but_unstored_video_is_decoded(client, shop, search):
    reply = client.get("/api/search", params={"id": UNSTORED, "top": 4})
    assert told(reply) == told(search.by_video(shop.video(len(IDS)), 4))


def test_code_matches_the_python_search(client, plain):
    code = plain.store.fetch([IDS[2]]).packed[0].tobytes().hex()
    assert told(client.get("/api/search", params={"code": code, "top": 3})) == told(plain.by_code(code, 3))


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({}, 422, "give one of id, text and code"),
        ({"id": "a", "code": "00"}, 422, "give one of id, text and code"),
        ({"id": "nobody"}, 404, "no video 'nobody' in the store"),
        ({"id": "../../../etc/passwd"}, 404, "no video"),
        ({"id": "a" * 2000}, 422, "id: "),
        ({"code": "xyz"}, 400, "not hexadecimal"),
        ({"code": "00"}, 400, "8 bits; .* codes of 32 bits"),
        ({"id": IDS[0], "top": 0}, 422, "top: "),
        ({"id": IDS[0], "top": 101}, 422, "top: "),
        ({"id": IDS[0], "top": "many"}, 422, "top: "),
        ({"id": IDS[0], "rerank": "maybe"}, 422, "rerank: "),
    ],
)
def test_invalid_queries_get_one_line_errors(client, query, status, message):
    reply = client.get("/api/search", params=query)
    assert reply.status_code == status
    assert reply.json().keys() == {"error"}
    assert re.search(message, reply.json()["error"])
    assert "\n" not in reply.json()["error"]


def test_list_is_sorted_paginated_and_filtered_by_prefix(client):
    listed = sorted([*IDS, UNSTORED])
    whole = client.get("/api/videos").json()
    assert whole["total"] == len(listed)
    assert [video["id"] for video in whole["videos"]] == listed
    pages = [client.get("/api/videos", params={"start": start, "count": 4}).json() for start in (0, 4, 8, 12)]
    assert [video["id"] for page in pages for video in page["videos"]] == listed
    found = client.get("/api/videos", params={"prefix": "square", "start": 1}).json()
    assert found["total"] == 3
    assert [video["id"] for video in found["videos"]] == ["square green", "square red"]
    assert client.get("/api/videos", params={"prefix": "x"}).json() == {"total": 0, "videos": []}


@pytest.mark.parametrize("video", [IDS[0], IDS[6], IDS[8], EVIL])
def test_video_metadata_file_and_thumbnail(client, shop, video):
    described = client.get(f"/api/videos/{quote(video, safe='')}").json()
    assert described["id"] == video
    file = shop.video(IDS.index(video)).read_bytes()
    played = client.get(described["media"])
    assert (played.content, played.headers["content-type"]) == (file, "video/mp4")
    assert client.head(described["media"]).headers["content-length"] == str(len(file))
    part = client.get(described["media"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, file[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(file)}"
    beyond = client.get(described["media"], headers={"Range": f"bytes={len(file)}-"})
    assert beyond.status_code == 416
    shown = client.get(described["thumbnail"])
    assert (shown.content[:3], shown.headers["content-type"]) == (b"\xff\xd8\xff", "image/jpeg")


@pytest.mark.parametrize(
    "video", ["nobody", UNLISTED, "../codes.index", "..%2f..%2f..%2fetc%2fpasswd", "%00", "videos/0.mp4"]
)
@pytest.mark.parametrize("where", ["media", "thumbnails", "api/videos"])
def test_only_listed_files_are_served(client, shop, where, video):
    for address in (f"/{where}/{video}", f"/{where}/{shop.video()}"):
        reply = client.get(address)
        assert reply.status_code == 404
        assert reply.json().keys() == {"error"}


def test_openapi_schema_matches_the_responses(client):
    schema = client.get("/openapi.json").json()
    replies = schema["components"]["schemas"]
    for name, reply in {
        "Health": client.get("/health").json(),
        "Reply": client.get("/api/search", params={"id": IDS[0]}).json(),
        "FoundVideo": client.get("/api/search", params={"id": IDS[0]}).json()["answers"][0],
        "ListPage": client.get("/api/videos").json(),
        "Problem": client.get("/api/search").json(),
    }.items():
        assert set(reply) == set(replies[name]["properties"])
        assert all(described["description"] for described in replies[name]["properties"].values())
    form = schema["paths"]["/api/search"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"video", "top", "rerank"}


def test_all_responses_have_security_headers(client):
    for address in ("/", "/docs", "/search.js", "/health", "/nothing", "/media/nobody", f"/media/{quote(IDS[0])}"):
        headers = client.get(address).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_cross_site_requests_are_rejected(client, shop):
    assert client.get("/health", headers={"Host": "rebound.example"}).status_code == 421
    assert client.get("/health", headers={"Host": "localhost:1234"}).status_code == 200
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://rebound.example"}, {"Origin": "null"}):
        assert client.post("/api/search", headers=headers).status_code == 403
    own = {"Origin": str(client.base_url), "Sec-Fetch-Site": "same-origin"}
    with shop.video().open("rb") as file:
        assert client.post("/api/search", headers=own, files={"video": file}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_rejected(client, method):
    assert client.request(method, "/api/search").status_code == 405
