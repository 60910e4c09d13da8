"""A search under a Lightning Trainer: videos of weight steps, routes, checkpoints and errors."""

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.objectives import info_nce
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies import AVNAS, DARTS, SearchProgress
from avhash_nas.training import HashingModule, Recipe
from avhash_nas.training.strategy_callback import search_progress


class Spy(Checkpoint):
    """Records weight steps. Lightning calls it, as a Checkpoint, after the strategy's own step."""

    def __init__(self):
        self.rows, self.routes, self.logits, self.steps = [], [], [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rows.append(batch.index.tolist())
        self.logits.append([logits.detach().clone() for logits in module.architecture.logits])
        self.steps.append(search_progress(trainer, batch_idx))

    def on_train_batch_end(self, trainer, module, *_):
        self.routes.append(module.route)


def search(make_module, make_data, make_trainer, strategy, epochs=2, **options):
    spy, module, data = Spy(), make_module(strategy=strategy), make_data()
    trainer = make_trainer(epochs, callbacks=[spy], **options)
    trainer.fit(module, datamodule=data)
    return module, data, trainer, spy


def test_val_and_test_never_reach_a_weight_step(make_module, make_data, make_trainer):
    _, data, _, spy = search(make_module, make_data, make_trainer, AVNAS(), epochs=3)
    seen = {row for rows in spy.rows for row in rows}
    assert seen <= set(data.splits["train"].tolist())
    assert seen.isdisjoint(data.splits["val"].tolist())
    assert seen.isdisjoint(data.splits["test"].tolist())
    assert len(spy.rows) == 9
    assert len(seen) > 6  # more than one batch of videos: the spy sees what it is meant to see


def test_weight_steps_read_their_batch_and_nothing_else(make_module, make_data, make_trainer, monkeypatch):
    """The loss, too, is taken on training videos alone: each training forward gets the features of that batch."""
    module, data = make_module(strategy=AVNAS()), make_data().prepare()
    names = {name: {tuple(key) for key in keys(data, name)} for name in ("train", "val", "test")}
    assert names["train"].isdisjoint(names["val"] | names["test"])
    trained = set()
    forward = AudioVisualNetwork.forward

    def spy(network, visual, audio, route=None):
        if network.training:
            trained.update(tuple(video[0].tolist()) for video in visual)
        return forward(network, visual, audio, route)

    monkeypatch.setattr(AudioVisualNetwork, "forward", spy)
    make_trainer(2).fit(module, datamodule=data)
    assert trained
    assert trained <= names["train"]


def keys(data, split):
    """Each video's first frame, which tells it from all others."""
    return [video[0].tolist() for batch in data.split_loader(split) for video in batch.visual]


def test_a_search_moves_weights_and_alpha_and_scores_both_networks(make_module, make_data, make_trainer):
    strategy = AVNAS(lr=0.05)
    fresh = make_module().network.state_dict()
    module, _, trainer, _ = search(make_module, make_data, make_trainer, strategy)
    assert all(logits.abs().max() > 0.05 for logits in strategy.architecture.logits)
    assert not torch.equal(module.network.hash.fc.weight, fresh["hash.fc.weight"])
    assert module.scores.keys() == {"supernet", "derived"}
    logged = {name for name in trainer.logged_metrics if name.startswith("architecture/")}
    assert logged == {"architecture/entropy", "architecture/temperature", "architecture/skips"}
    strategy.space.check(strategy.derive())


def test_one_route_for_each_step_at_its_moment(make_module, make_data, make_trainer):
    strategy = AVNAS(lr=0.05, temperature=0.1)
    _, _, _, spy = search(make_module, make_data, make_trainer, strategy, epochs=2)
    assert spy.steps == [SearchProgress(epoch, batch, 2, 3) for epoch in range(2) for batch in range(3)]
    cells = strategy.space.choices
    for progress, route, logits in zip(spy.steps, spy.routes, spy.logits, strict=True):
        for cell, values in zip(cells, logits, strict=True):
            expected = torch.softmax(values / 0.1**progress.fraction, 0)
            torch.testing.assert_close(route[cell.name].weights.detach(), expected)


def test_warm_up_leaves_alpha_alone_to_the_bit(make_module, make_data, make_trainer):
    strategy = AVNAS(lr=0.05, warmup=0.5, init_scale=1.0, weight_decay=0.1)
    _, _, _, spy = search(make_module, make_data, make_trainer, strategy, epochs=4)
    first = spy.logits[0]
    assert any(logits.abs().max() > 0.1 for logits in first)
    unmoved = [all(map(torch.equal, first, logits)) for logits in spy.logits]
    assert unmoved == [True] * 7 + [False] * 5  # six of twelve steps, seen before the next one


def test_a_trainer_keeps_the_state_of_setup_search(make_module, make_data, make_trainer):
    strategy = AVNAS(init_scale=1.0, lr=0.0)
    module = make_module(seed=9, strategy=strategy)
    make_trainer(1, limit_val_batches=0).fit(module, datamodule=make_data())
    expected = AVNAS(init_scale=1.0)
    expected.setup_search(module.network.space, 9)
    assert strategy.seed == 9
    assert all(map(torch.equal, strategy.architecture.logits, expected.architecture.logits))


def test_alpha_is_in_the_checkpoint(make_module, make_data, make_trainer, tmp_path):
    strategy = AVNAS(lr=0.05)
    _, _, trainer, _ = search(make_module, make_data, make_trainer, strategy)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    for place, logits in enumerate(strategy.architecture.logits):
        assert torch.equal(saved[f"architecture.logits.{place}"], logits)


def test_clipping_and_accumulation_work_as_lightning_users_know_them(make_module, make_data, make_trainer):
    strategy = AVNAS(lr=0.05)
    _, _, trainer, spy = search(
        make_module, make_data, make_trainer, strategy, gradient_clip_val=0.1, accumulate_grad_batches=3
    )
    assert trainer.global_step == 2
    unmoved = [all(map(torch.equal, spy.logits[0], logits)) for logits in spy.logits]
    assert unmoved == [True] * 3 + [False] * 3


FULL_SUPERNET = AudioVisualNetwork(8, 6, 8, load_space("full"), width=8, heads=2)


@pytest.mark.parametrize("network", [MeanPoolMLP(8, 6, 8), FULL_SUPERNET])
def test_strategy_for_another_space_than_the_networks_is_refused(network, space):
    strategy = AVNAS()
    strategy.setup_search(space, 0)
    with pytest.raises(AvnasError, match="AVNAS: was set up for another search space than the network's"):
        HashingModule(network, strategy=strategy)


def test_strategy_without_setup_is_refused(space):
    with pytest.raises(AvnasError, match=r"AVNAS: call setup_search\(network.space, seed\) before training"):
        HashingModule(AudioVisualNetwork(8, 6, 8, space, width=8, heads=2), strategy=AVNAS())


def test_space_without_choices_is_refused():
    with pytest.raises(AvnasError, match="AVNAS: the network leaves nothing to choose; give it a search space"):
        AVNAS().setup_search(load_space("arch-1"), 0)


def test_split_of_training_videos_needs_a_data_module(make_module, make_data, make_trainer):
    loader = torch.utils.data.DataLoader([make_data().prepare().batch(np.arange(6))], batch_size=None)
    with pytest.raises(AvnasError, match="DARTS: splits the training videos in two, which takes a HashingData"):
        make_trainer(1, limit_val_batches=0).fit(make_module(strategy=DARTS()), loader)


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (SearchProgress(0, 0, 4, 5), 0.0),
        (SearchProgress(1, 0, 4, 5), 0.25),
        (SearchProgress(1, 2, 4, 5), 0.35),
        (SearchProgress(3, 5, 4, 5), 1.0),
        (SearchProgress(9, 0, 4, 5), 1.0),
        (SearchProgress(2, 7, 4, 0), 0.5),  # the number of batches is not known
    ],
)
def test_fraction_of_a_search_that_is_done(progress, fraction):
    assert progress.fraction == pytest.approx(fraction)


def test_before_training_the_moment_is_the_start():
    """Lightning tries the validation out before it knows the number of batches."""
    assert search_progress(L.Trainer(max_epochs=7, logger=False, accelerator="cpu")) == SearchProgress(0, 0, 7, 0)


class TestOrderInTime:
    """A problem that one candidate alone can solve, so that the search has to find it.

    Two classes show the same two events, in either order. T is attention without positions, the hash layer takes the
    mean over time and all other cells act on single steps: only a convolution before SiLU tells the classes apart.
    """

    SPACE = SearchSpace(
        (
            Cell("visual.M1", ("skip", "mlp", "self_attention", "conv3")),
            Cell("visual.U1", ("silu",)),
            *(Cell(f"visual.{leaf}", ("skip",)) for leaf in ("M2", "U2", "U3", "M3", "U4")),
            *(Cell(f"visual.{leaf}", ("add",)) for leaf in ("D1", "D2")),
            *(Cell(name, ("self_attention",)) for name in ("S", "T")),
        )
    )

    @staticmethod
    def batch(seed, videos=16, frames=8):
        generator = torch.Generator().manual_seed(seed)
        visual = 0.1 * torch.randn(videos, frames, 4, generator=generator)
        labels = torch.arange(videos) % 2
        starts = torch.randint(frames - 1, (videos,), generator=generator)
        for video, (start, label) in enumerate(zip(starts.tolist(), labels.tolist(), strict=True)):
            visual[video, start, label] += 3
            visual[video, start + 1, 1 - label] += 3
        rows = torch.arange(videos)
        return Batch(visual, torch.zeros(videos, frames, 2), torch.nn.functional.one_hot(labels, 2).bool(), rows)

    def network(self, seed):
        torch.manual_seed(seed)
        return AudioVisualNetwork(4, 2, 8, self.SPACE, width=8, heads=2, dropout=0.0, balance=True)

    def test_the_other_candidates_cannot_tell_the_classes_apart(self):
        """They compute the same for a video and for the video with its steps in another order."""
        network = self.network(0).double().eval()
        visual, audio = self.batch(0).visual.double(), self.batch(0).audio.double()
        for index, name in enumerate(self.SPACE["visual.M1"].candidates):
            same = torch.allclose(
                network(visual, audio, {"visual.M1": index}),
                network(visual.flip(1), audio, {"visual.M1": index}),
                rtol=0,
                atol=1e-12,
            )
            assert same == (name != "conv3")

    @pytest.mark.parametrize("seed", [0, 1])
    def test_the_search_finds_the_one_that_can(self, seed, make_trainer):
        strategy = AVNAS(lr=0.05)
        strategy.setup_search(self.SPACE, seed)
        module = HashingModule(self.network(seed), recipe=Recipe(lr=0.01), seed=seed, strategy=strategy)
        loader = torch.utils.data.DataLoader([self.batch(step) for step in range(100)], batch_size=None)
        make_trainer(1, limit_val_batches=0).fit(module, loader)
        assert strategy.derive()["visual.M1"] == "conv3"
        unseen, network = self.batch(999), module.network.eval()
        with torch.no_grad():
            losses = [
                float(info_nce(network(unseen.visual, unseen.audio, {"visual.M1": index}), unseen.labels))
                for index in range(4)
            ]
        chance = float(info_nce(torch.ones(16, 8), unseen.labels))  # all codes alike
        assert losses[3] < chance / 10
        assert min(losses[:3]) > 0.95 * chance
