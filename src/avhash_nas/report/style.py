"""Style of all pictures, and saving them: colors, fonts, PNG, and SVG that follows light and dark pages."""

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

Figure = Any
"""A matplotlib.figure.Figure. The package is optional and imported only when drawing."""
Axes = Any
"""A matplotlib.axes.Axes."""


@dataclass(frozen=True)
class Picture:
    """A figure with its title, caption and numbers.

    Attributes:
        name: Stem of the file names, unique in a report.
        title: Short title.
        caption: How to read it, and what could not be shown, in sentences.
        figure: Drawn without pyplot and its global state.
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
"""CSS variables from which an SVG in a page takes these colors.

INK is for text and frames, MUTED for secondary elements, GRID for rules; PAPER covers what lies below a label. The
background is transparent."""

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
ORANGE = "#E69F00"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE, MUTED)
"""Okabe and Ito's colors, which are distinct in all common kinds of color blindness; without yellow, which is too pale
for lines, and black."""

_FONTS = "'DejaVu Sans', Verdana, Arial, sans-serif"
"""Matplotlib ships the first and measures text with it; Verdana is as wide, and the others are narrower."""

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    **dict.fromkeys(("axes.titlesize", "axes.labelsize"), 9),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
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
    """A color, a dash and a marker for each name, in order.

    Neighbors differ in all three; any two of the first 49 differ in at least one.

    >>> [style["color"] for style in line_styles(["a", "b"]).values()]
    ['#0072B2', '#D55E00']
    """
    return {
        name: {
            "color": PALETTE[index % len(PALETTE)],
            "linestyle": _DASHES[index % len(_DASHES)],
            "marker": _MARKERS[(index + index // len(PALETTE)) % len(_MARKERS)],
        }
        for index, name in enumerate(dict.fromkeys(names))
    }


@contextmanager
def drawing() -> Iterator[None]:
    """Context with our matplotlib settings instead of the user's.

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
    """An empty figure; call this, and draw, within `drawing`.

    Args:
        width: Inches. Pages show it about 1,000 pixels wide, so that text of 9 points is 14 pixels high at 9 inches.
        height: Inches.
        layout: `constrained` avoids overlaps; None if the caller positions everything.
    """
    from matplotlib.figure import Figure as NewFigure

    return NewFigure(figsize=(width, height), layout=layout)


def panel_grid(figure: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """Axes for some panels, row by row; the remaining cells of the grid stay empty.

    Args:
        figure: Figure to fill.
        count: Number of panels.
        columns: Panels in a row.
        options: Options of `Figure.subplots`.
    """
    panels = list(figure.subplots(-(-count // columns), columns, squeeze=False, **options).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    return panels[:count]


def legend_below(figure: Figure, panel: Axes, columns: int) -> None:
    """The legend of a panel, below the whole figure."""
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def settle(figure: Figure) -> None:
    """Fix the layout of a figure: a second layout would move elements by fractions of a point."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        with drawing():
            figure.draw_without_rendering()
            figure.set_layout_engine(None)  # with one, matplotlib would draw twice to save once


def svg(picture: Picture) -> str:
    """The picture as an SVG element in plain colors, deterministically.

    Text stays text. Ids start with the picture's name, so that a page can hold several pictures.
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
    """Let an SVG element of `svg` take the colors in VARIABLES from the page, if the page sets them."""
    for color, variable in VARIABLES.items():
        text = re.sub(rf"(?<=[: ]){color}\b", f"var({variable}, {color})", text)
    return text


def save(picture: Picture, folder: str | Path) -> tuple[Path, Path, str]:
    """Write NAME.png, white at 200 dots per inch, and NAME.svg, transparent.

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
    """A family of similar operators.

    Attributes:
        title: Title in legends.
        color: Color of boxes and lines; fills are a tint of it.
        members: Names of the candidates.
    """

    title: str
    color: str
    members: tuple[str, ...] = ()


SKIP = Family("skip", MUTED, ("skip",))
OTHER = Family("other", INK)
FAMILIES = (
    Family("attention", BLUE, ("self_attention", "cross_attention", "gated_attention")),
    Family("state space", VERMILLION, ("self_ssm", "cross_ssm", "aligned_cross_ssm")),
    Family("convolution", GREEN, ("conv3", "conv4", "conv5")),
    Family("feed-forward", ORANGE, ("mlp", "ffn")),
    Family("activation, norm", PURPLE, ("silu", "layer_norm")),
    Family("element by element", SKY, ("add", "hadamard")),
    SKIP,
    OTHER,
)
"""The last family holds all other candidates, such as classes of third parties."""


def family_of(candidate: str) -> Family:
    """The family of a candidate.

    >>> family_of("conv4").title, family_of("package.module.Class").title
    ('convolution', 'other')
    """
    return next((family for family in FAMILIES if candidate in family.members), OTHER)


def short(candidate: str, length: int = 18) -> str:
    """A candidate's name, cut to `length` characters; for a dotted path, the class.

    >>> short("self_attention"), short("package.module.Class")
    ('self attention', 'Class')
    """
    name = candidate.rpartition(".")[2].replace("_", " ")
    return name if len(name) <= length else name[: length - 1] + "…"
