"""Griffe extension: doctests within a docstring are shown as code."""

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^(?P<indent> *)>>> .*\n(?:(?P=indent)(?!$).*\n?)*", re.MULTILINE)


class Doctests(Extension):
    """Puts fences around doctests."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Called for each class, function and attribute that is read."""
        if obj.docstring and ">>> " in obj.docstring.value and "```" not in obj.docstring.value:
            obj.docstring.value = DOCTEST.sub(_fenced, obj.docstring.value + "\n").rstrip()


def _fenced(match: re.Match[str]) -> str:
    indent = match["indent"]
    return f"{indent}```pycon\n{match[0].rstrip()}\n{indent}```\n"
