"""Search by words over HTTP, without a server process."""

import asyncio

import httpx
import numpy as np
import pytest
import torch

from avhash_nas.baselines import EERCF
from avhash_nas.code_set import CodeSet
from avhash_nas.codes import halve, pack
from avhash_nas.data import Media
from avhash_nas.extraction import CharacterNgrams
from avhash_nas.retrieval import TextGatedRerank, create_store, open_store
from avhash_nas.serving import Catalogue, Service, VideoSearch, create_app

pytest.importorskip("faiss")
pytest.importorskip("fastapi")
WORDS = ("a dog barks", "a cat sleeps", "rain falls", "a dog runs")


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """Videos whose time steps are the vectors of words, the right one in time step 2; the network changes nothing."""
    encoder = CharacterNgrams(width=32)
    torch.manual_seed(0)
    network = EERCF(32, 1, 32, frames=3, bits=32, width=32, heads=1, layers=0, coarse_map=False).eval()
    noise = 0.1 * torch.randn(4, 3, 32)
    noise[:, 2] += torch.from_numpy(encoder(WORDS))
    visual, audio = noise, torch.zeros(4, 3, 1)
    values = network(visual, audio).detach()
    codes = CodeSet(
        np.array([f"v{row}" for row in range(4)]), pack(values).numpy(), 32, network.fingerprint(),
        halve(values).numpy(), network.time_steps(visual, audio).numpy().astype(np.float16),
        np.eye(2, dtype=np.bool_)[[0, 1, 1, 0]], ("dog", "other"),
    )  # fmt: skip
    where = str(tmp_path_factory.mktemp("text") / "store")
    create_store(where, codes)
    return VideoSearch(open_store(where), network, rerank=TextGatedRerank(), text=encoder)


def ask(search, **parameters):
    catalogue = Catalogue({f"v{row}": Media(f"v{row}", __file__) for row in range(4)})

    async def get():
        transport = httpx.ASGITransport(create_app(Service(search, catalogue)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            address = "/api/search" if parameters else "/health"
            return await client.get(address, params=parameters)

    return asyncio.run(get())


@pytest.mark.parametrize("row", range(4))
def test_words_find_their_video_and_its_time_step(search, row):
    reply = ask(search, text=WORDS[row]).json()
    assert reply["query"] == WORDS[row]
    first = reply["answers"][0]
    assert (first["id"], first["step"]) == (f"v{row}", 2)
    assert first["thumbnail"] == f"/thumbnails/v{row}?step=2&of=3"


def test_answers_can_be_limited_to_a_class(search):
    answers = ask(search, text="a cat sleeps", label="dog").json()["answers"]
    assert {answer["id"] for answer in answers} == {"v0", "v3"}


def test_the_state_says_what_can_be_asked(search):
    health = ask(search).json()
    assert (health["texts"], health["classes"]) == (True, ["dog", "other"])
    silent = VideoSearch(search.store)
    assert ask(silent).json()["texts"] is False
    refused = ask(silent, text="a dog")
    assert refused.status_code == 400
    assert "has no text side" in refused.json()["error"]


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"text": " "}, 400, "the text is empty"),
        ({"text": "x", "label": "cow"}, 400, "no class 'cow'"),
        ({"id": "v0", "label": "dog"}, 422, "label goes with text"),
        ({"id": "v0", "text": "x"}, 422, "give one of id, text and code"),
    ],
)
def test_bad_questions_are_one_line(search, parameters, status, message):
    reply = ask(search, **parameters)
    assert reply.status_code == status
    assert message in reply.json()["error"]
