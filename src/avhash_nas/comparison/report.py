"""What a comparison found, as tables and as CSV."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avhash_nas.comparison.paper import DATASETS, PaperRow, paper_rows
from avhash_nas.comparison.plan import Comparison, Entry, Run
from avhash_nas.comparison.ranking import Quality, agreement
from avhash_nas.comparison.results import (
    ALL,
    COSTS,
    IN_FULL,
    INFERENCE,
    PARAMETERS,
    RETRIEVED,
    SEARCHED,
    TEST,
    TRAIN_EPOCH,
    Measure,
    Metrics,
    Statistic,
    score_text,
    statistic,
)
from avhash_nas.comparison.tables import MISSING, Table
from avhash_nas.files import write_whole

_SCORES_NOTE = (
    "retrieved, standard: mAP@100 on test, divided by the hits within 100 or by min(100, relevant); mean ± sample "
    "standard deviation over seeds."
)
_PAPER_NOTE = (
    "The paper prints one figure each, without seeds or spread; ± in its Random row is over its five networks."
)
_ELSEWHERE_NOTE = (
    "mAP@100 retrieved, times and sizes at 64 bits, on other data sets with other features than ours: they are no "
    "yardstick for the figures above."
)
_DIVISORS = {"retrieved": "the hits within K", "standard": "min(K, relevant)", "k": "K"}
_QUALITY_NOTE = (
    "tau: Kendall's tau-b between the supernet's scores of the ranked architectures and their scores after training "
    "alone, from fresh weights, by the recipe of fine-tuning. regret: best of the ranked minus the chosen one, both "
    "trained alone; negative where the chosen one, which need not be among them, is better. mAP@100 retrieved, val."
)
_CANDIDATES_NOTE = "mAP@100 retrieved on val of what a strategy scored or trained before it chose; means over seeds."


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

    def paper(self, entry: Entry) -> list[PaperRow]:
        """The paper's rows beside an entry."""
        dataset = self.comparison.dataset
        return paper_rows(entry.paper, dataset) if entry.paper and dataset else []


def tables(results: Results) -> list[Table]:
    """Every table that there is something for."""
    made = [_scores(results), *_in_full(results), _costs(results), _elsewhere(results)]
    made += [_quality(results), _candidates(results), _problems(results)]
    return [table for table in made if table.rows]


def write_report(results: Results) -> list[Path]:
    """Write the tables as Markdown, a row for each entry and code length as CSV, and a row for each run as CSV.

    Returns:
        The files.
    """
    comparison = results.comparison
    files = [Path(comparison.out) / f"{comparison.report}{ending}" for ending in (".md", ".csv", "-runs.csv")]
    text = f"# {comparison.title}\n\n" + "\n\n".join(table.to_markdown() for table in tables(results)) + "\n"
    write_whole(files[0], lambda partial: partial.write_text(text, encoding="utf-8"))
    write_whole(files[1], lambda partial: _write_csv(partial, _entry_rows(results)))
    write_whole(files[2], lambda partial: _write_csv(partial, _run_rows(results)))
    return files


def _scores(results: Results) -> Table:
    bits = results.comparison.bits
    shown = [(measure, length, f"{measure.title}, {length}") for measure in TEST for length in bits]
    shown += [(measure, max(bits), measure.title) for measure in SEARCHED]
    notes = [_SCORES_NOTE, f"supernet, derived: mAP@100 retrieved on val, at {max(bits)} bits.", *results.notes]
    if any(results.paper(entry) for entry in results.comparison.entries):
        notes.append(_PAPER_NOTE)
    return _figures(results, "mAP@100", shown, notes)


def _in_full(results: Results) -> list[Table]:
    """A table for each normalisation, where they are asked for."""
    if not results.comparison.in_full:
        return []
    bits = results.comparison.bits
    return [
        _figures(
            results,
            f"mAP on test, divided by {_DIVISORS[normalisation]} ({normalisation})",
            [(measure, length, f"{measure.title}, {length}") for measure in measures for length in bits],
            [],
        )
        for normalisation, measures in IN_FULL.items()
    ]


def _elsewhere(results: Results) -> Table:
    """The paper's figures, where none of its data sets is ours."""
    rows = []
    for entry in results.comparison.entries if results.comparison.dataset is None else ():
        if not entry.paper:
            continue
        lines = {dataset: paper_rows(entry.paper, dataset) for dataset in DATASETS}
        scores = [
            statistic(line.figure(RETRIEVED.key, bits) for line in lines[dataset])
            for dataset in DATASETS
            for bits in (32, 64)
        ]
        costs = [
            (measure, statistic(line.figure(measure.key, 64) for line in lines[dataset]))
            for measure in (TRAIN_EPOCH, INFERENCE, PARAMETERS)
            for dataset in DATASETS
        ]
        texts = [*((RETRIEVED, score) for score in scores), *costs]
        rows.append([f"{entry.title} ({_lines(lines[DATASETS[0]])})", *(_text(*each) for each in texts)])
    names = ("ActivityNet", "FCVID")
    columns = [f"{name}, {bits}" for name in names for bits in (32, 64)]
    columns += [f"{measure.title}, {name}" for measure in (TRAIN_EPOCH, INFERENCE, PARAMETERS) for name in names]
    return Table("What the paper prints", ["", *columns], rows, [_ELSEWHERE_NOTE])


def _costs(results: Results) -> Table:
    bits = max(results.comparison.bits)
    shown = [(measure, bits, measure.title) for measure in COSTS]
    return _figures(results, "Time and size", shown, [f"Means over seeds, at {bits} bits."])


def _figures(results: Results, title: str, shown: list[tuple[Measure, int, str]], notes: list[str]) -> Table:
    """Our figures and, where there are any, the paper's below them.

    Args:
        results: Of the comparison.
        title: Of the table.
        shown: What stands in a column, at which code length, and the column's title.
        notes: Below the table.
    """
    columns = ["", "seeds", *(column for *_, column in shown)]
    rows: list[list[str]] = []
    heading = ""
    for entry in results.comparison.entries:
        if entry.group != heading:
            heading = entry.group
            rows.append([f"{heading}:", *[""] * (len(columns) - 1)])
        counts = [str(len(results.of(entry, bits))) for bits in results.comparison.bits]
        seeds = counts[0] if len(set(counts)) == 1 else "/".join(counts)
        ours = [_text(measure, results.figure(measure, entry, bits)) for measure, bits, _ in shown]
        rows.append([entry.title, seeds, *ours])
        if paper := results.paper(entry):
            theirs = [
                _text(measure, statistic(row.figure(measure.key, bits) for row in paper)) for measure, bits, _ in shown
            ]
            rows.append([f"  paper, {_lines(paper)}", "", *theirs])
    return Table(title, columns, rows, notes)


def _quality(results: Results) -> Table:
    columns = ["", "bits", "runs", "tau", "regret", "chosen, alone", "best ranked", "ranked"]
    rows = []
    for entry in results.comparison.entries:
        for bits in results.comparison.bits:
            found = [results.qualities[run] for run in results.of(entry, bits) if run in results.qualities]
            if not found:
                continue
            figures = [
                statistic(getattr(quality, name) for quality in found) for name in ("tau", "regret", "chosen", "best")
            ]
            ranked = statistic(float(quality.count) for quality in found)
            texts = [MISSING if figure is None else score_text(figure) for figure in figures]
            count = MISSING if ranked is None or not ranked.mean else f"{ranked.mean:.0f}"
            rows.append([entry.title, str(bits), str(len(found)), *texts, count])
    return Table("How good is the choice?", columns, rows, [_QUALITY_NOTE, *_noise(results)])


def _noise(results: Results) -> list[str]:
    """What chance leaves for tau to find, and for a choice to gain."""
    notes = []
    for bits in results.comparison.bits:
        scores = [results.alone[bits, seed] for seed in results.comparison.seeds if results.alone.get((bits, seed))]
        spreads = statistic(spread.spread for each in scores if (spread := statistic(each.values())))
        if spreads is None:
            continue
        tau = agreement(scores)
        text = f"{bits} bits: the ranked architectures, trained alone, spread by {spreads.mean:.3f}"
        notes.append(f"{text}." if tau is None else f"{text}; between two seeds their orders agree with tau {tau:.3f}.")
    return notes


def _candidates(results: Results) -> Table:
    rows = []
    for entry in results.comparison.entries:
        for bits in results.comparison.bits:
            reports = [results.metrics[run].get("search") or {} for run in results.of(entry, bits)]
            count, *scores = (
                statistic(report.get(name) for report in reports) for name in ("evaluations", "mean", "spread", "best")
            )
            if count is not None:
                texts = [MISSING if score is None else f"{score.mean:.3f}" for score in scores]
                rows.append([entry.title, str(bits), f"{count.mean:.0f}", *texts])
    return Table("Before the choice", ["", "bits", "number", "mean", "spread", "best"], rows, [_CANDIDATES_NOTE])


def _problems(results: Results) -> Table:
    """One row for each reason, with the first runs that it keeps back."""
    runs: dict[str, list[str]] = {}
    for name, why in results.problems.items():
        runs.setdefault(why, []).append(name)
    rows = [
        [", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""), why]
        for why, names in runs.items()
    ]
    return Table("Not finished", ["run", "why"], rows)


def _text(measure: Measure, figure: Statistic | None) -> str:
    return MISSING if figure is None else measure.form(figure)


def _lines(rows: Sequence[PaperRow]) -> str:
    first, last = rows[0].line, rows[-1].line
    if not first.isdigit():
        return first
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _entry_rows(results: Results) -> Iterable[dict[str, Any]]:
    for entry in results.comparison.entries:
        for bits in results.comparison.bits:
            row: dict[str, Any] = {"entry": entry.name, "bits": bits, "runs": len(results.of(entry, bits))}
            for measure in ALL:
                ours = results.figure(measure, entry, bits)
                theirs = statistic(line.figure(measure.key, bits) for line in results.paper(entry))
                row |= {measure.key: _mean(ours), f"{measure.key}_spread": None if ours is None else ours.spread}
                if results.comparison.dataset is not None:
                    row[f"{measure.key}_paper"] = _mean(theirs)
            yield row


def _run_rows(results: Results) -> Iterable[dict[str, Any]]:
    for entry in results.comparison.entries:
        for run in results.comparison.runs(entry):
            metrics = results.metrics.get(run, {})
            found = results.qualities.get(run, Quality(None, 0, None, None))
            yield {
                **{"entry": entry.name, "bits": run.bits, "seed": run.seed, "finished": run in results.metrics},
                **{measure.key: measure.of(metrics) for measure in ALL},
                **{"tau": found.tau, "ranked": found.count, "regret": found.regret},
                **{"chosen_alone": found.chosen, "best_ranked_alone": found.best},
            }


def _mean(figure: Statistic | None) -> float | None:
    return None if figure is None else figure.mean


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
