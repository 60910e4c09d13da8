"""Problems of a dataset: one line for each kind, with a count and the first examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

EXAMPLES = 3
"""Examples in a line."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one video of a file, or with one line of a list.

    Attributes:
        path: The file.
        unit: `video` or `line`.
        item: The video's id, or the line's number.
        text: What is wrong with it.
        kind: The same without what differs between items.
        detail: What differs, to be shown beside the item.
    """

    path: Path
    unit: str
    item: str
    text: str
    kind: str
    detail: str

    @classmethod
    def of_video(cls, path: Path | str, video: str, text: str, kind: str | None = None, detail: str = "") -> Self:
        """A problem of a video of a feature file; by default it has nothing that differs between videos."""
        return cls(Path(path), "video", video, text, text if kind is None else kind, detail)

    @classmethod
    def of_line(cls, path: Path, number: int, text: str, kind: str, detail: str) -> Self:
        """A problem of a line, counted from 1, of a list."""
        return cls(path, "line", str(number), text, kind, detail)

    def __str__(self) -> str:
        place = f"{self.path}: video {self.item}" if self.unit == "video" else f"{self.path}:{self.item}"
        return f"{place}: {self.text}"


def summarize(problems: Iterable[Problem | str], *, every: bool = False) -> tuple[str, ...]:
    """One line for each kind of problem, in the order of first occurrence.

    Args:
        problems: Problems of videos and lines, and messages that stand for themselves.
        every: A line for each problem instead.
    """
    lines: list[str | list[Problem]] = []
    kinds: dict[tuple[Path, str, str], list[Problem]] = {}
    for problem in problems:
        if every or isinstance(problem, str):
            lines.append(str(problem))
            continue
        key = problem.path, problem.unit, problem.kind
        if key not in kinds:
            lines.append(kinds.setdefault(key, []))
        kinds[key].append(problem)
    return tuple(line if isinstance(line, str) else _line(line) for line in lines)


def _line(same: list[Problem]) -> str:
    first = same[0]
    if len(same) == 1:
        return str(first)
    examples = [f"{each.item} {each.detail}".strip() for each in same[:EXAMPLES]]
    return f"{first.path}: {len(same)} {first.unit}s: {first.kind}: {some(examples, len(same))}"


def some(examples: list[str], count: int) -> str:
    """The first of `count` examples, with an ellipsis for the others."""
    return ", ".join(examples[:EXAMPLES]) + (", ..." if count > EXAMPLES else "")
