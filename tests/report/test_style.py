"""Pictures as files: reproducible bytes, valid XML, unique ids, colors that the page can set."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from avhash_nas.report import Picture, save, svg
from avhash_nas.report.style import INK, PALETTE, VARIABLES, drawing, following, line_styles, new_figure


def make_picture(name: str = "lines") -> Picture:
    with drawing():
        figure = new_figure(4, 3)
        axes = figure.subplots()
        for index, (label, style) in enumerate(line_styles(["a < b & c", "d"]).items()):
            axes.plot([0, 1, 2], [index, 1, 2], label=label, **style)
        axes.fill_between([0, 1], [0, 1])
        axes.set_xlabel("epoch")
        axes.legend()
    return Picture(name, "Lines <&>", "A caption.", figure, {})


def test_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [file.read_bytes() for file in save(make_picture(), tmp_path / "one")[:2]]
    again = [file.read_bytes() for file in save(make_picture(), tmp_path / "two")[:2]]
    assert first == again
    assert [file.name for file in sorted((tmp_path / "one").iterdir())] == ["lines.png", "lines.svg"]
    assert svg(make_picture()) == svg(make_picture())


def test_svg_is_one_xml_element_with_title_and_selectable_text() -> None:
    root = ElementTree.fromstring(svg(make_picture()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [text for element in root.iter() for text in [element.text] if text and text.strip()]
    assert texts[0] == "Lines <&>"
    assert {"a < b & c", "epoch"} <= set(texts)


def test_svg_loads_nothing() -> None:
    text = svg(make_picture())
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"' ]+", text)) == namespaces


def test_pictures_in_a_page_share_no_id() -> None:
    one, other = svg(make_picture("one")), svg(make_picture("other"))
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, other)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    for text, own in zip((one, other), ids):
        used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
        assert used
        assert used <= own


def test_inline_svg_takes_colors_from_the_page_and_files_do_not(tmp_path: Path) -> None:
    plain = svg(make_picture())
    inline = following(plain)
    for color, variable in VARIABLES.items():
        assert plain.count(color) == inline.count(f"var({variable}, {color})") == inline.count(color)
    assert INK in plain
    assert "var(" not in plain
    assert "var(" not in save(make_picture(), tmp_path)[1].read_text()


def test_line_styles_differ_between_names_and_keep_their_order() -> None:
    names = [f"method {number}" for number in range(len(PALETTE))]
    styles = line_styles(names)
    assert list(styles) == names
    assert len({style["color"] for style in styles.values()}) == len(names)
    assert len({style["marker"] for style in styles.values()}) == len(names)


def test_user_settings_are_ignored() -> None:
    import matplotlib

    expected = svg(make_picture())
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert svg(make_picture()) == expected
        assert matplotlib.rcParams["font.size"] == 30
