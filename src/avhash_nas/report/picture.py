"""A figure with its words and its numbers."""

from dataclasses import dataclass
from typing import Any

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
