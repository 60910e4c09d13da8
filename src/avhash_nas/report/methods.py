"""Runs that differ in nothing but the seed, drawn as one."""

from collections.abc import Iterable
from dataclasses import dataclass

from avhash_nas.report.run import RunRecord


@dataclass(frozen=True)
class Method:
    """Runs of one method at one code length.

    Attributes:
        label: The strategy, the architecture or the network.
        bits: Code length q.
        runs: One for each seed.
    """

    label: str
    bits: int
    runs: tuple[RunRecord, ...]


def methods(records: Iterable[RunRecord]) -> list[Method]:
    """Group runs by what ran and by code length, in the order in which they come.

    Runs of one method and code length with equal seeds, which therefore differ in another option, are told apart by
    their folders' names.

    Args:
        records: Of any runs.
    """
    grouped: dict[tuple[str, int], list[RunRecord]] = {}
    for record in records:
        grouped.setdefault((record.method, record.bits), []).append(record)
    found = []
    for (label, bits), runs in grouped.items():
        if len({run.options.get("seed") for run in runs}) == len(runs):
            found.append(Method(label, bits, tuple(runs)))
        else:
            found += [Method(f"{label} ({run.name})", bits, (run,)) for run in runs]
    return found
