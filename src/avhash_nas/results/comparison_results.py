"""Results of a comparison, read from the folders of its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from avhash_nas.comparison import Comparison, Entry, PaperRow, Run, paper_rows
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.results.measures import VAL, Measure, Metrics, Statistic, statistic
from avhash_nas.results.search_quality import SearchQuality, read_supernet_scores, search_quality
from avhash_nas.space import Architecture


@dataclass(frozen=True)
class ComparisonResults:
    """Results of a comparison so far.

    Attributes:
        comparison: The comparison.
        metrics: Metrics of the finished runs.
        qualities: Search quality of finished runs that searched.
        alone: Stand-alone scores of the ranked architectures by short name, for each code length and seed.
        problems: Why a run is not finished, by the name of the run.
        notes: Notes on budgets.
    """

    comparison: Comparison
    metrics: Mapping[Run, Metrics]
    qualities: Mapping[Run, SearchQuality] = field(default_factory=dict)
    alone: Mapping[tuple[int, int], Mapping[str, float]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def finished(self, entry: Entry, bits: int) -> list[Run]:
        """The finished runs of an entry at a code length."""
        return [run for run in self.comparison.runs(entry) if run.bits == bits and run in self.metrics]

    def value(self, measure: Measure, entry: Entry, bits: int) -> Statistic | None:
        """Mean and spread over the seeds of an entry."""
        return statistic(measure.of(self.metrics[run]) for run in self.finished(entry, bits))

    def untrained(self, measure: Measure, name: str, bits: int) -> Statistic | None:
        """Mean and spread over seeds of a score on test that needs no training; all runs of a seed have the same.

        Args:
            measure: Measure of a score on test; others have no such value.
            name: Key in the metrics, beside `test`: `chance` or `random_projection`.
            bits: Code length.
        """
        if measure.path[0] != "test":
            return None
        measure = replace(measure, path=(name, *measure.path[1:]))
        by_seed = {run.seed: measure.of(metrics) for run, metrics in self.metrics.items() if run.bits == bits}
        return statistic(by_seed.values())

    def paper(self, entry: Entry) -> list[PaperRow]:
        """The paper's rows for an entry, on the dataset of the comparison."""
        dataset = self.comparison.dataset
        return paper_rows(entry.paper, dataset) if entry.paper and dataset else []


def read_results(
    comparison: Comparison,
    *,
    ranked: Sequence[str] = (),
    ranked_runs: Sequence[Run] = (),
    problems: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> ComparisonResults:
    """Read the results of the finished runs.

    Args:
        comparison: The comparison.
        ranked: Short names of the ranked architectures.
        ranked_runs: Runs whose supernets score the ranked architectures.
        problems: Why a run is not finished, by the name of the run.
        notes: Notes on budgets.
    """
    runs = [run for entry in comparison.entries for run in comparison.runs(entry)]
    points = [(bits, seed) for bits in comparison.bits for seed in comparison.seeds] if ranked else []
    return ComparisonResults(
        comparison,
        metrics={run: run.folder.read_metrics() for run in runs if run.folder.finished},
        qualities={run: _search_quality(comparison, run, ranked) for run in ranked_runs if run.folder.finished},
        alone={point: _stand_alone_scores(comparison, ranked, *point) for point in points},
        problems=problems or {},
        notes=notes,
    )


def _search_quality(comparison: Comparison, run: Run, ranked: Sequence[str]) -> SearchQuality:
    chosen = short_name(Architecture.load(run.folder.architecture))
    alone = _stand_alone_scores(comparison, [*ranked, chosen], run.bits, run.seed)
    return search_quality(read_supernet_scores(run.scores), alone, ranked, chosen)


def _stand_alone_scores(comparison: Comparison, names: Sequence[str], bits: int, seed: int) -> dict[str, float]:
    """mAP@100 on val of architectures that were trained alone, by short name; unfinished runs are left out."""
    folders = {name: comparison.alone(name, bits, seed).folder for name in names}
    scores = {name: VAL.of(folder.read_metrics()) for name, folder in folders.items() if folder.finished}
    return {name: score for name, score in scores.items() if score is not None}
