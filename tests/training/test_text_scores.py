"""Two stages of a search by words: what recall decides, and what a rerank may change."""

import numpy as np
import pytest
import torch

from avhash_nas.baselines import EERCF
from avhash_nas.data import HashingData
from avhash_nas.metrics import text_to_video
from avhash_nas.retrieval import TextGatedRerank
from avhash_nas.training.text_scores import FineWeights, fine_scores, recall_scores, split_views, text_scores, two_stage
from training.tiny import captioned_set

RANDOM = np.random.default_rng(0)
RECALL, FINE = RANDOM.integers(0, 4, (30, 12)).astype(np.float32), RANDOM.standard_normal((30, 12)).astype(np.float32)
OWN = RANDOM.integers(0, 12, 30)


def ranks(scores):
    return text_to_video(scores, OWN).ranks


def test_reranking_everything_is_scoring_everything():
    np.testing.assert_array_equal(ranks(two_stage(RECALL, FINE, 12)), ranks(FINE))
    np.testing.assert_array_equal(ranks(two_stage(RECALL, FINE, 99)), ranks(FINE))


@pytest.mark.parametrize("depth", [1, 3, 7])
def test_the_first_k_are_the_recalls_and_the_others_stay(depth):
    distinct = RECALL + np.linspace(0, 0.5, 12, dtype=np.float32)  # without ties
    before, after = ranks(distinct), ranks(two_stage(distinct, FINE, depth))
    outside = before > depth
    np.testing.assert_array_equal(after[outside], before[outside])
    assert (after[~outside] <= depth).all()
    for row in range(len(FINE)):  # the loop: take the first k, sort them by the second score
        first = sorted(range(12), key=lambda item: -distinct[row, item])[:depth]
        ordered = sorted(first, key=lambda item: -FINE[row, item])
        if OWN[row] in ordered:
            assert after[row] == 1 + ordered.index(OWN[row])


def test_ties_at_the_end_of_the_recall_are_broken_by_the_seed():
    flat = np.zeros((1, 40), np.float32)
    chosen = {tuple((two_stage(flat, flat, 5, seed)[0] > -10).nonzero()[0]) for seed in range(8)}
    assert len(chosen) == 8


@pytest.fixture
def searched(tiny_data, tmp_path):
    data = HashingData(captioned_set(tiny_data, tmp_path / "data"), cache_dir=tmp_path).prepare()
    torch.manual_seed(0)
    return EERCF(8, 6, data.text_dim, frames=9, bits=16, width=16, heads=2, layers=1).eval(), data


def test_scores_are_those_of_a_search_with_the_rerank_of_the_stores(searched):
    """Encode, recall by Hamming distance, rerank by NumPy: the same numbers as the evaluation by torch."""
    network, data = searched
    views = split_views(network, data, "test", None)
    fine = fine_scores(views, FineWeights(), recall_scores(views)["values"])
    found = data.captions
    positions = found.of(data.splits["test"])
    queries = network.encode_texts(found.vectors[positions], [str(position) for position in positions])
    rows = np.unique(found.rows[positions])
    batch = data.batch(rows)
    from avhash_nas.code_set import CodeSet
    from avhash_nas.codes import halve, pack

    codes = network(batch.visual, batch.audio).detach()
    database = CodeSet(
        np.array(data.ids)[rows], pack(codes).numpy(), 16, network.fingerprint(), halve(codes).numpy(),
        network.time_steps(batch.visual, batch.audio).numpy().astype(np.float16),
    )  # fmt: skip
    rerank = TextGatedRerank()
    rerank.check(queries, database)
    for row in range(0, len(positions), 5):
        np.testing.assert_allclose(rerank.scores(queries.take([row]), database), fine[row], atol=0.01)


def test_both_directions_all_ways_and_costs(searched):
    network, data = searched
    scores = text_scores(network, data, depths=(1, 4))
    assert set(scores["scores"]["codes"]) == {"alone", "k=1", "k=4"}
    alone, reranked = (scores["scores"]["values"][way]["text_to_video"] for way in ("alone", "k=4"))
    assert scores["scores"]["values"]["k=1"]["text_to_video"]["hit@1"] == pytest.approx(alone["hit@1"])
    assert reranked["hit@5"] == pytest.approx(alone["hit@5"])  # K beyond k is the recall's
    captions = scores["scores"]["values"]["alone"]["video_to_text_by_caption"]
    assert (captions["queries"], captions["items"]) == (16, 32)
    assert scores["cost"]["published"]["k=4"] == 16 + 4 / 16 * 9 * 17
    assert scores["cost"]["bytes"]["codes alone"] == 2
    assert text_scores(network, data, language="de") is None
