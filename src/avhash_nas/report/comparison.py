"""A comparison as pictures: what a score costs, and how well supernets rank architectures."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from avhash_nas.comparison import Results, Run, kendall_tau, tables
from avhash_nas.comparison.measures import RETRIEVED, Metrics
from avhash_nas.comparison.ranking import read_scores
from avhash_nas.report.architecture import draw_architectures
from avhash_nas.report.curves import draw_curves
from avhash_nas.report.embedding import draw_embedding
from avhash_nas.report.methods import Method
from avhash_nas.report.page import Section
from avhash_nas.report.run import RunRecord
from avhash_nas.report.scores import draw_scores
from avhash_nas.report.style import INK, MUTED, PALETTE, Axes, Picture, drawing, line_styles, new_figure

_ABREAST = 4
_COSTS = {
    "parameters_m": "parameters (million)",
    "search_s": "supernet and search (seconds)",
    "inference_12500_s": "encoding 12,500 videos (seconds)",
}


def comparison_sections(results: Results) -> list[Section]:
    """What a report on a comparison shows.

    The architectures and the plane are those of each entry's first seed, at the longest codes.

    Args:
        results: Of a comparison.
    """
    bits = max(results.comparison.bits)
    finished = {run: RunRecord(run.path) for run in results.metrics}
    first = {
        entry.title: finished[runs[0]] for entry in results.comparison.entries if (runs := results.of(entry, bits))
    }
    designs = [replace(design, title=title) for title, run in first.items() if (design := run.design) is not None]
    methods = [
        Method(entry.title, length, tuple(finished[run] for run in runs))
        for entry in results.comparison.entries
        for length in results.comparison.bits
        if (runs := results.of(entry, length))
    ]
    codes = {title: found for title, run in first.items() if (found := run.codes("query")) is not None}
    pictures = [draw_scores(results), draw_costs(results), draw_ranking(results), draw_curves(methods)]
    notes = [] if codes else ["No run has the folder codes/, so there are no codes in the plane."]
    return [
        Section("Tables", tables(results)),
        Section("Pictures", [picture for picture in pictures if picture is not None]),
        Section("Architectures", [draw_architectures(designs)] if designs else []),
        Section("Codes in the plane", [draw_embedding(codes)] if codes else [], notes),
    ]


def draw_costs(results: Results, name: str = "costs") -> Picture | None:
    """Draw mAP@100 on test against parameters, search and encoding, with the Pareto front of each.

    Args:
        results: Of a comparison.
        name: Of the picture.

    Returns:
        None if no run is finished.
    """
    bits = max(results.comparison.bits)
    points = _points(results, bits)
    if not points:
        return None
    styles = line_styles(point["entry"] for point in points)
    with drawing():
        figure = new_figure(10.0, 3.7 + 0.18 * -(-len(points) // 5))
        panels = figure.subplots(1, len(_COSTS), sharey=True)
        for panel, (cost, across) in zip(panels, _COSTS.items()):
            for point in points:
                style = {**styles[point["entry"]], "linestyle": "none", "markersize": 7}
                bar = point["spread"] or 0.0
                panel.errorbar(point[cost], point["score"], yerr=bar, label=point["entry"], elinewidth=1, **style)
            front = pareto([(point[cost], point["score"]) for point in points])
            panel.step(*np.array(front).T, where="post", color=MUTED, linestyle=":", linewidth=1.2, zorder=0)
            panel.set(xlabel=across)
            panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
        panels[0].set_ylabel("mAP@100 on test (retrieved)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    caption = (
        f"{bits} bits. Means over seeds, bars of one sample standard deviation. Dotted: the Pareto front, which no "
        "method beats at the same or a lower cost. A network that needs no search has a search of 0 seconds."
    )
    return Picture(name, "What a score costs", caption, figure, {"bits": bits, "points": points})


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that none beats: cheaper and better, or as good in one and better in the other; by rising cost.

    >>> pareto([(1, 0.5), (2, 0.4), (3, 0.7), (3, 0.6)])
    [(1, 0.5), (3, 0.7)]
    """
    front: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or score > front[-1][1]:
            front.append((cost, score))
    return front


def _points(results: Results, bits: int) -> list[dict[str, Any]]:
    found = []
    for entry in results.comparison.entries:
        score = results.figure(RETRIEVED, entry, bits)
        if score is not None:
            metrics = [results.metrics[run] for run in results.of(entry, bits)]
            costs = {
                "parameters_m": statistics.fmean(each["parameters"] / 1e6 for each in metrics),
                "search_s": statistics.fmean(search_seconds(each) for each in metrics),
                "inference_12500_s": statistics.fmean(each["time"]["inference_12500_s"] for each in metrics),
            }
            found.append({"entry": entry.title, "score": score.mean, "spread": score.spread, **costs})
    return found


def search_seconds(metrics: Metrics) -> float:
    """What a run spent before it had its architecture: all epochs of the supernet, and the choice after them.

    Args:
        metrics: `metrics.json` of the run.
    """
    times, epochs = metrics["time"], metrics["epochs"]
    supernet: float = times.get("supernet_epoch_s", 0.0) * epochs.get("search", 0)
    return supernet + float(times.get("search_s", 0.0))


def draw_ranking(results: Results, name: str = "ranking") -> Picture | None:
    """Draw the supernets' scores of the ranked architectures against their scores after training alone.

    Args:
        results: Of a comparison with a ranking.
        name: Of the picture.

    Returns:
        None if there are no scores of both kinds.
    """
    bits = max(results.comparison.bits)
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in results.comparison.entries:
        if seeds := [pairs for run in results.of(entry, bits) if (pairs := _pairs(results, run)) is not None]:
            found[entry.title] = seeds
    if not found:
        return None
    columns = min(len(found), _ABREAST)
    rows = -(-len(found) // columns)
    with drawing():
        figure = new_figure(10.0 if columns > 2 else 5.0 * columns, 2.7 * rows + 0.4)
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
        for panel, (title, seeds) in zip(panels, found.items()):
            _scatter(panel, title, seeds)
        for panel in panels[len(found) :]:
            panel.set_axis_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    caption = (
        f"{bits} bits; each point is an architecture, each color a seed; mAP@100 (retrieved) on val. tau is Kendall's "
        "tau-b, the mean over seeds: 1 where the supernet puts the architectures in the right order, 0 where it "
        "guesses."
    )
    return Picture(name, "Supernet scores and scores alone", caption, figure, {"bits": bits, "entries": found})


def _pairs(results: Results, run: Run) -> dict[str, Any] | None:
    """Both kinds of scores of the ranked architectures, for one run."""
    supernet, alone = read_scores(run.scores), results.alone.get((run.bits, run.seed), {})
    both = sorted(supernet.keys() & alone.keys())
    if len(both) < 2:
        return None
    scores = {"supernet": [supernet[each] for each in both], "alone": [alone[each] for each in both]}
    return {"seed": run.seed, "tau": kendall_tau(scores["supernet"], scores["alone"]), **scores}


def _scatter(panel: Axes, title: str, seeds: Sequence[dict[str, Any]]) -> None:
    for place, pairs in enumerate(seeds):
        color = PALETTE[place % len(PALETTE)]
        panel.scatter(pairs["supernet"], pairs["alone"], s=16, color=color, label=f"seed {pairs['seed']}", linewidths=0)
    tau = np.nanmean([pairs["tau"] for pairs in seeds])
    panel.set(title=f"{title}, tau {tau:.2f}", xlabel="with the supernet's weights", ylabel="trained alone")
    panel.title.set_color(INK)
