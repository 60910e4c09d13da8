"""Pictures of the architectures that a search evaluated before it chose one."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from avhash_nas.report.probabilities import draw_probabilities
from avhash_nas.report.style import BLUE, MUTED, VERMILLION, Axes, Picture, drawing, new_figure
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.training.search_log import EvaluatedArchitecture

_SCORE = "mAP@100 on val, retrieved"
_WEIGHTS = {"shared": "the supernet's weights", "own": "their own weights after training alone"}


def draw_evaluations(evaluations: Sequence[EvaluatedArchitecture], name: str) -> Picture:
    """Draw scores by round, such as the generations of an evolution; of a single round, by rank.

    Args:
        evaluations: At least one.
        name: Name of the picture.
    """
    scores: dict[int, list[float]] = {}
    for each in evaluations:
        scores.setdefault(each.round, []).append(each.score)
    with drawing():
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        if len(scores) > 1:
            _by_round(axes, scores)
        else:
            _by_rank(axes, next(iter(scores.values())))
        axes.set_ylabel(_SCORE)
    weights = " and ".join(_WEIGHTS[kind] for kind in dict.fromkeys(each.weights for each in evaluations))
    caption = f"{len(evaluations)} architectures, scored with {weights}."
    if len(scores) > 1:
        caption += " Each generation shows only new architectures; the best is over all generations so far."
    data = {"round": list(scores), "scores": list(scores.values()), "best": _best_so_far(scores)}
    return Picture(name, "Architectures evaluated by the search", caption, figure, data)


def draw_generations(generations: Sequence[Mapping[str, Any]], name: str) -> Picture:
    """Draw best, mean and spread of each generation, for runs that did not record single architectures.

    Args:
        generations: From `metrics.json`, each with `best`, `mean` and `spread`, which may be None.
        name: Name of the picture.
    """
    numbers = list(range(len(generations)))
    best, mean, spread = ([each[key] or 0.0 for each in generations] for key in ("best", "mean", "spread"))
    with drawing():
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        axes.errorbar(numbers, mean, yerr=spread, color=BLUE, marker="o", capsize=3, label="mean, standard deviation")
        axes.plot(numbers, best, color=VERMILLION, marker="s", linestyle="--", label="best")
        axes.set(xlabel="generation, from 0", ylabel=_SCORE, xticks=numbers)
        axes.legend()
    caption = "Scores with the supernet's weights; the scores of single architectures were not recorded."
    return Picture(name, "Scores by generation", caption, figure, {"best": best, "mean": mean, "spread": spread})


def draw_shares(
    evaluations: Sequence[EvaluatedArchitecture], space: SearchSpace | None, chosen: Architecture | None, name: str
) -> Picture:
    """Draw, for every cell, the share of each candidate in each round.

    Args:
        evaluations: Evaluations of several rounds.
        space: The search space; None takes the candidates that occur.
        chosen: The architecture that was chosen in the end.
        name: Name of the picture.
    """
    candidates = {
        cell: space[cell].candidates if space else tuple(dict.fromkeys(each.architecture[cell] for each in evaluations))
        for cell in evaluations[0].architecture
    }
    shares = {}
    for number, group in itertools.groupby(evaluations, key=lambda each: each.round):
        members = [each.architecture for each in group]
        shares[number] = {
            cell: {each: sum(member[cell] == each for member in members) / len(members) for each in names}
            for cell, names in candidates.items()
            if len(names) > 1
        }
    title = "Share of each candidate in the generations"
    return draw_probabilities(shares, chosen, name, title, step="generation", quantity="share of the generation")


def _by_round(axes: Axes, scores: Mapping[int, Sequence[float]]) -> None:
    for number, values in scores.items():
        offsets = [0.5 * (index / max(len(values) - 1, 1) - 0.5) for index in range(len(values))]
        axes.plot([number + each for each in offsets], values, ".", color=BLUE, alpha=0.6, markersize=5, zorder=2)
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
