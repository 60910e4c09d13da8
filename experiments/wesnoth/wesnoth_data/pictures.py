"""Pictures of the game: found, changed by the functions after their names, and in the color of a team."""

import functools
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from avhash_nas.errors import AvnasError

_FUNCTION = re.compile(r"~(\w+)\(([^()]*)\)")
_PALETTE = (
    *(0xF49AC1, 0x3F0016, 0x55002A, 0x690039, 0x7B0045, 0x8C0051, 0x9E005D, 0xB10069, 0xC30074, 0xD6007F),
    *(0xEC008C, 0xEE3D96, 0xEF5BA1, 0xF172AC, 0xF287B6, 0xF6ADCD, 0xF8C1D9, 0xFAD5E5, 0xFDE9F1),
)
"""The shades of magenta that stand for the color of a team, the middle one first (`team-colors.cfg`)."""
TEAMS = {
    "red": (0xFF0000, 0xFFFFFF, 0x000000),
    "blue": (0x2E419B, 0xFFFFFF, 0x0F0F0F),
    "green": (0x62B664, 0xFFFFFF, 0x000000),
    "purple": (0x93009D, 0xFFFFFF, 0x000000),
    "orange": (0xFF7E00, 0xFFFFFF, 0x0F0F0F),
    "teal": (0x30CBC0, 0xFFFFFF, 0x000000),
    "white": (0xE1E1E1, 0xFFFFFF, 0x1E1E1E),
}
"""Color of a team: middle, brightest and darkest shade."""


class Pictures:
    """Reads pictures, and keeps those used last.

    Args:
        data: The game's folder `data`.
    """

    def __init__(self, data: Path) -> None:
        self._folders = (data / "core/images", data.parent / "images")
        self.read = functools.lru_cache(maxsize=3000)(self._read)

    def path(self, name: str) -> Path:
        """The file of a picture, whose name may have functions.

        Raises:
            AvnasError: There is none.
        """
        file = name.partition("~")[0]
        for folder in self._folders:
            if file and (folder / file).is_file():
                return folder / file
        raise AvnasError(f"{self._folders[0]}: has no picture {file!r}")

    def _read(self, name: str, team: str, mirrored: bool, upside_down: bool) -> Image.Image:
        """A picture with transparency, in the color of a team."""
        try:
            picture = Image.open(self.path(name)).convert("RGBA")
        except OSError as error:
            raise AvnasError(f"{self.path(name)}: cannot be read: {error}") from error
        picture = Image.fromarray(recolored(np.asarray(picture), team))
        for function, arguments in _FUNCTION.findall(name):
            picture = _changed(picture, function, arguments)
        if mirrored:
            picture = ImageOps.mirror(picture)
        return ImageOps.flip(picture) if upside_down else picture


def _changed(picture: Image.Image, function: str, arguments: str) -> Image.Image:
    """FL, SCALE, O and CROP; the others change colors or put pictures together, and are left out."""
    words = [word.strip() for word in arguments.split(",")]
    if function == "FL":
        picture = ImageOps.mirror(picture) if not words[0] or "horiz" in words else picture
        return ImageOps.flip(picture) if "vert" in words else picture
    if function == "SCALE":
        return picture.resize((int(words[0]), int(words[1])), Image.Resampling.BILINEAR)
    if function == "CROP":
        x, y, width, height = map(int, words)
        return picture.crop((x, y, x + width, y + height))
    if function == "O":
        return faded(picture, float(words[0].rstrip("%")) / (100 if words[0].endswith("%") else 1))
    return picture


def faded(picture: Image.Image, alpha: float) -> Image.Image:
    """A picture that is `alpha` times as opaque."""
    picture = picture.copy()
    picture.putalpha(picture.getchannel("A").point(lambda value: round(value * min(max(alpha, 0.0), 1.0))))
    return picture


def recolored(pixels: NDArray[np.uint8], team: str) -> NDArray[np.uint8]:
    """Pixels (H, W, 4) whose magenta shades have the color of a team."""
    whole = pixels.astype(np.int32)
    codes = (whole[..., 0] << 16) + (whole[..., 1] << 8) + whole[..., 2]
    shades, colors = _colors(team)
    place = np.searchsorted(shades, codes).clip(max=len(shades) - 1)
    hit = shades[place] == codes
    out = pixels.copy()
    out[..., :3] = np.where(hit[..., None], colors[place], pixels[..., :3])
    return out


@functools.cache
def _colors(team: str) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The shades of the palette, ascending, and what they become: (19,) and (19, 3)."""
    middle, bright, dark = (np.array(_rgb(color), float) for color in TEAMS[team])
    reference = sum(_rgb(_PALETTE[0])) // 3
    colors = {}
    for shade in _PALETTE:
        level = sum(_rgb(shade)) // 3
        if level <= reference:
            ratio = level / reference
            colors[shade] = ratio * middle + (1 - ratio) * dark
        else:
            ratio = (255 - level) / (255 - reference)
            colors[shade] = ratio * middle + (1 - ratio) * bright
    shades = sorted(colors)
    return np.array(shades, np.int32), np.array([colors[shade] for shade in shades]).clip(0, 255).astype(np.uint8)


def _rgb(code: int) -> tuple[int, int, int]:
    return code >> 16, code >> 8 & 255, code & 255
