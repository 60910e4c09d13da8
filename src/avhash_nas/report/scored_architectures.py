"""The architectures that a strategy had scored before it chose one."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from avhash_nas.report.choices import draw_choices
from avhash_nas.report.style import BLUE, MUTED, VERMILLION, Axes, Picture, drawing, new_figure
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.training.search_log import EvaluatedArchitecture

_WEIGHTS = {"shared": "the supernet's weights", "own": "weights trained for each alone"}


def draw_rounds(judged: Sequence[EvaluatedArchitecture], *, name: str, title: str) -> Picture:
    """Draw scores by round, such as an evolution's generations; of a single round, by rank.

    Args:
        judged: At least one.
        name: Of the picture.
        title: Of the picture.
    """
    rounds = {number: list(group) for number, group in itertools.groupby(judged, key=lambda each: each.round)}
    scores = {number: [each.score for each in group] for number, group in rounds.items()}
    with drawing():
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        if len(scores) > 1:
            _by_round(axes, scores)
        else:
            _by_rank(axes, next(iter(scores.values())))
        axes.set_ylabel("mAP@100 on val, retrieved")
    how = " and ".join(_WEIGHTS[weights] for weights in dict.fromkeys(each.weights for each in judged))
    caption = f"{len(judged)} architectures, scored with {how}."
    if len(scores) > 1:
        caption += " A generation holds only architectures that are new; the line of the best goes over all so far."
    data = {"round": list(scores), "scores": list(scores.values()), "best": _best_so_far(scores)}
    return Picture(name, title, caption, figure, data)


def draw_generations(generations: Sequence[Mapping[str, Any]], *, name: str, title: str) -> Picture:
    """Draw what `metrics.json` says of generations: best, mean and spread of each.

    Args:
        generations: With `best`, `mean` and `spread`, which may be None.
        name: Of the picture.
        title: Of the picture.
    """
    numbers = list(range(len(generations)))
    best, mean = ([each[key] for each in generations] for key in ("best", "mean"))
    spread = [each["spread"] or 0.0 for each in generations]
    with drawing():
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        axes.errorbar(numbers, mean, yerr=spread, color=BLUE, marker="o", capsize=3, label="mean, standard deviation")
        axes.plot(numbers, best, color=VERMILLION, marker="s", linestyle="--", label="best")
        axes.set(xlabel="generation, from 0", ylabel="mAP@100 on val, retrieved", xticks=numbers)
        axes.legend()
    caption = "Scores with the supernet's weights; the scores of single architectures were not recorded."
    return Picture(name, title, caption, figure, {"best": best, "mean": mean, "spread": spread})


def draw_shares(
    judged: Sequence[EvaluatedArchitecture], space: SearchSpace | None, chosen: Architecture | None, *, name: str
) -> Picture:
    """Draw, for every cell, which share of each round has which candidate.

    Args:
        judged: Of several rounds.
        space: What was searched; None takes the candidates that occur.
        chosen: What was chosen in the end.
        name: Of the picture.
    """
    cells = judged[0].architecture
    names = {
        cell: space[cell].candidates if space else tuple(dict.fromkeys(each.architecture[cell] for each in judged))
        for cell in cells
    }
    found = {}
    for number, group in itertools.groupby(judged, key=lambda each: each.round):
        members = [each.architecture for each in group]
        found[number] = {
            cell: {each: sum(member[cell] == each for member in members) / len(members) for each in candidates}
            for cell, candidates in names.items()
            if len(candidates) > 1
        }
    title = "Share of each candidate in the generations"
    return draw_choices(found, chosen, name=name, title=title, step="generation", what="share of the generation")


def _by_round(axes: Axes, scores: Mapping[int, Sequence[float]]) -> None:
    for number, values in scores.items():
        aside = [0.5 * (place / max(len(values) - 1, 1) - 0.5) for place in range(len(values))]
        axes.plot([number + each for each in aside], values, ".", color=BLUE, alpha=0.6, markersize=5, zorder=2)
    means = [sum(values) / len(values) for values in scores.values()]
    axes.plot(list(scores), means, color=BLUE, marker="o", label="mean of the generation")
    axes.plot(list(scores), _best_so_far(scores), color=VERMILLION, linestyle="--", marker="s", label="best so far")
    axes.set(xlabel="generation, from 0", xticks=list(scores)[:: max(1, len(scores) // 10)])
    axes.legend()


def _by_rank(axes: Axes, scores: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    ranked, mean = sorted(scores, reverse=True), sum(scores) / len(scores)
    axes.plot(range(1, len(ranked) + 1), ranked, ".", color=BLUE, markersize=7)
    axes.axhline(mean, color=MUTED, lw=1, linestyle="--", label=f"mean {mean:.3f}")
    axes.set_xlabel("rank among those scored")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.legend()


def _best_so_far(scores: Mapping[int, Sequence[float]]) -> list[float]:
    return list(itertools.accumulate((max(values) for values in scores.values()), max))
