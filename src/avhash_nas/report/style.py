"""How all pictures look, and how they become files: colors, fonts, SVG that follows light and dark pages."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from avhash_nas.errors import MissingExtraError
from avhash_nas.files import write_whole
from avhash_nas.report import style

Figure = Any
"""A matplotlib.figure.Figure. The package is optional and imported only where something is drawn."""
Axes = Any
"""A matplotlib.axes.Axes."""


@dataclass(frozen=True)
class Picture:
    """A figure with its words and its numbers.

    Attributes:
        name: Stem of its files' names, unique in a report.
        title: What it shows, in a few words.
        caption: How to read it, and what could not be shown, in whole sentences.
        figure: Made with matplotlib's objects alone: no pyplot, nothing global.
        data: The numbers drawn, as JSON values.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: dict[str, Any]


INK = "#1b1f24"
MUTED = "#667079"
GRID = "#d5dae0"
PAPER = "#ffffff"
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"}
"""Colors that an SVG within a page takes from the page, by the names of the CSS variables.

Text and frames are drawn in INK, what recedes in MUTED, rules in GRID, and PAPER covers what lies below a label. The
background is left out."""

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
ORANGE = "#E69F00"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE, MUTED)
"""Okabe and Ito's colors, which stay apart in all common kinds of color blindness (yellow, too pale for lines, and
black left out)."""

_FONTS = "'DejaVu Sans', Verdana, Arial, sans-serif"
"""The first comes with matplotlib and measures the text; Verdana is as wide and the others are narrower."""

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "path.simplify": False,
    "svg.fonttype": "none",
}


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A color, a dash and a marker for each name, by order.

    Neighbors differ in all three, and of the first 49 any two in one at least.

    >>> [style["color"] for style in line_styles(["a", "b"]).values()]
    ['#0072B2', '#D55E00']
    """
    return {
        name: {
            "color": PALETTE[place % len(PALETTE)],
            "linestyle": _DASHES[place % len(_DASHES)],
            "marker": _MARKERS[(place + place // len(PALETTE)) % len(_MARKERS)],
        }
        for place, name in enumerate(dict.fromkeys(names))
    }


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings for everything that is made within the block; the user's own settings have no part in it.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "report", "drawing") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams  # typed by name, setting by setting
        settings.update(_SETTINGS)
        yield


def new_figure(
    width: float = 9.0, height: float = 4.5, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty figure; call it, and draw on it, within `drawing`.

    Args:
        width: Inches. Shown about 1,000 pixels wide, so that text of 9 points is 14 pixels high at 9 inches.
        height: Inches.
        layout: `constrained` finds places without overlaps; None where the caller gives them all.
    """
    from matplotlib.figure import Figure as NewFigure

    return NewFigure(figsize=(width, height), layout=layout)


def settle(figure: Figure) -> None:
    """Find the places of all that a figure holds, once: a second layout would move things by fractions of a point."""
    with drawing():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def svg(picture: Picture) -> str:
    """The picture as an SVG element in plain colors: the same text for the same picture.

    Text stays text. Ids begin with the picture's name, so that several pictures fit in one page.

    Args:
        picture: To be drawn.
    """
    settle(picture.figure)
    with drawing():
        import matplotlib

        matplotlib.rcParams["svg.hashsalt"] = picture.name
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        picture.figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{picture.name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\g<1>#{picture.name}-", text)
    text = text.replace("'DejaVu Sans'", _FONTS)
    title = f"<title>{escape(picture.title)}</title>"
    return re.sub(r"<svg [^>]*>", lambda opening: f'{opening[0][:-1]} role="img">\n {title}', text, count=1)


def following(text: str) -> str:
    """An SVG element that takes the colors in VARIABLES from the page, where it sets them.

    Args:
        text: What `svg` gave.
    """
    for color, variable in VARIABLES.items():
        text = re.sub(rf"(?<=[: ]){color}\b", f"var({variable}, {color})", text)
    return text


def save(picture: Picture, folder: str | Path) -> tuple[Path, Path, str]:
    """Write NAME.png, on white and at 200 dots an inch, and NAME.svg, without a background.

    Returns:
        The two files, and the SVG element.

    Raises:
        AvnasError: The folder is not writable.
    """
    settle(picture.figure)
    png, vector = (Path(folder) / f"{picture.name}.{kind}" for kind in ("png", "svg"))
    with drawing():
        options = {"format": "png", "dpi": 200, "facecolor": "white", "metadata": {"Software": None}}
        write_whole(png, lambda partial: picture.figure.savefig(partial, **options))
    element = svg(picture)
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{element}'
    write_whole(vector, lambda partial: partial.write_text(text, encoding="utf-8"))
    return png, vector, element


@dataclass(frozen=True)
class Family:
    """Operators that work alike.

    Attributes:
        title: As in a legend.
        color: Of its boxes and lines; fills are a tint of it.
        members: Names of its candidates.
    """

    title: str
    color: str
    members: tuple[str, ...] = ()


SKIP = Family("skip", style.MUTED, ("skip",))
OTHER = Family("other", style.INK)
FAMILIES = (
    Family("attention", style.BLUE, ("self_attention", "cross_attention", "gated_attention")),
    Family("state space", style.VERMILLION, ("self_ssm", "cross_ssm", "aligned_cross_ssm")),
    Family("convolution", style.GREEN, ("conv3", "conv4", "conv5")),
    Family("feed-forward", style.ORANGE, ("mlp", "ffn")),
    Family("activation, norm", style.PURPLE, ("silu", "layer_norm")),
    Family("element by element", style.SKY, ("add", "hadamard")),
    SKIP,
    OTHER,
)
"""The last one holds what no other does, such as a third party's classes."""


def family_of(candidate: str) -> Family:
    """The family of a candidate.

    >>> family_of("conv4").title, family_of("package.module.Class").title
    ('convolution', 'other')
    """
    return next((family for family in FAMILIES if candidate in family.members), OTHER)


def short(candidate: str, length: int = 18) -> str:
    """A candidate's name for a narrow place: of a dotted path the class, cut at `length` characters.

    >>> short("self_attention"), short("package.module.Class")
    ('self attention', 'Class')
    """
    name = candidate.rpartition(".")[2].replace("_", " ")
    return name if len(name) <= length else name[: length - 1] + "…"
