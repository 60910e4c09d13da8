"""A self-contained HTML page with pictures and tables: it needs no network and no other file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path

from avhash_nas import __version__
from avhash_nas.files import write_whole
from avhash_nas.report.examples import Example, ExampleVideo
from avhash_nas.report.style import Picture, following, save
from avhash_nas.results import Table

PAGE = "index.html"

_PIXELS_PER_INCH = 112
"""Maximum scale of pictures, at which text of 9 points is as large as the page's."""
_MIN_WIDTH = 640
"""Minimum width of pictures; narrower windows scroll within the picture."""

Part = Picture | Table | Sequence[Example]


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        title: Heading.
        parts: Pictures, tables and examples, in order.
        notes: Sentences above the parts, for instance on missing data.
    """

    title: str
    parts: Sequence[Part]
    notes: Sequence[str] = field(default=())


def write_page(folder: str | Path, title: str, sections: Sequence[Section]) -> Path:
    """Write `index.html`, and each picture as PNG and SVG beside it.

    Args:
        folder: Folder of the page; created if missing.
        title: Title of the page.
        sections: Sections in order; empty ones are left out.

    Returns:
        The page.

    Raises:
        AvnasError: The folder is not writable.
        MissingExtraError: Matplotlib is not installed.
    """
    folder = Path(folder)
    shown = [section for section in sections if section.parts or section.notes]
    body = "\n".join(_section(number, section, folder) for number, section in enumerate(shown))
    links = "".join(f'<li><a href="#s{index}">{escape(each.title)}</a></li>' for index, each in enumerate(shown))
    template = (files("avhash_nas.report") / "page.html").read_text(encoding="utf-8")
    texts = {"TITLE": escape(title), "LINKS": links, "BODY": body, "VERSION": escape(__version__)}
    for name, text in texts.items():
        template = template.replace(f"<!-- {name} -->", text)
    target = folder / PAGE
    write_whole(target, lambda partial: partial.write_text(template, encoding="utf-8"))
    return target


def _section(number: int, section: Section, folder: Path) -> str:
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in section.notes)
    parts = "\n".join(_part(part, folder) for part in section.parts)
    return f'<section id="s{number}"><h2>{escape(section.title)}</h2>{notes}{parts}</section>'


def _part(part: Part, folder: Path) -> str:
    if isinstance(part, Picture):
        return _picture(part, folder)
    return _table(part) if isinstance(part, Table) else _examples(part)


def _picture(picture: Picture, folder: Path) -> str:
    *saved, element = save(picture, folder)
    links = " ".join(f'<a href="{file.name}">{file.suffix[1:].upper()}</a>' for file in saved)
    widest = round(picture.figure.get_figwidth() * _PIXELS_PER_INCH)
    bounds = f"min-width: {min(widest, _MIN_WIDTH)}px; max-width: {widest}px"
    return (
        f'<figure id="{escape(picture.name)}"><div class="wide"><div style="{bounds}">{following(element)}</div></div>'
        f"<figcaption><strong>{escape(picture.title)}.</strong> {escape(picture.caption)} "
        f'<span class="files">{links}</span></figcaption></figure>'
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(text)}</td>" if column else f'<th scope="row">{escape(text)}</th>'
            for column, text in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>" + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def _examples(examples: Sequence[Example]) -> str:
    rows = "".join(
        f'<div class="example">{_video(example.query, "query")}'
        + "".join(_video(answer, "hit" if answer.relevant else "miss") for answer in example.answers)
        + "</div>"
        for example in examples
    )
    return (
        f'<div class="examples">{rows}</div><p class="note">The query first, then its nearest videos with their '
        "Hamming distances; ✓ shares a class with the query, ✗ does not.</p>"
    )


def _video(video: ExampleVideo, kind: str) -> str:
    name = escape(video.id)
    picture = f'<img src="{video.picture}" alt="{name}" loading="lazy">' if video.picture else f"<i>{name}</i> "
    mark = {"query": "query", "hit": f"✓ {video.distance}", "miss": f"✗ {video.distance}"}[kind]
    labels = escape(", ".join(video.labels))
    return f'<div class="video {kind}" title="{name}">{picture}<b>{mark}</b> <span>{labels}</span></div>'
