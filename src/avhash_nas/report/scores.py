"""The scores of a comparison's methods at every code length, row by row."""

from typing import Any

from avhash_nas.comparison import Results
from avhash_nas.comparison.figures import WITHOUT_TRAINING, YARDSTICKS
from avhash_nas.comparison.measures import RETRIEVED, Statistic
from avhash_nas.report.style import INK, Axes, Picture, drawing, line_styles, new_figure

_APART = 0.22
"""Between the code lengths of a row, in rows."""

Row = dict[str, Any]


def draw_scores(results: Results, name: str = "scores") -> Picture | None:
    """Draw mAP@100 on test of every entry, group by group, with the spread over seeds.

    Args:
        results: Of a comparison.
        name: Of the picture.

    Returns:
        None if no run is finished.
    """
    if not results.metrics:
        return None
    rows = _rows(results)
    styles = line_styles(f"{bits} bits" for bits in results.comparison.bits)
    with drawing():
        figure = new_figure(10.0, 1.1 + 0.3 * len(rows))
        panel = figure.subplots()
        for place, (label, style) in enumerate(styles.items()):
            _points(panel, rows, place, label, style)
        panel.set_yticks([*range(len(rows))], [row["label"] for row in rows])
        for row, tick in zip(rows, panel.get_yticklabels(), strict=True):
            if not row["scores"]:
                tick.set(fontweight="bold", color=INK)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_xlim(left=0)
        panel.set_xlabel("mAP@100 on test (retrieved)")
        panel.tick_params(axis="y", length=0)
        figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=len(styles))
    caption = (
        "Means over seeds, bars of one sample standard deviation. Random projection: of the features that all methods "
        "are given, without any training."
    )
    return Picture(name, "Scores of all methods", caption, figure, {"rows": rows})


def _rows(results: Results) -> list[Row]:
    """Headings, which have no scores, entries and reference_scores, from the top."""
    lengths = results.comparison.bits
    rows: list[Row] = []
    for heading, entry in results.comparison.under_headings():
        if heading:
            rows.append({"label": heading, "scores": []})
        rows.append(_row(entry.title, [results.figure(RETRIEVED, entry, bits) for bits in lengths]))
    reference_scores = [
        _row(title, [results.reference_score(RETRIEVED, of, bits) for bits in lengths])
        for title, of in YARDSTICKS.items()
    ]
    if shown := [row for row in reference_scores if any(row["scores"])]:
        rows += [{"label": WITHOUT_TRAINING, "scores": []}] if results.comparison.entries[-1].group else []
        rows += shown
    return rows


def _row(label: str, figures: list[Statistic | None]) -> Row:
    scores = [figure and {"mean": figure.mean, "spread": figure.spread, "seeds": figure.count} for figure in figures]
    return {"label": label, "scores": scores}


def _points(panel: Axes, rows: list[Row], place: int, label: str, style: dict[str, Any]) -> None:
    """One code length of all rows."""
    lengths = max(len(row["scores"]) for row in rows)
    offset = (place - (lengths - 1) / 2) * _APART
    there = [(y + offset, row["scores"][place]) for y, row in enumerate(rows) if row["scores"] and row["scores"][place]]
    panel.errorbar(
        [score["mean"] for _, score in there],
        [y for y, _ in there],
        xerr=[score["spread"] or 0.0 for _, score in there],
        label=label,
        elinewidth=1,
        **{**style, "linestyle": "none"},
    )
