"""ENAS: the controller's gradient, who learns from what and when, the best of N, and going on after a stop."""

import itertools
import json
import zlib
from functools import partial
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint

from avhash_nas.data import ClassBalanced, HashingData, write_synthetic
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.objectives import info_nce
from avhash_nas.space import load_space
from avhash_nas.strategies import ENAS, SearchProgress
from avhash_nas.strategies.controller import Controller, FactorizedPolicy
from avhash_nas.strategies.reinforce import PolicyGradient, rewards_of
from avhash_nas.strategies.single_path import uniform_path
from avhash_nas.training import HashingModule, Interrupted, Recipe
from avhash_nas.training.checkpoint import StageCheckpoint, StopBetweenBatches, stop_requests
from reference.strategies_enas import all_paths, expected_reward, policy_entropy
from strategies.contexts import context_of
from strategies.evaluators import SpyEvaluator

QUICK = (
    partial(ENAS, lr=0.05, controller_steps=4, samples=4, best_of=5),
    partial(ENAS, autoregressive=False, lr=0.5, controller_steps=4, samples=4, best_of=5),
)
"""For the conformance checks: options that suit short searches."""

START = SearchProgress(epoch=0, batch=0, epochs=10, batches=4)


def begun(space, seed=0, **options):
    strategy = ENAS(**options)
    strategy.setup_search(space, seed)
    return strategy


class TestGradient:
    """REINFORCE against the exact gradient: every architecture of a small space, weighted by its probability."""

    SIZES = (3, 2, 4)
    PATHS = torch.tensor(all_paths(SIZES))
    REWARDS = -4.7 + 0.6 * torch.sin(torch.arange(24, dtype=torch.float64) ** 2)

    def learner(self, make=Controller, sizes=SIZES, baseline=None, **options):
        """In double precision, far from uniform, and with a baseline that has seen this value, if one is given."""
        learner = PolicyGradient(make(sizes, temperature=1.5), **options).double()
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter.mul_(4)
        if baseline is not None:
            learner.baseline.update(torch.full((2,), baseline, dtype=torch.float64))
        return learner

    def gradient(self, learner, paths, rewards):
        """Of one step on given samples; the baseline is put back."""
        kept = {name: value.clone() for name, value in learner.baseline.state_dict().items()}
        loss = learner.learn(learner.policy.score(paths), rewards)
        learner.baseline.load_state_dict(kept)
        return flat(torch.autograd.grad(loss, list(learner.parameters())))

    def per_path(self, learner, rewards=REWARDS):
        """The gradient of a step on each architecture, (24, parameters), and the probabilities, (24,)."""
        gradients = [
            self.gradient(learner, path[None], reward[None]) for path, reward in zip(self.PATHS, rewards, strict=True)
        ]
        return torch.stack(gradients), self.log_policy(learner).detach().exp()

    def log_policy(self, learner):
        return learner.policy.score(self.PATHS).log_probability

    def exact(self, learner, objective):
        """Minus the gradient of what a function makes of the log-probabilities."""
        return -flat(torch.autograd.grad(objective(self.log_policy(learner)), list(learner.parameters())))

    @pytest.mark.parametrize("make", [Controller, FactorizedPolicy])
    @pytest.mark.parametrize("baseline", [0.0, -4.7, 31.0])
    def test_its_expectation_is_the_gradient_of_the_expected_reward_whatever_the_baseline(self, make, baseline):
        learner = self.learner(make, baseline=baseline, entropy_weight=0.0)
        gradients, policy = self.per_path(learner)
        exact = self.exact(learner, lambda log_policy: expected_reward(log_policy, self.REWARDS))
        torch.testing.assert_close(policy @ gradients, exact, rtol=1e-10, atol=1e-12)
        assert exact.abs().max() > 1e-3

    @pytest.mark.parametrize("options", [{}, {"advantage": "others", "baseline": 3.0}], ids=["first step", "others"])
    def test_comparing_with_the_other_samples_is_unbiased_as_well(self, options):
        learner = self.learner(sizes=(3, 2), entropy_weight=0.0, **options)
        paths, rewards = torch.tensor(all_paths((3, 2))), self.REWARDS[:6]
        log_policy = learner.policy.score(paths).log_probability
        exact = -flat(torch.autograd.grad(expected_reward(log_policy, rewards), list(learner.parameters())))
        expected = torch.zeros_like(exact)
        for pair in map(list, itertools.product(range(6), repeat=2)):
            weight = log_policy[pair].detach().sum().exp()
            expected += weight * self.gradient(learner, paths[pair], rewards[pair])
        torch.testing.assert_close(expected, exact, rtol=1e-10, atol=1e-12)

    def test_a_constant_reward_teaches_nothing_on_average(self):
        gradients, policy = self.per_path(
            self.learner(baseline=0.0, entropy_weight=0.0), torch.full_like(self.REWARDS, 3)
        )
        assert (policy @ gradients).abs().max() < 1e-12
        assert gradients.abs().max() > 0.1

    def test_the_baseline_cuts_the_variance(self):
        spreads = []
        for baseline in (0.0, float(self.REWARDS.mean())):
            gradients, policy = self.per_path(self.learner(baseline=baseline, entropy_weight=0.0))
            spreads.append(float(policy @ (gradients - policy @ gradients).square().sum(1)))
        assert spreads[1] < spreads[0] / 20

    @pytest.mark.parametrize("make", [Controller, FactorizedPolicy])
    def test_with_its_own_gradient_the_entropy_is_followed_exactly(self, make):
        learner = self.learner(make, baseline=-4.7, entropy_weight=0.3, entropy_gradient=True)
        gradients, policy = self.per_path(learner)

        def objective(log_policy):
            return expected_reward(log_policy, self.REWARDS) + 0.3 * policy_entropy(log_policy)

        torch.testing.assert_close(policy @ gradients, self.exact(learner, objective), rtol=1e-10, atol=1e-12)

    def test_without_it_the_entropy_is_a_reward(self):
        learner = self.learner(baseline=-4.7, entropy_weight=0.3)
        gradients, policy = self.per_path(learner)
        rewards = self.REWARDS + 0.3 * learner.policy.score(self.PATHS).entropy.detach()
        exact = self.exact(learner, lambda log_policy: expected_reward(log_policy, rewards))
        torch.testing.assert_close(policy @ gradients, exact, rtol=1e-10, atol=1e-12)
        plain = self.exact(learner, lambda log_policy: expected_reward(log_policy, self.REWARDS))
        assert (exact - plain).abs().max() > 1e-3

    def test_a_factorized_policy_is_then_not_moved_by_its_entropy(self):
        expected = []
        for weight in (0.0, 0.3):
            gradients, policy = self.per_path(self.learner(FactorizedPolicy, baseline=-4.7, entropy_weight=weight))
            expected.append(policy @ gradients)
        torch.testing.assert_close(*expected, rtol=1e-10, atol=1e-12)

    def test_sampled_steps_scatter_about_the_exact_gradient(self):
        learner = self.learner(baseline=-4.7, entropy_weight=0.0)
        places = {tuple(path): place for place, path in enumerate(self.PATHS.tolist())}
        gradients = []
        for step in range(150):
            decoded = learner.policy.sample(10, np.random.default_rng(step))
            rewards = self.REWARDS[[places[tuple(path)] for path in decoded.choices.tolist()]]
            gradients.append(self.gradient(learner, decoded.choices, rewards))
        exact = self.exact(learner, lambda log_policy: expected_reward(log_policy, self.REWARDS))
        gradients = torch.stack(gradients)
        error = gradients.std(0) / len(gradients) ** 0.5
        assert ((gradients.mean(0) - exact).abs() <= 5 * error).all()

    def test_standardized_advantages_ignore_the_rewards_scale(self):
        steps = []
        for rewards in (self.REWARDS, 40 * self.REWARDS + 9):
            learner = self.learner(entropy_weight=0.0, advantage="standardized")
            steps.append(self.gradient(learner, self.PATHS, rewards))
        torch.testing.assert_close(*steps, rtol=1e-9, atol=1e-12)


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


class Bandit:
    """A module whose loss counts the cells that miss a target."""

    def __init__(self, target):
        self.network = torch.nn.Linear(1, 1)
        self.target = target
        self.stops = 0

    def receive(self, batch):
        return batch

    def loss(self, batch, route, parameters=None):
        return torch.tensor(sum(route[cell] != self.target[cell] for cell in self.target) / len(self.target))

    def stop_point(self):
        self.stops += 1


@pytest.mark.parametrize("options", [{"lr": 5e-3}, {"lr": 0.1, "autoregressive": False, "advantage": "others"}])
def test_a_bandit_is_solved_in_all_22_cells(options):
    space = load_space("full")
    target = space.indices(space.sample(np.random.default_rng(5)))
    module, strategy = Bandit(target), begun(space, hidden=32, **options)
    strategy._val_batches = lambda context: lambda number: None
    for epoch in range(6):
        strategy.architecture_step(context_of(module), None, SearchProgress(epoch, 0, 6, 4))
    assert module.stops == 5 * 30
    assert space.indices(strategy.derive()) == target
    rewards, entropies = ([phase[name] for phase in strategy.phases] for name in ("reward", "entropy"))
    assert rewards[-1] > rewards[0] / 4  # most of the misses are gone
    assert entropies[0] > entropies[-1] > 0
    assert strategy.phases[-1]["best"] == 0


class WeightRecorder(Callback):
    """Records the weights, their modes and gradients, and the controller, whenever a batch starts."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        network = module.network
        self.seen.append(
            SimpleNamespace(
                epoch=trainer.current_epoch,
                batch=batch_idx,
                rows=batch.index.tolist(),
                route=None,
                weights={name: tensor.clone() for name, tensor in network.state_dict().items()},
                modes=[part.training for part in network.modules()],
                gradients=[parameter.grad for parameter in network.parameters()],
                controller={name: tensor.clone() for name, tensor in module.architecture.state_dict().items()},
            )
        )


class AfterStep(WeightRecorder, Checkpoint):
    """The same after the strategy's own step, as Lightning calls a Checkpoint last; also the weight step's route."""

    def on_train_batch_end(self, trainer, module, *_):
        self.seen[-1].route = module.route


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def searched(make_module, make_data, make_trainer, strategy, epochs=3, **options):
    """A search that was watched before and after the strategy's own hook."""
    before, after, module, data = WeightRecorder(), AfterStep(), make_module(strategy=strategy), make_data()
    trainer = make_trainer(epochs, callbacks=[before, after], **options)
    trainer.fit(module, datamodule=data)
    return SimpleNamespace(module=module, data=data, trainer=trainer, before=before.seen, after=after.seen)


SMALL = {"controller_steps": 2, "samples": 3, "lr": 0.01, "hidden": 8, "probes": 2}


class TestWhoLearnsWhen:
    @pytest.fixture
    def run(self, space, make_data, make_trainer):
        def module(strategy):
            torch.manual_seed(0)
            network = AudioVisualNetwork(8, 6, 8, space, width=8, heads=2, states=2, rank=2, balance=True)
            network.visual.eval()  # a part that somebody keeps out of training
            strategy.setup_search(space, 0)
            return HashingModule(network, recipe=Recipe(lr=0.01), strategy=strategy)

        self.strategy = ENAS(**SMALL)
        return searched(module, make_data, make_trainer, self.strategy)

    def test_phases_leave_the_weights_and_weight_steps_the_controller_to_the_bit(self, run):
        assert [(seen.epoch, seen.batch) for seen in run.after] == list(itertools.product(range(3), range(3)))
        for before, after in zip(run.before, run.after, strict=True):
            assert same(before.weights, after.weights)
            assert before.modes == after.modes
            assert before.gradients == after.gradients
            phase = after.epoch > 0 and after.batch == 0
            assert same(before.controller, after.controller) != phase
        for step, following in itertools.pairwise(zip(run.before, run.after, strict=True)):
            assert same(step[1].controller, following[0].controller)
            assert not same(step[1].weights, following[0].weights)
        assert set(run.after[0].modes) == {True, False}

    def test_every_parameter_of_the_controller_learns(self, run):
        first, last = run.before[0].controller, run.after[-1].controller
        assert [name for name in first if torch.equal(first[name], last[name])] == []

    def test_the_figures_of_the_phases(self, run):
        assert [phase["epoch"] for phase in self.strategy.phases] == [1, 2]
        for phase in self.strategy.phases:
            assert phase["reward"] <= phase["best"] < 0
            assert 0 < phase["entropy"] < np.log(self.strategy.architecture.policy.sizes).sum()
        logged = run.trainer.logged_metrics
        assert float(logged["architecture/reward"]) == pytest.approx(self.strategy.phases[-1]["reward"])
        assert 0.9 < float(logged["architecture/entropy"]) < 1
        assert json.loads(json.dumps(self.strategy.report())) == {"phases": self.strategy.phases}


def test_warm_up_trains_by_uniform_paths_and_no_controller(make_module, make_data, make_trainer):
    strategy = ENAS(**SMALL, warmup=0.5)
    run = searched(make_module, make_data, make_trainer, strategy, epochs=4)
    unmoved = [same(run.before[0].controller, seen.controller) for seen in run.after]
    assert unmoved == [True] * 6 + [False] * 6
    for place, seen in enumerate(run.after):
        uniform = uniform_path(strategy.space, strategy.seed, seen.epoch, seen.batch)
        assert (seen.route == uniform) == (place < 6)


@pytest.mark.parametrize("reward_batch", ["drawn", "fixed"])
def test_rewards_come_from_val_and_weight_steps_from_train(
    reward_batch, make_module, make_data, make_trainer, monkeypatch
):
    rewarded, receive = [], HashingModule.receive

    def spy(module, batch):
        rewarded.append(batch.index.tolist())
        return receive(module, batch)

    monkeypatch.setattr(HashingModule, "receive", spy)
    run = searched(make_module, make_data, make_trainer, ENAS(**SMALL, reward_batch=reward_batch))
    assert len(rewarded) == 2 * 2
    assert {row for rows in rewarded for row in rows} <= set(run.data.splits["val"].tolist())
    assert {row for seen in run.after for row in seen.rows} <= set(run.data.splits["train"].tolist())
    assert all(len(set(rows)) > 1 for rows in rewarded)
    assert len({tuple(rows) for rows in rewarded}) == (4 if reward_batch == "drawn" else 1)


def test_a_reward_is_minus_the_loss_of_the_network_in_eval_mode(make_module, make_data, space):
    module, data = make_module(dropout=0.5), make_data().prepare()
    batch, routes = data.batch(data.splits["val"]), [uniform_path(space, 0, 0, step) for step in range(3)]
    module.network.train()
    random = torch.get_rng_state()
    rewards = rewards_of(module, batch, routes)
    assert torch.equal(torch.get_rng_state(), random)
    assert module.network.training
    module.network.eval()
    expected = [-info_nce(module.network(batch.visual, batch.audio, route), batch.labels, 0.1) for route in routes]
    assert torch.equal(rewards, torch.stack(expected).detach())
    assert not rewards.requires_grad
    assert len(set(rewards.tolist())) == 3


class TestRoutes:
    def test_a_path_is_a_function_of_state_seed_and_moment(self, space):
        strategy, again, other = begun(space), begun(space), begun(space, seed=1)
        steps = [SearchProgress(epoch, batch, 10, 4) for epoch in range(3) for batch in range(4)]
        paths = [strategy.route(progress) for progress in steps]
        assert [strategy.route(progress) for progress in steps] == paths
        assert [again.route(progress) for progress in reversed(steps)] == paths[::-1]
        assert [other.route(progress) for progress in steps] != paths
        assert len({tuple(path.values()) for path in paths}) > 6
        assert all(space.indices(space.architecture(path)) == path for path in paths)

    def test_paths_follow_the_policy(self, space):
        strategy = begun(space, autoregressive=False)
        with torch.no_grad():
            for logits in strategy.architecture.policy.logits:
                logits.fill_(-100.0)[1] = 100.0
        paths = [strategy.route(SearchProgress(epoch, 0, 200, 1)) for epoch in range(200)]
        for cell in space.choices:
            taken = sum(path[cell.name] == 1 for path in paths) / len(paths)
            assert taken > 0.9
        assert any(path[space.choices[0].name] != 1 for path in paths)

    def test_a_validation_scores_sampled_architectures_and_the_greedy_one(self, space):
        strategy = begun(space, probes=3)
        routes = strategy.evaluation_routes(START)
        assert list(routes) == ["supernet", "derived"]
        assert len(routes["supernet"]) == 3
        assert routes["derived"] == space.indices(strategy.derive())
        assert strategy.evaluation_routes(SearchProgress(4, 0, 10, 4))["supernet"] == routes["supernet"]

    def test_the_state_at_the_end_is_kept(self):
        assert ENAS().monitor is None


class TestBestOfN:
    @staticmethod
    def fitness(architecture):
        return zlib.crc32(repr(architecture).encode()) / 2**32

    def test_the_best_of_the_distinct_candidates_is_derived(self):
        strategy = begun(load_space("full"), best_of=40)
        greedy, evaluator = strategy.derive(), SpyEvaluator(self.fitness)
        strategy.search(evaluator)
        (asked,) = evaluator.calls
        assert len(asked) == len(set(asked)) == 40
        assert asked[0] == greedy
        assert self.fitness(strategy.derive()) == max(map(self.fitness, asked))
        assert strategy.derive() == max(asked, key=self.fitness)
        report = strategy.report()
        assert report["greedy"] == self.fitness(greedy)
        assert report["candidates"]["best"] == self.fitness(strategy.derive())
        assert report["candidates"]["evaluations"] == 40
        json.dumps(report)

    def test_choosing_again_gives_the_same(self):
        strategy, again = (begun(load_space("full"), best_of=20) for _ in range(2))
        evaluator = SpyEvaluator(self.fitness)
        for each in (strategy, again, strategy):
            each.search(evaluator)
        assert again.derive() == strategy.derive()
        assert len(evaluator.evaluated) == 20

    def test_of_equals_the_greedy_one_is_taken(self):
        strategy = begun(load_space("full"), best_of=10)
        greedy = strategy.derive()
        strategy.search(SpyEvaluator(lambda architecture: 0.5))
        assert strategy.derive() == greedy

    def test_a_space_with_fewer_architectures_is_scored_whole(self, space):
        strategy = begun(space, best_of=space.size + 1)
        greedy = strategy.derive()
        found = strategy.candidates()
        assert found[0] == greedy
        assert len(found) == len(set(found)) == space.size

    @pytest.mark.parametrize("derive_tanh", [True, False])
    def test_a_decided_policy_ends_with_what_it_shows(self, derive_tanh):
        strategy = begun(load_space("full"), autoregressive=False, best_of=8, derive_tanh=derive_tanh)
        with torch.no_grad():
            for logits in strategy.architecture.policy.logits:
                logits[0] = 1e4
        found = strategy.candidates()
        assert len(found) == len(set(found)) == (8 if derive_tanh else 1)

    def test_what_was_scored_is_in_the_state(self, space):
        strategy, other = begun(space, best_of=5), begun(space, best_of=5)
        strategy.phases.append({"epoch": 1.0, "reward": -2.0, "best": -1.0, "baseline": -2.0, "entropy": 3.0})
        strategy.search(SpyEvaluator(lambda architecture: float(architecture["F"] == "sum")))
        other.load_state_dict(strategy.state_dict())
        assert other.derive() == strategy.derive()
        assert other.report() == strategy.report()


class TestGoingOn:
    """Stopped anywhere, within a phase too, and started again from the checkpoint: the same to the last bit."""

    @pytest.fixture
    def go(self, make_module, make_data, tmp_path):
        def run(folder, stop_at=None):
            strategy, folder = ENAS(**SMALL), tmp_path / folder
            with stop_requests() as stop:
                module = make_module(dropout=0.1, strategy=strategy, stop_point=stop.stop_point)
                kick, checkpoint = Kick(stop_at, stop, strategy), StageCheckpoint(folder, stop)
                trainer = L.Trainer(
                    max_epochs=4,
                    accelerator="cpu",
                    callbacks=[kick, StopBetweenBatches(checkpoint), checkpoint],
                    logger=False,
                    enable_progress_bar=False,
                    enable_model_summary=False,
                )
                resume = str(checkpoint.path) if checkpoint.path.exists() else None
                folder.mkdir(exist_ok=True)
                trainer.fit(module, datamodule=make_data(), ckpt_path=resume, weights_only=True)
            return module, strategy, trainer

        return run

    def test_a_search_that_is_stopped_ends_the_same(self, go):
        module, strategy, trainer = go("unbroken")
        for stop_at in [(0, 1), (1, "phase"), (2, "phase"), (2, 1), (3, "phase"), (3, 2)]:
            with pytest.raises(Interrupted):
                go("stopped", stop_at)
        resumed, again, other = go("stopped")
        assert same(module.state_dict(), resumed.state_dict())
        assert_same_state(strategy.state_dict(), again.state_dict())
        assert_same_state(strategy.optimizer.state_dict(), again.optimizer.state_dict())
        assert_same_state(trainer.optimizers[0].state_dict(), other.optimizers[0].state_dict())
        for batch in range(10):
            progress = SearchProgress(4, batch, 5, 10)
            assert strategy.route(progress) == again.route(progress)
        assert len(strategy.phases) == 3


class Kick(Callback):
    """Asks to stop at a batch of an epoch, or in the middle of that epoch's controller phase."""

    def __init__(self, place, stop, strategy):
        self.place = place
        if place and place[1] == "phase":
            learn = strategy.architecture.learn

            def learn_and_stop(decoded, rewards):
                if len(strategy.phases) == place[0] - 1:
                    stop.signum = 15
                return learn(decoded, rewards)

            strategy.architecture.learn = learn_and_stop
        self.stop = stop

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.place:
            self.stop.signum = 15


def assert_same_state(one, other):
    """Nested mappings and lists of tensors and values."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert_same_state(value, other[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same_state(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_it_needs_a_data_set_with_val(make_module, make_trainer, make_data):
    loader = torch.utils.data.DataLoader([make_data().prepare().batch(np.arange(6))], batch_size=None)
    with pytest.raises(AvnasError, match="ENAS: takes its rewards on the split val of a HashingData"):
        make_trainer(1, limit_val_batches=0).fit(make_module(strategy=ENAS()), loader)


def test_val_must_hold_pairs(make_module, make_trainer, tmp_path):
    root = write_synthetic(tmp_path / "set", classes=3, train=6, val=1, test=1, visual_dim=8, audio_dim=6, frames=5)
    data = HashingData(root, cache_dir=tmp_path, sampling=ClassBalanced(classes=3, videos=2))
    with pytest.raises(
        AvnasError, match="ENAS: its rewards need videos of val that share a class and some that do not"
    ):
        make_trainer(1).fit(make_module(strategy=ENAS()), datamodule=data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"controller_steps": 0}, "strategy.controller_steps must be at least 1, got 0"),
        ({"samples": 1}, "strategy.samples must be at least 2, got 1"),
        ({"best_of": 0}, "strategy.best_of must be at least 1, got 0"),
        ({"probes": 0}, "strategy.probes must be at least 1, got 0"),
        ({"warmup": 1.0}, r"strategy.warmup must be a part of the search in \[0, 1\), got 1.0"),
        ({"lr": -1.0}, "strategy.lr must not be negative, got -1.0"),
        ({"lr": float("nan")}, "strategy.lr must not be negative, got nan"),
        ({"entropy_weight": -0.1}, "strategy.entropy_weight must not be negative, got -0.1"),
        ({"hidden": 0}, "strategy.hidden must be at least 1, got 0"),
        ({"temperature": 0.0}, "strategy.temperature must be positive, got 0.0"),
        ({"tanh_constant": -2.5, "autoregressive": False}, "strategy.tanh_constant must not be negative, got -2.5"),
        ({"advantage": "best"}, "strategy.advantage must be moving, others or standardized, got 'best'"),
        ({"decay": 1.0}, r"strategy.decay must lie in \[0, 1\), got 1.0"),
        ({"reward_batch": "test"}, "strategy.reward_batch must be drawn or fixed, got 'test'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=message):
        ENAS(**options)
