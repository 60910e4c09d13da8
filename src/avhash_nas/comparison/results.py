"""What a comparison found so far."""

from dataclasses import dataclass, field, replace

from avhash_nas.comparison.measures import Measure, Metrics, Statistic, statistic
from avhash_nas.comparison.paper import PaperRow, paper_rows
from avhash_nas.comparison.plan import Comparison, Entry, Run
from avhash_nas.comparison.ranking import Quality


@dataclass(frozen=True)
class Results:
    """What a comparison found so far.

    Attributes:
        comparison: What was compared.
        metrics: Of the finished runs.
        qualities: Of the choices of finished runs that searched.
        alone: Stand-alone scores of the ranked architectures by short name, for each code length and seed.
        problems: For each run that is not finished, why not.
        notes: On budgets.
    """

    comparison: Comparison
    metrics: dict[Run, Metrics]
    qualities: dict[Run, Quality] = field(default_factory=dict)
    alone: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, entry: Entry, bits: int) -> list[Run]:
        """The finished runs of an entry at a code length."""
        return [run for run in self.comparison.runs(entry) if run.bits == bits and run in self.metrics]

    def figure(self, measure: Measure, entry: Entry, bits: int) -> Statistic | None:
        """Mean and spread of a figure over seeds."""
        return statistic(measure.of(self.metrics[run]) for run in self.of(entry, bits))

    def reference_score(self, measure: Measure, name: str, bits: int) -> Statistic | None:
        """Mean and spread over seeds of what a score on test is measured against; all runs of a seed have the same.

        Args:
            measure: Of a score on test; others have none.
            name: Where the metrics have it, beside `test`.
            bits: The code length.
        """
        if measure.path[0] != "test":
            return None
        there = replace(measure, path=(name, *measure.path[1:]))
        return statistic(
            {run.seed: there.of(found) for run, found in self.metrics.items() if run.bits == bits}.values()
        )

    def paper(self, entry: Entry) -> list[PaperRow]:
        """The paper's rows beside an entry."""
        dataset = self.comparison.dataset
        return paper_rows(entry.paper, dataset) if entry.paper and dataset else []
