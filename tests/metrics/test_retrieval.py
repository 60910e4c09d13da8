import json
import pickle
import sys

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import RetrievalMetric, evaluate, pack

BITS = 12


def videos(role):
    """Relaxed codes, labels and indices of one role, with few bits, hence ties."""
    generator = torch.Generator().manual_seed(int(role == "query"))
    count = 17 if role == "query" else 41
    codes = torch.randn(count, BITS, generator=generator)
    labels = torch.rand(count, 3, generator=generator) < 0.4
    return codes, labels, torch.arange(count) * 7 + 3


def batches(role, rank=0, ranks=1, size=6):
    """A rank's share by DistributedSampler: every ranks-th video, padded from the start to equal length."""
    codes, labels, index = videos(role)
    padding = -len(codes) % ranks
    order = torch.cat([torch.arange(len(codes)), torch.arange(padding)])[rank::ranks]
    for rows in order.split(size):
        yield codes[rows], labels[rows], index[rows]


def filled(metric, rank=0, ranks=1, size=6):
    for role in ("database", "query"):
        for batch in batches(role, rank, ranks, size):
            metric.update(*batch, role=role)
    return metric


def expected(**options):
    (query_codes, query_labels, _), (codes, labels, index) = videos("query"), videos("database")
    options = {"ks": (3, None), "database_ids": index, "bits": BITS} | options
    return evaluate(pack(query_codes), query_labels, pack(codes), labels, **options)


def test_metric_equals_evaluate():
    metric = filled(RetrievalMetric(ks=(3, None), seed=5))
    assert metric.scores().to_dict() == expected(seed=5).to_dict()
    flat = {name: value.item() for name, value in metric.compute().items()}
    scores = expected(seed=5).to_dict()
    assert flat == pytest.approx(
        {f"map@{k}_{kind}": scores[f"map@{k}"][kind] for k in (3, "all") for kind in ("retrieved", "standard", "k")}
        | {f"{name}@{k}": scores[f"{name}@{k}"] for k in (3, "all") for name in ("precision", "recall")}
    )


def test_batch_size_order_and_repeats_do_not_matter():
    metric = filled(RetrievalMetric(ks=(3, None)), size=41)
    codes, labels, index = videos("database")
    metric.update(codes[:9].flip(0), labels[:9].flip(0), index[:9].flip(0), role="database")
    reordered = RetrievalMetric(ks=(3, None))
    for role in ("query", "database"):
        for batch in reversed(list(batches(role, size=4))):
            reordered.update(*(part.flip(0) for part in batch), role=role)
    assert metric.scores().to_dict() == reordered.scores().to_dict() == expected().to_dict()
    assert metric.scores().curves_to_dict() == reordered.scores().curves_to_dict()


def test_options_are_passed_to_evaluate():
    metric = filled(RetrievalMetric(ks=(3, None), ties="expected", exclude_self=True))
    query_index = videos("query")[2]
    reference = expected(ties="expected", exclude_self=True, query_ids=query_index)
    assert metric.scores().to_dict() == reference.to_dict()
    assert reference.to_dict() != expected(ties="expected").to_dict()


def test_reset_pickle_and_later_updates():
    metric = filled(RetrievalMetric(ks=(3, None)))
    assert pickle.loads(pickle.dumps(metric)).scores().to_dict() == expected().to_dict()
    metric.compute()
    codes, labels, _ = videos("query")
    metric.update(-codes[:5], labels[:5], torch.arange(1000, 1005), role="query")
    assert metric.scores().queries == 22
    metric.reset()
    narrow = torch.ones(2, 3), torch.ones(2, 1, dtype=torch.bool), torch.arange(2)
    metric.update(*narrow, role="query")
    metric.update(*narrow, role="database")
    assert metric.scores().precision == {3: 2 / 3, None: 1.0}


def _rank(rank, ranks, folder):
    """One process of two: computes and saves the scores."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=ranks)
    padded = filled(RetrievalMetric(ks=(3, None)), rank, ranks, size=4)
    uneven = RetrievalMetric(ks=(3, None))
    for role in ("database", "query"):
        for place, batch in enumerate(batches(role)):
            if (place == 0) == (rank == 0):
                uneven.update(*batch, role=role)
    alone = RetrievalMetric(ks=(3, None))
    if rank == 0:
        filled(alone)
    results = {
        name: {
            "logged": metric.compute()["map@3_standard"].item(),
            "scores": metric.scores().to_dict(),
            "own batches afterwards": len(metric.index),
        }
        for name, metric in {"padded": padded, "uneven": uneven, "alone": alone}.items()
    }
    (folder / f"rank{rank}.json").write_text(json.dumps(results))
    distributed.destroy_process_group()


def test_two_ranks_match_one_process(tmp_path):
    """Padded shards, uneven shards, and a rank without videos."""
    # Forked processes start at once; fresh ones would spend many times the test's own time on imports.
    method = "fork" if sys.platform == "linux" else "spawn"
    mp.start_processes(_rank, args=(2, tmp_path), nprocs=2, start_method=method)
    one = expected().to_dict()
    for rank in range(2):
        results = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert set(results) == {"padded", "uneven", "alone"}
        for name, found in results.items():
            assert found["scores"] == one, name
            assert found["logged"] == pytest.approx(one["map@3"]["standard"]), name
        assert results["padded"]["own batches afterwards"] == 6 + 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "gallery"}, "role: expected query or database, got 'gallery'"),
        ({"labels": torch.zeros(2, 3)}, r"labels: expected bool of shape \(2, C\)"),
        ({"index": torch.zeros(2)}, r"index: expected int64 of shape \(2,\), got torch.float32"),
        ({"codes": torch.zeros(2, 9)}, "bits: 8 in earlier batches, 9 in this one"),
        ({"labels": torch.zeros(2, 4, dtype=torch.bool)}, "classes: 3 in earlier batches, 4 in this one"),
        ({"codes": torch.full((2, 8), torch.nan)}, "row 0 has nan"),
    ],
)
def test_invalid_batches_are_reported(change, message):
    good = {
        "codes": torch.zeros(2, 8),
        "labels": torch.zeros(2, 3, dtype=torch.bool),
        "index": torch.arange(2),
        "role": "query",
    }
    metric = RetrievalMetric()
    metric.update(**good)
    with pytest.raises(AvnasError, match=message):
        metric.update(**(good | change))


def test_bad_options_fail_before_the_first_batch():
    with pytest.raises(AvnasError, match="ks: expected whole numbers of at least 1"):
        RetrievalMetric(ks=(0,))
    with pytest.raises(AvnasError, match="ties: expected one of permuted, expected, got 'first'"):
        RetrievalMetric(ties="first")


def test_compute_reports_missing_roles():
    metric = RetrievalMetric()
    metric.update(torch.zeros(2, 8), torch.zeros(2, 3, dtype=torch.bool), torch.arange(2), role="query")
    with pytest.raises(AvnasError, match="no video with role='database'"):
        metric.compute()
