"""Single paths: uniform, independent, fair; and what a weight step on them leaves alone."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback

from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies import SPOS, SearchProgress, SharedRandom
from avhash_nas.strategies.single_path import fair_paths, uniform_path
from avhash_nas.training import Recipe
from reference.strategies_evolution import independent_p, uniform_p

FULL = load_space("full")
EPOCHS, BATCHES = 100, 1000


@pytest.fixture(scope="module")
def drawn():
    """100,000 paths of the whole space, a row each, as a search of 100 epochs draws them."""
    names = [cell.name for cell in FULL.cells]
    paths = (uniform_path(FULL, 7, epoch, batch) for epoch in range(EPOCHS) for batch in range(BATCHES))
    return np.array([[path[name] for name in names] for path in paths])


def table(first, second):
    """Counts of every pair of values."""
    counts = np.zeros((first.max() + 1, second.max() + 1), dtype=int)
    np.add.at(counts, (first, second), 1)
    return counts


class TestUniform:
    def test_every_candidate_is_as_probable(self, drawn):
        """Pearson's chi-square in each of 22 cells, at a level of 0.001 over all of them."""
        for cell, column in zip(FULL.cells, drawn.T):
            counts = np.bincount(column)
            assert len(counts) == len(cell.candidates)
            assert uniform_p(counts) > 1e-3 / len(FULL.cells), cell.name

    def test_cells_are_independent(self, drawn):
        pairs = list(itertools.combinations(range(len(FULL.cells)), 2))
        for first, second in pairs:
            assert independent_p(table(drawn[:, first], drawn[:, second])) > 1e-3 / len(pairs), (first, second)

    @pytest.mark.parametrize("apart", [1, BATCHES], ids=["next step", "same step of the next epoch"])
    def test_steps_are_independent(self, drawn, apart):
        for index, cell in enumerate(FULL.cells):
            p = independent_p(table(drawn[:-apart, index], drawn[apart:, index]))
            assert p > 1e-3 / len(FULL.cells), cell.name

    def test_the_tests_above_notice_a_bias_and_a_bond(self, drawn):
        column = drawn[:, 0].copy()
        biased = np.where((column == 1) & (np.arange(len(column)) % 10 == 0), 0, column)
        assert uniform_p(np.bincount(biased)) < 1e-9
        bound = np.where(np.arange(len(column)) % 20 == 0, column, np.roll(column, 5))
        assert independent_p(table(column, bound)) < 1e-9

    def test_it_is_a_function_of_seed_epoch_and_batch(self):
        drawn = [uniform_path(FULL, *key) for key in itertools.product((0, 1), (0, 1), (0, 1))]
        assert len({tuple(path.values()) for path in drawn}) == 8
        assert drawn == [uniform_path(FULL, *key) for key in itertools.product((0, 1), (0, 1), (0, 1))]

    def test_a_path_is_an_architecture(self):
        path = uniform_path(FULL, 0, 0, 0)
        assert FULL.indices(FULL.architecture(path)) == path


def runs(steps, cell):
    """How often each candidate runs in steps of several paths."""
    return [
        [Counter(path[cell.name] for path in paths)[choice] for choice in range(len(cell.candidates))]
        for paths in steps
    ]


class TestFair:
    def test_the_paper_space(self):
        """A candidate of 8 runs once a step, one of 3 eight times in three steps, one of 2 four times a step."""
        steps = [fair_paths(FULL, 0, 0, batch) for batch in range(9)]
        assert {len(paths) for paths in steps} == {8}
        for cell in FULL.cells:
            counts = runs(steps, cell)
            if len(cell.candidates) == 8:
                assert counts == [[1] * 8] * 9
            elif len(cell.candidates) == 2:
                assert counts == [[4] * 2] * 9
            else:
                assert {tuple(sorted(step)) for step in counts} == {(2, 3, 3)}
                assert [np.sum(counts[start : start + 3], 0).tolist() for start in (0, 3, 6)] == [[8] * 3] * 3

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 5))
    def test_any_sizes(self, sizes, seed, epoch):
        """As even as whole numbers allow in every step, and exactly even whenever they allow it."""
        names = ("visual.M1", "audio.M1", "visual.U1", "T")
        space = SearchSpace(tuple(Cell(name, tuple(f"o{i}" for i in range(size))) for name, size in zip(names, sizes)))
        paths = max(sizes)
        for cell in space.cells:
            size = len(cell.candidates)
            period = size // math.gcd(size, paths)
            steps = [fair_paths(space, seed, epoch, batch) for batch in range(2 * period)]
            counts = np.array(runs(steps, cell))
            assert (counts.sum(1) == paths).all()
            assert counts.min() >= paths // size
            assert counts.max() <= -(-paths // size)
            for start in (0, period):
                assert (counts[start : start + period].sum(0) == paths * period // size).all()

    def test_each_path_alone_is_uniform_and_its_cells_are_independent(self):
        space = SearchSpace(tuple(FULL[name] for name in ("visual.M1", "audio.M1", "visual.U1", "audio.U1", "F")))
        steps = [fair_paths(space, 3, 0, batch) for batch in range(4000)]
        for path in (0, 7):
            drawn = np.array([list(paths[path].values()) for paths in steps])
            pairs = list(itertools.combinations(range(5), 2))
            assert min(uniform_p(np.bincount(column)) for column in drawn.T) > 1e-3 / 5
            assert min(independent_p(table(drawn[:, i], drawn[:, j])) for i, j in pairs) > 1e-3 / len(pairs)


def begun(strategy, space, seed=0):
    strategy.setup_search(space, seed)
    return strategy


class TestStrategy:
    def test_routes(self, space):
        progress = SearchProgress(2, 3, 10, 4)
        assert begun(SPOS(), space, 5).route(progress) == uniform_path(space, 5, 2, 3)
        assert begun(SPOS(fair=True), space, 5).route(progress) == fair_paths(space, 5, 2, 3)

    def test_the_supernet_of_shared_random_is_that_of_spos(self, space):
        steps = [SearchProgress(epoch, batch, 10, 4) for epoch in range(3) for batch in range(4)]
        for fair in (False, True):
            spos, random = begun(SPOS(fair), space), begun(SharedRandom(fair), space)
            assert [spos.route(progress) for progress in steps] == [random.route(progress) for progress in steps]

    def test_validation_scores_the_same_few_paths_every_time(self, space):
        strategy = begun(SPOS(probes=3), space)
        routes = [strategy.evaluation_routes(SearchProgress(epoch, 4, 10, 4)) for epoch in (0, 9)]
        assert routes[0] == routes[1]
        assert routes[0].keys() == {"supernet"}  # nothing is derived yet
        probes = routes[0]["supernet"]
        assert len(probes) == len({tuple(probe.items()) for probe in probes}) == 3
        for probe in probes:
            assert space.indices(space.architecture(probe)) == probe
        assert begun(SPOS(probes=3), space, 1).evaluation_routes(SearchProgress(0, 4, 10, 4)) != routes[0]


class SearchRecorder(Callback):
    """Notes for every weight step which parameters its routes run, which have a gradient, and which have moved."""

    def __init__(self):
        self.steps = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = self._state(trainer, module)

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.graded = {name for name, parameter in module.network.named_parameters() if parameter.grad is not None}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        routes = module.route if isinstance(module.route, tuple) else (module.route,)
        running = {name for name in self.before if any(runs_in(name, route, module.network.space) for route in routes)}
        after = self._state(trainer, module)
        moved = {name for name in after if not same(after[name], self.before[name])}
        had_moments = {name for name, tensors in self.before.items() if len(tensors) > 1}
        self.steps.append((running, self.graded, moved, had_moments))

    @staticmethod
    def _state(trainer, module):
        """Weight and Adam's state of every parameter."""
        (optimizer,) = trainer.optimizers
        return {
            name: [
                parameter.detach().clone(),
                *(value.clone() for value in optimizer.state.get(parameter, {}).values()),
            ]
            for name, parameter in module.network.named_parameters()
        }


def same(tensors, others):
    return len(tensors) == len(others) and all(map(torch.equal, tensors, others))


def runs_in(parameter, route, space):
    """Whether a route runs the operator of a parameter; what belongs to no candidate always runs."""
    cell, _, rest = parameter.partition(".operators.")
    return not rest or space[cell].candidates[route[cell]] == rest.partition(".")[0]


def watch(strategy, make_module, make_data, make_trainer):
    watch = SearchRecorder()
    module = make_module(FULL, recipe=Recipe(lr=0.01, weight_decay=0.5), strategy=strategy)
    make_trainer(4, callbacks=[watch], limit_val_batches=0).fit(module, datamodule=make_data())
    return watch.steps


class TestWeightStep:
    def test_what_does_not_run_has_no_gradient_and_does_not_move(self, make_module, make_data, make_trainer):
        """Not even by momentum or weight decay, though it was trained before: nor does Adam count the step."""
        steps = watch(SPOS(), make_module, make_data, make_trainer)
        assert len({frozenset(running) for running, *_ in steps}) == len(steps) > 8
        for running, graded, moved, _ in steps:
            assert graded == running
            assert moved == running
        rested = [had_moments - running for running, _, _, had_moments in steps]
        assert sum(map(len, rested)) > 100

    def test_in_a_fair_step_everything_runs_and_moves(self, make_module, make_data, make_trainer):
        for running, graded, moved, had_moments in watch(SPOS(fair=True), make_module, make_data, make_trainer):
            assert running == graded == moved == moved | had_moments

    def test_a_fair_step_takes_the_mean_gradient_of_its_paths(self, make_module, make_data):
        data = make_data().prepare()
        batch = data.batch(data.splits["train"][:6])
        module = make_module(FULL).double()
        batch = batch._replace(visual=batch.visual.double(), audio=batch.audio.double())
        paths = fair_paths(FULL, 0, 0, 0)
        parameters = dict(module.network.named_parameters())

        def gradients(loss):
            found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            return {name: gradient for name, gradient in zip(parameters, found) if gradient is not None}

        together = gradients(torch.stack([module.loss(batch, path) for path in paths]).mean())
        alone = [gradients(module.loss(batch, path)) for path in paths]
        assert together.keys() == parameters.keys()
        for name, gradient in together.items():
            expected = sum(each[name] for each in alone if name in each) / len(paths)
            torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)
