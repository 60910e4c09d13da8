"""Search by video, id, code and features, with and without rerank."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.cli import main
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import Extraction
from avhash_nas.networks import HashNetwork
from avhash_nas.retrieval import AsymmetricRerank, FrameRerank, ValueRerank, create_store, open_store
from avhash_nas.retrieval.values import cosine
from avhash_nas.serving import VideoSearch
from retrieval.backends import codes_of
from serving.shop import IDS, UNSTORED

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def search(shop):
    store = open_store(str(shop.store))
    return VideoSearch(store, HashNetwork.from_pretrained(shop.model), Extraction.from_dict(store.extraction))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store of 60 similar codes, and its code set."""
    codes = codes_of([f"v{row}" for row in range(60)], bits=16, spread=16)
    return create_store(str(tmp_path_factory.mktemp("many") / "x.avnas"), codes), codes


def distances(codes, row):
    return np.bitwise_count(codes.packed ^ codes.packed[row]).sum(1)


def test_video_finds_itself(shop, search):
    """A video's code does not depend on the batch, as no value is within rounding of zero."""
    for number, video in enumerate(IDS[:3]):
        answers = search.by_video(shop.video(number), top=3)
        assert video in [answer.id for answer in answers if answer.distance == 0]
        features = search.extraction.features(shop.video(number))
        assert search.by_features(features.visual, features.audio, top=3) == answers


def test_labels_are_class_names(search):
    answers = {answer.id: answer.labels for answer in search.by_id("disc red", top=20)}
    assert answers["square blue"] == ("square",)
    assert UNSTORED not in answers


def test_by_id_orders_the_others_by_distance(many):
    store, codes = many
    answers = VideoSearch(store).by_id("v7", top=100)
    assert {answer.id for answer in answers} == set(codes.ids) - {"v7"}
    wanted = distances(codes, 7)
    assert [answer.distance for answer in answers] == sorted(np.delete(wanted, 7).tolist())
    assert all(wanted[int(answer.id[1:])] == answer.distance for answer in answers)
    assert all(answer.score is None for answer in answers)
    assert len(VideoSearch(store).by_id("v7", top=4)) == 4


def test_by_id_includes_the_video_itself_on_request(many):
    assert "v7" in [answer.id for answer in VideoSearch(many[0]).by_id("v7", top=60, itself=True)]


def test_by_id_among_equal_codes(tmp_path):
    """More codes at distance 0 than `top`: the video is left out in any case."""
    store = create_store(str(tmp_path / "x.avnas"), codes_of([f"v{row}" for row in range(20)], [[1, 2]] * 20))
    for video in ("v0", "v19"):
        answers = VideoSearch(store).by_id(video, top=5)
        assert len({answer.id for answer in answers} - {video}) == 5


def test_rerank_reorders_only_within_its_depth(many):
    store, codes = many
    plain = VideoSearch(store).by_id("v3", top=60)
    for depth, top in ((10, 30), (30, 10), (100, 60)):
        answers = VideoSearch(store, rerank=ValueRerank(depth)).by_id("v3", top=top)
        pool = plain[:depth]
        rows = [int(answer.id[1:]) for answer in pool]
        scores = cosine(codes.values[3], codes.values[rows])
        order = np.argsort(-scores, kind="stable")[:top]
        first = answers[: min(depth, top)]
        assert [answer.id for answer in first] == [pool[place].id for place in order]
        np.testing.assert_allclose([answer.score for answer in first], scores[order], rtol=1e-5)
        assert answers[depth:] == plain[depth:top]


def test_by_code(many):
    store, codes = many
    search = VideoSearch(store, rerank=AsymmetricRerank())
    answers = search.by_code(codes.packed[5].tobytes().hex().upper(), top=1)
    assert (answers[0].distance, answers[0].score) == (0, None)
    for code, words in (("xy", "not hexadecimal"), ("01", "8 bits; .* codes of 16 bits, 4 hex"), ("", "0 bits")):
        with pytest.raises(AvnasError, match=words):
            search.by_code(code)


def test_mismatched_arguments_are_rejected(search, many, tmp_path):
    store, codes = many
    other = MeanPoolMLP(4, 4, 16, hidden=4)
    with pytest.raises(AvnasError, match=f"codes of network {other.fingerprint()}; .* holds codes of network 0123"):
        VideoSearch(store, other)
    with pytest.raises(AvnasError, match=r"codes of 8 bits; .* holds codes of 16 bits"):
        VideoSearch(store, MeanPoolMLP(4, 4, 8, hidden=4))
    bare = create_store(str(tmp_path / "x.avnas"), replace(codes, values=None, frames=None))
    for rerank, name in ((ValueRerank(), "values"), (FrameRerank(), "frames")):
        with pytest.raises(AvnasError, match=f"stored without {name}"):
            VideoSearch(bare, rerank=rerank)
    VideoSearch(bare, rerank=AsymmetricRerank())
    with pytest.raises(AvnasError, match="needs the network that computed the codes"):
        VideoSearch(store, extraction=search.extraction).by_video("x.mp4")
    with pytest.raises(AvnasError, match="the feature extraction of the stored codes is unknown"):
        VideoSearch(store).by_video("x.mp4")
    with pytest.raises(AvnasError, match=r"visual features of shape \(5, 3\); the network takes \(T, "):
        search.by_features(np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32))
    with pytest.raises(AvnasError, match="top must be at least 1"):
        VideoSearch(store).by_id("v1", top=0)


def test_network_is_unchanged(shop):
    store = open_store(str(shop.store))
    network = HashNetwork.from_pretrained(shop.model).train()
    search = VideoSearch(store, network, Extraction.from_dict(store.extraction))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    search.by_video(shop.video())
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_query_command_by_video(shop, capsys):
    arguments = ["query", f"--store={shop.store}", f"--video={shop.video(3)}", f"--features={shop.features}"]
    assert main([*arguments, f"--model={shop.model}", "--top=4", "--json", "--rerank=values"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert len(answers) == 4
    assert answers[0]["id"] == IDS[3]
    assert answers[0]["score"] == pytest.approx(1, abs=1e-4)
    assert answers[0]["path"] == str(shop.video(3))


def test_query_command_rejects_another_network(shop, tmp_path, capsys):
    own = HashNetwork.from_pretrained(shop.model)
    other = MeanPoolMLP(**{**own.arguments(), "hidden": 8})
    other.save_pretrained(tmp_path / "model")
    arguments = ["query", f"--store={shop.store}", f"--video={shop.video(3)}", f"--model={tmp_path / 'model'}"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert other.fingerprint() in error
    assert own.fingerprint() in error
