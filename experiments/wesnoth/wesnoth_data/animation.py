"""An animation of a unit for one facing and outcome: tracks with a clock of their own, frames and sounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from wesnoth_data.progression import Steps, expand, steps, untimed_length
from wesnoth_data.wml import Node

DIRECTIONS = ("se", "sw", "ne", "nw", "s", "n")
_OUTCOMES = {"hit": {"yes", "hit", "kill"}, "miss": {"no", "miss"}}
_PICTURES = ("image", "image_diagonal", "halo")
_NUMBERS = ("offset", "alpha", "x", "y", "directional_x", "halo_x", "halo_y")
DEFAULT_LENGTH = 150.0
"""Milliseconds of a picture whose duration nothing states."""


@dataclass(frozen=True)
class Frame:
    """What one track shows and plays for a while.

    Attributes:
        start: Milliseconds; 0 is the blow of an attack.
        length: Milliseconds.
        values: Pictures and numbers that change with time: image, halo, offset, alpha, x, ...
        sounds: Files of which one is played at the start.
        flips: Whether the picture is mirrored for a unit that faces west, and turned upside down for one that faces
            south.
        layer: Drawn above lower ones.
    """

    start: float
    length: float
    values: dict[str, Steps]
    sounds: tuple[str, ...] = ()
    flips: tuple[bool, bool] = (True, False)
    layer: float = 40.0

    @property
    def end(self) -> float:
        """Milliseconds."""
        return self.start + self.length


@dataclass(frozen=True)
class Track:
    """Frames that follow each other.

    Attributes:
        name: Prefix of its tags; empty for the unit itself.
        frames: In order.
        values: What holds for all frames that do not say otherwise, over the whole track.
    """

    name: str
    frames: tuple[Frame, ...]
    values: dict[str, Steps] = field(default_factory=dict)

    @property
    def start(self) -> float:
        """Milliseconds."""
        return self.frames[0].start

    @property
    def end(self) -> float:
        """Milliseconds."""
        return self.frames[-1].end

    def frame(self, time: float) -> Frame | None:
        """What is shown at a time."""
        return next((frame for frame in self.frames if frame.start <= time < frame.end), None)

    def number(self, frame: Frame, key: str, time: float) -> float | None:
        """A number at a time; None if nothing states it."""
        if key in frame.values:
            return frame.values[key].number(time - frame.start)
        return self.values[key].number(time - self.start) if key in self.values else None


@dataclass(frozen=True)
class Animation:
    """All tracks."""

    tracks: tuple[Track, ...]

    @cached_property
    def start(self) -> float:
        """Milliseconds; negative before the blow."""
        return min(track.start for track in self.tracks)

    @cached_property
    def end(self) -> float:
        """Milliseconds."""
        return max(track.end for track in self.tracks)

    @property
    def main(self) -> Track | None:
        """The track of the unit itself."""
        return next((track for track in self.tracks if not track.name), None)

    def sounds(self) -> list[tuple[float, tuple[str, ...]]]:
        """Milliseconds and files of every sound."""
        cues = [(frame.start, frame.sounds) for track in self.tracks for frame in track.frames if frame.sounds]
        return sorted(cues)

    def pictures(self) -> set[str]:
        """Every picture, with its functions."""
        shown = (frame.values.get(key) for track in self.tracks for frame in track.frames for key in _PICTURES)
        return {value for each in shown if each for value in each.values if value}


def conditions_hold(attributes: dict[str, str], direction: str, outcome: str) -> bool:
    """Whether an animation or a branch is for a facing and an outcome; other conditions are taken to hold."""
    directions = _listed(attributes.get("direction", ""))
    hits = _listed(attributes.get("hits", ""))
    return (not directions or direction in directions) and (not hits or not hits.isdisjoint(_OUTCOMES[outcome]))


def _listed(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")} - {""}


def resolved(node: Node, direction: str, outcome: str) -> Node | None:
    """An animation with its branches decided; None if it is for another facing or outcome.

    Of [if] and the [else] after it, the first one whose conditions hold is taken, or none.
    """
    if not conditions_hold(node.attributes, direction, outcome):
        return None
    attributes, children = dict(node.attributes), []
    taken = False
    for child in node.children:
        if child.name not in ("if", "else"):
            children.append(child)
            continue
        taken = taken and child.name == "else"
        if not taken and (branch := resolved(child, direction, outcome)) is not None:
            taken = True
            attributes |= branch.attributes
            children += branch.children
    return Node(node.name, attributes, children)


def build(node: Node | None, defaults: dict[str, str] | None = None) -> Animation | None:
    """The tracks of a resolved animation; None if it has no frames.

    Args:
        node: From `resolved`.
        defaults: Attributes that hold where the animation says nothing, as the game's own code has them.
    """
    if node is None:
        return None
    tags: dict[str, list[Node]] = {}
    for child in node.children:
        if child.name == "frame" or child.name.endswith("_frame"):
            tags.setdefault(child.name.removesuffix("frame").removesuffix("_"), []).append(child)
    attributes = (defaults or {}) | node.attributes
    tracks = [_track(name, frames, attributes) for name, frames in tags.items()]
    return Animation(tuple(tracks)) if tracks else None


def _track(name: str, tags: Sequence[Node], attributes: dict[str, str]) -> Track:
    prefix = f"{name}_" if name else ""
    start = float(attributes.get(f"{prefix}start_time", attributes.get("start_time", "0")) or 0)
    frames = []
    for tag in tags:
        frame = _frame(tag, start, primary=not name)
        frames.append(frame)
        start = frame.end
    length = frames[-1].end - frames[0].start
    own = {key: attributes[prefix + key] for key in (*_NUMBERS, "halo") if attributes.get(prefix + key)}
    values = {key: steps(text, length) for key, text in own.items()}
    return Track(name, tuple(frames), values)


def _frame(tag: Node, start: float, *, primary: bool) -> Frame:
    stated = {key: tag.get(key) for key in (*_PICTURES, *_NUMBERS) if tag.get(key)}
    if "duration" in tag.attributes:
        length = float(tag.get("duration"))
    else:
        lengths = [untimed_length(stated[key]) for key in _PICTURES if key in stated]
        known = [each for each in lengths if each]
        length = max(known, default=0.0 if not lengths else DEFAULT_LENGTH)
    values = {key: steps(text, length) for key, text in stated.items()}
    flips = (tag.get("auto_hflip", "yes") == "yes", tag.get("auto_vflip", "no" if primary else "yes") == "yes")
    sounds = tuple(item for item in expand(tag.get("sound")) if item)
    return Frame(start, max(length, 1.0), values, sounds, flips, float(tag.get("layer") or (40 if primary else 50)))


@dataclass(frozen=True)
class Script:
    """The animations that fit one action of a unit.

    Attributes:
        nodes: What the files say; several may fit, and one is chosen.
        defaults: As in `build`.
    """

    nodes: tuple[Node, ...]
    defaults: dict[str, str] = field(default_factory=dict)

    def animations(self, direction: str, outcome: str) -> list[Animation]:
        """Those for a facing and an outcome."""
        return [each for each in self._built(direction, outcome) if each is not None]

    def _built(self, direction: str, outcome: str) -> Iterator[Animation | None]:
        return (build(resolved(node, direction, outcome), self.defaults) for node in self.nodes)
