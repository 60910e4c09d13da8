"""jsonargparse's parser with one-line errors and bare class names."""

import difflib
import importlib
import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace, get_loader, set_dumper, set_loader

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


_MODE = "avnas_yaml"


class Parser(ArgumentParser):
    """A parser whose errors are one line. jsonargparse also makes its inner parsers of this class."""

    command: ClassVar[str] = "avnas"
    choices: Mapping[str, Choice] = {}
    hints: Mapping[str, str] = {}

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse, with each choice of a class moved before the options of that class.

        A wandb agent, for one, gives options in any order, and jsonargparse checks `--strategy.lr` against the class
        chosen so far. A class that is taken by default is put in front in the same way, and what files say of a class
        that is not taken in the end is left out: jsonargparse would hand these values on to another class that has
        options of the same names.
        """
        files, classes, rest = self._sorted(arguments)
        defaults = {
            name: resolve(name, choice.default, choice) for name, choice in self.choices.items() if choice.default
        }
        taken = {**_classes_of(files, self.choices), **classes}
        defaults |= self._company(defaults, taken)
        self._refuse_options_of_nothing(rest, {*defaults, *taken})
        _active.append(_Names(self.choices, taken))
        try:
            return self.parse_args(
                [
                    *(f"--{name}={path}" for name, path in defaults.items()),
                    *(f"--config={file}" for file in files),
                    *(f"--{name}={path}" for name, path in classes.items()),
                    *rest,
                ]
            )
        finally:
            _active.pop()

    def _sorted(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
        """Files, choices of a class by option, all other arguments."""
        files: list[str] = []
        classes: dict[str, str] = {}
        others: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            flag, equals, value = argument.partition("=")
            name = flag.removeprefix("--")
            choice = self.choices.get(name.removesuffix(".help"))
            if flag == "--config":
                files.append(value if equals else next(rest, ""))
            elif flag.startswith("--") and choice is not None and (equals or name in self.choices):
                classes[name] = resolve(flag, value if equals else next(rest, ""), choice)
            else:
                others.append(argument)
        return files, classes, others

    def _company(self, defaults: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
        """The classes that go with those that are taken (`default_components`), where no other was named.

        Where two ask for different ones, the option that comes first in `choices` has its way.
        """
        company: dict[str, str] = {}
        for option in self.choices:
            path = taken.get(option) or company.get(option) or defaults.get(option)
            wanted = getattr(import_class(path), "default_components", {}) if path else {}
            for other, wish in wanted.items():
                if other in self.choices and other not in taken:
                    company.setdefault(other, resolve(other, wish, self.choices[other]))
        return company

    def _refuse_options_of_nothing(self, arguments: Sequence[str], taken: set[str]) -> None:
        """Options of a class where none was named: jsonargparse would call the base class abstract."""
        for argument in arguments:
            flag = argument.partition("=")[0]
            option = flag.removeprefix("--").rpartition(".")[0]
            if option in self.choices and option not in taken:
                raise AvnasError(f"{flag}: name the class that has this option, by --{option}=NAME")

    def make(self, options: Namespace) -> Namespace:
        """The options with every class made.

        Raises:
            AvnasError: A class refuses its options.
        """
        try:
            made: Namespace = self.instantiate(options)
        except ValueError as error:
            raise _refusal(error) or error from None
        return made

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and exit with code 2."""
        cause = _refusal(ex)
        line = " ".join(str(cause or message).split())
        words = set(re.findall(r"\w+", line))
        for option, hint in self.hints.items():
            if cause is None and words.issuperset(option.split(".")):
                line += f"; {hint}"
        print(f"{self.command}: error: {line}", file=sys.stderr)
        raise SystemExit(2)


def _refusal(error: BaseException | None) -> AvnasError | None:
    """The error of ours that made jsonargparse raise its own, if there is one."""
    while error is not None and not isinstance(error, AvnasError):
        error = error.__cause__ or error.__context__
    return error


def make_parser(command: str, description: str, choices: Mapping[str, Choice] | None = None) -> Parser:
    """The parser of one command.

    Args:
        command: Its name.
        description: First line of its help.
        choices: Class options, by dotted name: `--strategy=avnas` and `strategy: avnas` in YAML mean the class that
            the choice finds by that name.
    """
    _install_yaml_mode()
    Parser.command = f"avnas {command}"
    parser = Parser(
        prog=f"avnas {command}",
        description=description,
        usage=f"avnas {command} [options]",
        parser_mode=_MODE,
        allow_abbrev=False,
    )
    parser.choices = choices or {}
    parser.add_argument("--config", action="config", help="YAML file with options; options given beside it win")
    return parser


@dataclass(frozen=True)
class _Names:
    """What bare names stand for while a parser is at work.

    Attributes:
        choices: By option.
        taken: Path of the class that is taken in the end, for options where one was named.
    """

    choices: Mapping[str, Choice]
    taken: Mapping[str, str]


_active: list[_Names] = []


def _install_yaml_mode() -> None:
    """A YAML mode of our own, so that jsonargparse's is left alone."""
    load = get_loader("yaml")

    def load_with_names(text: str) -> Any:
        return _named(load(text), _active[-1]) if _active else load(text)

    set_loader(_MODE, load_with_names, exceptions=(yaml.YAMLError, ValueError))
    set_dumper(_MODE, lambda data: yaml.safe_dump(data, sort_keys=False))


def _named(data: Any, names: _Names) -> Any:
    """A loaded configuration with bare class names replaced by class paths, without classes that are not taken."""
    for option, choice in names.choices.items():
        inner, leaf = _place(data, option)
        found = _class_in(inner, leaf, option, choice)
        if found is None:
            continue
        if found != names.taken.get(option, found):
            del inner[leaf]
        else:
            inner[leaf] = {**inner[leaf], "class_path": found} if isinstance(inner[leaf], dict) else found
    return data


def _classes_of(files: Sequence[str], choices: Mapping[str, Choice]) -> dict[str, str]:
    """The class that the last of some files names, for each option; an unreadable file is jsonargparse's to refuse."""
    found = {}
    for file in files:
        try:
            data = get_loader("yaml")(Path(file).read_text(encoding="utf-8") if Path(file).is_file() else file)
        except (OSError, ValueError, yaml.YAMLError):
            continue
        for option, choice in choices.items():
            path = _class_in(*_place(data, option), option, choice)
            if path is not None:
                found[option] = path
    return found


def _place(data: Any, option: str) -> tuple[Any, str]:
    """The mapping that holds a dotted option, and the option's last name."""
    *path, leaf = option.split(".")
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data, leaf


def _class_in(data: Any, leaf: str, option: str, choice: Choice) -> str | None:
    """The class that a mapping names for an option."""
    value = data.get(leaf) if isinstance(data, dict) else None
    name = value.get("class_path") if isinstance(value, dict) else value
    return resolve(option, name, choice) if isinstance(name, str) else None
