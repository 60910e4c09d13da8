"""Names of run folders that are made from options, for many runs of one command line."""

import re
from collections.abc import Mapping
from typing import Any

from avhash_nas.cli.parser import Choice, import_class
from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import flatten


def filled(out: str, options: Mapping[str, Any], choices: Mapping[str, Choice]) -> str:
    """A folder with every `{option}` replaced by the option's value, a class by the shortest of its names.

    A wandb sweep sends each point's values and knows no folder; `--out=runs/{strategy}-{bits}-{seed}` gives every point
    its own, which no other agent uses, and the same one when the point is run again.

    Args:
        out: As given.
        options: Those that decide what a run computes, as plain values.
        choices: Options that name a class.

    Raises:
        AvnasError: There is no such option.

    >>> filled("runs/{bits}-{search.epochs}", {"bits": 64, "search": {"epochs": 3}}, {})
    'runs/64-3'
    """
    values = flatten(options)

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in choices and f"{name}.class_path" in values:
            return _shortest(values[f"{name}.class_path"], choices[name])
        if name not in values:
            raise AvnasError(f"--out: there is no option {name!r} to fill {match[0]} with")
        return re.sub(r"[^\w.+-]+", "-", str(values[name]))

    return re.sub(r"\{([\w.]+)\}", value, out)


def _shortest(path: str, choice: Choice) -> str:
    """`random` for avhash_nas.strategies.random.RandomSearch; the class's own name if the choice does not know it."""
    kind = import_class(path)
    names = [name for name, known in choice.classes().items() if known is kind]
    return min(names, key=len, default=kind.__name__.lower())
