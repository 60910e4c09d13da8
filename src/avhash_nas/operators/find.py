"""Finds an operator by cell kind and name."""

import difflib
import importlib

from avhash_nas import operators
from avhash_nas.errors import AvnasError
from avhash_nas.operators.operator import Operator

_KINDS = "MUDIFTS"


def find_operator(kind: str, name: str) -> type[Operator]:
    """Returns the operator that a search space means by a name.

    Args:
        kind: The cell's kind: M, U, D, I, F, T or S.
        name: The name of an operator of this package, or the dotted path of a class elsewhere, `package.module.Class`.

    Raises:
        AvnasError: If there is none, or it cannot fill this kind of cell.

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
            "or a class of your own as package.module.Class"
        )
    return own[name]


def operator_names(kind: str) -> tuple[str, ...]:
    """Returns the names of this package's operators for a cell kind, in alphabetical order.

    Raises:
        AvnasError: If there is no such kind.
    """
    return tuple(_own(kind))


def _own(kind: str) -> dict[str, type[Operator]]:
    if len(kind) != 1 or kind not in _KINDS:
        raise AvnasError(f"unknown cell kind {kind!r}: take one of {', '.join(_KINDS)}")
    exported = (getattr(operators, symbol) for symbol in operators.__all__)
    classes = [
        item for item in exported if isinstance(item, type) and issubclass(item, Operator) and item is not Operator
    ]
    return {
        operator.name: operator for operator in sorted(classes, key=lambda item: item.name) if kind in operator.kinds
    }


def _import(path: str) -> type[Operator]:
    module_name, _, class_name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")):
        raise AvnasError(f"operator {path!r} is not of the form package.module.Class")
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise AvnasError(
            f"operator {path}: cannot import {module_name!r} ({error}): check the spelling and PYTHONPATH"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Operator)):
        raise AvnasError(
            f"operator {path}: {module_name} has no class {class_name!r} derived from avhash_nas.operators.Operator"
        )
    for attribute in ("name", "kinds"):
        if not isinstance(getattr(found, attribute, None), str):
            raise AvnasError(f"operator {path}: the class needs a string attribute `{attribute}`")
    return found
