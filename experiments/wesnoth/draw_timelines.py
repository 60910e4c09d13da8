"""Draws what is seen and heard in clips of the wesnoth dataset, and when.

python experiments/wesnoth/draw_timelines.py OUT/events docs/results/wesnoth-clips.svg CLIP [CLIP ...]
"""

import argparse
import csv
import html
import sys
from collections.abc import Sequence
from pathlib import Path

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

_LEFT, _SCALE, _ROW, _BAR = 70, 220, 26, 16
"""Pixels: of the margin for names, of a second, of a row, of a bar."""
_SECONDS = 2.5
_COLORS = {"seen": "#4c78a8", "heard": "#e45756"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the picture; the exit code is 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="label set with the clips")
    parser.add_argument("picture", type=Path, help="SVG file")
    parser.add_argument("clips", nargs="+", help="names of clips")
    options = parser.parse_args(arguments)
    try:
        events = {
            "seen": read(options.folder / "visual_events.csv"),
            "heard": read(options.folder / "audio_events.csv"),
        }
        if unknown := [clip for clip in options.clips if clip not in events["seen"]]:
            raise AvnasError(f"{options.folder}: has no clip {unknown[0]}")
        picture = draw(options.clips, events)
        write_whole(options.picture, lambda partial: partial.write_text(picture, encoding="utf-8"))
    except AvnasError as error:
        print(f"draw_timelines: error: {error}", file=sys.stderr)
        return 2
    return 0


def read(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Clip -> its events: seconds and class."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                event = (float(row["onset"]), float(row["offset"]), row["event_labels"])
                found.setdefault(row["filename"], []).append(event)
    except (OSError, KeyError, ValueError) as error:
        raise AvnasError(f"{path}: not a list of events: {error}") from error
    return found


def draw(clips: Sequence[str], events: dict[str, dict[str, list[tuple[float, float, str]]]]) -> str:
    """The picture: for each clip a row of what is seen and one or more of what is heard."""
    shapes: list[str] = []
    y = 4
    for clip in clips:
        shapes.append(_text(0, y + 14, clip, "bold"))
        y += _ROW
        for sense, of in events.items():
            ends: list[float] = []
            for onset, offset, label in of.get(clip, []):
                row = next((i for i, end in enumerate(ends) if end <= onset), len(ends))
                ends[row : row + 1] = [max(offset, onset + len(label) * 8 / _SCALE)]
                shapes += _bar(onset, offset, y + row * _ROW, label, _COLORS[sense])
            shapes.append(_text(0, y + 13, sense))
            y += _ROW * max(len(ends), 1)
        shapes += _axis(y)
        y += 2 * _ROW
    width = _LEFT + round(_SECONDS * _SCALE) + 20
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="13">'
    return "\n".join([head, f'<rect width="{width}" height="{y}" fill="white"/>', *shapes, "</svg>"]) + "\n"


def _bar(onset: float, offset: float, y: int, label: str, color: str) -> list[str]:
    x, width = _LEFT + onset * _SCALE, (offset - onset) * _SCALE
    return [
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3" fill="{color}" fill-opacity="0.35"/>',
        _text(x + 3, y + 13, label),
    ]


def _axis(y: int) -> list[str]:
    end = _LEFT + _SECONDS * _SCALE
    ticks = [_text(_LEFT + second * _SCALE, y + 16, f"{second:g} s") for second in (0, 0.5, 1, 1.5, 2)]
    return [f'<line x1="{_LEFT}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="gray"/>', *ticks]


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{html.escape(text)}</text>'


if __name__ == "__main__":
    sys.exit(main())
