"""Which clips are made: single actions of eight kinds, and exchanges, two actions one after the other."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wesnoth_data.actions import Action, actions, rest_pictures
from wesnoth_data.clip import SECONDS, Clip, Part
from wesnoth_data.pictures import TEAMS
from wesnoth_data.scene import GROUNDS, is_shown
from wesnoth_data.sounds import Sounds
from wesnoth_data.units import Unit

GESTURES = {"attack": ("melee", "ranged"), "defend": ("defend",), "move": ("move",)}
"""The actions of exchanges, and the kinds that count as each."""
EXCHANGES = tuple(itertools.permutations(GESTURES, 2))
"""The ordered pairs."""
_EDGE = 0.05
"""Seconds that are kept free of actions at both ends of a clip."""
_TAIL = 0.4
"""Seconds that a sound may go on after its action before the clip is made to hold it."""
_GAPS = (0.1, 0.35)
"""Least and most seconds between two actions."""
_TRIES = 20


@dataclass(frozen=True)
class Amounts:
    """How many clips are made.

    Attributes:
        kind: Of each kind of action, at most.
        renderings: Of one action and outcome, at most.
        exchanges: Of each unit and ordered pair.
        kin: Of each kind or ordered pair for one line of units, at most.
    """

    kind: int = 320
    renderings: int = 14
    exchanges: int = 2
    kin: int = 36


def kind_of(part: Part) -> str:
    """The class of a single action: melee attacks are two, by their outcome."""
    return f"melee_{part.outcome}" if part.kind == "melee" else part.kind


def gesture_of(part: Part) -> str:
    """What an action of an exchange counts as."""
    return next(name for name, kinds in GESTURES.items() if part.kind in kinds)


def plan(units: Sequence[Unit], lines: dict[str, str], sounds: Sounds, amounts: Amounts, seed: int) -> list[Clip]:
    """All clips, by id; everything depends on the seed, and no clip on the others.

    Args:
        units: All units.
        lines: Id of a unit -> the line that it belongs to.
        sounds: To know how long they are.
        amounts: How many clips.
        seed: Of all choices.
    """
    known = {unit.id: actions(unit) for unit in units}
    clips = [*_singles(units, known, lines, sounds, amounts, seed)]
    clips += _exchanges(units, known, lines, sounds, amounts, seed)
    return sorted(clips, key=lambda clip: clip.id)


def _singles(
    units: Sequence[Unit],
    known: dict[str, list[Action]],
    lines: dict[str, str],
    sounds: Sounds,
    amounts: Amounts,
    seed: int,
) -> Iterator[Clip]:
    """Single actions: each is rendered once before any is rendered twice."""
    pools: dict[str, list[tuple[Unit, int, str]]] = {}
    for unit in units:
        for i, action in enumerate(known[unit.id]):
            if action.kind == "melee" and not action.outcomes:
                continue  # neither a hit nor a miss
            for outcome in action.outcomes or ("",):
                pools.setdefault(f"melee_{outcome}" if action.kind == "melee" else action.kind, []).append(
                    (unit, i, outcome)
                )
    for kind, pool in sorted(pools.items()):
        random.Random(f"{seed} {kind}").shuffle(pool)
        made: Counter[str] = Counter()
        rounds = (item for n in range(amounts.renderings) for item in ((n, *each) for each in pool))
        for n, unit, i, outcome in rounds:
            if made.total() < amounts.kind and made[lines[unit.id]] < amounts.kin:
                name = f"{unit.id}_{kind}_{i}{outcome[:1]}{n}"
                clip = make_clip(name, unit, [[(known[unit.id][i], outcome)]], sounds, seed)
                if clip is not None:
                    made[lines[unit.id]] += 1
                    yield clip


def _exchanges(
    units: Sequence[Unit],
    known: dict[str, list[Action]],
    lines: dict[str, str],
    sounds: Sounds,
    amounts: Amounts,
    seed: int,
) -> Iterator[Clip]:
    """Ordered pairs of actions; each unit has as many clips in one order as in the other."""
    made: Counter[tuple[str, ...]] = Counter()
    shuffled = sorted(units, key=lambda unit: unit.id)
    random.Random(f"{seed} exchanges").shuffle(shuffled)
    for unit, pair, n in itertools.product(shuffled, itertools.combinations(GESTURES, 2), range(amounts.exchanges)):
        line = lines[unit.id]
        if made[line, *pair] >= amounts.kin:
            continue
        clips = []
        for order in (pair, pair[::-1]):
            choices = [
                [
                    (action, outcome)
                    for action in known[unit.id]
                    if action.kind in GESTURES[gesture]
                    for outcome in action.outcomes or ("",)
                ]
                for gesture in order
            ]
            if all(choices):
                clips.append(make_clip(f"{unit.id}_{'-'.join(order)}_{n}", unit, choices, sounds, seed))
        if len(clips) == 2 and all(clips):
            made[line, *pair] += 1
            yield from (clip for clip in clips if clip is not None)


def make_clip(
    name: str, unit: Unit, choices: Sequence[Sequence[tuple[Action, str]]], sounds: Sounds, seed: int
) -> Clip | None:
    """A clip of one action after the other; None if twenty tries give none that fits its time and shows them all.

    Args:
        name: The clip's id, from which with the seed all is drawn.
        unit: Who.
        choices: For each part, actions with outcomes, of which one is drawn.
        sounds: To know how long they are.
        seed: Of all choices.
    """
    rng = random.Random(f"{seed} {name}")
    for _ in range(_TRIES):
        drawn = [rng.choice(list(each)) for each in choices]
        directions = [each for each in drawn[0][0].directions if all(each in other.directions for other, _ in drawn)]
        if not directions:
            continue
        direction = rng.choice(directions)
        parts, end = _in_sequence(drawn, direction, sounds, rng)
        room = SECONDS - 2 * _EDGE - end
        if room < 0:
            continue
        begin = _EDGE + rng.uniform(0, room)
        clip = Clip(
            id=name,
            unit=unit,
            parts=tuple(_shifted(part, begin) for part in parts),
            direction=direction,
            rest=rest_pictures(unit)[direction],
            ground=rng.choice(sorted(GROUNDS)),
            team=rng.choice(sorted(TEAMS)),
            shift=(rng.randint(-6, 6), rng.randint(-6, 6)),
            seed=rng.getrandbits(32),
        )
        if all(is_shown(clip, part) for part in clip.parts):  # some units defend themselves without a stir
            return clip
    return None


def _in_sequence(
    drawn: Sequence[tuple[Action, str]], direction: str, sounds: Sounds, rng: random.Random
) -> tuple[list[Part], float]:
    """Parts from 0 seconds on, and when the last of them is over, to the eye and, nearly, to the ear."""
    parts: list[Part] = []
    time, quiet = 0.0, 0.0
    for action, outcome in drawn:
        animation = rng.choice(action.animations(direction, outcome))
        cues = [(time + (at - animation.start) / 1000, rng.choice(files)) for at, files in animation.sounds()]
        part = Part(action.kind, action.attack, outcome, animation, time, tuple(cues))
        quiet = max([quiet, *(min(at + sounds.seconds(name), part.end + _TAIL) for at, name in cues)])
        parts.append(part)
        time = part.end + rng.uniform(*_GAPS)
    return parts, max(parts[-1].end, quiet)


def _shifted(part: Part, seconds: float) -> Part:
    cues = tuple((at + seconds, name) for at, name in part.cues)
    return Part(part.kind, part.attack, part.outcome, part.animation, part.begin + seconds, cues)
