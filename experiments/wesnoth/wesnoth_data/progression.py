"""The game's notation for pictures and numbers that change with time: `a-[1~3].png:[100*2,50]`, `0~0.6:100,0.6~0`."""

import bisect
import functools
import itertools
import re
from dataclasses import dataclass
from functools import cached_property

from avhash_nas.errors import AvnasError

_TIMED = re.compile(r"(.*?)(?::(\d+)(?:\*\d+)?)?", re.DOTALL)


@functools.cache
def expand(text: str) -> tuple[str, ...]:
    """Items separated by commas, with lists in brackets written out.

    >>> expand("a-[1~3].png:[100*2,50],b.png")
    ('a-1.png:100', 'a-2.png:100', 'a-3.png:50', 'b.png')
    >>> expand("x[3~1,n].png~SCALE(6,7)")
    ('x3.png~SCALE(6,7)', 'x2.png~SCALE(6,7)', 'x1.png~SCALE(6,7)', 'xn.png~SCALE(6,7)')

    Raises:
        AvnasError: Lists of one item differ in length.
    """
    return tuple(item for part in _split(text) for item in _written_out(part))


def _split(text: str) -> list[str]:
    """Splits at commas outside of brackets and parentheses."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "[(") - (char in ")]")
        if char == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()]


def _written_out(part: str) -> list[str]:
    pieces = re.split(r"\[([^\]]*)\]", part)
    lists = [_items(piece) for piece in pieces[1::2]]
    if len({len(each) for each in lists} - {1}) > 1:
        raise AvnasError(f"{part!r}: its lists have {' and '.join(str(len(each)) for each in lists)} items")
    count = max(map(len, lists), default=1)
    lists = [each * count if len(each) == 1 else each for each in lists]
    return [
        "".join(
            text
            for pair in itertools.zip_longest(pieces[::2], (each[i] for each in lists), fillvalue="")
            for text in pair
        )
        for i in range(count)
    ]


def _items(inner: str) -> list[str]:
    """`1~3,7*2` gives 1, 2, 3, 7, 7."""
    items: list[str] = []
    for word in inner.split(","):
        value, _, times = word.strip().partition("*")
        ends = re.fullmatch(r"(-?\d+)~(-?\d+)", value)
        if ends:
            first, last = int(ends[1]), int(ends[2])
            width = len(ends[1]) if ends[1].startswith("0") else 0
            step = 1 if last >= first else -1
            values = [str(number).zfill(width) for number in range(first, last + step, step)]
        else:
            values = [value]
        items += [each for each in values for _ in range(int(times or 1))]
    return items


@dataclass(frozen=True)
class Steps:
    """Values that follow each other.

    Attributes:
        values: The values, as written.
        durations: Milliseconds of each.
    """

    values: tuple[str, ...]
    durations: tuple[float, ...]

    @cached_property
    def ends(self) -> list[float]:
        """When each value ends, from the start of the first."""
        return list(itertools.accumulate(self.durations))

    @property
    def length(self) -> float:
        """Milliseconds of all."""
        return self.ends[-1]

    def at(self, time: float) -> tuple[str, float]:
        """The value at a time, and which fraction of its duration is over; the last value stays."""
        if time >= self.length:
            return self.values[-1], 1.0
        i = bisect.bisect_right(self.ends, max(time, 0.0))
        return self.values[i], (max(time, 0.0) - (self.ends[i] - self.durations[i])) / self.durations[i]

    def number(self, time: float) -> float:
        """The value at a time as a number; `a~b` runs from a to b.

        Raises:
            AvnasError: It is none.
        """
        text, fraction = self.at(time)
        try:
            ends = [float(end) for end in text.split("~") if end.strip()]  # one file has a ~ too many
            return ends[0] + (ends[-1] - ends[0]) * fraction
        except (ValueError, IndexError) as error:
            raise AvnasError(f"{text!r} is not a number, nor two with ~ between them") from error


def untimed_length(text: str) -> float | None:
    """Milliseconds that a text states for its items together; None if it does not for each."""
    durations = [_timed(item)[1] for item in expand(text)]
    return None if None in durations else float(sum(duration or 0 for duration in durations))


@functools.cache
def steps(text: str, length: float) -> Steps:
    """Parses a text; items without a duration share what is left of the length equally (at least 1 ms each).

    >>> steps("0~0.6:100,0.6~0", 300).durations
    (100.0, 200.0)
    """
    timed = [_timed(item) for item in expand(text)]
    missing = sum(duration is None for _, duration in timed)
    rest = length - sum(duration or 0 for _, duration in timed)
    share = max(rest / missing, 1.0) if missing else 0.0
    return Steps(
        tuple(value for value, _ in timed),
        tuple(share if duration is None else max(float(duration), 1.0) for _, duration in timed),
    )


def _timed(item: str) -> tuple[str, int | None]:
    match = _TIMED.fullmatch(item)
    assert match is not None
    return match[1], None if match[2] is None else int(match[2])
