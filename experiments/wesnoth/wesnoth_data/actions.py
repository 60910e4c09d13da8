"""What a unit can do: its actions, with the animations that the files state or the game's own code supplies."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from wesnoth_data.animation import DIRECTIONS, Animation, Frame, Script, Track
from wesnoth_data.progression import Steps, expand
from wesnoth_data.units import Attack, Unit
from wesnoth_data.wml import Node

KINDS = ("melee", "ranged", "defend", "die", "idle", "move", "heal")
_ANIMATIONS = {"defend": "defend", "die": "death", "move": "movement_anim", "heal": "healing_anim"}
_ALWAYS = ("die", "move")
"""Kinds for which the game shows the picture at rest where the files state no animation."""
_LUNGE = {"offset": "0~0.6,0.6~0"}
_FLIGHT = {"missile_offset": "0~0.8"}
_FADE = 600.0
"""Milliseconds in which a dead unit fades."""
_WALK = 600.0
"""Least milliseconds of a movement, which is repeated until then."""
_LONGEST = 2000.0
"""Milliseconds after which idle units and movements are cut."""


@dataclass(frozen=True)
class Action:
    """An action of a unit.

    Attributes:
        kind: One of KINDS.
        attack: The weapon of a melee or ranged attack.
        shown: (facing, outcome) -> the animations for it, of which the game shows one; outcomes are `hit` and `miss`.
    """

    kind: str
    attack: Attack | None
    shown: dict[tuple[str, str], tuple[Animation, ...]]

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """`hit` and `miss` if they differ in picture or sound for some facing, else nothing."""
        if self.kind not in ("melee", "ranged", "defend"):
            return ()
        pairs = [(self.shown[each, "hit"], self.shown[each, "miss"]) for each in DIRECTIONS]
        return ("hit", "miss") if any(hit != miss for hit, miss in pairs if hit and miss) else ()

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """The facings for which there is an animation, whatever the outcome."""
        return tuple(each for each in DIRECTIONS if self.shown[each, "hit"] and self.shown[each, "miss"])

    def animations(self, direction: str, outcome: str) -> tuple[Animation, ...]:
        """The animations for a facing and an outcome; nothing stands for an outcome that makes no difference."""
        return self.shown[direction, outcome or "hit"]


def actions(unit: Unit) -> list[Action]:
    """All actions of a unit, in the order of KINDS."""
    rest = rest_pictures(unit)
    found = []
    for kind, attack, script in (*_attacks(unit), *_others(unit)):
        shown = {
            (direction, outcome): tuple(_finished(kind, unit, script.animations(direction, outcome), rest[direction]))
            for direction in DIRECTIONS
            for outcome in ("hit", "miss")
        }
        found.append(Action(kind, attack, shown))
    return sorted((each for each in found if each.directions), key=lambda action: KINDS.index(action.kind))


def _finished(kind: str, unit: Unit, animations: list[Animation], rest: str) -> list[Animation]:
    """What the game's own code adds to the animations of the files."""
    if not animations and kind in _ALWAYS:
        animations = [_still(rest)]
    if kind == "die":
        return [_faded(animation, unit, rest) for animation in animations]
    if kind == "move":
        return [_cut(_repeated(animation)) for animation in animations]
    return [_cut(animation) for animation in animations] if kind == "idle" else animations


def _attacks(unit: Unit) -> Iterator[tuple[str, Attack | None, Script]]:
    for attack in unit.attacks:
        nodes = tuple(node for node in unit.animations if node.name == "attack_anim" and _fits(node, attack))
        if attack.range in ("melee", "ranged"):
            yield attack.range, attack, Script(nodes, _LUNGE if attack.range == "melee" else _FLIGHT)


def _fits(node: Node, attack: Attack) -> bool:
    """Whether an animation is for an attack. Filters on other things are taken to hold."""
    return all(
        getattr(attack, key) in [word.strip() for word in condition.get(key).split(",")]
        for condition in node.all("filter_attack")
        for key in ("name", "range", "type")
        if key in condition.attributes
    )


def _others(unit: Unit) -> Iterator[tuple[str, Attack | None, Script]]:
    """Actions that need no weapon."""
    for kind, name in _ANIMATIONS.items():
        yield kind, None, Script(tuple(node for node in unit.animations if node.name == name))
    idle = [node for node in unit.animations if node.name == "idle_anim" or _is_standing(node)]
    yield "idle", None, Script(tuple(node for node in idle if _moves(node)))


def rest_pictures(unit: Unit) -> dict[str, str]:
    """Facing -> the picture of a unit that does nothing."""
    standing = Script(tuple(filter(_is_standing, unit.animations)))
    pictures = {}
    for direction in DIRECTIONS:
        shown = [_first_picture(each) for each in standing.animations(direction, "hit")]
        shown = [picture for picture in shown if picture.startswith("units/")]  # not a blank one below another
        pictures[direction] = [*shown, unit.image][0]
    return pictures


def _first_picture(animation: Animation) -> str:
    main = animation.main
    return main.frames[0].values["image"].values[0] if main and "image" in main.frames[0].values else ""


def _is_standing(node: Node) -> bool:
    """Whether an animation is that of a healthy unit that stands anywhere."""
    special = any(child.name.startswith("filter") for child in node.children) or "terrain_type" in node.attributes
    return node.name == "standing_anim" and not special


def _moves(node: Node) -> bool:
    """Whether an animation has at least two pictures, in some facing."""
    animations = [each for direction in DIRECTIONS for each in Script((node,)).animations(direction, "hit")]
    return any(len(animation.pictures()) > 1 for animation in animations)


def _still(picture: str) -> Animation:
    frame = Frame(0.0, 250.0, {"image": Steps((picture,), (250.0,))})
    return Animation((Track("", (frame,)),))


def _faded(animation: Animation, unit: Unit, rest: str) -> Animation:
    """A death ends with the last picture that fades, and begins with a cry."""
    main = animation.main or Track("", (Frame(0.0, 1.0, {}),))
    last = [frame.values["image"].values[-1] for frame in main.frames if "image" in frame.values]
    values = {"alpha": Steps(("1~0",), (_FADE,)), "image": Steps(([rest, *last][-1],), (_FADE,))}
    own = main.frames if len(animation.pictures()) > 1 else ()
    start = own[-1].end if own else 0.0
    fading = Track("", (*own, Frame(start, _FADE, values)), main.values)
    others = [track for track in animation.tracks if track.name]
    sounds = tuple(each for each in expand(unit.die_sound) if each)
    cry = [Track("cry", (Frame(0.0, 1.0, {}, sounds),))] if sounds else []
    return Animation((fading, *others, *cry))


def _repeated(animation: Animation) -> Animation:
    """A movement, again and again for as long as the way takes."""
    length = animation.end - animation.start
    shifts = [length * i for i in range(math.ceil(_WALK / length))]
    return Animation(
        tuple(
            replace(track, frames=tuple(replace(each, start=each.start + by) for by in shifts for each in track.frames))
            for track in animation.tracks
        )
    )


def _cut(animation: Animation) -> Animation:
    """The beginning of an animation."""
    end = animation.start + _LONGEST
    tracks = []
    for track in animation.tracks:
        frames = [frame for frame in track.frames if frame.start < end]
        if frames:
            frames[-1] = replace(frames[-1], length=min(frames[-1].length, end - frames[-1].start))
            tracks.append(replace(track, frames=tuple(frames)))
    return Animation(tuple(tracks))
