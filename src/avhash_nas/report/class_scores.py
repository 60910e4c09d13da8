"""mAP of each class."""

import numpy as np
import torch

from avhash_nas.code_set import CodeSet
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.report.style import BLUE, INK, VERMILLION, Picture, drawing, new_figure

_SHOWN = 15
"""Number of best and of worst classes shown."""


def draw_class_scores(
    query: CodeSet, database: CodeSet, title: str, k: int = 100, name: str = "classes", *, exclude_self: bool = True
) -> Picture:
    """Draw mAP@K (`retrieved`) of the queries of each class, for the best and the worst classes.

    Args:
        query: Codes of the test split, with labels.
        database: Codes that were searched, with labels.
        title: Title of the run.
        k: K.
        name: Name of the picture.
        exclude_self: Whether the test left queries out of their own rankings.
    """
    scores = class_scores(query, database, k, exclude_self=exclude_self)
    ordered = sorted(scores, key=lambda each: -scores[each][0])
    many = len(ordered) > 2 * _SHOWN
    shown = [*ordered[:_SHOWN], *ordered[-_SHOWN:]] if many else ordered
    mean = float(np.mean([score for score, _ in scores.values()]))
    with drawing():
        figure = new_figure(10.0, 0.8 + 0.21 * len(shown))
        panel = figure.subplots()
        positions = np.arange(len(shown))
        values = [scores[each][0] for each in shown]
        panel.barh(positions, values, color=[BLUE if value >= mean else VERMILLION for value in values], height=0.7)
        for y, each in zip(positions, shown, strict=True):
            score, count = scores[each]
            panel.text(score + 0.005, y, f"{score:.2f} ({count})", va="center", fontsize=7.5, color=INK)
        panel.set(yticks=positions, yticklabels=shown, xlim=(0, 1.1), xlabel=f"mAP@{k} (retrieved)")
        panel.axvline(mean, color=INK, linestyle="--", linewidth=1)
        panel.invert_yaxis()
        panel.grid(visible=False, axis="y")
    caption = (
        f"mAP over the queries of each class (their number in parentheses); dashed: mean over classes, {mean:.3f}. "
        "A query with several labels counts in each of its classes."
    )
    if many:
        caption += f" The {_SHOWN} best and {_SHOWN} worst of {len(ordered)} classes are shown."
    data = {each: {"score": score, "queries": count} for each, (score, count) in scores.items()}
    return Picture(name, f"Classes: {title}", caption, figure, {"classes": data, "mean": mean, "k": k})


def class_scores(
    query: CodeSet, database: CodeSet, k: int, *, exclude_self: bool = True
) -> dict[str, tuple[float, int]]:
    """mAP@K (`retrieved`) and number of the queries of each class that has any.

    Args:
        query: Codes with labels.
        database: Codes with labels.
        k: K.
        exclude_self: Whether to leave queries out of their own rankings.
    """
    assert query.labels is not None
    assert database.labels is not None
    items, labels = torch.from_numpy(database.packed), torch.from_numpy(database.labels)
    identities, own = ids_from_names(database.ids.tolist()), ids_from_names(query.ids.tolist())
    result = {}
    for number, class_name in enumerate(query.class_names):
        rows = np.flatnonzero(query.labels[:, number])
        if len(rows):
            scores = evaluate(
                torch.from_numpy(query.packed[rows]),
                torch.from_numpy(query.labels[rows]),
                items,
                labels,
                ks=(k,),
                bits=query.bits,
                query_ids=own[rows],
                database_ids=identities,
                exclude_self=exclude_self,
            )
            result[class_name] = (scores.average_precision[k]["retrieved"], len(rows))
    return result
