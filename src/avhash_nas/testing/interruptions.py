"""Checks that what is stopped, anywhere, and started again ends as what was never stopped."""

import contextlib
import signal
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from avhash_nas.strategies import SearchStrategy
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference, frozen
from avhash_nas.testing.fake_evaluator import FakeEvaluator
from avhash_nas.testing.recorder import SearchRecorder, once_watched
from avhash_nas.training import Interrupted
from avhash_nas.training.checkpoint import StopRequest


def a_stopped_search_ends_the_same(make: Make) -> None:
    """A search that is stopped after every batch and within the strategy's own steps ends as if never stopped.

    Every time a new strategy, with a new network and Trainer, goes on from what lies on disk. Within its step a
    strategy stops where it calls `module.stop_point`; where it does not, the stop waits for the batch.
    """
    if not make().uses_supernet:
        return
    watch, within = SearchRecorder(make()), True
    with temporary_folder() as folder:
        while True:
            stop = StopRequest()
            stops: list[Callback] = [] if within else [_StopBehindBatch(stop)]
            if within:
                _stop_within_step(watch.strategy, stop)
            try:
                run(watch.strategy, SHORT, folder, [watch.before], [watch.behind, *stops], stop)
                break
            except Interrupted:
                watch.strategy, within = make(), not within
    different = difference(once_watched(make).outcome(), watch.outcome())
    assert different is None, f"a search that was stopped goes on another way: {different}"


def an_interrupted_choice_ends_the_same(make: Make) -> None:
    """`search`, interrupted at any answer and called anew on a new strategy, chooses what it would have chosen.

    The judge has remembered its answers, and is asked for no others than without the interruption.
    """
    whole = FakeEvaluator()
    expected = _chosen(make, whole)
    answers = len(whole.known)
    for patience in sorted({0, 1, answers // 2, answers - 1} & set(range(answers))):
        interrupted = FakeEvaluator(patience=patience)
        with contextlib.suppress(Interrupted):
            _chosen(make, interrupted)
        again = FakeEvaluator(interrupted.known)
        different = difference(expected, _chosen(make, again))
        assert different is None, f"choose() chooses otherwise, interrupted after {patience} answers: {different}"
        more = len(again.known) - answers
        assert more == 0, f"choose() asks for {more:+} architectures when it was interrupted after {patience} answers"


def no_architecture_is_judged_twice(make: Make) -> None:
    """`search` asks the judge for every architecture at most once.

    No part of CHECKS, as a judge remembers its answers and asking again costs nothing: for strategies that promise it.
    """
    evaluator = FakeEvaluator()
    _chosen(make, evaluator)
    twice = next((each for place, each in enumerate(evaluator.asked) if each in evaluator.asked[:place]), None)
    assert twice is None, f"choose() asks for an architecture twice: {twice}"


def restored(make: Make) -> SearchStrategy:
    """A new strategy with the state that the short search has kept, as it is when `search` is called."""
    strategy, kept = make(), frozen(once_watched(make).kept)
    strategy.setup_search(SHORT.space, SEED)
    if kept:
        strategy.architecture.load_state_dict(kept["architecture"])
        strategy.load_state_dict(kept["strategy"])
    return strategy


def _chosen(make: Make, evaluator: FakeEvaluator) -> Any:
    """Everything that `search` leaves."""
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


class _StopBehindBatch(Callback):
    """Asks to stop at the end of every batch."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        self.stop.signum = signal.SIGTERM


def _stop_within_step(strategy: SearchStrategy, stop: StopRequest) -> None:
    """Ask to stop as soon as the strategy begins a step of its own."""
    step = strategy.architecture_step

    def stopped(*arguments: Any) -> None:
        stop.signum = signal.SIGTERM
        step(*arguments)

    strategy.architecture_step = stopped  # type: ignore[method-assign, assignment]
