"""The figures of finished runs as tables, beside the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import rich.table

from avhash_nas.comparison.measures import (
    COSTS,
    IN_FULL,
    INFERENCE,
    PARAMETERS,
    RETRIEVED,
    SEARCHED,
    TEST,
    TRAIN_EPOCH,
    Measure,
    Statistic,
    statistic,
)
from avhash_nas.comparison.paper import DATASETS, PaperRow, paper_rows
from avhash_nas.comparison.results import Results

MISSING = "-"
"""Stands where there is no figure."""


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns.

    Attributes:
        title: Above the table.
        columns: Titles of the columns; the first one is left-aligned, the others right.
        rows: As many texts each as there are columns.
        notes: Below the table.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def to_markdown(self) -> str:
        r"""The table as Markdown, with its title as a heading.

        >>> print(Table("Scores", ["entry", "score"], [["a|b", "0.5"]], ["One seed."]).to_markdown())
        ## Scores
        <BLANKLINE>
        | entry | score |
        |---|--:|
        | a\|b | 0.5 |
        <BLANKLINE>
        - One seed.
        """
        lines = [self.columns, *self.rows]
        body = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
        body.insert(1, "|---" + "|--:" * (len(self.columns) - 1) + "|")
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([f"## {self.title}", "", *body, *notes])

    def to_rich(self) -> rich.table.Table:
        """The table for a terminal."""
        table = rich.table.Table(title=self.title, caption="\n".join(self.notes), caption_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=not index)
        for row in self.rows:
            table.add_row(*row)
        return table


_SCORES_NOTE = (
    "retrieved, standard: mAP@100 on test, divided by the hits within 100 or by min(100, relevant); mean ± sample "
    "standard deviation over seeds."
)
_PAPER_NOTE = (
    "The paper prints one figure each, without seeds or spread; ± in its Random row is over its five networks."
)
_ELSEWHERE_NOTE = (
    "mAP@100 retrieved, times and sizes at 64 bits, on other datasets with other features than ours: they are no "
    "reference_score for the figures above."
)
WITHOUT_TRAINING = "Without training"
"""The heading above them, where entries have headings."""

YARDSTICKS = {"random projection": "random_projection", "chance": "chance"}
"""Rows of what takes no training -> where `metrics.json` has them beside `test`."""

_DIVISORS = {"retrieved": "the hits within K", "standard": "min(K, relevant)", "k": "K"}


def scores(results: Results) -> Table:
    """mAP@100 on test, and of supernets on val."""
    bits = results.comparison.bits
    shown = [(measure, length, f"{measure.title}, {length}") for measure in TEST for length in bits]
    shown += [(measure, max(bits), measure.title) for measure in SEARCHED]
    notes = [_SCORES_NOTE, f"supernet, derived: mAP@100 retrieved on val, at {max(bits)} bits.", *results.notes]
    if any(results.paper(entry) for entry in results.comparison.entries):
        notes.append(_PAPER_NOTE)
    return _figures(results, "mAP@100", shown, notes)


def in_full(results: Results) -> list[Table]:
    """A table for each normalization, where they are asked for."""
    if not results.comparison.in_full:
        return []
    bits = results.comparison.bits
    return [
        _figures(
            results,
            f"mAP on test, divided by {_DIVISORS[normalization]} ({normalization})",
            [(measure, length, f"{measure.title}, {length}") for measure in measures for length in bits],
            [],
        )
        for normalization, measures in IN_FULL.items()
    ]


def elsewhere(results: Results) -> Table:
    """The paper's figures, where none of its datasets is ours."""
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


def costs(results: Results) -> Table:
    """Times and sizes."""
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
    for heading, entry in results.comparison.under_headings():
        if heading:
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
    if reference_scores := _reference_rows(results, [(measure, bits) for measure, bits, _ in shown]):
        if results.comparison.entries[-1].group:
            rows.append([f"{WITHOUT_TRAINING}:", *[""] * (len(columns) - 1)])
        rows += reference_scores
    return Table(title, columns, rows, notes)


def _reference_rows(results: Results, shown: list[tuple[Measure, int]]) -> list[list[str]]:
    """Rows of random projections and of chance, where a figure of theirs is among what is shown."""
    rows = []
    for title, name in YARDSTICKS.items():
        figures = [(measure, results.reference_score(measure, name, bits)) for measure, bits in shown]
        if any(figure for _, figure in figures):
            rows.append([title, "", *(_text(*each) for each in figures)])
    return rows


def _text(measure: Measure, figure: Statistic | None) -> str:
    return MISSING if figure is None else measure.form(figure)


def _lines(rows: Sequence[PaperRow]) -> str:
    first, last = rows[0].line, rows[-1].line
    if not first.isdigit():
        return first
    return f"line {first}" if first == last else f"lines {first}-{last}"
