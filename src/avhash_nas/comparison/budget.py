"""Checks that the runs of a comparison train for the same number of weight steps."""

from collections.abc import Mapping
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import flatten

_SEARCH = ("search.epochs", "search.patience")
_STEPS = (
    *("finetune.epochs", "finetune.patience", "data.sampling", "trainer.accumulate_grad_batches"),
    *("trainer.overfit_batches", "trainer.limit_train_batches", "trainer.fast_dev_run"),
)
_STAND_ALONE = ("network", "objective", "data", "augmentation", "finetune", "trainer")


def budget(options: Mapping[str, Any], *, searches: bool) -> dict[str, Any]:
    """The options that decide the number of weight steps of a run, by dotted name.

    An epoch has the same number of steps for every strategy, so epochs and batches decide.

    Args:
        options: The run's options that decide what it computes.
        searches: Whether the run searches; otherwise the options of the search do not count.
    """
    return {name: _value(options, name) for name in ((*_SEARCH, *_STEPS) if searches else _STEPS)}


def stand_alone_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide how an architecture is trained alone, by dotted name."""
    return flatten({name: options.get(name) for name in _STAND_ALONE})


def check_equal(options: Mapping[str, Mapping[str, Any]], reason: str) -> None:
    """Check that all entries have the same options.

    Args:
        options: Options by the name of the entry.
        reason: Why they should be equal, for the error.

    Raises:
        AvnasError: Two entries differ.
    """
    first: dict[str, tuple[str, Any]] = {}
    for entry, values in options.items():
        for name, value in values.items():
            other, expected = first.setdefault(name, (entry, value))
            if value != expected:
                raise AvnasError(f"{entry}: {name} is {value}, but {expected} in {other}; {reason}")


def describe(budgets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Budgets as notes, one for all entries with the same budget: epochs, and all other options that differ.

    Args:
        budgets: Budgets by the title of the entry.

    >>> describe({"SPOS": {"search.epochs": 6, "finetune.epochs": 8}, "MLP": {"finetune.epochs": 8}})
    ['Budget of SPOS: search.epochs 6, finetune.epochs 8.', 'Budget of MLP: finetune.epochs 8.']
    >>> sampling = {"class_path": "avhash_nas.data.Shuffled", "init_args": {"batch_size": 64}}
    >>> describe({"A": {"data.sampling": sampling}, "B": {"data.sampling": None}})
    ['Budget of A: data.sampling Shuffled(batch_size=64).', 'Budget of B: data.sampling None.']
    """
    equal = {
        name
        for values in budgets.values()
        for name, value in values.items()
        if all(others.get(name, value) == value for others in budgets.values())
    }
    titles: dict[str, list[str]] = {}
    for title, values in budgets.items():
        shown = (
            f"{name} {_text(value)}" for name, value in values.items() if name.endswith(".epochs") or name not in equal
        )
        titles.setdefault(", ".join(shown), []).append(title)
    return [f"Budget of {', '.join(entries)}: {text}." for text, entries in titles.items()]


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        arguments = ", ".join(f"{name}={argument}" for name, argument in (value.get("init_args") or {}).items())
        return f"{str(value['class_path']).rpartition('.')[2]}({arguments})"
    return str(value)


def _value(options: Mapping[str, Any], name: str) -> Any:
    value: Any = options
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
