"""A test from its rules: who ranks what for whom, one query at a time."""

from avhash_nas.metrics import NORMALIZATIONS, ids_from_names
from avhash_nas.metrics.ties import tie_order
from reference import metrics_retrieval as retrieval


def rankings(queries, database, *, include_self):
    """Relevance by rank of each query: nearest first, ties in the order that seed 0 draws, without the query itself."""
    names = database.ids.tolist()
    order = tie_order(ids_from_names(names).numpy(), 0).tolist()
    for name, code, labels in zip(queries.ids.tolist(), queries.packed, queries.labels, strict=True):
        others = [item for item in order if include_self or names[item] != name]
        others.sort(key=lambda item: sum(bin(a ^ b).count("1") for a, b in zip(code, database.packed[item])))
        yield [any(a and b for a, b in zip(labels, database.labels[item])) for item in others]


def scores(queries, database, k, *, include_self=False):
    """mAP@K by normalization, and the number of queries without a relevant video."""
    found = list(rankings(queries, database, include_self=include_self))
    means = {
        name: float(retrieval.mean([retrieval.average_precision(each, k, name) for each in found]))
        for name in NORMALIZATIONS
    }
    return means, sum(not any(each) for each in found)
