"""Checks that a search that is stopped anywhere and resumed gives the same result."""

import contextlib
import signal
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from avhash_nas.strategies import SearchStrategy
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference, frozen
from avhash_nas.testing.fake_evaluator import FakeEvaluator
from avhash_nas.testing.recorder import SearchRecorder, shared_search
from avhash_nas.training import Interrupted, StopRequest


def stopped_search_gives_the_same(make: Make) -> None:
    """A search that is stopped after every batch and within the strategy's own steps gives the same as without stops.

    Each time a new strategy, with a new network and Trainer, resumes from disk. Within its step a strategy stops where
    it calls `stop_point`; otherwise the stop waits for the end of the batch.
    """
    if not make().uses_supernet:
        return
    recorder, within = SearchRecorder(make()), True
    with temporary_folder() as folder:
        while True:
            stop = StopRequest()
            stops: list[Callback] = [] if within else [_StopAfterBatch(stop)]
            if within:
                _stop_within_step(recorder.strategy, stop)
            try:
                run(recorder.strategy, SHORT, folder, [*recorder.callbacks, *stops], stop)
                break
            except Interrupted:
                recorder.watch(make())
                within = not within
    different = difference(shared_search(make).outcome(), recorder.outcome())
    assert different is None, f"a search that was stopped differs: {different}"


def interrupted_evaluation_gives_the_same(make: Make) -> None:
    """`search`, interrupted at any score and called again on a new strategy, gives the same result.

    The evaluator remembers its scores, and no other scores are requested than without the interruption.
    """
    whole = FakeEvaluator()
    expected = _result(make, whole)
    count = len(whole.known)
    for patience in sorted({0, 1, count // 2, count - 1} & set(range(count))):
        interrupted = FakeEvaluator(patience=patience)
        with contextlib.suppress(Interrupted):
            _result(make, interrupted)
        again = FakeEvaluator(interrupted.known)
        different = difference(expected, _result(make, again))
        assert different is None, f"search() differs when interrupted after {patience} scores: {different}"
        more = len(again.known) - count
        assert more == 0, f"search() requests {more:+} scores when interrupted after {patience} scores"


def no_architecture_is_evaluated_twice(make: Make) -> None:
    """`search` requests the score of every architecture at most once.

    Not in CHECKS, as an evaluator remembers its scores: for strategies that promise it.
    """
    evaluator = FakeEvaluator()
    _result(make, evaluator)
    requests = evaluator.requests
    twice = next((each for index, each in enumerate(requests) if each in requests[:index]), None)
    assert twice is None, f"search() requests the score of an architecture twice: {twice}"


def restored(make: Make) -> SearchStrategy:
    """A new strategy with the state that the short search has kept, as before `search` is called."""
    strategy, kept = make(), frozen(shared_search(make).kept)
    strategy.setup_search(SHORT.space, SEED)
    if kept:
        strategy.architecture.load_state_dict(kept["architecture"])
        strategy.load_state_dict(kept["strategy"])
    return strategy


def _result(make: Make, evaluator: FakeEvaluator) -> Any:
    """Everything that `search` changes."""
    strategy = restored(make)
    strategy.search(evaluator)
    return frozen(
        {
            "derived": dict(strategy.derive()),
            "report": strategy.report(),
            "architecture": strategy.architecture.state_dict(),
            "state": strategy.state_dict(),
        }
    )


class _StopAfterBatch(Callback):
    """Requests a stop at the end of every batch."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    @override
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.stop.signum = signal.SIGTERM


def _stop_within_step(strategy: SearchStrategy, stop: StopRequest) -> None:
    """Request a stop as soon as the strategy begins a step of its own."""
    step = strategy.architecture_step

    def stopped(*arguments: Any) -> None:
        stop.signum = signal.SIGTERM
        step(*arguments)

    strategy.architecture_step = stopped  # type: ignore[method-assign, assignment]
