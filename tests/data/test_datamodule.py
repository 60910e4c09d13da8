import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from avhash_nas.data import ClassBalanced, HashingData, Triplets, write_synthetic
from avhash_nas.data.sampling import BatchSampling

SIZES = {"classes": 4, "train": 6, "val": 3, "test": 2, "visual_dim": 6, "audio_dim": 4, "frames": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("data") / "set", **SIZES)


@pytest.fixture
def make(root, tmp_path):
    def module(**options):
        return HashingData(root, cache_dir=tmp_path / "cache", **{"sampling": ClassBalanced(2, 2), **options})

    return module


def test_attributes_and_batches(make, root):
    data = make().prepare()
    assert (data.visual_dim, data.audio_dim, data.frames, data.classes) == (6, 4, 3, 4)
    assert data.class_names == ("0", "1", "2", "3")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 24, "val": 12, "test": 8}
    assert sorted(np.concatenate(list(data.splits.values())).tolist()) == list(range(44))
    assert data.labels.shape == (44, 4)
    assert data.database == "train"

    rows = np.array([30, 2, 30])
    batch = data.batch(rows)
    assert (batch.visual.dtype, batch.labels.dtype, batch.index.dtype) == (torch.float32, torch.bool, torch.int64)
    assert batch.index.tolist() == rows.tolist()
    assert np.array_equal(batch.labels, data.labels[rows])
    with h5py.File(root / "audio.h5") as file:
        assert np.array_equal(batch.audio[1], file[data.ids[2]]["vectors"])
    listed = dict(line.split(",") for name in data.splits for line in (root / f"{name}.txt").read_text().split())
    assert all(data.labels[row].argmax() == int(listed[name]) for row, name in enumerate(data.ids))


def test_evaluation_loaders_hold_queries_and_database(make):
    data = make(eval_batch_size=5).prepare()
    for loaders, split in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        queries, database = ([*loader] for loader in loaders)
        assert torch.cat([batch.index for batch in queries]).tolist() == data.splits[split].tolist()
        assert torch.cat([batch.index for batch in database]).tolist() == data.splits["train"].tolist()
        assert all(len(batch.index) <= 5 for batch in database)


def test_database_can_be_another_split(make):
    data = make(database="test").prepare()
    _, database = data.val_dataloader()
    assert torch.cat([batch.index for batch in database]).tolist() == data.splits["test"].tolist()


def test_first_label_only(make_set, tmp_path):
    lists = {"train": ("a,0,1", "b,0", "c,1,0", "d,1"), "val": ("e,1,0",), "test": ("f,0",)}
    data = HashingData(make_set(lists), cache_dir=tmp_path / "cache", first_label_only=True).prepare()
    assert data.labels.tolist() == [[True, False]] * 2 + [[False, True]] * 3 + [[True, False]]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_loader_changes_with_the_epoch_alone(make, workers):
    data = make(workers=workers).prepare()
    loader = data.train_dataloader()
    epochs = []
    for number in (0, 1, 0):
        loader.sampler.set_epoch(number)
        epochs.append([batch.index.tolist() for batch in loader])
    assert epochs[0] == epochs[2] != epochs[1]
    assert len(loader) == len(epochs[0]) == 6


def test_sampled_loader_draws_from_its_rows_with_its_own_seed(make):
    data = make().prepare()
    half = data.splits["train"][::2]
    first, second = (data.sampled_loader(half, ClassBalanced(2, 3), seed=seed) for seed in (1, 2))
    drawn = [torch.cat([batch.index for batch in loader]).tolist() for loader in (first, second)]
    assert drawn[0] != drawn[1]
    assert set(drawn[0]) == set(half.tolist())


def test_use_before_opening_says_what_to_call(make):
    with pytest.raises(RuntimeError, match="prepare"):
        make().train_dataloader()


class Recorder(LightningModule):
    """A model that notes which videos it has seen and stops where told."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, 2)
        self.seen: list[list[int]] = []
        self.stop_at = stop_at

    def training_step(self, batch, batch_idx):
        if len(self.seen) == self.stop_at:
            raise RuntimeError("stopped")
        self.seen.append(batch.index.tolist())
        return self.layer(batch.visual).square().mean()

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def trainer(folder: Path, *callbacks: Callback, **options) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(**{**quiet, "default_root_dir": folder, "max_epochs": 3, "callbacks": [*callbacks], **options})


@pytest.fixture
def whole(make, tmp_path):
    """An uninterrupted run with a checkpoint after each step: its model and the checkpoints."""
    model = Recorder()
    every = ModelCheckpoint(tmp_path / "steps", "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer(tmp_path, every).fit(model, make())
    return model, tmp_path / "steps"


@pytest.mark.filterwarnings("error:.*not resumable.*")
def test_resumed_anywhere_sees_what_an_uninterrupted_run_sees(whole, make, tmp_path):
    model, checkpoints = whole
    assert len(model.seen) == 18
    assert len({str(sorted(rows)) for rows in model.seen}) > 12
    for done in (1, 4, 6, 9, 12, 17):  # within epochs and at their ends
        resumed = Recorder()
        path = checkpoints / f"step={done}.ckpt"
        trainer(tmp_path).fit(resumed, make(), ckpt_path=path, weights_only=True)
        assert resumed.seen == model.seen[done:], done
        assert torch.equal(resumed.layer.weight, model.layer.weight)


@pytest.mark.filterwarnings("error:.*not resumable.*")
@pytest.mark.parametrize("workers", [0, 1])
def test_stopped_by_an_exception_and_resumed(whole, make, tmp_path, workers):
    model, _ = whole
    stopped, resumed = Recorder(stop_at=8), Recorder()
    keep = ModelCheckpoint(tmp_path / "last", save_on_exception=True, every_n_epochs=10)
    with pytest.raises(RuntimeError, match="stopped"):
        trainer(tmp_path, keep, val_check_interval=4).fit(stopped, make(workers=workers))
    (path,) = (tmp_path / "last").glob("*.ckpt")
    trainer(tmp_path, val_check_interval=4).fit(resumed, make(workers=workers), ckpt_path=path, weights_only=True)
    assert stopped.seen + resumed.seen == model.seen


def test_a_new_fit_of_the_same_module_starts_at_the_beginning(whole, make, tmp_path):
    model, checkpoints = whole
    data = make()
    fresh = trainer(tmp_path, max_epochs=1)
    fresh.validate(Recorder(), data, ckpt_path=checkpoints / "step=4.ckpt", verbose=False, weights_only=True)
    again = Recorder()
    trainer(tmp_path, max_epochs=1).fit(again, data)
    assert again.seen == model.seen[:6]


def test_lightning_can_overfit_some_batches(make, tmp_path):
    model = Recorder()
    trainer(tmp_path, overfit_batches=2, max_epochs=2).fit(model, make())
    assert len(model.seen) == 4
    assert model.seen[:2] == model.seen[2:]
    assert all(len(rows) == 4 for rows in model.seen)


def test_settings_come_from_the_command_line(root):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(HashingData, "data")
    args = [f"--data.root={root}", "--data.sampling=Triplets", "--data.sampling.anchors=3"]
    data = parser.instantiate(parser.parse_args(args)).data
    assert isinstance(data.sampling, Triplets)
    assert (data.sampling.anchors, data.sampling.negatives) == (3, 4)
    assert {ClassBalanced, Triplets} <= set(BatchSampling.__subclasses__())
    helped = " ".join(parser.format_help().split())
    for words in ("Folder with image.h5", "memory-mapped features", "Seed of the sampling", "Page-locked"):
        assert words in helped


SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, os.environ["TESTS"])
from lightning.pytorch.callbacks import ModelCheckpoint
from test_datamodule import Recorder, trainer
from avhash_nas.data import ClassBalanced, HashingData

folder = Path(os.environ["FOLDER"])

class Counted(Recorder):
    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.queries = getattr(self, "queries", []) + (batch.index.tolist() if dataloader_idx == 0 else [])

    def on_train_end(self):
        sampler = type(self.trainer.train_dataloader.sampler).__name__
        result = {"seen": self.seen, "queries": self.queries, "sampler": sampler}
        (folder / f"{self.name}-{self.global_rank}.json").write_text(json.dumps(result))

def fit(name, *callbacks, **options):
    model = Counted()
    model.name = name
    two = {"max_epochs": 2, "strategy": "ddp_fork", "devices": 2, "num_sanity_val_steps": 0}
    data = HashingData(os.environ["ROOT"], cache_dir=folder, sampling=ClassBalanced(2, 2), eval_batch_size=5)
    trainer(folder, *callbacks, **two).fit(model, data, **options)

fit("whole", ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1))
fit("resumed", ckpt_path=folder / "step=4.ckpt", weights_only=True)
"""


def test_two_processes_share_the_batches_of_one_and_resume_within_an_epoch(root, make, tmp_path):
    alone = Recorder()
    trainer(tmp_path, max_epochs=2, enable_checkpointing=False).fit(alone, make())
    folder = tmp_path / "two"
    folder.mkdir()
    paths = {"TESTS": str(Path(__file__).parent), "FOLDER": str(folder), "ROOT": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / f"whole-{rank}.json").read_text()) for rank in (0, 1))
    assert first["sampler"] == second["sampler"] == "EpochSampler"
    assert [one + other for one, other in zip(first["seen"], second["seen"], strict=True)] == alone.seen
    validation = make().prepare().splits["val"].tolist()
    assert sorted(first["queries"] + second["queries"]) == sorted(validation * 2)  # two epochs, no repeats
    for rank, whole in enumerate((first, second)):
        resumed = json.loads((folder / f"resumed-{rank}.json").read_text())
        assert resumed["seen"] == whole["seen"][4:]
