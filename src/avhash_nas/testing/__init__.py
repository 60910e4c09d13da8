"""Conformance checks for search strategies, this package's own and third parties'.

In the tests of a package that has a strategy:

    from functools import partial

    import pytest
    from avhash_nas.testing import CHECKS

    from my_package import MyStrategy

    @pytest.mark.parametrize("check", CHECKS)
    def test_conforms(check):
        check(partial(MyStrategy, lr=0.05))

or, without pytest, `check_strategy(partial(MyStrategy, lr=0.05))`, which a script has to do under
`if __name__ == "__main__":`, as one check starts another process. What breaks the contract of `SearchStrategy` gives an
AssertionError that says what and where.

A check gets something that makes new strategies and that can be pickled: the class, or `functools.partial` of it. The
options should suit short searches, of 6 weight steps in most checks and of 96 in `one_cell_is_solved`: small counts,
and learning rates that get somewhere in that time. A check makes videos, network and Trainer itself, in a temporary
folder, and searches as `avnas fit` does, on the CPU; all together take seconds.

A strategy may promise more, which is checked where it does: `no_architecture_is_judged_twice`.
"""

from collections.abc import Callable
from typing import TypeAlias

from avhash_nas.testing.bench import Make
from avhash_nas.testing.determinism import a_choice_is_of_the_space, answers_are_pure, state_and_figures_are_plain
from avhash_nas.testing.interruptions import (
    a_stopped_search_ends_the_same,
    an_interrupted_choice_ends_the_same,
    no_architecture_is_judged_twice,
)
from avhash_nas.testing.seeds import a_seed_decides_everything, another_process_finds_the_same
from avhash_nas.testing.steps import (
    architecture_rests_in_weight_steps,
    nothing_is_known_of_test,
    weights_are_trained_on_their_videos,
    weights_move_in_weight_steps_only,
)
from avhash_nas.testing.toy import one_cell_is_solved

__all__ = ["CHECKS", "Check", "Make", "check_strategy", "no_architecture_is_judged_twice"]

Check: TypeAlias = Callable[[Make], None]
"""Raises an AssertionError if the strategies that are made do not conform."""

CHECKS: tuple[Check, ...] = (
    state_and_figures_are_plain,
    a_choice_is_of_the_space,
    answers_are_pure,
    weights_move_in_weight_steps_only,
    architecture_rests_in_weight_steps,
    weights_are_trained_on_their_videos,
    nothing_is_known_of_test,
    a_seed_decides_everything,
    another_process_finds_the_same,
    a_stopped_search_ends_the_same,
    an_interrupted_choice_ends_the_same,
    one_cell_is_solved,
)
"""What every strategy has to pass."""


def check_strategy(make: Make) -> None:
    """Goes through all checks.

    Args:
        make: Makes a new strategy: its class, or functools.partial of its class.

    Raises:
        AssertionError: The strategy does not conform; of the first check that fails.
    """
    for check in CHECKS:
        check(make)
