"""A run on three ranks is the run of one process: the same batches, losses, weights, architecture and scores."""

from pathlib import Path

import pytest
import torch

from distributed import runs, tasks
from distributed.processes import Ranks
from training.tiny import ALL_STRATEGIES, SMALL_SEARCHES, scores_of_codes, tiny_space, write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_cache: Path) -> Path:
    """Nothing in it is random by rank, and 8 videos make uneven shares of a batch.

    The biases before the batch norms have no gradient but rounding, which a large epsilon keeps Adam from following.
    """
    folder = tmp_path_factory.mktemp("config")
    sizes = {"width": 8, "heads": 2, "states": 2, "head_hidden": 8, "head_norm": True, "balance": True, "dropout": 0.0}
    options = {
        "network": {"class_path": "audio_visual", "init_args": sizes},
        "space": str(tiny_space(folder / "space.json")),
        "bits": 16,
        "data": {
            "root": str(tiny_data),
            "cache_dir": str(tiny_cache),
            "sampling": {"class_path": "ClassBalanced", "init_args": {"classes": 4, "videos": 2}},
        },
        "search": {"epochs": 2, "lr": 0.005, "eps": 1e-3, "average": 0.9},
        "finetune": {"epochs": 1, "lr": 0.005, "eps": 1e-3},
    }
    return write_config(folder / "ranks.yaml", options)


VARIANTS = [
    *((name, ()) for name in ALL_STRATEGIES),
    ("DARTS", ("order=2",)),
    ("DARTS", ("auxiliary_skip=true",)),
    ("ProxylessNAS", ("gates=full",)),
    ("ProxylessNAS", ("gates=reinforce",)),
    ("SPOS", ("fair=true",)),
]
REINFORCE = [("ENAS", ()), ("ProxylessNAS", ("gates=reinforce",))]
"""Where the samples of a step agree in a cell, its gradient is zero but for rounding, which Adam follows."""


@pytest.mark.parametrize(
    ("name", "more"),
    [pytest.param(*variant, marks=[] if variant[0] == "AVNAS" else pytest.mark.slow) for variant in VARIANTS],
)
def test_three_ranks_do_what_one_does(
    name: str, more: tuple[str, ...], config: Path, three_ranks: Ranks, tmp_path: Path
) -> None:
    small = [f"{option}={value}" for option, value in SMALL_SEARCHES.get(name, {}).items()]
    options = [f"--strategy={name}", *(f"--strategy.{option}" for option in (*small, *more))]
    first, *others = three_ranks.run(runs.run, config, tmp_path / "three", *options)
    for other in others:
        assert other.fingerprints == first.fingerprints
        assert other.architecture == first.architecture
        assert other.metrics == first.metrics
    assert len(set(first.fingerprints)) == len(first.fingerprints)
    alone = runs.run(0, config, tmp_path / "one", *options)
    assert first.architecture == alone.architecture
    assert scores_of_codes(tmp_path / "three") == first.metrics["test"]
    torch.testing.assert_close(first.losses, alone.losses, rtol=1e-4, atol=1e-5)
    for stage, state in alone.states.items():
        assert list(first.states[stage]) == list(state)
        own = {key for key in state if key.startswith("architecture.")}
        for keys, noise in ((state.keys() - own, 1e-4), (own, 1e-3 if (name, more) in REINFORCE else 1e-4)):
            ours, theirs = ({key: each[key] for key in sorted(keys)} for each in (first.states[stage], state))
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=noise)
    for scores in ("test", "val"):
        ours, theirs = first.metrics[scores]["map@100"], alone.metrics[scores]["map@100"]
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_no_rank_takes_what_the_first_is_about_to_remove(three_ranks: Ranks, tmp_path: Path) -> None:
    for name in ("config.yaml", "metrics.json", "search/done.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert three_ranks.run(tasks.overwritten, tmp_path) == [(False, ["config.yaml"])] * 3
