from pathlib import Path

import pytest
import yaml

from avhash_nas.data import write_synthetic


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "tiny"
    return write_synthetic(root, classes=4, train=10, val=4, test=4, visual_dim=8, audio_dim=6, frames=9)


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """Options of a run of seconds that uses everything that holds state: averaging, schedule, dropout, augmentation."""
    options = {
        "strategy": {"class_path": "avnas", "init_args": {"lr": 0.05, "temperature": 0.3}},
        "network": {"class_path": "audio_visual", "init_args": {"width": 8, "heads": 2, "states": 4, "balance": True}},
        "bits": 16,
        "data": {
            "root": str(tiny_data),
            "cache_dir": str(tmp_path_factory.mktemp("cache")),
            "sampling": {"class_path": "ClassBalanced", "init_args": {"classes": 4, "videos": 2}},
        },
        "search": {"epochs": 3, "lr": 0.005, "average": 0.9, "schedule": "cosine", "warmup": 0.1, "weight_decay": 0.01},
        "finetune": {"epochs": 3, "lr": 0.002, "patience": 2},
        "augmentation": {"frames": 5},
    }
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(options))
    return path
