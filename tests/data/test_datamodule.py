import h5py
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import ModelCheckpoint

from avhash_nas.data import ClassBalanced, HashingData, Triplets, write_synthetic
from avhash_nas.data.sampling import BatchSampling
from data.recorder import Recorder, fit_and_resume, trainer

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


def test_evaluation_loaders_yield_queries_and_database(make):
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
def test_training_batches_depend_only_on_the_epoch(make, workers):
    data = make(workers=workers).prepare()
    loader = data.train_dataloader()
    epochs = []
    for number in (0, 1, 0):
        loader.sampler.set_epoch(number)
        epochs.append([batch.index.tolist() for batch in loader])
    assert epochs[0] == epochs[2] != epochs[1]
    assert len(loader) == len(epochs[0]) == 6


def test_sampled_loader_uses_its_rows_and_seed(make):
    data = make().prepare()
    half = data.splits["train"][::2]
    first, second = (data.sampled_loader(half, ClassBalanced(2, 3), seed=seed) for seed in (1, 2))
    drawn = [torch.cat([batch.index for batch in loader]).tolist() for loader in (first, second)]
    assert drawn[0] != drawn[1]
    assert set(drawn[0]) == set(half.tolist())


def test_use_before_prepare_raises(make):
    with pytest.raises(RuntimeError, match="prepare"):
        make().train_dataloader()


@pytest.fixture
def whole(make, tmp_path):
    """An uninterrupted run with a checkpoint after each step: its model and the checkpoints."""
    model = Recorder()
    every = ModelCheckpoint(tmp_path / "steps", "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer(tmp_path, every).fit(model, make())
    return model, tmp_path / "steps"


@pytest.mark.filterwarnings("error:.*not resumable.*")
def test_resuming_at_any_step_equals_an_uninterrupted_run(whole, make, tmp_path):
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
def test_resuming_after_an_exception(whole, make, tmp_path, workers):
    model, _ = whole
    stopped, resumed = Recorder(stop_at=8), Recorder()
    keep = ModelCheckpoint(tmp_path / "last", save_on_exception=True, every_n_epochs=10)
    with pytest.raises(RuntimeError, match="stopped"):
        trainer(tmp_path, keep, val_check_interval=4).fit(stopped, make(workers=workers))
    (path,) = (tmp_path / "last").glob("*.ckpt")
    trainer(tmp_path, val_check_interval=4).fit(resumed, make(workers=workers), ckpt_path=path, weights_only=True)
    assert stopped.seen + resumed.seen == model.seen


def test_new_fit_of_the_same_module_starts_at_epoch_0(whole, make, tmp_path):
    model, checkpoints = whole
    data = make()
    fresh = trainer(tmp_path, max_epochs=1)
    fresh.validate(Recorder(), data, ckpt_path=checkpoints / "step=4.ckpt", verbose=False, weights_only=True)
    again = Recorder()
    trainer(tmp_path, max_epochs=1).fit(again, data)
    assert again.seen == model.seen[:6]


def test_overfit_batches_of_lightning(make, tmp_path):
    model = Recorder()
    trainer(tmp_path, overfit_batches=2, max_epochs=2).fit(model, make())
    assert len(model.seen) == 4
    assert model.seen[:2] == model.seen[2:]
    assert all(len(rows) == 4 for rows in model.seen)


def test_options_from_the_command_line(root):
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


def test_ranks_share_the_batches_of_one_process_and_resume_within_an_epoch(three_ranks, root, make, tmp_path):
    alone = Recorder()
    trainer(tmp_path, max_epochs=2, enable_checkpointing=False).fit(alone, make())
    folder = tmp_path / "ranks"
    folder.mkdir()
    fits = three_ranks.run(fit_and_resume, root, folder)
    assert [fit.sampler for fit in fits] == ["EpochSampler"] * 3
    assert [
        [row for rows in parts for row in rows] for parts in zip(*(fit.seen for fit in fits), strict=True)
    ] == alone.seen
    validation = make().prepare().splits["val"].tolist()
    assert sorted(row for fit in fits for row in fit.queries) == sorted(validation * 2)  # two epochs, no repeats
    for fit in fits:
        assert fit.resumed == fit.seen[4:]
