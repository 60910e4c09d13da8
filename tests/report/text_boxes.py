"""Positions of the texts in a figure."""

from itertools import combinations
from typing import Any
from unittest.mock import patch

from avhash_nas.report.style import drawing, settle


def texts(figure: Any) -> list[tuple[str, Any]]:
    """Every visible text with its bounding box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    drawn: list[Any] = []

    def record(text: Any, renderer: Any) -> None:
        drawn.append(text)

    settle(figure)
    with drawing():
        renderer = FigureCanvasAgg(figure).get_renderer()
        with patch.object(Text, "draw", record):
            figure.draw(renderer)
        shown = [text for text in dict.fromkeys(drawn) if text.get_visible() and text.get_text().strip()]
        return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def outside(figure: Any) -> list[str]:
    """Texts that extend beyond the figure."""
    width, height = figure.canvas.get_width_height()
    return [
        text
        for text, box in texts(figure)
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ]


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts that overlap."""
    pairs = combinations(texts(figure), 2)
    return [(one, other) for (one, a), (other, b) in pairs if a.shrunk(0.9, 0.8).overlaps(b.shrunk(0.9, 0.8))]
