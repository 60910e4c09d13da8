"""ProxylessNAS: single-path weight steps, gated steps of alpha on held-out videos, the latency term, REINFORCE."""

import itertools
import math
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, mixed_cell
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.space import Cell, SearchSpace
from avhash_nas.strategies import ProxylessNAS, SearchProgress
from avhash_nas.training import Recipe
from reference.strategies_proxylessnas import gate_gradient, softmax
from strategies.contexts import context_of
from strategies.timed import SMALL, table, write

QUICK = tuple(
    partial(ProxylessNAS, gates=gates, lr=0.05, warmup=0.5, every=1, train_fraction=0.5)
    for gates in ("two", "full", "reinforce")
)
"""For the conformance checks: options that suit short searches."""


@pytest.fixture
def table_path(tmp_path):
    return write(tmp_path / "latency.json", table())


def begun(space=SMALL, seed=0, **options):
    strategy = ProxylessNAS(**options)
    strategy.setup_search(space, seed)
    return strategy


def spread(strategy, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for logits in strategy.architecture.logits:
            logits.copy_(scale * torch.randn(logits.shape, generator=generator))
    return strategy


class Bandit:
    """A module whose loss is known: each cell costs what its active candidate costs.

    `rewarded` is the best candidate of each cell. Gates see it through their weights, which they would through products
    with outputs; paths through their indices.
    """

    def __init__(self, space, rewarded):
        self.costs = {
            cell.name: torch.tensor([float(place != rewarded[cell.name]) for place in range(len(cell.candidates))])
            for cell in space.choices
        }
        self.network = torch.nn.Module()
        self.calls = []

    def loss(self, batch, route, parameters=None):
        self.calls.append(route)
        total = torch.zeros(())
        for name, choice in route.items():
            costs = self.costs[name]
            if isinstance(choice, Mixture):
                total = total + (choice.weights * costs[list(choice.candidates)]).sum()
            else:
                total = total + costs[choice]
        return total + 1

    def receive(self, batch):
        return batch


def play(strategy, bandit, steps):
    context = context_of(bandit)
    for step in range(steps):
        strategy.architecture_step(context, None, SearchProgress(0, step, 1, steps))
    return strategy


REWARDED = {"visual.M1": 2, "visual.U1": 1, "F": 1}
FAST = {"lr": 0.1, "warmup": 0.0, "every": 1}
MODES = ("two", "full", "reinforce")


class TestWeightStep:
    def test_one_candidate_of_each_cell_and_the_same_for_the_same_moment(self):
        strategy = spread(begun())
        routes = [strategy.route(SearchProgress(epoch, batch, 9, 9)) for epoch in range(9) for batch in range(9)]
        assert all(route.keys() == {cell.name for cell in SMALL.choices} for route in routes)
        assert len({tuple(route.values()) for route in routes}) > 10
        again = spread(begun())
        assert [again.route(SearchProgress(epoch, batch, 9, 9)) for epoch in range(9) for batch in range(9)] == routes
        assert [spread(begun(seed=1)).route(SearchProgress(0, batch, 9, 9)) for batch in range(9)] != routes[:9]

    def test_paths_follow_the_softmax(self):
        strategy = spread(begun())
        counts = {cell.name: Counter() for cell in SMALL.choices}
        for batch in range(1000):
            for name, place in strategy.route(SearchProgress(0, batch, 1, 1000)).items():
                counts[name][place] += 1
        for cell, logits in zip(SMALL.choices, strategy.architecture.logits, strict=True):
            for place, p in enumerate(softmax(logits.tolist())):
                assert abs(counts[cell.name][place] - 1000 * p) < 6 * math.sqrt(1000 * p * (1 - p))

    def test_the_candidates_that_did_not_run_stay_as_they_were(self, make_module, make_data, make_trainer, space):
        """To the bit, under an optimizer with moments and weight decay: their gradient is none, not zero."""
        strategy = ProxylessNAS(warmup=0.0, every=1, train_fraction=0.5)
        module = make_module(recipe=Recipe(lr=0.01, weight_decay=0.1), strategy=strategy)
        before = {name: tensor.clone() for name, tensor in module.network.state_dict().items()}
        make_trainer(1, limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=make_data())
        path = strategy.route(SearchProgress(0, 0, 1, 1))
        running = {f"{cell.name}.operators.{cell.candidates[path[cell.name]]}." for cell in space.choices}
        for name, tensor in module.network.state_dict().items():
            candidate = next((cell for cell in space.choices if name.startswith(f"{cell.name}.operators.")), None)
            if candidate is not None and not name.startswith(tuple(running)):
                assert torch.equal(tensor, before[name]), name
        assert any(not torch.equal(tensor, before[name]) for name, tensor in module.network.state_dict().items())


class CountedCells:
    """How many candidates of each cell each forward pass ran."""

    def __init__(self, monkeypatch):
        self.passes = []
        choose, weighted_sum = MixedCell.chosen, mixed_cell.weighted_sum
        forward = MixedCell.forward

        def counted(cell, route):
            chosen = choose(cell, route)
            self.passes[-1][1] += not isinstance(chosen, Mixture)
            return chosen

        def mixed(operators, *rest):
            self.passes[-1][1] += len(operators)
            return weighted_sum(operators, *rest)

        def noted(cell, *inputs, route):
            self.passes.append([cell.cell.name, 0, torch.is_grad_enabled()])
            return forward(cell, *inputs, route=route)

        monkeypatch.setattr(MixedCell, "chosen", counted)
        monkeypatch.setattr(mixed_cell, "weighted_sum", mixed)
        monkeypatch.setattr(MixedCell, "forward", noted)

    def of(self, cell):
        return [count for name, count, training in self.passes if name == cell and training]


class TestCost:
    @pytest.mark.parametrize(("gates", "scored"), [("two", 2), ("full", 8)])
    def test_a_step_of_alpha_runs_the_gates_candidates_and_a_weight_step_one(
        self, make_module, make_data, make_trainer, monkeypatch, gates, scored
    ):
        cells = CountedCells(monkeypatch)
        strategy = ProxylessNAS(gates=gates, warmup=0.5, every=2, train_fraction=0.5)
        trainer = make_trainer(4, limit_val_batches=0, num_sanity_val_steps=0)
        trainer.fit(make_module(strategy=strategy), datamodule=make_data())
        # 4 epochs of 3 batches; warm until 6, then before the steps 6, 8 and 10
        assert cells.of("visual.M1") == [1] * 6 + [scored, 1, 1] * 3
        assert cells.of("F") == [1] * 6 + [2, 1, 1] * 3

    def test_reinforce_runs_single_paths_without_a_graph(self, make_module, make_data, make_trainer, monkeypatch):
        cells = CountedCells(monkeypatch)
        strategy = ProxylessNAS(gates="reinforce", warmup=0.0, every=1, train_fraction=0.5, samples=4)
        trainer = make_trainer(1, limit_val_batches=0, num_sanity_val_steps=0)
        trainer.fit(make_module(strategy=strategy), datamodule=make_data())
        assert cells.of("visual.M1") == [1] * 3
        assert [count for name, count, training in cells.passes if name == "F" and not training] == [1] * 8


class Watched(ProxylessNAS):
    """Notes alpha, the weights and the videos around each step of alpha."""

    def setup_search(self, space, seed):
        super().setup_search(space, seed)
        self.alphas, self.rows, self.untouched = [], [], []

    def architecture_step(self, context, batch, progress):
        def held_out(number):
            self.rows.append((held := context.held_out(number)).index.tolist())
            return held

        def state():
            weights = list(context.module.network.parameters())
            return [tensor.clone() for weight in weights for tensor in (weight, weight.grad) if tensor is not None]

        before = state()
        super().architecture_step(replace(context, held_out=held_out), batch, progress)
        after = state()
        self.untouched.append(len(before) == len(after) and all(map(torch.equal, before, after)))
        self.alphas.append([logits.detach().clone() for logits in self.architecture.logits])


class WeightRows(Callback):
    def __init__(self):
        self.rows = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rows.append(batch.index.tolist())


@pytest.mark.parametrize("gates", MODES)
class TestSearch:
    def test_under_a_trainer(self, make_module, make_data, make_trainer, gates):
        strategy, spy = Watched(gates=gates, lr=0.05, train_fraction=0.5, samples=3, warmup=0.5, every=2), WeightRows()
        module, data = make_module(strategy=strategy), make_data()
        trainer = make_trainer(4, callbacks=[spy], check_val_every_n_epoch=4, num_sanity_val_steps=0)
        trainer.fit(module, datamodule=data)

        # alpha moves in its turn, before the steps 6, 8 and 10, and not while the weights warm up
        start = [logits.detach() for logits in begun(strategy.space).architecture.logits]
        moves = [
            not all(map(torch.equal, before, after)) for before, after in itertools.pairwise([start, *strategy.alphas])
        ]
        assert moves == [False] * 6 + [True, False] * 3
        assert strategy.untouched == [True] * 12
        assert all(logits.grad is None for logits in strategy.architecture.logits)

        # it learns from training videos that train no weights
        held_out = {row for rows in strategy.rows for row in rows}
        trained_on = {row for rows in spy.rows for row in rows}
        assert len(strategy.rows) == 3
        assert held_out.isdisjoint(trained_on)
        assert held_out | trained_on <= set(data.splits["train"].tolist())
        assert min(len(held_out), len(trained_on)) > 3

        # what is trained and what would be derived are scored, and the state is described
        assert module.scores.keys() == {"supernet", "derived"}
        logged = {name for name in trainer.logged_metrics if name.startswith("architecture/")}
        assert logged == {"architecture/entropy", "architecture/skips"}
        assert strategy.report()["probability"].keys() == {cell.name for cell in strategy.space.choices}
        strategy.space.check(strategy.derive())

    def test_it_finds_what_is_rewarded(self, gates):
        strategy = begun(gates=gates, **FAST)
        assert strategy.space.indices(strategy.derive()) != {**REWARDED, "visual.U2": 0}
        play(strategy, Bandit(SMALL, REWARDED), 120)
        assert strategy.space.indices(strategy.derive()) == {**REWARDED, "visual.U2": 0}
        assert all(probability > 0.8 for probability in strategy.report()["probability"].values())

    def test_latency_alone_leads_to_the_fastest(self, gates, table_path):
        """Every candidate is equally good, and the term decides."""
        strategy = begun(gates=gates, latency=table_path, **FAST)
        bandit = Bandit(SMALL, REWARDED)
        bandit.costs = {name: torch.zeros_like(costs) for name, costs in bandit.costs.items()}
        slow = {"visual.M1": 3, "visual.U1": 2, "F": 1}
        with torch.no_grad():
            for cell, logits in zip(SMALL.choices, strategy.architecture.logits, strict=True):
                logits[slow[cell.name]] = 0.5
        assert strategy.summary(SearchProgress(0, 0, 1, 1))["latency_ms"] > 1000 * strategy.latency.reference
        play(strategy, bandit, 120)
        assert strategy.derive() == SMALL.architecture({"visual.M1": 0, "visual.U1": 0, "visual.U2": 0, "F": 0})
        assert strategy.report()["latency"]["derived"] == pytest.approx(5 + 0.5 + 0.25)


class TestStepOfAlpha:
    def test_in_a_network_its_gradient_is_equation_4_in_every_cell(self, make_module, space):
        """The gates' own gradients are taken with plain weights in place of the straight-through ones."""
        strategy = spread(begun(space, gates="two"))
        strategy.architecture.double()
        module = make_module(space).double()
        generator = torch.Generator().manual_seed(2)
        features = [torch.randn(6, 4, size, generator=generator, dtype=torch.float64) for size in (8, 6)]
        weight = torch.randn(6, 8, generator=generator, dtype=torch.float64)
        for make in (strategy._gates, begun(space, gates="full")._gates):
            gates = make(SearchProgress(0, 3, 1, 9))
            plain = {
                name: torch.tensor([float(place == gate.active) for place in gate.candidates], dtype=torch.float64)
                for name, gate in gates.items()
            }
            route = {
                name: Mixture(plain[name].requires_grad_(), gate.candidates, frozenset(gate.candidates) - {gate.active})
                for name, gate in gates.items()
            }
            of_gates = torch.autograd.grad((module.network(*features, route) * weight).sum(), list(plain.values()))
            logits = dict(zip(gates, strategy.architecture.logits, strict=True))
            gated = {name: gate.mixture(gate.probabilities(logits[name])) for name, gate in gates.items()}
            found = torch.autograd.grad((module.network(*features, gated) * weight).sum(), list(logits.values()))
            for name, gradient, of_gate in zip(gates, found, of_gates, strict=True):
                expected = gate_gradient(logits[name].tolist(), gates[name].candidates, of_gate.tolist())
                torch.testing.assert_close(
                    gradient, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12
                )

    def test_two_paths_leave_the_probabilities_of_all_others(self):
        strategy = spread(begun(gates="two", **FAST))
        strategy.architecture.double()
        bandit = Bandit(SMALL, REWARDED)
        context = context_of(bandit)
        for step in range(1, 30):
            old = {name: p.detach().clone() for name, p in strategy.architecture.probabilities().items()}
            strategy.architecture_step(context, None, SearchProgress(0, step, 1, 30))
            for name, p in strategy.architecture.probabilities().items():
                running = bandit.calls[-1][name].candidates
                others = [place for place in range(len(p)) if place not in running]
                torch.testing.assert_close(p[others], old[name][others], rtol=0, atol=1e-15)
                torch.testing.assert_close(p[list(running)].sum(), old[name][list(running)].sum(), rtol=0, atol=1e-15)

    def test_where_there_are_two_candidates_both_ways_are_one(self):
        """Up to a shift of all logits, which the softmax does not see."""
        space = SearchSpace((Cell("F", ("add", "gated_attention")),))
        strategies = [begun(space, gates=gates, **FAST) for gates in ("two", "full")]
        for step in range(1, 6):
            for strategy in strategies:
                active = Bandit(space, {"F": 1})
                active.costs["F"] = torch.tensor([0.3, -0.9])
                strategy.architecture_step(context_of(active), None, SearchProgress(0, step, 1, 9))
            one, other = (strategy.architecture.probabilities()["F"] for strategy in strategies)
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)

    def test_state_and_optimizer_go_on_where_they_were(self):
        for gates in MODES:
            straight = play(begun(gates=gates, **FAST), Bandit(SMALL, REWARDED), 20)
            first = begun(gates=gates, **FAST)
            for step in range(10):
                first.architecture_step(context_of(Bandit(SMALL, REWARDED)), None, SearchProgress(0, step, 1, 20))
            second = begun(gates=gates, seed=0, init_scale=5.0, **FAST)
            second.architecture.load_state_dict(first.architecture.state_dict())
            second.load_state_dict(first.state_dict())
            second.optimizer.load_state_dict(first.optimizer.state_dict())
            for step in range(10, 20):
                second.architecture_step(context_of(Bandit(SMALL, REWARDED)), None, SearchProgress(0, step, 1, 20))
            found, expected = second.architecture.state_dict(), straight.architecture.state_dict()
            assert found.keys() == expected.keys()
            assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


class TestDerive:
    def test_it_is_the_argmax_and_changes_nothing(self):
        strategy = spread(begun())
        before = [logits.detach().clone() for logits in strategy.architecture.logits]
        assert len({strategy.derive() for _ in range(5)}) == 1
        assert all(map(torch.equal, before, strategy.architecture.logits))
        for cell, logits in zip(SMALL.choices, before, strict=True):
            assert strategy.derive()[cell.name] == cell.candidates[int(logits.argmax())]

    def test_it_starts_near_uniform(self):
        strategy = begun()
        assert 0 < max(float(logits.detach().abs().max()) for logits in strategy.architecture.logits) < 0.01
        assert strategy.summary(SearchProgress(0, 0, 1, 1))["entropy"] == pytest.approx(1, abs=1e-4)

    def test_select(self):
        assert [ProxylessNAS(select=name).monitor for name in ("last", "derived", "supernet")] == [
            *(None, "derived", "supernet"),
        ]
        routes = begun(probes=3).evaluation_routes(SearchProgress(1, 0, 2, 4))
        assert len(routes["supernet"]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gates": "three"}, "strategy.gates must be two, full or reinforce, got 'three'"),
        ({"select": "best"}, "strategy.select must be last, derived or supernet, got 'best'"),
        ({"lr": -1e-3}, "strategy.lr must not be negative, got -0.001"),
        ({"init_scale": float("nan")}, "strategy.init_scale must not be negative, got nan"),
        ({"betas": (0.0, 1.0)}, r"strategy.betas must lie in \[0, 1\), got \(0.0, 1.0\)"),
        ({"betas": (0.5, 0.999)}, r"strategy.betas must start with 0 where gates is two, got \(0.5, 0.999\)"),
        ({"warmup": 1.0}, r"strategy.warmup must lie in \[0, 1\), got 1.0"),
        ({"every": 0}, "strategy.every must be at least 1, got 0"),
        ({"train_fraction": 1.0}, "strategy.train_fraction must lie between 0 and 1, got 1.0"),
        ({"samples": 1}, "strategy.samples must be at least 2, got 1"),
        ({"probes": 0}, "strategy.probes must be at least 1, got 0"),
        ({"decay": 1.0}, r"strategy.decay must lie in \[0, 1\), got 1.0"),
        ({"latency": "nowhere.json"}, "nowhere.json: cannot be read: No such file or directory"),
        ({"latency": "LATENCY", "latency_form": "log"}, "strategy.latency_form must be add or multiply, got 'log'"),
        ({"latency": "LATENCY", "latency_weight": -1.0}, "strategy.latency_weight must not be negative, got -1.0"),
        ({"latency": "LATENCY", "latency_reference": 0.0}, "strategy.latency_reference must be positive, got 0.0"),
    ],
)
def test_options_out_of_range(options, message, table_path):
    if options.get("latency") == "LATENCY":
        options = {**options, "latency": table_path}
    with pytest.raises(AvnasError, match=message):
        ProxylessNAS(**options)


def test_full_gates_may_have_momentum():
    assert ProxylessNAS(gates="full", betas=(0.5, 0.999)).betas == (0.5, 0.999)


def test_a_part_that_makes_no_batches_is_named(make_module, make_data, make_trainer):
    """Of the 6 videos of each class, none has another of its class left."""
    strategy = ProxylessNAS(train_fraction=0.84)
    message = (
        "ProxylessNAS.train_fraction: 0.84 leaves 3 of 18 training videos to the architecture, which are too few: no "
        "class"
    )
    with pytest.raises(AvnasError, match=message):
        make_trainer().fit(make_module(strategy=strategy), datamodule=make_data())
