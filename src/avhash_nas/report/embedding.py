"""t-SNE embedding of the codes of some classes, as in the paper's Fig. 7."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.report.codes import signs_of
from avhash_nas.report.style import PALETTE, Picture, drawing, legend_below, new_figure, panel_grid

_MARKERS = "o^"
_COLUMNS = 3


def draw_embedding(codes: Mapping[str, CodeSet], classes: int = 10, each: int = 50, seed: int = 0) -> Picture:
    """Draw the codes of the same videos by several methods, side by side, with the same seed and colors.

    Args:
        codes: Codes with labels, by title of the method.
        classes: Number of classes: those with the most videos of a single label.
        each: Maximum number of videos of each class.
        seed: Seed of t-SNE and of the choice of videos.

    Raises:
        AvnasError: Methods have no video in common.
        MissingExtraError: Scikit-learn is not installed.
    """
    ids, labels = choose_videos(codes, classes, each, seed)
    shown = list(dict.fromkeys(labels))
    columns = min(len(codes), _COLUMNS)
    points = {title: embed(of.take(_rows(of, ids)), seed) for title, of in codes.items()}
    with drawing():
        figure = new_figure(10.0 if columns > 1 else 6.0, 3.4 * -(-len(codes) // columns) + 0.6)
        panels = panel_grid(figure, len(codes), columns)
        for panel, (title, plane) in zip(panels, points.items(), strict=True):
            for number, class_name in enumerate(shown):
                of_class = plane[[name == class_name for name in labels]]
                color, marker = PALETTE[number % 5], _MARKERS[number // 5 % len(_MARKERS)]
                panel.scatter(*of_class.T, s=14, color=color, marker=marker, label=class_name, linewidths=0, alpha=0.8)
            panel.set(title=title, xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
            panel.grid(visible=False)
        legend_below(figure, panels[0], min(len(shown), 5))
    counts = [labels.count(class_name) for class_name in shown]
    amount = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    caption = (
        f"The {len(shown)} classes with the most videos, {amount} videos each; codes in {{-1, +1}}, "
        f"t-SNE with perplexity {_perplexity(len(ids)):g} and seed {seed}. Neighborhoods are meaningful; distances "
        "between groups are not."
    )
    rounded = {title: np.round(plane, 4).tolist() for title, plane in points.items()}
    data = {"ids": ids, "classes": labels, "points": rounded}
    return Picture("embedding", "Codes in the plane", caption, figure, data)


def choose_videos(codes: Mapping[str, CodeSet], classes: int, each: int, seed: int) -> tuple[list[str], list[str]]:
    """Choose videos of which all methods have codes.

    Returns:
        Their ids and the class of each.

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
    """Positions in the plane, shape (n, 2).

    Args:
        codes: Codes of n videos.
        seed: Seed of t-SNE.

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
    with np.errstate(invalid="ignore", divide="ignore"):  # PCA of equal codes
        start = "pca" if len(np.unique(signs, axis=0)) > 2 else "random"
        tsne = TSNE(2, perplexity=_perplexity(len(signs)), init=start, random_state=seed)
        plane: NDArray[np.float64] = tsne.fit_transform(signs)
    return plane


def _perplexity(count: int) -> float:
    """Scikit-learn's default, or less for few videos."""
    return float(min(30, max(1, (count - 1) // 3)))


def _rows(codes: CodeSet, ids: list[str]) -> list[int]:
    row_of = {video: row for row, video in enumerate(codes.ids.tolist())}
    return [row_of[video] for video in ids]
