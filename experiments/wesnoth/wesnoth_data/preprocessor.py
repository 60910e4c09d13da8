"""The preprocessor of WML, the game's markup language: macros, inclusion of files, conditions, comments."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from avhash_nas.errors import AvnasError

_DEFINE = re.compile(r"#define\s+(\S+)([^\n]*)\n(.*?)#enddef", re.DOTALL)
_ARGUMENT = re.compile(r"#arg\s+(\S+)[^\n]*\n(.*?)#endarg[^\n]*\n?", re.DOTALL)
_CONDITION = re.compile(r"#(ifdef|ifndef|ifhave|ifnhave|ifver|ifnver|else|endif)\b[^\n]*")
_DEPTH = 60


@dataclass(frozen=True)
class Macro:
    """A macro.

    Attributes:
        parameters: Names of the arguments that a call must give, in order.
        optional: Names and default texts of the others, which a call gives as NAME=TEXT.
        body: Text with `{NAME}` for the arguments.
    """

    parameters: tuple[str, ...]
    optional: dict[str, str]
    body: str


@dataclass
class Preprocessor:
    """Expands files one after the other; macros of one stay known in the next, and may be defined anew.

    Args:
        root: The game's `data` folder, to which included paths are relative.
    """

    root: Path
    macros: dict[str, Macro] = field(default_factory=dict)

    def include(self, path: Path, depth: int = 0) -> str:
        """The expanded text of a file, or of a folder: its `_main.cfg`, else all its `.cfg` files by name.

        Raises:
            AvnasError: A file, macro or argument is missing, or brackets do not match.
        """
        if path.is_dir():
            main = path / "_main.cfg"
            files = [main] if main.exists() else sorted(path.glob("*.cfg"))
            return "".join(self.include(file, depth) for file in files)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
        return self._expand(text, {}, str(path.relative_to(self.root)), depth) + "\n"

    def _expand(self, text: str, arguments: dict[str, str], where: str, depth: int) -> str:
        if depth > _DEPTH:
            raise AvnasError(f"{where}: macros or files include each other without end")
        out: list[str] = []
        at, quoted = 0, False
        while at < len(text):
            char = text[at]
            if char == "{":
                end = _closing(text, at, where)
                out.append(self._substitute(text[at + 1 : end], arguments, where, depth))
                at = end + 1
            elif char == '"':
                quoted = not quoted
                out.append(char)
                at += 1
            elif text.startswith("<<", at) and not quoted:
                end = text.find(">>", at)
                end = len(text) if end < 0 else end + 2
                out.append(text[at:end])
                at = end
            elif char == "#" and not quoted:
                at = self._directive(text, at, where)
            else:
                end = at + 1
                while end < len(text) and text[end] not in '{"#<':
                    end += 1
                out.append(text[at:end])
                at = end
        return "".join(out)

    def _directive(self, text: str, at: int, where: str) -> int:
        """Handles a directive or comment; returns where the text goes on."""
        if match := _DEFINE.match(text, at):
            body = match[3]
            optional = {name: default.strip() for name, default in _ARGUMENT.findall(body)}
            parameters = tuple(match[2].split("#")[0].split())
            self.macros[match[1]] = Macro(parameters, optional, _ARGUMENT.sub("", body))
            return match.end()
        if match := re.compile(r"#undef\s+(\S+)").match(text, at):
            self.macros.pop(match[1], None)
        elif (match := _CONDITION.match(text, at)) and match[1] != "endif":
            return self._skip(text, match, where)
        end = text.find("\n", at)
        return len(text) if end < 0 else end

    def _skip(self, text: str, condition: re.Match[str], where: str) -> int:
        """Where the text goes on after #if..., in one of its branches, or after #else, which ends a branch."""
        name = [*condition[0].split(), ""][1]
        known = name in self.macros or (bool(name) and (self.root / name).exists())
        if condition[1] != "else" and known != condition[1].startswith("ifn"):
            return condition.end()
        nested = 0
        for match in _CONDITION.finditer(text, condition.end()):
            if match[1].startswith("if"):
                nested += 1
            elif nested == 0 and (match[1] == "endif" or condition[1] != "else"):
                return match.end()
            elif match[1] == "endif":
                nested -= 1
        raise AvnasError(f"{where}: {condition[0].strip()} has no #endif")

    def _substitute(self, call: str, arguments: dict[str, str], where: str, depth: int) -> str:
        words = list(_words(call, where))
        if not words:
            raise AvnasError(f"{where}: empty braces")
        name = words[0]
        if name in arguments and len(words) == 1:
            return arguments[name]
        macro = self.macros.get(name)
        if macro is None:
            path = self.root / self._expand(call, arguments, where, depth + 1).strip().removeprefix("~")
            if ".." in path.parts or not path.exists():
                raise AvnasError(f"{where}: {{{call[:60]}}} is neither a macro nor a file")
            return self.include(path, depth + 1)
        given = [self._expand(word, arguments, where, depth + 1) for word in words[1:]]
        values = {key: self._expand(text, {}, where, depth + 1) for key, text in _defaults(macro, given)}
        for word in list(given[len(macro.parameters) :]):
            key, equals, text = word.partition("=")
            if not equals or key not in macro.optional:
                raise AvnasError(
                    f"{where}: macro {name} takes {len(macro.parameters)} arguments; {word[:40]!r} is one more"
                )
            values[key] = text
        if len(given) < len(macro.parameters):
            raise AvnasError(f"{where}: macro {name} takes {len(macro.parameters)} arguments; {len(given)} are given")
        values |= zip(macro.parameters, given, strict=False)
        return self._expand(macro.body, values, f"{where}: {name}", depth + 1)


def _defaults(macro: Macro, given: list[str]) -> Iterable[tuple[str, str]]:
    """Optional arguments whose defaults may use the required ones."""
    required = dict(zip(macro.parameters, given, strict=False))
    for name, text in macro.optional.items():
        yield name, re.sub(r"\{(\w+)\}", lambda match: required.get(match[1], match[0]), text)


def _closing(text: str, at: int, where: str) -> int:
    """Index of the brace that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i
    raise AvnasError(f"{where}: a brace is not closed: {text[at : at + 40]!r}")


def _words(call: str, where: str) -> Iterable[str]:
    """Name and arguments of a call: separated by blanks, or in (..), "..." or {..}.

    >>> list(_words('A "b c"-d (e f) {G h} _ "i"', ""))
    ['A', '"b c"-d', 'e f', '{G h}', '_ "i"']
    """
    at = 0
    while at < len(call):
        if call[at].isspace():
            at += 1
            continue
        if call[at] == "(":
            end = _end_of_group(call, at, where)
            yield call[at + 1 : end]
            at = end + 1
            continue
        start = at
        if re.match(r'_\s*"', call[at:]):
            at = call.index('"', at)
        while at < len(call) and not call[at].isspace():
            if call[at] == '"':
                at = call.find('"', at + 1)
                if at < 0:
                    raise AvnasError(f"{where}: a quote is not closed in {{{call[:40]}")
            elif call[at] == "{":
                at = _closing(call, at, where)
            at += 1
        yield call[start:at]


def _end_of_group(call: str, at: int, where: str) -> int:
    depth, quoted = 0, False
    for i in range(at, len(call)):
        quoted ^= call[i] == '"'
        if not quoted:
            depth += (call[i] == "(") - (call[i] == ")")
            if depth == 0:
                return i
    raise AvnasError(f"{where}: a parenthesis is not closed in {{{call[:40]}")
