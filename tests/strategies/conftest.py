"""A small search space and the tiny data that a search of seconds needs."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint

from avhash_nas.data import ClassBalanced, HashingData, write_synthetic
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.training import HashingModule, Recipe


@pytest.fixture(scope="session")
def space():
    """Five choices: one of each kind that the two encoders and the fusion have."""
    full = load_space("full")
    kept = {"visual.M1", "visual.U1", "audio.M3", "audio.D1", "F"}
    return SearchSpace(
        tuple(cell if cell.name in kept else Cell(cell.name, cell.candidates[:1]) for cell in full.cells)
    )


@pytest.fixture
def make_module(space):
    def make(space=space, dropout=0.0, recipe=None, seed=0, strategy=None, **options):
        torch.manual_seed(0)
        network = AudioVisualNetwork(8, 6, 8, space, width=8, heads=2, states=2, rank=2, dropout=dropout)
        if strategy is not None:
            strategy.setup_search(space, seed)
        return HashingModule(network, recipe=recipe or Recipe(lr=0.01), seed=seed, strategy=strategy, **options)

    return make


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("search") / "tiny"
    return write_synthetic(root, classes=3, train=6, val=3, test=3, visual_dim=8, audio_dim=6, frames=5)


@pytest.fixture
def make_data(tiny_root, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return lambda: HashingData(tiny_root, cache_dir=cache, sampling=ClassBalanced(classes=3, videos=2))


@pytest.fixture
def make_trainer():
    """A Trainer as a user would make it, with the sanity check of the validation."""

    def make(epochs=2, **options):
        return L.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=any(isinstance(each, Checkpoint) for each in options.get("callbacks", [])),
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )

    return make
