"""Where the text of a figure lies."""

from itertools import combinations
from typing import Any


def texts(figure: Any) -> list[tuple[str, Any]]:
    """Every visible text with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    shown = (text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip())
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
