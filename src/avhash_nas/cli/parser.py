"""jsonargparse's parser with one-line errors and bare class names.

jsonargparse resolves the exact name of a class that has been imported. Here a class also goes by the name of its file,
in any spelling, or by an entry point; another class than a file's starts from its own defaults; options may come in any
order; and a network may bring other components. So every name is replaced by the path of its class before
jsonargparse sees the arguments, in the arguments and in the files.
"""

import difflib
import importlib
import inspect
import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace, get_loader
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.legacy import renamed


@dataclass(frozen=True)
class Choice:
    """The classes that an option may name.

    A class has its own name, and the name of its file if that file exports no other class. Case, `-` and `_` are
    ignored: `avnas`, `info_nce`, `InfoNCE`.

    Attributes:
        base: Path of the base class.
        packages: Packages whose `__all__` lists the classes.
        group: Entry-point group of third parties' classes, if any.
        default: Path of the class that is used by default.
    """

    base: str
    packages: tuple[str, ...]
    group: str | None = None
    default: str | None = None

    def classes(self) -> dict[str, type]:
        """The classes by every bare name, spelled without case, `-` and `_`."""
        found = self._own_classes()
        own = {plain(kind.__name__): kind for names in found.values() for kind in names}
        files = {plain(file): kinds[0] for file, kinds in found.items() if len(kinds) == 1}
        others = {plain(name): kind for name, kind in _entry_points(self.group).items()}
        return own | files | others

    def display_names(self) -> list[str]:
        """One name of each class, sorted: that of its file or its own, whichever is shorter."""
        own = [
            kind.__name__ if len(kinds) > 1 else min(file, kind.__name__.lower(), key=lambda name: len(plain(name)))
            for file, kinds in self._own_classes().items()
            for kind in kinds
        ]
        return sorted({*own, *_entry_points(self.group)}, key=str.lower)

    def _own_classes(self) -> dict[str, list[type]]:
        """The exported classes by name of their file."""
        base = import_class(self.base)
        classes = [
            value
            for package in self.packages
            for name in importlib.import_module(package).__all__
            if isinstance(value := getattr(importlib.import_module(package), name), type)
            and issubclass(value, base)
            and not inspect.isabstract(value)
            and value is not base
        ]
        by_file: dict[str, list[type]] = {}
        for kind in classes:
            by_file.setdefault(kind.__module__.rpartition(".")[2], []).append(kind)
        return by_file


def _entry_points(group: str | None) -> dict[str, type]:
    """Third parties' classes by name; one that cannot be imported is left out with a warning."""
    classes: dict[str, type] = {}
    for point in entry_points(group=group) if group else ():
        try:
            classes[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            warnings.warn(f"{group}: {point.name!r} ({point.value}) cannot be imported: {error}", stacklevel=2)
    return classes


def resolve(option: str, name: str, choice: Choice) -> str:
    """The one class path that a bare name or any path of the class stands for; a YAML file stands for itself.

    Args:
        option: Named in the error.
        name: As given.
        choice: Where classes are found.

    Raises:
        AvnasError: There is no such name, or no such class.
    """
    if name.startswith(("{", "[")) or Path(name).is_file():
        return name
    if "." in name:
        kind = import_class(name)
        if not issubclass(kind, import_class(choice.base)):
            raise AvnasError(f"--{option.lstrip('-')}: {name} is not a {choice.base.rpartition('.')[2]}")
        return f"{kind.__module__}.{kind.__qualname__}"
    known = choice.classes()
    if plain(name) in known:
        kind = known[plain(name)]
        return f"{kind.__module__}.{kind.__qualname__}"
    names = {plain(shown): shown for shown in choice.display_names()}
    near = difflib.get_close_matches(plain(name), names, 1)
    hint = f", did you mean {names[near[0]]!r}?" if near else "."
    listed = ", ".join(names.values())
    raise AvnasError(f"--{option.lstrip('-')}: there is no {name!r}{hint} Known: {listed}, or package.module.Class")


def import_class(path: str) -> type:
    """The class of a dotted path.

    Raises:
        AvnasError: It cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AvnasError(f"{path}: cannot be imported: {error}") from error
    if not isinstance(kind, type):
        raise AvnasError(f"{path}: is not a class")
    return kind


def plain(name: str) -> str:
    """A name without case, `-` and `_`.

    >>> plain("Info_NCE")
    'infonce'
    """
    return name.lower().replace("_", "").replace("-", "")


class _InnerError(SystemExit):
    """Error of the parser that jsonargparse makes for one class's options.

    Not an Exception: jsonargparse would go on to try the option's other types and list why each of them fails.
    """


class Parser(ArgumentParser):
    """A parser whose errors are one line. jsonargparse also makes its inner parsers of this class.

    Attributes:
        choices: Options that name a class, by dotted name.
        hints: What to add to an error that names an option, by the option's dotted name.
        checked: Class of a group of options whose own errors name an option of the group first, by the group's name.
    """

    choices: Mapping[str, Choice] = {}
    hints: Mapping[str, str] = {}
    checked: Mapping[str, type] = {}

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse arguments: defaults first, then files in their order, then everything else.

        Class names come before the options of their classes, because jsonargparse checks `--strategy.lr` against the
        class chosen so far, while a wandb agent gives options in any order. Options that files give to a class that is
        not chosen in the end are left out: jsonargparse would hand them on to the chosen class where it has options of
        the same names.
        """
        files, classes, rest = self._sorted(arguments)
        layers = [_load(file, self.choices) for file in files]
        named = {option: path for layer in layers for option, path in _classes_in(layer, self.choices).items()}
        named |= classes
        defaults = self._default_classes(named)
        self._check_class_is_named(rest, {*defaults, *named})
        for layer in layers:
            for option, path in _classes_in(layer, self.choices).items():
                if path != named[option]:
                    section, name = _section(layer, option)
                    del section[name]
        with self._inner_errors():
            parsed: Namespace = self.parse_args(
                [
                    *(f"--{option}={path}" for option, path in defaults.items()),
                    *(f"--config={json.dumps(layer, default=str)}" for layer in layers),
                    *(f"--{option}={path}" for option, path in classes.items()),
                    *rest,
                ]
            )
        return parsed

    def parse_stored(self, options: dict[str, Any]) -> Namespace:
        """Parse the options that a run has stored."""
        with self._inner_errors():
            parsed: Namespace = self.parse_object(options)
        return parsed

    @contextmanager
    def _inner_errors(self) -> Iterator[None]:
        try:
            yield
        except _InnerError as error:
            self.error(*error.args)

    def _sorted(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
        """Files, class paths by option, all other arguments."""
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

    def _default_classes(self, named: Mapping[str, str]) -> dict[str, str]:
        """Default classes by option; those in `default_components` of the chosen classes replace the general ones.

        Where two classes have different default components, the option that comes first in `choices` takes precedence.
        """
        defaults = {
            option: resolve(option, choice.default, choice) for option, choice in self.choices.items() if choice.default
        }
        components: dict[str, str] = {}
        for option in self.choices:
            path = named.get(option) or components.get(option) or defaults.get(option)
            for other, name in (getattr(import_class(path), "default_components", {}) if path else {}).items():
                if other in self.choices and other not in named:
                    components.setdefault(other, resolve(other, name, self.choices[other]))
        return defaults | components

    def _check_class_is_named(self, arguments: Sequence[str], chosen: set[str]) -> None:
        """Refuse options of a class where no class is chosen: jsonargparse would call the base class abstract."""
        for argument in arguments:
            flag = argument.partition("=")[0]
            option = flag.removeprefix("--").rpartition(".")[0]
            if option in self.choices and option not in chosen:
                raise AvnasError(f"{flag}: name the class that has this option, by --{option}=NAME")

    def make(self, options: Namespace) -> Namespace:
        """Instantiate every class of the options.

        Raises:
            AvnasError: A class refuses its options.
        """
        for group, kind in self.checked.items():
            try:
                kind(**vars(options[group]))
            except AvnasError as error:
                raise AvnasError(f"--{group}.{error}") from error
        try:
            instances: Namespace = self.instantiate(options)
        except ValueError as error:
            raise _own_error(error) or error from None
        return instances

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and exit with code 2."""
        if not self.exit_on_error:
            raise _InnerError(message, ex)
        cause = _own_error(ex)
        line = " ".join(str(cause or message).split())
        words = set(re.findall(r"\w+", line))
        for option, hint in self.hints.items():
            if cause is None and words.issuperset(option.split(".")):
                line += f"; {hint}"
        print(f"{self.prog}: error: {line}", file=sys.stderr)
        raise SystemExit(2)


def _own_error(error: BaseException | None) -> AvnasError | None:
    """The error of ours that made jsonargparse raise its own, if there is one."""
    while error is not None and not isinstance(error, AvnasError):
        error = error.__cause__ or error.__context__
    return error


def make_parser(command: str, description: str, choices: Mapping[str, Choice] | None = None) -> Parser:
    """The parser of one command.

    Args:
        command: Its name.
        description: First line of its help.
        choices: Options that name a class, by dotted name: `--strategy=avnas` and `strategy: avnas` in YAML mean the
            class that the choice finds by that name.
    """
    parser = Parser(
        prog=f"avnas {command}", description=description, usage=f"avnas {command} [options]", allow_abbrev=False
    )
    parser.choices = choices or {}
    parser.add_argument("--config", action="config", help="YAML file with options; options given beside it win")
    return parser


def _load(file: str, choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The options in a YAML file, or in YAML text given in place of its name, with class paths for names."""
    load = get_loader("yaml")
    try:
        options = load(file)
    except (ValueError, yaml.YAMLError):
        options = None
    try:
        options = options if isinstance(options, dict) else load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise AvnasError(f"--config {file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise AvnasError(f"--config {file}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(options, dict):
        raise AvnasError(f"--config {file}: must hold options, such as `bits: 64`")
    options = dict(renamed(options))
    for option, path in _classes_in(options, choices).items():
        section, name = _section(options, option)
        section[name] = {**section[name], "class_path": path} if isinstance(section[name], dict) else path
    return options


def _classes_in(options: dict[str, Any], choices: Mapping[str, Choice]) -> dict[str, str]:
    """Path of the class that a file names, by option."""
    paths = {}
    for option, choice in choices.items():
        section, name = _section(options, option)
        value = section.get(name) if isinstance(section, dict) else None
        value = value.get("class_path") if isinstance(value, dict) else value
        if isinstance(value, str):
            paths[option] = resolve(option, value, choice)
    return paths


def _section(options: Any, option: str) -> tuple[Any, str]:
    """The mapping that holds a dotted option, and the last part of its name."""
    *path, name = option.split(".")
    for part in path:
        options = options.get(part) if isinstance(options, dict) else None
    return options, name
