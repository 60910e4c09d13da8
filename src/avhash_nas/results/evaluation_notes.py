"""Notes below tables of scores: how the runs were evaluated, and on which data."""

from collections.abc import Mapping

from avhash_nas.metrics.scores import protocol_notes
from avhash_nas.results.measures import Metrics

_NAMED = 3
"""Number of runs that a note names."""


def evaluation_notes(runs: Mapping[str, Metrics]) -> list[str]:
    """Each note once, with the names of its runs unless all have it.

    Args:
        runs: Content of `metrics.json` of finished runs, by name.

    >>> own = {"queries": 9, "queries_in_database": 9, "exclude_self": True}
    >>> evaluation_notes({"a": {"test": own}, "b": {"test": {"queries": 9}}})
    ['9 of 9 queries are in the database: each is left out of its own ranking (a).']
    """
    names: dict[str, list[str]] = {}
    for name, metrics in runs.items():
        for note in _notes(metrics):
            names.setdefault(note, []).append(name)
    return [note if len(having) == len(runs) else f"{note[:-1]} ({_listed(having)})." for note, having in names.items()]


def _notes(metrics: Metrics) -> list[str]:
    data = metrics.get("data")
    return [*protocol_notes(metrics.get("test", {})), *([f"Fingerprint of the data: {data}."] if data else [])]


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
