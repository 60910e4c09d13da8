"""The table at the end of a run."""

from collections.abc import Mapping
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table

ROWS = (
    ("chance", "chance", "test"),
    ("random projection", "random_projection", "test"),
    ("supernet", "supernet", "val"),
    ("derived", "derived", "val"),
    ("fine-tuned", "val", "val"),
    ("test", "test", "test"),
)
"""Title, key in metrics.json, and the split that is scored."""


def results_table(metrics: Mapping[str, Any]) -> Table:
    """mAP@100 of everything that a run measured; `retrieved` divides by hits within 100, `standard` by min(100, R)."""
    title = f"mAP@100, {metrics['bits']} bits, seed {metrics['seed']}, {metrics['parameters']:,} parameters"
    table = Table(title=title)
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


@rank_zero_only
def print_results(metrics: Mapping[str, Any]) -> None:
    """Print the table to standard output."""
    Console().print(results_table(metrics))
