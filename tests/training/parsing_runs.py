"""Runs of seconds for the tests of parsing."""

from pathlib import Path
from typing import Any

from avhash_nas.data import write_synthetic_events


def events_set(root: Path) -> Path:
    return write_synthetic_events(
        root, classes=4, train=24, val=10, test=10, visual_dim=8, audio_dim=6, frames=6, noise=0.3, flips=0.02
    )


def parsing_options(data: Path, cache: Path) -> dict[str, Any]:
    """A short run of LINK's network with everything that holds state."""
    small = {"width": 8, "layers": 1, "heads": 2, "hidden": 12}
    return {
        "network": {"class_path": "link_style", "init_args": small},
        "page": False,
        "data": {
            "root": str(data),
            "cache_dir": str(cache),
            "sampling": {"class_path": "Shuffled", "init_args": {"batch_size": 8}},
        },
        "search": {"epochs": 2, "lr": 0.01},
        "finetune": {"epochs": 2, "lr": 0.01, "average": 0.5},
        "augmentation": {"noise": 0.1},
    }
