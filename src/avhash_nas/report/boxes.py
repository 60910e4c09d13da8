"""Boxes and arrows of architecture drawings."""

from itertools import pairwise
from typing import Any

from avhash_nas.report.design import Place
from avhash_nas.report.style import GRID, INK, MUTED, PAPER, SKIP, Axes, Family

_APART = 0.2
"""Distance from the center of a box to each of two arrows at one side, in inches."""
_LANE = 0.28
"""Distance between boxes and a path around them, in inches."""
_DASHED = (0, (3, 2))


class Canvas:
    """A region of some axes, in inches with y downwards.

    Args:
        axes: Axes to draw on.
        left: Left edge of the region.
        top: Top edge of the region.
        prefix: Prefix of the cells' ids, which are `PREFIX-CELL`.
    """

    def __init__(self, axes: Axes, left: float, top: float, prefix: str) -> None:
        self.axes = axes
        self.left = left
        self.top = top
        self.prefix = prefix

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """Draw text, centered by default."""
        self.axes.text(self.left + x, self.top + y, text, **{"ha": "center", "va": "center", **options})

    def cell(
        self,
        cell: str,
        place: Place,
        words: tuple[str, str],
        family: Family,
        weight: float | None = None,
        *,
        differs: bool = False,
    ) -> None:
        """Draw a cell with its operator.

        Args:
            cell: Name of the cell.
            place: Position and size of the box.
            words: Text in large and in small letters.
            family: Family of the operator.
            weight: Certainty of the choice, in [0, 1], drawn as a bar.
            differs: Whether to mark the cell.
        """
        skips = family is SKIP
        self._frame(place, PAPER, None, 0)
        edge = INK if differs else GRID if skips else family.color
        tint = None if skips else (family.color, 0.22)
        box = self._frame(place, tint, edge, 2 if differs else 1.2, dashed=skips)
        box.set_gid(f"{self.prefix}-{cell}")
        self.text(place.x, place.y - 0.06, words[0], size=8, color=MUTED if skips else INK)
        self.text(place.x, place.y + 0.085, words[1], size=6.5, color=MUTED)
        x, y = place.x - place.width / 2, place.y + place.height / 2
        if weight is not None:
            ends = (x + 0.06, x + 0.06 + weight * (place.width - 0.12))
            self._line([(each, y) for each in ends], color=family.color, lw=2.5, zorder=2)
        if differs:
            x, y = x + place.width, place.y - place.height / 2
            self.axes.plot([self.left + x], [self.top + y], "o", color=INK, markersize=9, zorder=5)
            self.text(x, y + 0.005, "≠", size=8, color=PAPER, zorder=6)

    def panel(self, sides: tuple[float, float, float, float], title: str, corner: str | None) -> None:
        """Draw the background of a group of boxes, or the outline of an absent group.

        Args:
            sides: Left, top, right and bottom.
            title: Title of the group.
            corner: `left` or `right`: lower corner of the title; None for an absent group, with a centered title.
        """
        from matplotlib.patches import FancyBboxPatch

        left, top, right, bottom = sides
        absent = corner is None
        ground = FancyBboxPatch(
            *((self.left + left, self.top + top), right - left, bottom - top),
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="none" if absent else (GRID, 0.3),
            edgecolor=GRID if absent else "none",
            linestyle=_DASHED if absent else "-",
            zorder=0.1,
        )
        self.axes.add_patch(ground)
        if corner is None:
            self.text((left + right) / 2, (top + bottom) / 2, title, size=8, color=MUTED)
        else:
            x = left + 0.08 if corner == "left" else right - 0.08
            self.text(x, bottom - 0.12, title, size=8, color=MUTED, ha=corner)

    def edge(self, source: Place, target: Place, *, around: bool) -> None:
        """Draw an arrow from one box to another.

        Args:
            source: First box.
            target: Second box.
            around: Whether the arrow goes around boxes between them.
        """
        start, end = source.y + source.height / 2, target.y - target.height / 2
        side = {"visual": -1, "audio": 1}.get(target.column.partition(".")[0], 0)
        flank = target.x + side * target.width / 2
        if around:
            lane = flank + side * _LANE
            out = source.x + side * source.width / 2
            points = [(out, source.y), (lane, source.y), (lane, target.y), (flank, target.y)]
        elif source.column.endswith("gate") and target.column.endswith("main"):
            points = [(source.x, start), (source.x, target.y), (flank, target.y)]
        elif source.column.endswith("main") and target.column.endswith("gate"):
            middle = (start + end) / 2
            points = [(source.x, start), (source.x, middle), (target.x, middle), (target.x, end)]
        elif source.column == target.column:
            points = [(source.x, start), (target.x, end)]
        else:
            points = [(source.x, start), (target.x + (_APART if source.x > target.x else -_APART), end)]
        for ends in pairwise(points[:-1]):
            self._line(ends, color=MUTED, lw=0.9, zorder=0.5)
        head = {"arrowstyle": "-|>,head_length=0.35,head_width=0.16", "color": MUTED, "lw": 0.9}
        last, before = ((self.left + x, self.top + y) for x, y in (points[-1], points[-2]))
        self.axes.annotate("", last, before, arrowprops={**head, "shrinkA": 0, "shrinkB": 0}, zorder=0.6)

    def _line(self, points: Any, **options: Any) -> None:
        x, y = zip(*points)
        self.axes.plot(
            *([self.left + each for each in x], [self.top + each for each in y]), solid_capstyle="butt", **options
        )

    def _frame(self, place: Place, fill: Any, edge: str | None, width: float, *, dashed: bool = False) -> Any:
        from matplotlib.patches import FancyBboxPatch

        return self.axes.add_patch(
            FancyBboxPatch(
                (self.left + place.x - place.width / 2, self.top + place.y - place.height / 2),
                *(place.width, place.height),
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=fill or "none",
                edgecolor=edge or "none",
                linewidth=width,
                linestyle=_DASHED if dashed else "-",
            )
        )
