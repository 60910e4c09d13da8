"""Checks that a strategy's results fit the space, are repeatable, and have no side effects."""

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Choice, Mixture, Routes
from avhash_nas.space import Cell
from avhash_nas.strategies import SearchProgress, SearchStrategy
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference, frozen
from avhash_nas.testing.fake_evaluator import FakeEvaluator
from avhash_nas.testing.interruptions import restored
from avhash_nas.testing.recorder import SearchRecorder, global_generators, shared_search, state_of
from avhash_nas.training.strategy_callback import search_progress


def queries_are_pure(make: Make) -> None:
    """`derive`, `route`, `evaluation_routes`, `summary` and `probabilities` are repeatable and without side effects.

    They are called at every batch and validation, also for other points of the search. Neither the network nor the
    strategy nor the global random states change, and the search gives the same as one without these calls. Routes and
    probabilities fit the space.
    """
    if not make().uses_supernet:
        return
    recorder = SearchRecorder(make())
    with temporary_folder() as folder:
        run(recorder.strategy, SHORT, folder, [_Queries(recorder.strategy), *recorder.callbacks])
    different = difference(shared_search(make).outcome(), recorder.outcome())
    assert different is None, f"a search whose strategy was asked for its routes differs: {different}"


def derived_architecture_fits_the_space(make: Make) -> None:
    """At the start, after training and after `search`, `derive` returns an architecture of the space, repeatably.

    Neither it nor `search` nor `report` draws global random numbers.
    """
    strategy = make()
    strategy.setup_search(SHORT.space, SEED)
    _check_architecture(strategy, "after setup_search()")
    strategy = restored(make)
    _check_architecture(strategy, "before search()")
    with _unchanged("search()", _random_numbers):
        strategy.search(FakeEvaluator())
    _check_architecture(strategy, "after search()")
    with _unchanged("report()", _random_numbers):
        strategy.report()


def state_and_results_are_plain(make: Make) -> None:
    """`state_dict` holds tensors and plain values, `report` JSON values, and the values of `summary` are finite."""
    strategy = make()
    strategy.setup_search(SHORT.space, SEED)
    saved = io.BytesIO()
    torch.save(strategy.state_dict(), saved)
    saved.seek(0)
    try:
        torch.load(saved, weights_only=True)
    except Exception as error:
        raise AssertionError(f"state_dict() holds more than tensors and plain values: {error}") from error
    for epoch, scores in shared_search(make).scores.items():
        odd = [name for name, value in scores.items() if not math.isfinite(value)]
        assert not odd, f"summary() of epoch {epoch} is not finite: {', '.join(odd)}"
    strategy = restored(make)
    strategy.search(FakeEvaluator())
    try:
        json.dumps(strategy.report(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"report() holds more than JSON values: {error}") from error


class _Queries(Checkpoint):
    """Calls all queries of the strategy whenever they may be called, after its own step (Lightning's Checkpoints)."""

    def __init__(self, strategy: SearchStrategy) -> None:
        self.strategy = strategy

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The length of an epoch is not known in Lightning's sanity check of the validation."""
        self._query(pl_module, replace(search_progress(trainer), batch=0, batches=0), "evaluation_routes")

    @override
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        progress = search_progress(trainer, batch_idx)
        other = replace(progress, epoch=(progress.epoch + 1) % progress.epochs, batch=0)
        self._query(pl_module, other, "route")
        self._query(pl_module, progress, "route", other=other)

    @override
    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        progress = search_progress(trainer)
        self._query(pl_module, progress, "evaluation_routes", "summary", "probabilities")
        names, monitor = self.strategy.evaluation_routes(progress).keys(), self.strategy.monitor
        assert monitor is None or monitor in names, (
            f"monitor is {monitor!r}, evaluation_routes() has {', '.join(names)}"
        )

    def _query(
        self, module: L.LightningModule, progress: SearchProgress, *methods: str, other: SearchProgress | None = None
    ) -> None:
        """Call the queries, then another one, and call them again."""
        strategy = self.strategy
        state = partial(_everything, module, strategy)
        queries: dict[str, Callable[[], Any]] = {
            "derive()": strategy.derive,
            **{f"{method}({progress})": partial(getattr(strategy, method), progress) for method in methods},
        }
        first = {}
        for name, query in queries.items():
            with _unchanged(name, state):
                value = query()
            self._check(name, value)
            first[name] = frozen(value)
        if other is not None:
            strategy.route(other)
        for name, query in reversed(queries.items()):
            different = difference(first[name], frozen(query()))
            assert different is None, f"{name} differs when called again: {different}"

    def _check(self, name: str, value: Any) -> None:
        if name.startswith("route"):
            _check_routes(self.strategy, value, name)
        if name.startswith("evaluation_routes"):
            for key, routes in value.items():
                _check_routes(self.strategy, routes, f"{name}[{key!r}]")
        if name.startswith("probabilities"):
            _check_probabilities(self.strategy, value, name)
        if name.startswith("derive"):
            _check_architecture(self.strategy, "during the search")


def _check_routes(strategy: SearchStrategy, routes: Routes, name: str) -> None:
    assert routes != (), f"{name} is empty"
    for route in routes if isinstance(routes, tuple) else (routes,):
        assert isinstance(route, Mapping), f"{name} is not a mapping from cells to choices: {route!r}"
        for cell in strategy.space.choices:
            assert cell.name in route, f"{name} leaves out the cell {cell.name}"
            assert _fits(cell, route[cell.name]), f"{name} does not fit the cell {cell.name}: {route[cell.name]!r}"


def _fits(cell: Cell, choice: Choice) -> bool:
    """Whether a choice names existing candidates, each once, with finite weights if several run."""
    all_of_cell = range(len(cell.candidates))
    if not isinstance(choice, Mixture):
        return type(choice) is int and choice in all_of_cell
    running = tuple(all_of_cell) if choice.candidates is None else choice.candidates
    distinct = len(set(running)) == len(running) and set(running) <= set(all_of_cell)
    weighted = choice.weights.shape == (len(running),) and bool(choice.weights.isfinite().all())
    return distinct and weighted and choice.detached <= set(running)


def _check_probabilities(strategy: SearchStrategy, probabilities: Mapping[str, Sequence[float]], name: str) -> None:
    for cell, values in probabilities.items():
        assert cell in strategy.space, f"{name} names {cell}, which is not a cell of the space"
        candidates = strategy.space[cell].candidates
        assert len(values) == len(candidates), f"{name} has {len(values)} values for the {len(candidates)} of {cell}"
        sound = all(0 <= value <= 1 for value in values) and math.isclose(sum(values), 1, abs_tol=1e-4)
        assert sound, f"{name} are not probabilities of {cell}: {[*values]}"


def _check_architecture(strategy: SearchStrategy, when: str) -> None:
    with _unchanged(f"derive(), {when},", _random_numbers):
        first, again = strategy.derive(), strategy.derive()
    assert first == again, f"derive(), {when}, gives {first} and then {again}"
    try:
        strategy.space.check(first)
    except AvnasError as error:
        raise AssertionError(f"derive(), {when}, is not in the space: {error}") from error


@contextmanager
def _unchanged(name: str, state: Callable[[], Any]) -> Iterator[None]:
    """Check that the block does not change the state by a bit."""
    before = state()
    yield
    different = difference(before, state())
    assert different is None, f"{name} changes {different}"


def _random_numbers() -> dict[str, Any]:
    return {"global random numbers": [*global_generators(), torch.get_rng_state()]}


def _everything(module: L.LightningModule, strategy: SearchStrategy) -> dict[str, Any]:
    return {**state_of(module, strategy), **_random_numbers()}
