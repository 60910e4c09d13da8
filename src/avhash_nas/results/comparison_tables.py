"""Results of a comparison as tables beside the paper's, and as CSV files."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avhash_nas.comparison.paper import DATASETS, PaperRow, paper_rows
from avhash_nas.comparison.plan import Entry, Run
from avhash_nas.files import write_whole
from avhash_nas.results import measures
from avhash_nas.results.comparison_results import ComparisonResults
from avhash_nas.results.evaluation_notes import evaluation_notes
from avhash_nas.results.measures import MISSING, Measure, Statistic, score_text, statistic
from avhash_nas.results.search_quality import SearchQuality, seed_agreement
from avhash_nas.results.table import Table

UNTRAINED = {"random projection": "random_projection", "chance": "chance"}
"""References that need no training, by row title: their keys in `metrics.json`."""

UNTRAINED_HEADING = "Without training"
"""Heading above the references, where entries have headings."""

_SCORES_NOTE = (
    "retrieved, standard: mAP@100 on test, divided by the hits within 100 or by min(100, relevant); mean ± sample "
    "standard deviation over seeds."
)
_PAPER_NOTE = "The paper reports single values without seeds or spread; ± in its Random row is over its five networks."
_PUBLISHED_NOTE = (
    "mAP@100 retrieved; times and sizes at 64 bits. The paper's datasets and features differ from ours, so these "
    "values are not comparable with the scores above."
)
_QUALITY_NOTE = (
    "tau: Kendall's tau-b between the supernet's scores of the ranked architectures and their scores after training "
    "alone, from scratch, with the fine-tuning recipe. regret: best ranked minus chosen architecture, both trained "
    "alone; negative if the chosen one, which may lie outside the ranking, is better. mAP@100 retrieved, val."
)
_EVALUATED_NOTE = (
    "mAP@100 retrieved on val of the architectures that a strategy scored or trained before it chose one; means over "
    "seeds."
)
_DIVISORS = {"retrieved": "the hits within K", "standard": "min(K, relevant)", "k": "K"}

_PUBLISHED_COSTS = (measures.TRAIN_EPOCH, measures.INFERENCE, measures.PARAMETERS)

_Column = tuple[Measure, int, str]
"""Measure, code length and title of a column."""


def comparison_tables(results: ComparisonResults) -> list[Table]:
    """All tables that have rows."""
    tables = [_scores(results), *_scores_in_full(results), _costs(results), _published(results)]
    tables += [_search_quality(results), _evaluated(results), _unfinished(results)]
    return [table for table in tables if table.rows]


def write_tables(results: ComparisonResults) -> list[Path]:
    """Write REPORT.md, REPORT.csv with a row per entry and code length, and REPORT-runs.csv with a row per run.

    Returns:
        The files.
    """
    comparison = results.comparison
    files = [Path(comparison.out) / f"{comparison.report}{ending}" for ending in (".md", ".csv", "-runs.csv")]
    text = f"# {comparison.title}\n\n" + "\n\n".join(table.to_markdown() for table in comparison_tables(results)) + "\n"
    write_whole(files[0], lambda partial: partial.write_text(text, encoding="utf-8"))
    write_whole(files[1], lambda partial: _write_csv(partial, _entry_rows(results)))
    write_whole(files[2], lambda partial: _write_csv(partial, _run_rows(results)))
    return files


def _scores(results: ComparisonResults) -> Table:
    """mAP@100 on test, and of supernets on val."""
    lengths = results.comparison.bits
    columns = [(measure, bits, f"{measure.title}, {bits}") for measure in measures.TEST for bits in lengths]
    columns += [(measure, max(lengths), measure.title) for measure in measures.SEARCHED]
    notes = [_SCORES_NOTE, f"supernet, derived: mAP@100 retrieved on val, at {max(lengths)} bits.", *results.notes]
    notes += evaluation_notes({str(run): metrics for run, metrics in results.metrics.items()})
    if any(results.paper(entry) for entry in results.comparison.entries):
        notes.append(_PAPER_NOTE)
    return _entry_table(results, "mAP@100", columns, notes)


def _scores_in_full(results: ComparisonResults) -> Iterator[Table]:
    """One table for each normalization, if the comparison wants them."""
    for divisor, scores in measures.IN_FULL.items() if results.comparison.in_full else ():
        title = f"mAP on test, divided by {_DIVISORS[divisor]} ({divisor})"
        lengths = results.comparison.bits
        columns = [(measure, bits, f"{measure.title}, {bits}") for measure in scores for bits in lengths]
        yield _entry_table(results, title, columns, [])


def _costs(results: ComparisonResults) -> Table:
    bits = max(results.comparison.bits)
    columns = [(measure, bits, measure.title) for measure in measures.COSTS]
    return _entry_table(results, "Time and size", columns, [f"Means over seeds, at {bits} bits."])


def _entry_table(results: ComparisonResults, title: str, columns: Sequence[_Column], notes: list[str]) -> Table:
    """A row for each entry, with the paper's values below it, then the references that need no training."""
    titles = ["", "seeds", *(title for *_, title in columns)]
    blank = [""] * (len(titles) - 1)
    rows: list[list[str]] = []
    for heading, entry in results.comparison.under_headings():
        if heading:
            rows.append([f"{heading}:", *blank])
        counts = [str(len(results.finished(entry, bits))) for bits in results.comparison.bits]
        seeds = counts[0] if len(set(counts)) == 1 else "/".join(counts)
        ours = [measure.text(results.value(measure, entry, bits)) for measure, bits, _ in columns]
        rows.append([entry.title, seeds, *ours])
        if paper := results.paper(entry):
            theirs = [measure.text(_published_value(paper, measure, bits)) for measure, bits, _ in columns]
            rows.append([f"  paper, {_line_numbers(paper)}", "", *theirs])
    untrained = {
        title: [(measure, results.untrained(measure, name, bits)) for measure, bits, _ in columns]
        for title, name in UNTRAINED.items()
    }
    known = {title: values for title, values in untrained.items() if any(value for _, value in values)}
    if known and results.comparison.entries[-1].group:
        rows.append([f"{UNTRAINED_HEADING}:", *blank])
    rows += [[title, "", *(measure.text(value) for measure, value in values)] for title, values in known.items()]
    return Table(title, titles, rows, notes)


def _published(results: ComparisonResults) -> Table:
    """The paper's values for both of its datasets, if the comparison is on neither."""
    points: list[tuple[Measure, str, int]] = [
        *((measures.RETRIEVED, dataset, bits) for dataset in DATASETS for bits in (32, 64)),
        *(
            (measure, dataset, 64)
            for measure in (measures.TRAIN_EPOCH, measures.INFERENCE, measures.PARAMETERS)
            for dataset in DATASETS
        ),
    ]
    rows = []
    for entry in results.comparison.entries if results.comparison.dataset is None else ():
        if entry.paper:
            paper = {dataset: paper_rows(entry.paper, dataset) for dataset in DATASETS}
            values = [measure.text(_published_value(paper[at], measure, bits)) for measure, at, bits in points]
            rows.append([f"{entry.title} ({_line_numbers(paper[DATASETS[0]])})", *values])
    names = {"activitynet": "ActivityNet", "fcvid": "FCVID"}
    titles = [
        f"{names[dataset]}, {bits}" if measure is measures.RETRIEVED else f"{measure.title}, {names[dataset]}"
        for measure, dataset, bits in points
    ]
    return Table("Published results", ["", *titles], rows, [_PUBLISHED_NOTE])


def _search_quality(results: ComparisonResults) -> Table:
    columns = ["", "bits", "runs", "tau", "regret", "chosen, alone", "best ranked", "ranked"]
    rows = []
    for entry, bits, runs in _points(results):
        qualities = [results.qualities[run] for run in runs if run in results.qualities]
        if not qualities:
            continue
        values = [statistic(getattr(each, name) for each in qualities) for name in ("tau", "regret", "chosen", "best")]
        texts = [MISSING if value is None else score_text(value) for value in values]
        ranked = statistic(float(quality.count) for quality in qualities)
        count = MISSING if ranked is None or not ranked.mean else f"{ranked.mean:.0f}"
        rows.append([entry.title, str(bits), str(len(qualities)), *texts, count])
    return Table("Search quality", columns, rows, [_QUALITY_NOTE, *_stand_alone_notes(results)])


def _stand_alone_notes(results: ComparisonResults) -> Iterator[str]:
    """How much the ranked architectures differ, and how well the seeds agree on their order."""
    for bits in results.comparison.bits:
        scores = [results.alone[bits, seed] for seed in results.comparison.seeds if results.alone.get((bits, seed))]
        spreads = statistic(spread.spread for each in scores if (spread := statistic(each.values())))
        if spreads is None:
            continue
        tau = seed_agreement(scores)
        agreement = "" if tau is None else f"; tau between two seeds is {tau:.3f}"
        yield f"{bits} bits: stand-alone scores of the ranked architectures spread by {spreads.mean:.3f}{agreement}."


def _evaluated(results: ComparisonResults) -> Table:
    rows = []
    for entry, bits, runs in _points(results):
        reports = [results.metrics[run].get("search") or {} for run in runs]
        count, *scores = (
            statistic(report.get(name) for report in reports) for name in ("evaluations", "mean", "spread", "best")
        )
        if count is not None:
            texts = [MISSING if score is None else f"{score.mean:.3f}" for score in scores]
            rows.append([entry.title, str(bits), f"{count.mean:.0f}", *texts])
    columns = ["", "bits", "number", "mean", "spread", "best"]
    return Table("Architectures evaluated by the search", columns, rows, [_EVALUATED_NOTE])


def _unfinished(results: ComparisonResults) -> Table:
    """One row for each reason, with the first runs that have it."""
    runs: dict[str, list[str]] = {}
    for name, reason in results.problems.items():
        runs.setdefault(reason, []).append(name)
    rows = [
        [", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""), reason]
        for reason, names in runs.items()
    ]
    return Table("Not finished", ["run", "why"], rows)


def _points(results: ComparisonResults) -> Iterator[tuple[Entry, int, list[Run]]]:
    """Every entry at every code length, with its finished runs."""
    for entry in results.comparison.entries:
        for bits in results.comparison.bits:
            yield entry, bits, results.finished(entry, bits)


def _published_value(rows: Sequence[PaperRow], measure: Measure, bits: int) -> Statistic | None:
    return statistic(row.value(measure.key, bits) for row in rows)


def _line_numbers(rows: Sequence[PaperRow]) -> str:
    first, last = rows[0].line, rows[-1].line
    if not first.isdigit():
        return first
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _entry_rows(results: ComparisonResults) -> Iterator[dict[str, Any]]:
    for entry, bits, runs in _points(results):
        row: dict[str, Any] = {"entry": entry.name, "bits": bits, "runs": len(runs)}
        for measure in measures.ALL:
            ours = results.value(measure, entry, bits)
            row |= {measure.key: ours and ours.mean, f"{measure.key}_spread": ours and ours.spread}
            if results.comparison.dataset is not None:
                theirs = _published_value(results.paper(entry), measure, bits)
                row[f"{measure.key}_paper"] = theirs and theirs.mean
        yield row


def _run_rows(results: ComparisonResults) -> Iterator[Mapping[str, Any]]:
    for entry in results.comparison.entries:
        for run in results.comparison.runs(entry):
            metrics, quality = results.metrics.get(run, {}), results.qualities.get(run, SearchQuality())
            yield {
                **{"entry": entry.name, "bits": run.bits, "seed": run.seed, "finished": run in results.metrics},
                **{measure.key: measure.of(metrics) for measure in measures.ALL},
                **{"exclude_self": metrics.get("test", {}).get("exclude_self"), "data": metrics.get("data")},
                **{"tau": quality.tau, "ranked": quality.count, "regret": quality.regret},
                **{"chosen_alone": quality.chosen, "best_ranked_alone": quality.best},
            }


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
