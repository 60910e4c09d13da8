"""Whether the runs of a comparison train for the same number of weight steps."""

from collections.abc import Mapping
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import flatten

_SEARCH = ("search.epochs", "search.patience")
_STEPS = (
    *("finetune.epochs", "finetune.patience", "data.sampling", "trainer.accumulate_grad_batches"),
    *("trainer.overfit_batches", "trainer.limit_train_batches", "trainer.fast_dev_run"),
)
_ALONE = ("network", "objective", "data", "augmentation", "finetune", "trainer")


def budget(options: Mapping[str, Any], *, searches: bool) -> dict[str, Any]:
    """The options that decide how many weight steps a run takes, by dotted name.

    An epoch has the same number of steps for every strategy, so that epochs and batches decide.

    Args:
        options: Those of the run that decide what it computes.
        searches: Whether it searches; otherwise the budget of a search does not count.
    """
    return {name: _find(options, name) for name in ((*_SEARCH, *_STEPS) if searches else _STEPS)}


def of_training_alone(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide what becomes of an architecture that is trained alone, by dotted name."""
    return flatten({name: options.get(name) for name in _ALONE})


def check_alike(of_entries: Mapping[str, Mapping[str, Any]], why: str) -> None:
    """See that all have the same options.

    Args:
        of_entries: Options by the name of the entry.
        why: They should, for the error.

    Raises:
        AvnasError: Two differ.
    """
    first: dict[str, tuple[str, Any]] = {}
    for entry, values in of_entries.items():
        for name, value in values.items():
            other, expected = first.setdefault(name, (entry, value))
            if value != expected:
                raise AvnasError(f"{entry}: {name} is {value}, but {expected} in {other}; {why}")


def describe(budgets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Budgets as notes, one for all entries that have the same: epochs, and whatever else is not alike in all.

    Args:
        budgets: By the title of the entry.

    >>> describe({"SPOS": {"search.epochs": 6, "finetune.epochs": 8}, "MLP": {"finetune.epochs": 8}})
    ['Budget of SPOS: search.epochs 6, finetune.epochs 8.', 'Budget of MLP: finetune.epochs 8.']
    >>> sampling = {"class_path": "avhash_nas.data.Shuffled", "init_args": {"batch_size": 64}}
    >>> describe({"A": {"data.sampling": sampling}, "B": {"data.sampling": None}})
    ['Budget of A: data.sampling Shuffled(batch_size=64).', 'Budget of B: data.sampling None.']
    """
    alike = {
        name
        for values in budgets.values()
        for name, value in values.items()
        if all(others.get(name, value) == value for others in budgets.values())
    }
    entries: dict[str, list[str]] = {}
    for entry, values in budgets.items():
        shown = (
            f"{name} {_brief(value)}" for name, value in values.items() if name.endswith(".epochs") or name not in alike
        )
        entries.setdefault(", ".join(shown), []).append(entry)
    return [f"Budget of {', '.join(titles)}: {text}." for text, titles in entries.items()]


def _brief(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        arguments = ", ".join(f"{name}={given}" for name, given in (value.get("init_args") or {}).items())
        return f"{str(value['class_path']).rpartition('.')[2]}({arguments})"
    return str(value)


def _find(options: Mapping[str, Any], name: str) -> Any:
    value: Any = options
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
