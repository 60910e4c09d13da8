"""Checks of what a strategy answers: fit for the space, the same when asked again, and nothing changes by asking."""

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
from lightning.pytorch.callbacks import Callback

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Choice, Mixture, Routes
from avhash_nas.space import Cell
from avhash_nas.strategies import SearchProgress, SearchStrategy
from avhash_nas.strategies.protocols import search_progress
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference, frozen
from avhash_nas.testing.fake_evaluator import FakeEvaluator
from avhash_nas.testing.interruptions import restored
from avhash_nas.testing.recorder import SearchRecorder, global_generators, once_watched, state_of


def answers_are_pure(make: Make) -> None:
    """What a strategy answers is the same when asked again, and nothing changes by it.

    That holds for `derive`, `route`, `evaluation_routes`, `summary` and `probabilities`.
    They are asked at every batch and validation, for other moments as well. Neither the network nor the strategy nor
    the global random numbers change, and the search ends as one without questions. Routes and probabilities fit the
    space.
    """
    if not make().uses_supernet:
        return
    watch = SearchRecorder(make())
    with temporary_folder() as folder:
        run(watch.strategy, SHORT, folder, [watch.before], [_Asking(watch.strategy), watch.behind])
    different = difference(once_watched(make).outcome(), watch.outcome())
    assert different is None, f"a search whose strategy was asked for its routes goes another way: {different}"


def a_choice_is_of_the_space(make: Make) -> None:
    """At the start, after the search and after `search`, `derive` gives an architecture of the space, always the same.

    Neither it nor `search` and `report` draw from global random numbers.
    """
    strategy = make()
    strategy.setup_search(SHORT.space, SEED)
    _check_architecture(strategy, "after begin()")
    strategy = restored(make)
    _check_architecture(strategy, "before choose()")
    with _unchanged("choose()", _random_numbers):
        strategy.search(FakeEvaluator())
    _check_architecture(strategy, "after choose()")
    with _unchanged("report()", _random_numbers):
        strategy.report()


def state_and_figures_are_plain(make: Make) -> None:
    """`state_dict` holds tensors and plain values, `report` JSON values, and what `summary` logs is finite."""
    strategy = make()
    strategy.setup_search(SHORT.space, SEED)
    saved = io.BytesIO()
    torch.save(strategy.state_dict(), saved)
    saved.seek(0)
    try:
        torch.load(saved, weights_only=True)
    except Exception as error:
        raise AssertionError(f"state_dict() holds more than tensors and plain values: {error}") from error
    for epoch, scores in once_watched(make).scores.items():
        odd = [name for name, value in scores.items() if not math.isfinite(value)]
        assert not odd, f"summary() of epoch {epoch} is not finite: {', '.join(odd)}"
    strategy = restored(make)
    strategy.search(FakeEvaluator())
    try:
        json.dumps(strategy.report(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"report() holds more than JSON values: {error}") from error


class _Asking(Callback):
    """Asks the strategy for all that it has to answer, whenever it may be asked."""

    def __init__(self, strategy: SearchStrategy) -> None:
        self.strategy = strategy

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning tries the validation out before it knows how long an epoch is."""
        self._ask(pl_module, replace(search_progress(trainer), batch=0, batches=0), "evaluation_routes")

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        progress = search_progress(trainer, batch_idx)
        other = replace(progress, epoch=(progress.epoch + 1) % progress.epochs, batch=0)
        self._ask(pl_module, other, "route")
        self._ask(pl_module, progress, "route", other=other)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        progress = search_progress(trainer)
        self._ask(pl_module, progress, "evaluation_routes", "summary", "probabilities")
        names, monitor = self.strategy.evaluation_routes(progress).keys(), self.strategy.monitor
        assert monitor is None or monitor in names, (
            f"selects is {monitor!r}, evaluation_routes() has {', '.join(names)}"
        )

    def _ask(
        self, module: L.LightningModule, progress: SearchProgress, *methods: str, other: SearchProgress | None = None
    ) -> None:
        """Ask, ask something else, and ask again."""
        strategy = self.strategy
        state = partial(_everything, module, strategy)
        questions: dict[str, Callable[[], Any]] = {
            "derive()": strategy.derive,
            **{f"{method}({progress})": partial(getattr(strategy, method), progress) for method in methods},
        }
        first = {}
        for name, question in questions.items():
            with _unchanged(name, state):
                answer = question()
            self._check(name, answer)
            first[name] = frozen(answer)
        if other is not None:
            strategy.route(other)
        for name, question in reversed(questions.items()):
            different = difference(first[name], frozen(question()))
            assert different is None, f"{name} gives something else when asked again: {different}"

    def _check(self, name: str, answer: Any) -> None:
        if name.startswith("route"):
            _check_routes(self.strategy, answer, name)
        if name.startswith("evaluation_routes"):
            for key, routes in answer.items():
                _check_routes(self.strategy, routes, f"{name}[{key!r}]")
        if name.startswith("probabilities"):
            _check_probabilities(self.strategy, answer, name)
        if name.startswith("derive"):
            _check_architecture(self.strategy, "during the search")


def _check_routes(strategy: SearchStrategy, routes: Routes, name: str) -> None:
    assert routes != (), f"{name} is empty"
    for route in routes if isinstance(routes, tuple) else (routes,):
        assert isinstance(route, Mapping), f"{name} is no mapping from cells to choices: {route!r}"
        for cell in strategy.space.choices:
            assert cell.name in route, f"{name} leaves out the cell {cell.name}"
            assert _fits(cell, route[cell.name]), f"{name} does not fit the cell {cell.name}: {route[cell.name]!r}"


def _fits(cell: Cell, choice: Choice) -> bool:
    """A choice names candidates that there are, each once, with a finite weight each if several run."""
    all_of_cell = range(len(cell.candidates))
    if not isinstance(choice, Mixture):
        return type(choice) is int and choice in all_of_cell
    running = tuple(all_of_cell) if choice.candidates is None else choice.candidates
    distinct = len(set(running)) == len(running) and set(running) <= set(all_of_cell)
    weighted = choice.weights.shape == (len(running),) and bool(choice.weights.isfinite().all())
    return distinct and weighted and choice.detached <= set(running)


def _check_probabilities(strategy: SearchStrategy, answer: Mapping[str, Sequence[float]], name: str) -> None:
    for cell, values in answer.items():
        assert cell in strategy.space, f"{name} names {cell}, which is no cell of the space"
        candidates = strategy.space[cell].candidates
        assert len(values) == len(candidates), f"{name} has {len(values)} values for the {len(candidates)} of {cell}"
        sound = all(0 <= value <= 1 for value in values) and math.isclose(sum(values), 1, abs_tol=1e-4)
        assert sound, f"{name} gives {cell} no probabilities: {[*values]}"


def _check_architecture(strategy: SearchStrategy, when: str) -> None:
    with _unchanged(f"derive(), {when},", _random_numbers):
        first, again = strategy.derive(), strategy.derive()
    assert first == again, f"derive(), {when}, gives {first} and then {again}"
    try:
        strategy.space.check(first)
    except AvnasError as error:
        raise AssertionError(f"derive(), {when}, is not of the space: {error}") from error


@contextmanager
def _unchanged(name: str, state: Callable[[], Any]) -> Iterator[None]:
    """Within the block the state stays as it is, to the bit."""
    before = state()
    yield
    different = difference(before, state())
    assert different is None, f"{name} changes {different}"


def _random_numbers() -> dict[str, Any]:
    return {"global random numbers": [*global_generators(), torch.get_rng_state()]}


def _everything(module: L.LightningModule, strategy: SearchStrategy) -> dict[str, Any]:
    return {**state_of(module, strategy), **_random_numbers()}
