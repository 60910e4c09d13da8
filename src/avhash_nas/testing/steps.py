"""Checks of which step changes what, and on which videos."""

from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from avhash_nas.data import Features
from avhash_nas.data.loading import Rows
from avhash_nas.testing.bench import SEED, SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import difference
from avhash_nas.testing.recorder import SearchRecorder, shared_search
from avhash_nas.testing.videos import tiny_data

_OF_NETWORK = ("weights", "gradients", "buffers", "trained", "mode")


def only_weight_steps_change_weights(make: Make) -> None:
    """The strategy's own step does not change the network: weights, gradients, buffers, train or eval mode.

    Nor do the weights change between two weight steps, in validations and other calls of the strategy. The strategy
    does not draw from the global generators of Python and NumPy.
    """
    steps = shared_search(make).steps
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
            f"the weights change between two weight steps: {different} (before epoch {epoch} batch {batch})"
        )


def weight_steps_keep_the_architecture(make: Make) -> None:
    """A weight step changes no tensor of `architecture`, except for the parameters of `parameter_groups`."""
    recorder = shared_search(make)

    def own(state: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in state["architecture"].items() if name not in recorder.jointly_trained}

    for (epoch, batch), step in recorder.steps.items():
        different = difference(own(step.between), own(step.after))
        assert different is None, f"the weight step changes the architecture: {different} (epoch {epoch} batch {batch})"


def training_videos_are_separate(make: Make) -> None:
    """Weight steps use training videos only; if `train_fraction` is below 1, the strategy's own steps use others.

    In that case the strategy's own step may also take losses on the batch of the next weight step, but not on other
    videos that train the weights.
    """
    splits = tiny_data(seed=SEED).splits
    train, test = (set(splits[name].tolist()) for name in ("train", "test"))
    recorder = shared_search(make)
    steps = recorder.steps.values()
    weight_rows = {row for step in steps for row in step.rows}
    own_rows = {row for step in steps for row in set(step.own_rows) - set(step.rows)}
    assert weight_rows <= train, f"weights are trained on {len(weight_rows - train)} videos outside train"
    assert not own_rows & test, f"the strategy's own steps use {len(own_rows & test)} videos of test"
    if recorder.strategy.train_fraction < 1:
        both = weight_rows & own_rows
        assert not both, f"{len(both)} videos train the weights and are used by the strategy's own steps too"


def test_split_is_unused(make: Make) -> None:
    """A search reads no video of test, and gives the same with other videos and labels in test."""
    test = set(tiny_data(seed=SEED).splits["test"].tolist())
    read, touched = Features.read, set[int]()

    def spy(features: Features, rows: Rows, *more: Any) -> object:
        touched.update(test.intersection(rows.tolist()))
        return read(features, rows, *more)

    recorder = SearchRecorder(make())
    with temporary_folder() as folder, patch.object(Features, "read", spy):
        run(recorder.strategy, replace(SHORT, other_test=True), folder, recorder.callbacks)
    assert not touched, f"the search reads {len(touched)} videos of test"
    different = difference(shared_search(make).outcome(), recorder.outcome())
    assert different is None, f"the search differs with other videos in test: {different}"
