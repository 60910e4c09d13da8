"""Lookup of operators by cell kind and name."""

import difflib
import importlib
from collections.abc import Iterator

from avhash_nas.errors import AvnasError
from avhash_nas.operators.operator import Operator

_KINDS = "MUDIFTS"


def find_operator(kind: str, name: str) -> type[Operator]:
    """The operator of a name in a search space.

    Args:
        kind: The cell's kind: M, U, D, I, F, T or S.
        name: Name of an operator of this package, or dotted path of another class, `package.module.Class`.

    Raises:
        AvnasError: There is no such operator, or it cannot fill this kind of cell.

    Example:
        >>> find_operator("M", "self_ssm").__name__, find_operator("T", "self_ssm").__name__
        ('SelfSSM', 'MambaBlock')
    """
    own = _own(kind)
    if "." in name:
        operator = _import(name)
        if kind not in operator.kinds:
            raise AvnasError(
                f"{name} fills cells of kind {', '.join(operator.kinds)}, not {kind}: add {kind} to its `kinds`"
            )
        return operator
    if name not in own:
        near = difflib.get_close_matches(name, own, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise AvnasError(
            f"unknown operator {name!r} for cells of kind {kind}: {hint}Known: {', '.join(own)}, "
            "or your own class as package.module.Class"
        )
    return own[name]


def operator_names(kind: str) -> tuple[str, ...]:
    """Names of this package's operators for a cell kind, sorted.

    Raises:
        AvnasError: There is no such kind.
    """
    return tuple(_own(kind))


def _own(kind: str) -> dict[str, type[Operator]]:
    if len(kind) != 1 or kind not in _KINDS:
        raise AvnasError(f"unknown cell kind {kind!r}: use one of {', '.join(_KINDS)}")
    own = (each for each in _subclasses(Operator) if each.__module__.startswith(f"{__package__}."))
    named = sorted((each for each in own if hasattr(each, "name")), key=lambda each: each.name)
    return {operator.name: operator for operator in named if kind in operator.kinds}


def _subclasses(base: type[Operator]) -> Iterator[type[Operator]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _import(path: str) -> type[Operator]:
    module_name, _, class_name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")):
        raise AvnasError(f"operator {path!r} is not of the form package.module.Class")
    try:
        operator = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise AvnasError(
            f"operator {path}: cannot import {module_name!r} ({error}): check the spelling and PYTHONPATH"
        ) from error
    if not (isinstance(operator, type) and issubclass(operator, Operator)):
        raise AvnasError(
            f"operator {path}: {module_name} has no class {class_name!r} derived from avhash_nas.operators.Operator"
        )
    for attribute in ("name", "kinds"):
        if not isinstance(getattr(operator, attribute, None), str):
            raise AvnasError(f"operator {path}: the class needs a string attribute `{attribute}`")
    return operator
