"""Where the text of a figure lies."""

from itertools import combinations
from typing import Any
from unittest.mock import patch

from avhash_nas.report.style import drawing, settle


def texts(figure: Any) -> list[tuple[str, Any]]:
    """Every text that is drawn, with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    found: list[Any] = []

    def note(text: Any, renderer: Any) -> None:
        found.append(text)

    settle(figure)
    with drawing():
        renderer = FigureCanvasAgg(figure).get_renderer()
        with patch.object(Text, "draw", note):
            figure.draw(renderer)
        shown = [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text().strip()]
        return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def outside(figure: Any) -> list[str]:
    """Texts that leave the figure."""
    width, height = figure.canvas.get_width_height()
    return [
        text
        for text, box in texts(figure)
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ]


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts of which one covers a part of the other."""
    pairs = combinations(texts(figure), 2)
    return [(one, other) for (one, a), (other, b) in pairs if a.shrunk(0.9, 0.8).overlaps(b.shrunk(0.9, 0.8))]
