"""Architectures as pictures, text outlines and Mermaid flowcharts."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from report.folders import make_run
from report.text_boxes import outside, overlapping

pytest.importorskip("matplotlib")

from avhash_nas.errors import AvnasError
from avhash_nas.networks import network_graph
from avhash_nas.report import svg
from avhash_nas.report.architecture import draw_architectures
from avhash_nas.report.design import Design, design_of_run, differing, load_design, places
from avhash_nas.report.mermaid import mermaid
from avhash_nas.report.outline import outline
from avhash_nas.results import RunRecord
from avhash_nas.space import Architecture, load_space

PRESETS = ("arch_1", "arch_2", "arch_1_visual", "arch_audio", "transformer")


def preset(name: str, **options) -> Design:
    space = load_space(name)
    return Design(name, space.only(), space.expand, 64, **options)


def weighted(name: str) -> Design:
    design = preset(name)
    cells = list(design.architecture)
    return replace(design, weights={cell: (index + 1) / len(cells) for index, cell in enumerate(cells)})


def boxes(text: str) -> list[str]:
    """Ids of cells in an SVG."""
    return re.findall(r'id="architecture-(\d+-[\w.]+?)"', text)


@pytest.mark.parametrize("name", PRESETS)
def test_every_cell_is_drawn_once(name: str) -> None:
    design = preset(name)
    drawn = boxes(svg(draw_architectures([design])))
    assert sorted(drawn) == sorted(f"0-{cell}" for cell in design.architecture)
    assert len(drawn) == (22 if len(design.modalities) == 2 else 11)


@pytest.mark.parametrize("names", [PRESETS[:1], PRESETS[:2], PRESETS[2:]])
def test_texts_neither_overlap_nor_leave_the_drawing(names: tuple[str, ...]) -> None:
    figure = draw_architectures([weighted(name) for name in names]).figure
    assert outside(figure) == []
    assert overlapping(figure) == []


def test_long_operator_names_are_truncated() -> None:
    cells = dict(load_space("arch_1").only()) | {"visual.U2": "others.operators.AnOperatorWithQuiteALongName"}
    picture = draw_architectures([Design("theirs", Architecture(cells))])
    assert overlapping(picture.figure) == []
    assert "AnOperatorWithQui…" in svg(picture)


def test_differing_cells_are_marked_in_every_architecture() -> None:
    designs = [preset("arch_1"), preset("arch_2")]
    picture = draw_architectures(designs)
    one, other = (design.architecture for design in designs)
    expected = [cell for cell in one if one[cell] != other[cell]]
    assert list(differing(designs)) == picture.data["differing"] == expected
    assert len(expected) == 6
    assert svg(picture).count("≠") == 2 * len(expected)
    same = draw_architectures([designs[0], replace(designs[0], title="again")])
    assert same.data["differing"] == []
    assert "≠" not in svg(same)
    assert "All common cells are equal." in same.caption


def test_picture_shows_the_weights_of_the_design() -> None:
    design = weighted("arch_2")
    picture = draw_architectures([design])
    shown = picture.data["architectures"][0]
    assert shown == {"title": "arch_2", "cells": dict(design.architecture), "weights": dict(design.weights)}
    text = svg(picture)
    for cell, weight in design.weights.items():
        assert f"{cell.rpartition('.')[2]} · {weight:.2f}" in text
    assert "its probability" in picture.caption


def test_svg_is_deterministic_and_valid_xml() -> None:
    designs = [weighted("arch_1_visual"), preset("mamba")]
    first, again = (svg(draw_architectures(designs)) for _ in range(2))
    assert first == again
    ElementTree.fromstring(first)


def test_absent_encoder_is_labeled() -> None:
    assert "no audio encoder" in svg(draw_architectures([preset("arch_1_visual")]))
    assert "no visual encoder" in svg(draw_architectures([preset("arch_audio")]))
    assert not re.search(r"no \w+ encoder", svg(draw_architectures([preset("arch_1")])))


def test_every_module_has_a_distinct_place_below_its_inputs() -> None:
    for modalities in (("visual", "audio"), ("visual",), ("audio",)):
        where = places(modalities)
        assert len({(place.x, place.y) for place in where.values()}) == len(where)
        for node in network_graph(modalities):
            assert all(where[source].y < where[node.module].y for source in node.inputs if source in where)


@pytest.mark.parametrize("name", PRESETS)
def test_outline_names_every_cell_and_operator(name: str) -> None:
    design = weighted(name)
    text = outline(design)
    for cell, candidate in design.architecture.items():
        line = rf"\b{cell.rpartition('.')[2]} +{candidate} +{design.weights[cell]:.2f}"
        assert re.search(line, text), line
    assert max(map(len, text.splitlines())) <= 72
    joins = [line.index("┘") for line in text.splitlines() if "┘" in line]
    assert len(joins) == 2 * len(design.modalities)
    assert len(set(joins)) == 1


NODE = re.compile(r'\s*(\w+)(?:\["[^"]*"\]|\(\["[^"]*"\]\))')
OTHER_LINES = (
    r"flowchart TB",
    r'\s+subgraph \w+\["[^"]*"\]',
    r"\s+end",
    r"\s+classDef \w+ [\w-]+:[^,;]+(,[\w-]+:[^,;]+)*",
)


@pytest.mark.parametrize("name", PRESETS)
def test_flowchart_has_the_graph_of_the_network(name: str) -> None:
    """Every line has one of the few forms that Mermaid's parser is known to accept."""
    design = weighted(name)
    nodes, edges, classes = {}, set(), {}
    for line in mermaid(design).splitlines():
        if found := NODE.fullmatch(line):
            assert found[1] not in nodes, line
            nodes[found[1]] = line
        elif found := re.fullmatch(r"\s+(\w+) --> (\w+)", line):
            edges.add((found[1], found[2]))
        elif found := re.fullmatch(r"\s+class ([\w,]+) (\w+)", line):
            classes |= dict.fromkeys(found[1].split(","), found[2])
        else:
            assert any(re.fullmatch(form, line) for form in OTHER_LINES), line
    steps = network_graph(design.modalities)
    renamed = {step.module: step.module.replace("_input", "_features").replace(".", "_") for step in steps}
    read = [(source, step.module) for step in steps for source in step.inputs if source in renamed]
    assert edges == {(renamed[source], renamed[module]) for source, module in read}
    assert set(nodes) == set(renamed.values())
    for cell, candidate in design.architecture.items():
        node = nodes[renamed[cell]]
        assert f"{cell.rpartition('.')[2]}: {candidate.replace('_', ' ')}, {design.weights[cell]:.2f}" in node
        assert (classes[renamed[cell]] == "skip") == (candidate == "skip")


def test_quotes_in_names_are_escaped() -> None:
    cells = dict(load_space("arch_1").only()) | {"T": 'a"b<c#'}
    assert '"T: a#quot;b#lt;c#35;"' in mermaid(Design("", Architecture(cells)))


def test_design_is_loaded_from_a_file_or_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert load_design(run) == load_design(run / "architecture.json") == design_of_run(RunRecord(run))
    copy = tmp_path / "copy.json"
    copy.write_text((run / "architecture.json").read_text())
    assert load_design(copy) == Design("copy.json", load_design(run).architecture)
    unfinished = make_run(tmp_path / "unfinished", finished=False)
    with pytest.raises(AvnasError, match="no architecture is chosen here yet"):
        load_design(unfinished)
    with pytest.raises(AvnasError, match=r"no run here"):
        load_design(tmp_path)
