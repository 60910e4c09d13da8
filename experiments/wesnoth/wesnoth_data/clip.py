"""A clip: one unit on one ground that does one thing or two."""

from dataclasses import dataclass

from wesnoth_data.animation import Animation
from wesnoth_data.units import Attack, Unit

STEPS = 25
"""T, frames and segments of a clip."""
SECONDS = 2.5
"""Duration of every clip."""


@dataclass(frozen=True)
class Part:
    """An action in a clip.

    Attributes:
        kind: One of `actions.KINDS`.
        attack: The weapon of an attack.
        outcome: `hit`, `miss`, or nothing if they look and sound alike.
        animation: What is shown.
        begin: Seconds at which it starts.
        cues: Seconds at which sounds start, and their names.
    """

    kind: str
    attack: Attack | None
    outcome: str
    animation: Animation
    begin: float
    cues: tuple[tuple[float, str], ...]

    @property
    def seconds(self) -> float:
        """How long the animation takes."""
        return (self.animation.end - self.animation.start) / 1000

    @property
    def end(self) -> float:
        """Seconds at which it ends."""
        return self.begin + self.seconds

    def clock(self, time: float) -> float:
        """The animation's own milliseconds at a time in seconds."""
        return self.animation.start + 1000 * (time - self.begin)


@dataclass(frozen=True)
class Clip:
    """A clip.

    Attributes:
        id: Name in the feature files.
        unit: Who is seen.
        parts: What the unit does, in order.
        direction: Where the unit faces.
        rest: Picture of the unit while it does nothing.
        ground: One of `scene.GROUNDS`.
        team: One of `pictures.TEAMS`.
        shift: Pixels by which the unit is off the middle, (x, y).
        seed: Of the ground's tiles and of the noise.
    """

    id: str
    unit: Unit
    parts: tuple[Part, ...]
    direction: str
    rest: str
    ground: str
    team: str
    shift: tuple[int, int]
    seed: int

    @property
    def cues(self) -> list[tuple[float, str]]:
        """Seconds at which sounds start, and their names."""
        return [cue for part in self.parts for cue in part.cues]


def middles() -> list[float]:
    """Seconds in the middle of each segment of a clip, where frames are taken."""
    return [SECONDS * (step + 0.5) / STEPS for step in range(STEPS)]
