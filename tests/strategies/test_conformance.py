"""Every strategy passes the checks that third parties' strategies have to pass."""

import importlib
import inspect

import pytest

from avhash_nas import strategies, testing


def makes():
    """`QUICK` of each strategy's own test file: its options for short searches, the usual ones first.

    A strategy without it is checked with its default options. Other variants than the first are slow to check.
    """
    for name in strategies.__all__:
        found = getattr(strategies, name)
        if issubclass(found, strategies.SearchStrategy) and not inspect.isabstract(found):
            own_tests = importlib.import_module(f"strategies.test_{found.__module__.rpartition('.')[2]}")
            for number, make in enumerate(getattr(own_tests, "QUICK", (found,))):
                variant = [f"{option}={value}" for option, value in getattr(make, "keywords", {}).items()]
                marks = [pytest.mark.slow] if number else []
                yield pytest.param(make, id="-".join([name, *variant[:1]] if number else [name]), marks=marks)


@pytest.mark.parametrize("check", [*testing.CHECKS, testing.no_architecture_is_evaluated_twice])
@pytest.mark.parametrize("make", list(makes()))
def test_conforms(make, check):
    check(make)
