"""What a comparison found, as tables and as CSV."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from avhash_nas.comparison.figures import MISSING, Table, costs, elsewhere, in_full, scores
from avhash_nas.comparison.measures import ALL, Statistic, score_text, statistic
from avhash_nas.comparison.ranking import Quality, agreement
from avhash_nas.comparison.results import Results
from avhash_nas.files import write_whole

_QUALITY_NOTE = (
    "tau: Kendall's tau-b between the supernet's scores of the ranked architectures and their scores after training "
    "alone, from fresh weights, by the recipe of fine-tuning. regret: best of the ranked minus the chosen one, both "
    "trained alone; negative where the chosen one, which need not be among them, is better. mAP@100 retrieved, val."
)
_CANDIDATES_NOTE = "mAP@100 retrieved on val of what a strategy scored or trained before it chose; means over seeds."


def tables(results: Results) -> list[Table]:
    """Every table that there is something for."""
    made = [scores(results), *in_full(results), costs(results), elsewhere(results)]
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
