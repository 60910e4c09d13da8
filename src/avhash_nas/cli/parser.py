"""jsonargparse's parser with one-line errors and bare class names."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace, get_loader, set_dumper, set_loader

from avhash_nas.cli.names import Choice, resolve
from avhash_nas.errors import AvnasError

_MODE = "avnas_yaml"


class Parser(ArgumentParser):
    """A parser whose errors are one line. jsonargparse also makes its inner parsers of this class."""

    command: ClassVar[str] = "avnas"
    choices: Mapping[str, Choice] = {}
    hints: Mapping[str, str] = {}

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse, with each choice of a class moved before the options of that class.

        A wandb agent, for one, gives options in any order, and jsonargparse checks `--strategy.lr` against the class
        chosen so far. A class that is taken by default is put in front in the same way: as a default of jsonargparse
        it would hand the values of its own options on to another class that has options of the same name.
        """
        _active.append(self.choices)
        try:
            return self.parse_args(self._classes_first(list(arguments)))
        finally:
            _active.pop()

    def _classes_first(self, arguments: list[str]) -> list[str]:
        head: list[str] = []
        tail: list[str] = []
        flags = {f"--{name}": choice for name, choice in self.choices.items()}
        rest = iter(arguments)
        for argument in rest:
            flag, equals, value = argument.partition("=")
            if flag == "--config":
                head.insert(0, f"--config={value if equals else next(rest, '')}")
            elif flag.removesuffix(".help") in flags and (equals or flag in flags):
                name = value if equals else next(rest, "")
                head.append(f"{flag}={resolve(flag, name, flags[flag.removesuffix('.help')])}")
            else:
                tail.append(argument)
        defaults = [
            f"--{name}={resolve(name, choice.default, choice)}"
            for name, choice in self.choices.items()
            if choice.default
        ]
        return defaults + head + tail

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


_active: list[Mapping[str, Choice]] = []


def _install_yaml_mode() -> None:
    """A YAML mode of our own, so that jsonargparse's is left alone."""
    load = get_loader("yaml")

    def load_with_names(text: str) -> Any:
        return _named(load(text)) if _active else load(text)

    set_loader(_MODE, load_with_names, exceptions=(yaml.YAMLError, ValueError))
    set_dumper(_MODE, lambda data: yaml.safe_dump(data, sort_keys=False))


def _named(data: Any) -> Any:
    """A loaded configuration with bare class names replaced by class paths."""
    if not isinstance(data, dict):
        return data
    for option, choice in _active[-1].items():
        *path, leaf = option.split(".")
        inner = data
        for part in path:
            inner = inner.get(part) if isinstance(inner, dict) else None  # type: ignore[assignment]
        if not isinstance(inner, dict) or leaf not in inner:
            continue
        value = inner[leaf]
        if isinstance(value, str):
            inner[leaf] = resolve(option, value, choice)
        elif isinstance(value, dict) and isinstance(value.get("class_path"), str):
            inner[leaf] = {**value, "class_path": resolve(option, value["class_path"], choice)}
    return data
