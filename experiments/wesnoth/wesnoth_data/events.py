"""What is seen and heard in a clip, and when."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from wesnoth_data.clip import SECONDS, Clip, Part
from wesnoth_data.scene import scene
from wesnoth_data.sounds import Sounds
from wesnoth_data.units import Attack

CLASSES = (
    *("blade", "spear", "blow", "missile", "claws", "fire", "magic"),
    *("miss", "defense", "death", "movement", "healing", "idle"),
)
"""Classes of events, seen or heard. Only `miss` is never seen, and `idle` is rarely heard."""
_RESOLUTION = 0.01
"""Seconds between the times at which the scene is compared with the scene at rest."""
_NATURAL = re.compile(r"claw|fang|bite|beak|jaw|tusk|horn|pincers|sting|talon|maw")
_FLYING = re.compile(r"bow|sling|knives|javelin|thunderstick|net|bolas|chak|ballista|gun|web|ink|spray|mud|falcon")
_SOUNDS = (
    ("miss", r"miss-\d|squishy-miss|wose-miss"),
    ("fire", r"fire|flame|torch|explosion"),
    (
        "missile",
        r"bow|crossbow|sling|throw|thunderstick|dragonstick|mud-glob|ink|net|dart|water-blast|gunshot|entangle",
    ),
    ("magic", r"magic|lightning|wail|heal"),
    ("blade", r"axe|dagger|hatchet|knife|sword|saber"),
    ("spear", r"spear|lance|trident"),
    ("claws", r"bite|claws|pincers|hiss|growl|shriek|gryphon|bat-(?!flap)|rat|wolf"),
    ("movement", r"canter|flapping|steps"),
)
"""Class and beginning of the names of sound files; all others are of blows."""


class Event(NamedTuple):
    """Something that is seen or heard from `onset` to `offset`, in seconds."""

    onset: float
    offset: float
    label: str


@dataclass(frozen=True)
class Truth:
    """What is seen and heard in a clip, in order.

    Attributes:
        visual: From the first to the last moment of each action at which the scene is not as at rest.
        audio: Each sound for as long as it is heard.
    """

    visual: list[Event]
    audio: list[Event]


def truth_of(clip: Clip, sounds: Sounds) -> Truth:
    """What is seen and heard in a clip; events of a class that overlap are one, and those within 10 ms are left out."""
    return Truth(_joined(seen(clip)), _joined(heard(clip, sounds)))


def _joined(events: list[Event]) -> list[Event]:
    joined: dict[str, list[Event]] = {}
    for event in sorted(events):
        same = joined.setdefault(event.label, [])
        if same and event.onset <= same[-1].offset + _RESOLUTION:
            event = Event(same[-1].onset, max(same.pop().offset, event.offset), event.label)
        same.append(event)
    return sorted(each for same in joined.values() for each in same if each.offset - each.onset > _RESOLUTION)


def weapon_class(attack: Attack) -> str:
    """The class of an attack: what it looks like, which its damage and its name tell."""
    if attack.type == "fire":
        return "fire"
    if attack.type in ("cold", "arcane"):
        return "magic"
    if attack.range == "ranged":
        return "missile" if attack.type != "impact" or _FLYING.search(attack.name) else "magic"
    if _NATURAL.search(attack.name):
        return "claws"
    return {"blade": "blade", "pierce": "spear"}.get(attack.type, "blow")


def sound_class(part: Part, name: str) -> str:
    """The class of a sound. In a death and a defense it is the unit's cry."""
    if part.kind in ("die", "defend", "heal"):
        return {"die": "death", "defend": "defense", "heal": "healing"}[part.kind]
    return next((label for label, pattern in _SOUNDS if re.match(pattern, name)), "blow")


def seen(clip: Clip) -> list[Event]:
    """From the first to the last moment of each action at which the scene is not as at rest."""
    events = []
    for part in clip.parts:
        steps = [part.begin + i * _RESOLUTION for i in range(int(part.seconds / _RESOLUTION) + 1)]
        steps = [time for time in steps if time < min(part.end, SECONDS)]
        rest = scene(clip, part.begin - 1e-6)
        changed = [time for time in steps if scene(clip, time) != rest]
        if changed:
            label = weapon_class(part.attack) if part.attack else _LABELS[part.kind]
            events.append(Event(changed[0], min(changed[-1] + _RESOLUTION, part.end, SECONDS), label))
    return events


_LABELS = {"defend": "defense", "die": "death", "move": "movement", "heal": "healing", "idle": "idle"}


def heard(clip: Clip, sounds: Sounds) -> list[Event]:
    """Each sound for as long as it is heard."""
    return [
        Event(at, min(at + sounds.seconds(name), SECONDS), sound_class(part, name))
        for part in clip.parts
        for at, name in part.cues
        if at < SECONDS and sounds.seconds(name) > 0
    ]
