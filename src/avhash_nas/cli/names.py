"""Bare names of classes: the word that a user types for a strategy, a network, an objective."""

import difflib
import importlib
import inspect
import warnings
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from avhash_nas.errors import AvnasError


@dataclass(frozen=True)
class Choice:
    """Where the classes that an option may name are found.

    A class goes by its own name, and by the name of its file where that file exports no other; case, `-` and `_` do
    not matter: `avnas`, `info_nce`, `InfoNCE`.

    Attributes:
        base: Path of the base class.
        packages: Packages whose `__all__` lists the classes.
        group: Entry-point group under which third parties offer theirs, if any.
        default: Path of the class that is taken where none is named.
    """

    base: str
    packages: tuple[str, ...]
    group: str | None = None
    default: str | None = None

    def classes(self) -> dict[str, type]:
        """The classes by bare name."""
        base = import_class(self.base)
        found = [
            value
            for package in self.packages
            for name in importlib.import_module(package).__all__
            if isinstance(value := getattr(importlib.import_module(package), name), type)
            and issubclass(value, base)
            and not inspect.isabstract(value)
            and value is not base
        ]
        per_file = Counter(value.__module__ for value in found)
        names = {plain(value.__name__): value for value in found}
        names |= {
            plain(value.__module__.rpartition(".")[2]): value for value in found if per_file[value.__module__] == 1
        }
        if self.group:
            names |= _offered(self.group)
        return names


def _offered(group: str) -> dict[str, type]:
    """Third parties' classes; one that cannot be imported is named and left out, for the others to work."""
    found = {}
    for point in entry_points(group=group):
        try:
            found[plain(point.name)] = point.load()
        except (ImportError, AttributeError) as error:
            warnings.warn(f"{group}: {point.name!r} ({point.value}) cannot be imported: {error}", stacklevel=2)
    return found


def resolve(option: str, name: str, choice: Choice) -> str:
    """The one class path that a bare name or any path of the class stands for; a YAML file stands for itself.

    Raises:
        AvnasError: There is no such name, or no such class.
    """
    if name.startswith(("{", "[")) or Path(name).is_file():
        return name
    if "." in name:
        found = import_class(name)
        if not issubclass(found, import_class(choice.base)):
            raise AvnasError(f"--{option.lstrip('-')}: {name} is no {choice.base.rpartition('.')[2]}")
        return f"{found.__module__}.{found.__qualname__}"
    known = choice.classes()
    if plain(name) in known:
        found = known[plain(name)]
        return f"{found.__module__}.{found.__qualname__}"
    near = difflib.get_close_matches(plain(name), known, 1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    raise AvnasError(
        f"--{option.lstrip('-')}: there is no {name!r}{hint} Known: {', '.join(sorted(known))}, or package.module.Class"
    )


def import_class(path: str) -> type:
    """The class of a dotted path.

    Raises:
        AvnasError: It cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AvnasError(f"{path}: cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise AvnasError(f"{path}: is not a class")
    return found


def plain(name: str) -> str:
    """A name without case, `-` and `_`.

    >>> plain("Info_NCE")
    'infonce'
    """
    return name.lower().replace("_", "").replace("-", "")
