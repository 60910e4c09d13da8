"""The scores of a finished run as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from avhash_nas.metrics.parsing import KINDS, LEVELS
from avhash_nas.metrics.scores import protocol_notes
from avhash_nas.pipeline.text_table import text_table

ROWS = (
    ("chance", "chance", "test"),
    ("random projection", "random_projection", "test"),
    ("supernet", "supernet", "val"),
    ("derived", "derived", "val"),
    ("fine-tuned", "val", "val"),
    ("test", "test", "test"),
)
"""Title, key in metrics.json, and split."""


def results_table(metrics: Mapping[str, Any], notes: Sequence[str] = ()) -> Table:
    """All mAP@100 of a run; `retrieved` is normalized by the hits within 100, `standard` by min(100, R).

    Args:
        metrics: As in `metrics.json`.
        notes: Sentences below the table, beside those about the evaluation.
    """
    title = f"mAP@100, {metrics['bits']} bits, seed {metrics['seed']}, {metrics['parameters']:,} parameters"
    table = Table(title=title, caption="\n".join([*protocol_notes(metrics["test"]), *notes]) or None)
    table.add_column("network")
    table.add_column("split")
    table.add_column("retrieved", justify="right")
    table.add_column("standard", justify="right")
    for name, key, split in ROWS:
        if key not in metrics:
            continue
        scores = metrics[key]["map@100"]
        table.add_row(name, split, f"{scores['retrieved']:.4f}", f"{scores['standard']:.4f}")
    return table


PARSING_ROWS = (
    ("nothing", "nothing"),
    ("weak everywhere*", "weak_everywhere"),
    ("weak in audio*", "weak_heard"),
    ("supernet, val", "supernet"),
    ("derived, val", "derived"),
    ("fine-tuned, val", "val"),
    ("test", "test"),
)
"""Title and key in metrics.json."""

PRINTED_FOR_LLP = (
    ("HAN", 60.1, 52.9, 48.9, 54.0, 55.4, 51.3, 48.9, 43.0, 47.7, 48.0),
    ("JoMoLD", 61.3, 63.8, 57.2, 60.8, 59.9, 53.9, 59.9, 49.6, 54.5, 52.5),
    ("CM-PIE", 61.7, 55.2, 50.1, 55.7, 56.8, 53.7, 51.3, 43.6, 49.5, 51.3),
    ("VALOR", 61.8, 65.9, 58.4, 62.0, 61.5, 55.4, 62.6, 52.2, 56.7, 54.2),
    ("VALOR++", 68.1, 68.4, 61.9, None, None, 61.2, 64.7, 55.5, None, None),
    ("LINK", 69.7, 69.0, 62.1, None, None, 63.4, 64.9, 55.7, None, None),
)
"""F-scores in percent on LLP's test split, as published; LINK's paper prints no Type@AV for the last two."""


def parsing_table(metrics: Mapping[str, Any], notes: Sequence[str] = ()) -> Table:
    """The ten F-scores of a parsing run in percent, in the order of the papers' tables.

    Args:
        metrics: As in `metrics.json`.
        notes: Sentences below the table.
    """
    title = f"{metrics['network']}, seed {metrics['seed']}, {metrics['parameters']:,} parameters"
    if metrics.get("oracle_labels"):
        title += "; ORACLE LABELS: the network reads pseudo labels cut to the weak labels of test"
    table = _ten_columns(f"F-score in %: {title}", "")
    for name, key in PARSING_ROWS:
        if key in metrics:
            scores = metrics[key]
            table.add_row(name, *(f"{100 * scores[level][kind]:.1f}" for level in LEVELS for kind in KINDS))
    blind = (
        "The first three rows are predictions without a look at the videos; * knows the weak labels of test, and shows "
        "what their leak is worth."
    )
    table.caption = "\n".join([blind, *notes])
    return table


def printed_table() -> Table:
    """What papers print for LLP, to be read beside a run on LLP."""
    table = _ten_columns("F-score in % on LLP, as printed; features and seeds differ from method to method", "method")
    for name, *scores in PRINTED_FOR_LLP:
        table.add_row(name, *("-" if score is None else f"{score:.1f}" for score in scores))
    return table


def _ten_columns(title: str, first: str) -> Table:
    """F-scores of segments and of events; narrow enough for a terminal of 80 columns."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, pad_edge=False, title_justify="left", caption_justify="left")
    table.add_column(f"\n{first}", no_wrap=True)
    for level in ("seg", "evt"):
        for number, head in enumerate(("A", "V", "AV", "Type", "Event")):
            table.add_column(f"{level if number == 0 else ''}\n{head}", justify="right", no_wrap=True, min_width=5)
    return table


@rank_zero_only
def print_results(metrics: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
    """Print the table to standard output, with the scores of captions, or what papers print for LLP, where they fit.

    Args:
        metrics: As in `metrics.json`.
        notes: Sentences below the table.
    """
    console = Console()
    if metrics.get("task") != "parsing":
        console.print(results_table(metrics, notes))
        if metrics.get("text"):
            console.print(text_table(metrics["text"], metrics["bits"]))
        return
    console.print(parsing_table(metrics, notes))
    if metrics["dataset"] == "LLP":
        console.print(printed_table())
