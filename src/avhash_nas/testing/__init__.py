"""Conformance checks for search strategies, this package's own and third parties'.

In the tests of a package that has a strategy:

    from functools import partial

    import pytest
    from avhash_nas.testing import CHECKS

    from my_package import MyStrategy

    @pytest.mark.parametrize("check", CHECKS)
    def test_conforms(check):
        check(partial(MyStrategy, lr=0.05))

or, without pytest, `check_strategy(partial(MyStrategy, lr=0.05))`, in a script under `if __name__ == "__main__":`, as
one check starts another process. A violation of the contract of `SearchStrategy` raises an AssertionError that says
what and where.

The argument of a check makes new strategies and can be pickled: the class, or `functools.partial` of it. The options
should suit short searches, of 6 weight steps in most checks and 96 in `one_cell_is_solved`: small counts, and learning
rates that are large enough. A check makes videos, network and Trainer itself, in a temporary folder, and searches as
`avnas fit` does, on the CPU; all together take seconds.

One more check is for strategies that promise it: `no_architecture_is_evaluated_twice`.
"""

from collections.abc import Callable
from typing import TypeAlias

from avhash_nas.testing.bench import Make
from avhash_nas.testing.determinism import (
    derived_architecture_fits_the_space,
    queries_are_pure,
    state_and_results_are_plain,
)
from avhash_nas.testing.interruptions import (
    interrupted_evaluation_gives_the_same,
    no_architecture_is_evaluated_twice,
    stopped_search_gives_the_same,
)
from avhash_nas.testing.seeds import another_process_gives_the_same, seed_determines_everything
from avhash_nas.testing.steps import (
    only_weight_steps_change_weights,
    test_split_is_unused,
    training_videos_are_separate,
    weight_steps_keep_the_architecture,
)
from avhash_nas.testing.toy import one_cell_is_solved

__all__ = ["CHECKS", "Check", "Make", "check_strategy", "no_architecture_is_evaluated_twice"]

Check: TypeAlias = Callable[[Make], None]
"""Raises an AssertionError if the strategy does not conform."""

CHECKS: tuple[Check, ...] = (
    state_and_results_are_plain,
    derived_architecture_fits_the_space,
    queries_are_pure,
    only_weight_steps_change_weights,
    weight_steps_keep_the_architecture,
    training_videos_are_separate,
    test_split_is_unused,
    seed_determines_everything,
    another_process_gives_the_same,
    stopped_search_gives_the_same,
    interrupted_evaluation_gives_the_same,
    one_cell_is_solved,
)
"""The checks that every strategy has to pass."""


def check_strategy(make: Make) -> None:
    """Run all checks.

    Args:
        make: Makes a new strategy: its class, or functools.partial of its class.

    Raises:
        AssertionError: The strategy does not conform; from the first check that fails.
    """
    for check in CHECKS:
        check(make)
