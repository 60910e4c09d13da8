"""Parsing of preprocessed WML: a tree of tags with attributes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from avhash_nas.errors import AvnasError

_TAG = re.compile(r"\[(/?)\+?([\w-]+)\]")
_KEYS = re.compile(r"([\w, \t]+?)[ \t]*=[ \t]*")
_JOIN = re.compile(r"[ \t]*\+\s*")
_TRANSLATED = re.compile(r'_[ \t]*(?="|<<)')
_UNQUOTED = re.compile(r'(?:(?!_[ \t]*(?:"|<<)|<<)[^"\n])+')


@dataclass
class Node:
    """A tag.

    Attributes:
        name: The name in brackets; empty for a whole file.
        attributes: Key -> text.
        children: Tags within, in order.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def all(self, *names: str) -> Iterator["Node"]:
        """The children of these names, in order."""
        return (child for child in self.children if child.name in names)

    def get(self, key: str, default: str = "") -> str:
        """An attribute."""
        return self.attributes.get(key, default)


def parse(text: str) -> Node:
    """The tree of a preprocessed text.

    Raises:
        AvnasError: Tags do not match, or a line is neither tag nor attribute.
    """
    root = Node("")
    stack = [root]
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif match := _TAG.match(text, at):
            at = match.end()
            if not match[1]:
                stack[-1].children.append(Node(match[2]))
                stack.append(stack[-1].children[-1])
            elif stack.pop().name != match[2] or not stack:
                raise AvnasError(f"[/{match[2]}] closes no tag, near {_near(text, at)}")
        elif match := _KEYS.match(text, at):
            value, at = _value(text, match.end())
            stack[-1].attributes |= _assigned([key.strip() for key in match[1].split(",")], value)
        else:
            raise AvnasError(f"neither a tag nor an attribute: {_near(text, at)}")
    if len(stack) > 1:
        raise AvnasError(f"[{stack[-1].name}] is not closed")
    return root


def _assigned(keys: list[str], value: str) -> dict[str, str]:
    """`a,b=1,2,3` gives a=1 and b=2,3."""
    if len(keys) == 1:
        return {keys[0]: value}
    return {key: part.strip() for key, part in zip(keys, value.split(",", len(keys) - 1), strict=False)}


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins here, and where it ends: quoted and unquoted parts follow each other, `+` joins lines."""
    parts: list[str] = []
    after_quote = False
    while at < len(text) and text[at] != "\n":
        if text[at] == '"':
            end = at + 1
            while (end := text.find('"', end)) >= 0 and text.startswith('""', end):
                end += 2
            if end < 0:
                raise AvnasError(f"a quote is not closed: {_near(text, at)}")
            parts.append(text[at + 1 : end].replace('""', '"'))
            at, after_quote = end + 1, True
        elif text.startswith("<<", at):
            end = text.index(">>", at)
            parts.append(text[at + 2 : end])
            at, after_quote = end + 2, True
        elif match := _TRANSLATED.match(text, at) or (after_quote and _JOIN.match(text, at)):
            at = match.end()
        elif match := _UNQUOTED.match(text, at):
            parts.append(match[0].strip() if not parts or not after_quote else match[0].rstrip())
            at, after_quote = match.end(), False
    return "".join(parts), at


def _near(text: str, at: int) -> str:
    return repr(text[max(0, at - 20) : at + 40])
