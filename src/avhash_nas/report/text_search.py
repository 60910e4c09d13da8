"""Recall of captions against the cost of matching, as in the figure of EERCF."""

from collections.abc import Sequence
from typing import Any

from avhash_nas.report.style import Picture, drawing, line_styles, new_figure
from avhash_nas.results import RunRecord

_TITLES = {"values": "recall by coarse vectors", "codes": "recall by codes"}
_MEASURES = (("hit@1", "R@1"), ("hit@10", "R@10"))


def draw_text_search(records: Sequence[RunRecord]) -> Picture | None:
    """Draw R@1 and R@10 from captions to videos against multiply-adds a pair, for recall alone and each rerank depth.

    Args:
        records: Runs; those without scores of captions are left out.

    Returns:
        None if no run has any.
    """
    lines = [line for record in records for line in _lines(record)]
    if not lines:
        return None
    styles = line_styles(line["label"] for line in lines)
    with drawing():
        figure = new_figure(10.0, 3.4 + 0.18 * -(-len(styles) // 2))
        panels = figure.subplots(1, len(_MEASURES))
        for panel, (name, title) in zip(panels, _MEASURES, strict=True):
            panel.set(title=f"{title}, text to video", xlabel="multiply-adds a pair", ylabel=title, xscale="log")
            for line in lines:
                panel.plot(line["cost"], line[name], label=line["label"], marker="o", **_plain(styles[line["label"]]))
            panel.set_ylim(bottom=0)
        handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    caption = (
        "From left to right: recall alone, then a rerank of the first k for each k, and a rerank of every video. Costs "
        "are counted (`avhash_nas.metrics.counted_cost`); a Hamming distance counts as the coarse score in its place."
    )
    return Picture("text-search", "Search by words: recall against cost", caption, figure, {"lines": lines})


def _lines(record: RunRecord) -> list[dict[str, Any]]:
    text = record.metrics.get("text")
    if not text:
        return []
    every = text["scores"]["all"]["alone"]
    lines = []
    for recall, title in _TITLES.items():
        ways = {**text["scores"][recall], "all": every}
        costs = {"alone": text["cost"]["published"]["alone"], **text["cost"]["counted"]}
        order = sorted(ways, key=costs.__getitem__)
        scores = [ways[way]["text_to_video"] for way in order]
        line: dict[str, Any] = {
            "label": f"{record.title}, {title}",
            "ways": order,
            "cost": [costs[way] for way in order],
        }
        lines.append(line | {name: [each[name] for each in scores] for name, _ in _MEASURES})
    return lines


def _plain(style: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in style.items() if name != "marker"}
