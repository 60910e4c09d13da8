"""Checks of who moves what, and on which videos."""

from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from avhash_nas.data import Features
from avhash_nas.data.loading import Rows
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference
from avhash_nas.testing.recorder import SearchRecorder, once_watched
from avhash_nas.testing.videos import tiny_data

_OF_NETWORK = ("weights", "gradients", "buffers", "trained", "mode")


def weights_move_in_weight_steps_only(make: Make) -> None:
    """The strategy's own step leaves the network as it was: weights, gradients, buffers, train or eval mode.

    Between two weight steps, validations and hooks of the strategy included, the weights stand still as well. The
    strategy draws from no generator of Python or NumPy that others use.
    """
    steps = once_watched(make).steps
    for (epoch, batch), step in steps.items():
        where = f"epoch {epoch} batch {batch}"
        for name in _OF_NETWORK:
            different = difference(step.before[name], step.between[name], name)
            assert different is None, (
                f"the strategy's own step, before the weight step, changes the network: {different} ({where})"
            )
        assert not step.numbers_drawn, f"the strategy draws from the global generators of Python or NumPy ({where})"
    for (_, earlier), ((epoch, batch), later) in pairwise(steps.items()):
        different = difference(earlier.after["weights"], later.before["weights"])
        assert different is None, (
            f"weights move between two weight steps: {different} (before epoch {epoch} batch {batch})"
        )


def architecture_rests_in_weight_steps(make: Make) -> None:
    """A weight step moves no tensor of `architecture`, but for parameters that `parameter_groups` names."""
    watch = once_watched(make)

    def own(state: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in state["architecture"].items() if name not in watch.jointly_trained}

    for (epoch, batch), step in watch.steps.items():
        different = difference(own(step.between), own(step.after))
        assert different is None, f"the weight step changes the architecture: {different} (epoch {epoch} batch {batch})"


def weights_are_trained_on_their_videos(make: Make) -> None:
    """Weight steps see training videos alone; where some are held out for the architecture, none of these.

    `architecture_batch` is a function of the moment.
    """
    train = set(tiny_data(seed=SEED).splits["train"].tolist())
    steps = once_watched(make).steps.values()
    seen = {row for step in steps for row in step.rows}
    held_out = {row for step in steps for row in step.held_out}
    assert seen <= train, f"weights are trained on {len(seen - train)} videos that are no training videos"
    assert held_out <= train, (
        f"the architecture batches hold {len(held_out - train)} videos that are no training videos"
    )
    both = seen & held_out
    assert not both, f"{len(both)} videos train the weights and are held out for the architecture too"


def nothing_is_known_of_test(make: Make) -> None:
    """A search reads no video of test; with other videos and labels in test it ends the same."""
    test = set(tiny_data(seed=SEED).splits["test"].tolist())
    read, touched = Features.read, set[int]()

    def spy(features: Features, rows: Rows, *more: Any) -> object:
        touched.update(test.intersection(rows.tolist()))
        return read(features, rows, *more)

    watch = SearchRecorder(make())
    with temporary_folder() as folder, patch.object(Features, "read", spy):
        run(watch.strategy, replace(SHORT, other_test=True), folder, [watch.before], [watch.behind])
    assert not touched, f"the search reads {len(touched)} videos of test"
    different = difference(once_watched(make).outcome(), watch.outcome())
    assert different is None, f"the search goes another way with other videos in test: {different}"
