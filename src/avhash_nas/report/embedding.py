"""Codes of some classes in the plane by t-SNE, as in the paper's Fig. 7."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.report.codes import signs_of
from avhash_nas.report.style import PALETTE, Picture, drawing, new_figure

_MARKERS = "o^"
_ABREAST = 3


def draw_embedding(
    codes: Mapping[str, CodeSet], classes: int = 10, each: int = 50, seed: int = 0, name: str = "embedding"
) -> Picture:
    """Draw the same videos by the codes of several methods, side by side, with the same seed and colors.

    Args:
        codes: By title of the method: codes of the same videos, with labels.
        classes: How many classes: those with the most videos of one label.
        each: Videos of each class, at most.
        seed: Of t-SNE, and of the choice of videos.
        name: Of the picture.

    Raises:
        AvnasError: Methods have no video in common.
        MissingExtraError: Scikit-learn is not installed.
    """
    ids, chosen = choose(codes, classes, each, seed)
    shown = list(dict.fromkeys(chosen))
    columns = min(len(codes), _ABREAST)
    rows = -(-len(codes) // columns)
    points = {title: embed(of.take(_rows(of, ids)), seed) for title, of in codes.items()}
    with drawing():
        figure = new_figure(10.0 if columns > 1 else 6.0, 3.4 * rows + 0.6)
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for panel, (title, places) in zip(panels, points.items()):
            for number, class_name in enumerate(shown):
                of_class = places[[name == class_name for name in chosen]]
                color, marker = PALETTE[number % 5], _MARKERS[number // 5 % len(_MARKERS)]
                panel.scatter(*of_class.T, s=14, color=color, marker=marker, label=class_name, linewidths=0, alpha=0.8)
            panel.set(title=title, xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
            panel.grid(visible=False)
        for panel in panels[len(points) :]:
            panel.set_axis_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(shown), 5))
    counts = [chosen.count(class_name) for class_name in shown]
    amount = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    caption = (
        f"The {len(shown)} classes with the most videos, {amount} videos each; codes in {{-1, +1}}, "
        f"t-SNE with perplexity {_perplexity(len(ids)):g} and seed {seed}. Neighbors mean something, distances "
        "between groups do not."
    )
    data = {
        "ids": ids,
        "classes": chosen,
        "points": {title: np.round(places, 4).tolist() for title, places in points.items()},
    }
    return Picture(name, "Codes in the plane", caption, figure, data)


def choose(codes: Mapping[str, CodeSet], classes: int, each: int, seed: int) -> tuple[list[str], list[str]]:
    """Videos that all methods have codes of, and the class of each.

    Raises:
        AvnasError: There are none.
    """
    common = set.intersection(*(set(of.ids.tolist()) for of in codes.values()))
    first = next(iter(codes.values()))
    if first.labels is None:
        raise AvnasError("t-SNE: the codes have no labels")
    single = first.labels.sum(1) == 1
    of_class: dict[str, list[str]] = {}
    for row in np.flatnonzero(single).tolist():
        video = str(first.ids[row])
        if video in common:
            of_class.setdefault(first.class_names[int(first.labels[row].argmax())], []).append(video)
    if not of_class:
        raise AvnasError("t-SNE: the methods have no video of a single label in common")
    largest = sorted(of_class, key=lambda name: (-len(of_class[name]), name))[:classes]
    random = np.random.default_rng(seed)
    drawn = {name: random.permutation(sorted(of_class[name]))[:each].tolist() for name in sorted(largest)}
    return [video for videos in drawn.values() for video in videos], [
        name for name, videos in drawn.items() for _ in videos
    ]


def embed(codes: CodeSet, seed: int) -> NDArray[np.float64]:
    """Places in the plane, shape (n, 2).

    Args:
        codes: Of n videos.
        seed: Of t-SNE.

    Raises:
        MissingExtraError: Scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError as error:
        raise MissingExtraError("sklearn", "report", "t-SNE") from error
    signs = signs_of(codes).astype(np.float64)
    if len(signs) < 3:
        return signs[:, :2]
    with np.errstate(invalid="ignore", divide="ignore"):  # PCA of codes that are all the same
        start = "pca" if len(np.unique(signs, axis=0)) > 2 else "random"
        places: NDArray[np.float64] = TSNE(
            2, perplexity=_perplexity(len(signs)), init=start, random_state=seed
        ).fit_transform(signs)
    return places


def _perplexity(count: int) -> float:
    """Scikit-learn's default, as far as there are videos for it."""
    return float(min(30, max(1, (count - 1) // 3)))


def _rows(codes: CodeSet, ids: list[str]) -> list[int]:
    row_of = {video: row for row, video in enumerate(codes.ids.tolist())}
    return [row_of[video] for video in ids]
