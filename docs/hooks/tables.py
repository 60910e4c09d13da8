"""Tables and lists that pages generate from committed files, at each build.

A page names a function and its arguments: `<!-- generate: scores experiments/stamps/compare 32,64 test_retrieved -->`.
Paths are relative to the repository's root.
"""

import ast
import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

HEADS = {
    "test_retrieved": "mAP@100, retrieved",
    "test_retrieved@5": "mAP@5, retrieved",
    "test_retrieved@20": "mAP@20, retrieved",
    "test_standard": "mAP@100, standard",
    "test_standard@5": "mAP@5, standard",
    "test_standard@20": "mAP@20, standard",
    "test_k": "mAP@100, k",
    "test_k@5": "mAP@5, k",
    "test_k@20": "mAP@20, k",
    "supernet_val": "supernet, val",
    "derived_val": "derived, val",
    "supernet_epoch_s": "supernet, s/epoch",
    "search_s": "search, s",
    "train_epoch_s": "training, s/epoch",
    "inference_12500_s": "encoding 12,500 videos, s",
    "parameters_m": "parameters, M",
    "training_only_m": "used in training only, M",
    "tau": "tau",
    "regret": "regret",
    "chosen_alone": "chosen, trained alone",
    "best_ranked_alone": "best ranked, trained alone",
}
"""Heads of columns by name in the CSV files of comparisons."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table whose first columns are aligned left and whose others are aligned right."""
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def table(path: str, left: str = "1") -> str:
    """A CSV file as it is."""
    with (ROOT / path).open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    return markdown(head, rows, left=int(left))


def _comparison(stem: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Entries of a comparison's YAML, and the finished runs of the CSV file beside it."""
    entries = yaml.safe_load((ROOT / f"{stem}.yaml").read_text(encoding="utf-8"))["entries"]
    with (ROOT / f"{stem}-runs.csv").open(newline="", encoding="utf-8") as file:
        runs = [row for row in csv.DictReader(file) if row["finished"] == "True"]
    return entries, runs


def _spread(runs: Iterable[dict[str, str]], measure: str, form: Callable[[float], str]) -> str:
    values = [float(run[measure]) for run in runs if run[measure]]
    if not values:
        return "-"
    if len(values) == 1:
        return form(values[0])
    return f"{form(statistics.fmean(values))} ± {form(statistics.stdev(values))}"


def _mean(runs: Iterable[dict[str, str]], measure: str) -> str:
    values = [float(run[measure]) for run in runs if run[measure]]
    return f"{statistics.fmean(values):.2g}" if values else "-"


def _rows(entries: list[dict[str, Any]], columns: int, row: Callable[[str], list[str]]) -> Iterable[list[str]]:
    """One row for each entry, behind a row with the name of its group where a group begins."""
    group = None
    for entry in entries:
        if entry.get("group") not in (None, group):
            group = entry["group"]
            yield [f"*{group}*", *[""] * columns]
        yield [entry["label"], *row(entry["name"])]


def scores(stem: str, bits: str, *measures: str) -> str:
    """Scores of a comparison: mean ± sample standard deviation over seeds for each measure and code length."""
    entries, runs = _comparison(stem)
    columns = [(measure, length) for measure in measures for length in bits.split(",")]

    def row(name: str) -> list[str]:
        return [
            _spread((run for run in runs if (run["entry"], run["bits"]) == (name, length)), measure, "{:.3f}".format)
            for measure, length in columns
        ]

    head = ["", *(f"{HEADS[measure]}, {length} bits" for measure, length in columns)]
    return markdown(head, _rows(entries, len(columns), row))


def costs(stem: str, bits: str, *measures: str) -> str:
    """Times and sizes of a comparison: means over seeds at one code length."""
    entries, runs = _comparison(stem)

    def row(name: str) -> list[str]:
        own = [run for run in runs if (run["entry"], run["bits"]) == (name, bits)]
        return [_mean(own, measure) for measure in measures]

    return markdown(["", *(HEADS[measure] for measure in measures)], _rows(entries, len(measures), row))


def ranking(stem: str, bits: str) -> str:
    """How well a strategy chose: tau and regret of those entries that have one, for each code length."""
    entries, runs = _comparison(stem)
    measures = ("tau", "regret", "chosen_alone", "best_ranked_alone")
    rows = []
    for entry in entries:
        for length in bits.split(","):
            own = [run for run in runs if (run["entry"], run["bits"]) == (entry["name"], length)]
            if any(run["regret"] for run in own):
                values = [_spread(own, measure, "{:.3f}".format) for measure in measures]
                rows.append([entry["label"], length, *values])
    return markdown(["", "bits", *(HEADS[measure] for measure in measures)], rows)


_KINDS = {"audio": "A", "visual": "V", "audio_visual": "AV", "type": "Type", "event": "Event"}


def _parsing_runs(path: str, conditions: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file of parsing runs that meet conditions such as `unaligned=0.6`."""
    wanted = [condition.split("=") for condition in conditions]
    with (ROOT / path).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in wanted)]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def parsing(path: str, *conditions: str) -> str:
    """F-scores of parsing runs in percent: mean ± sample standard deviation over seeds, for each method."""
    runs = _parsing_runs(path, conditions)
    measures = [f"{level}_{kind}" for level in ("segment", "event") for kind in _KINDS]
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        own = [run for run in runs if run["method"] == method]
        rows.append([method, str(len(own)), *(_spread(own, measure, _percent) for measure in measures)])
    heads = [f"{level} {head}" for level in ("seg", "evt") for head in _KINDS.values()]
    return markdown(["", "seeds", *heads], rows)


def parsing_by(path: str, column: str, measure: str, *conditions: str) -> str:
    """One measure of parsing runs: a row for each method, a column for each value of a column of the CSV file."""
    runs = _parsing_runs(path, conditions)
    values = sorted({run[column] for run in runs}, key=float)
    scale = _percent if measure.startswith(("segment", "event")) else "{:.2f}".format
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        cells = [[run for run in runs if (run["method"], run[column]) == (method, value)] for value in values]
        if all(cells):
            rows.append([method, *(_spread(own, measure, scale) for own in cells)])
    return markdown(["", *(f"{column} {value}" for value in values)], rows)


def layers() -> str:
    """The import layers of tests/test_layout.py, highest first, with what each part is for."""
    tree = ast.parse((ROOT / "tests" / "test_layout.py").read_text(encoding="utf-8"))
    found = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    levels: tuple[set[str], ...] = ast.literal_eval(found)
    rows = []
    for level, parts in reversed(list(enumerate(levels))):
        rows += [[str(level), f"`{part}`", _purpose(part)] for part in sorted(parts)]
    return markdown(["layer", "part", "purpose"], rows, left=3)


def _purpose(part: str) -> str:
    source = ROOT / "src" / "avhash_nas"
    path = source / part / "__init__.py"
    text = (path if path.exists() else source / f"{part}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
