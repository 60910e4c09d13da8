"""Lines of units that belong together, and the split that each line is in."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from wesnoth_data.actions import actions, rest_pictures
from wesnoth_data.animation import DIRECTIONS
from wesnoth_data.pictures import Pictures
from wesnoth_data.units import Unit

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


def find_lines(units: Sequence[Unit], pictures: Pictures) -> dict[str, str]:
    """Id of a unit -> the first id of its line.

    A line holds a type with all its forms, what it can become and what it is made from, and every unit that is shown by
    a picture of one of these (file or copy): six trolls share pictures. Missiles and the like may be shared.
    """
    groups = Groups()
    for unit in units:
        groups.join(("unit", unit.id), ("type", unit.type))
        for other in unit.kin:
            groups.join(("unit", unit.id), ("type", other))
        for digest in sorted(own_pictures(unit, pictures)):
            groups.join(("unit", unit.id), ("picture", digest))
    first: dict[tuple[str, str], str] = {}
    for unit in sorted(units, key=lambda unit: unit.id):
        first.setdefault(groups.top(("unit", unit.id)), unit.id)
    return {unit.id: first[groups.top(("unit", unit.id))] for unit in units}


def own_pictures(unit: Unit, pictures: Pictures) -> set[str]:
    """Digests of the pictures that show a unit itself: those of its main tracks."""
    names = {unit.image, *rest_pictures(unit).values()}
    for action in actions(unit):
        for direction in DIRECTIONS:
            for outcome in action.outcomes or ("",):
                mains = [animation.main for animation in action.animations(direction, outcome)]
                values = [frame.values.get("image") for main in mains if main for frame in main.frames]
                names |= {name for each in values if each for name in each.values}
    shown = {name.partition("~")[0] for name in names} - {""}
    return {hashlib.sha256(pictures.path(name).read_bytes()).hexdigest() for name in shown if name.startswith("units/")}


class Groups:
    """Disjoint groups of things, by union and find.

    >>> groups = Groups()
    >>> groups.join(("a", "1"), ("b", "2"))
    >>> groups.top(("a", "1")) == groups.top(("b", "2")) != groups.top(("c", "3"))
    True
    """

    def __init__(self) -> None:
        self._above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(self, item: tuple[str, str]) -> tuple[str, str]:
        """The item that stands for the group."""
        while (above := self._above.get(item, item)) != item:
            self._above[item] = self._above.get(above, above)
            item = above
        return item

    def join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        """Makes one group of two."""
        first, second = sorted((self.top(one), self.top(other)))
        self._above[second] = first


def assign_splits(races: Mapping[str, str], sizes: Mapping[str, int], seed: int) -> dict[str, str]:
    """Line -> split: 50 : 25 : 25 of the units of each race as nearly as whole lines allow.

    Args:
        races: Line -> race.
        sizes: Line -> how many units it has.
        seed: Decides between equals.
    """
    splits: dict[str, str] = {}
    whole: Counter[str] = Counter()
    for race in _largest_first(sorted(set(races.values())), Counter(_totals(races, sizes))):
        lines = [line for line in sorted(races) if races[line] == race]
        random.Random(f"{seed} {race}").shuffle(lines)
        here: Counter[str] = Counter()
        for line in _largest_first(lines, sizes):
            split = min(
                SHARES, key=lambda name: ((here[name] + sizes[line]) / SHARES[name], whole[name] / SHARES[name])
            )
            splits[line] = split
            here[split] += sizes[line]
            whole[split] += sizes[line]
    return splits


def _totals(races: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for line, race in races.items():
        totals[race] += sizes[line]
    return dict(totals)


def _largest_first(names: Iterable[str], sizes: Mapping[str, int]) -> list[str]:
    return sorted(names, key=lambda name: -sizes[name])
