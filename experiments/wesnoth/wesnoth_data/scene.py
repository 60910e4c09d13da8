"""What is seen at a time of a clip: a list of pictures, and the image that they make."""

import functools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avhash_nas.errors import AvnasError
from wesnoth_data.animation import Frame, Track
from wesnoth_data.clip import Clip, Part, middles
from wesnoth_data.pictures import Pictures, faded

SIDE = 112
"""Pixels of a frame's sides."""
HEX = 72
"""Pixels of a tile."""
WAYS = {"n": (0, -72), "s": (0, 72), "ne": (54, -36), "nw": (-54, -36), "se": (54, 36), "sw": (-54, 36)}
"""From the middle of a tile to that of its neighbor."""
_REACH = 0.5
"""Lunges and missiles are shown at this fraction of their way, so that they stay in the frame."""
_STRIDE = 250.0
"""Milliseconds for the way to the next tile."""
_FARTHEST = 4
"""Tiles that a unit moves at most."""
GROUNDS = {
    "grass": "grass/green",
    "dry_grass": "grass/dry",
    "dirt": "flat/dirt",
    "sand": "sand/beach",
    "snow": "frozen/snow",
    "ice": "frozen/ice",
    "cave": "cave/floor",
    "stone": "interior/stone-regular",
}
"""Grounds, and the names of their tiles without number."""


@dataclass(frozen=True)
class Drawn:
    """A picture in a frame.

    Attributes:
        layer: Drawn above lower ones.
        picture: Its name.
        mirrored: Left and right exchanged.
        upside_down: Top and bottom exchanged.
        x: Pixels from the unit's place at rest to the picture's middle, to the right.
        y: The same, downwards.
        alpha: Opacity.
    """

    layer: float
    picture: str
    mirrored: bool
    upside_down: bool
    x: int
    y: int
    alpha: float


def active_part(clip: Clip, time: float) -> Part | None:
    """What the unit does at a time in seconds; None if nothing."""
    return next((part for part in clip.parts if part.begin <= time < part.end), None)


def drawn(clip: Clip, time: float) -> list[Drawn]:
    """The pictures of the unit and of all that flies and glows around it, from the lowest."""
    part = active_part(clip, time)
    rest = Drawn(40, clip.rest, "w" in clip.direction, False, 0, 0, 1.0)
    if part is None:
        dead = any(other.kind == "die" and other.end <= time for other in clip.parts)
        return [] if dead else [rest]
    clock = part.clock(time)
    items: list[Drawn] = []
    main = False
    for track in part.animation.tracks:
        frame = track.frame(clock)
        if frame is not None:
            items += _of_frame(clip, part, track, frame, clock)
            main = main or not track.name
    return sorted(items if main else [rest, *items], key=lambda item: item.layer)


def _of_frame(clip: Clip, part: Part, track: Track, frame: Frame, clock: float) -> Iterator[Drawn]:
    west, south = "w" in clip.direction, "s" in clip.direction
    mirrored, upside_down = west and frame.flips[0], south and frame.flips[1]

    def number(key: str, default: float = 0.0) -> float:
        found = track.number(frame, key, clock)
        return default if found is None else found

    if part.kind == "move":
        ahead_x, ahead_y = _ahead(clip, part, clock)
    else:
        ahead_x, ahead_y = (_REACH * number("offset") * way for way in WAYS[clip.direction])
    x = ahead_x + number("x") + number("directional_x") * (-1 if west else 1)
    y = ahead_y + number("y")
    alpha = min(max(number("alpha", 1.0), 0.0), 1.0)
    if picture := _picture(clip, track, frame, clock):
        yield Drawn(frame.layer, picture, mirrored, upside_down, round(x), round(y), alpha)
    halo = frame.values.get("halo") or track.values.get("halo")
    if halo:
        name = halo.at(clock - (frame.start if "halo" in frame.values else track.start))[0]
        x += number("halo_x") * (-1 if mirrored else 1)
        y += number("halo_y") * (-1 if upside_down else 1)
        if name:
            yield Drawn(frame.layer + 20, name, mirrored, upside_down, round(x), round(y), alpha)


def _picture(clip: Clip, track: Track, frame: Frame, clock: float) -> str:
    """The picture of a frame, which may have another one for diagonal ways; a unit without one is shown at rest."""
    diagonal = len(clip.direction) == 2 and "image_diagonal" in frame.values
    image = frame.values.get("image_diagonal" if diagonal else "image")
    if image:
        return image.at(clock - frame.start)[0]
    return "" if track.name else clip.rest


def _ahead(clip: Clip, part: Part, clock: float) -> tuple[float, float]:
    """A unit that moves runs ahead of the camera, which then catches up."""
    ahead = math.sin(math.pi * _progress(part, clock))
    return _REACH * ahead * WAYS[clip.direction][0], _REACH * ahead * WAYS[clip.direction][1]


def _progress(part: Part, clock: float) -> float:
    return min(max((clock - part.animation.start) / (1000 * part.seconds), 0.0), 1.0)


def ground_place(clip: Clip, time: float) -> tuple[int, int]:
    """Pixels by which the ground is off its place at the start, as the camera follows a unit that moves."""
    x, y = 0.0, 0.0
    for part in clip.parts:
        if part.kind == "move":
            tiles = min(max(round(1000 * part.seconds / _STRIDE), 1), _FARTHEST)
            way = tiles * _progress(part, part.clock(time))
            ahead_x, ahead_y = _ahead(clip, part, part.clock(time))
            x += ahead_x - way * WAYS[clip.direction][0]
            y += ahead_y - way * WAYS[clip.direction][1]
    return round(x), round(y)


def scene(clip: Clip, time: float) -> tuple[tuple[int, int], list[Drawn]]:
    """All that decides the frame at a time: the place of the ground, and the pictures on it."""
    return ground_place(clip, time), drawn(clip, time)


def is_shown(clip: Clip, part: Part) -> bool:
    """Whether some frame of the clip is not as at rest because of a part."""
    rest = scene(clip, part.begin - 1e-6)
    return any(scene(clip, time) != rest for time in middles() if part.begin <= time < part.end)


class Renderer:
    """Draws clips.

    Args:
        data: The game's folder `data`.
    """

    def __init__(self, data: Path) -> None:
        self.pictures = Pictures(data)
        self._tiles = functools.cache(self._read_tiles)

    def frames(self, clip: Clip, times: Sequence[float]) -> NDArray[np.uint8]:
        """The frames of a clip at times in seconds, RGB, (times, 112, 112, 3)."""
        margin = 16 + max(max(map(abs, ground_place(clip, time))) for time in (0.0, *times))
        ground = self._ground(clip, margin)
        return np.stack([self._frame(clip, time, ground, margin) for time in times])

    def _frame(self, clip: Clip, time: float, ground: Image.Image, margin: int) -> NDArray[np.uint8]:
        x, y = ground_place(clip, time)
        left, top = margin - x, margin - y
        image = ground.crop((left, top, left + SIDE, top + SIDE))
        for item in drawn(clip, time):
            picture = self.pictures.read(item.picture, clip.team, item.mirrored, item.upside_down)
            if item.alpha < 1:
                picture = faded(picture, item.alpha)
            x, y = SIDE // 2 + clip.shift[0] + item.x, SIDE // 2 + clip.shift[1] + item.y
            image.paste(picture, (x - picture.width // 2, y - picture.height // 2), picture)
        return np.asarray(image)

    def _ground(self, clip: Clip, margin: int) -> Image.Image:
        """Tiles chosen at random, in columns of which every second one is half a tile lower."""
        rng = random.Random(clip.seed)
        tiles = self._tiles(clip.ground)
        size = SIDE + 2 * margin
        image = Image.new("RGB", (size, size))
        left, top = rng.randrange(-HEX, 0), rng.randrange(-HEX, 0)
        for column in range((size - left) // 54 + 2):
            for row in range((size - top) // HEX + 2):
                tile = rng.choice(tiles)
                image.paste(tile, (left + 54 * column - 36, top + HEX * row - 36 * (column % 2) - 36), tile)
        return image

    def _read_tiles(self, ground: str) -> list[Image.Image]:
        names = [f"terrain/{GROUNDS[ground]}{number}.png" for number in ("", *range(2, 9))]
        tiles = []
        for name in names:
            try:
                tiles.append(self.pictures.read(name, "red", False, False))
            except AvnasError:
                continue
        if not tiles:
            raise AvnasError(f"ground {ground}: there is no picture {names[0]}")
        return tiles
