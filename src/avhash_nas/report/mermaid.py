"""An architecture as a Mermaid flowchart, which GitHub and others render in Markdown."""

import re
from collections.abc import Iterator

from avhash_nas.networks import network_graph
from avhash_nas.report.design import Design
from avhash_nas.report.style import FAMILIES, INK, MUTED, SKIP, Family, family_of, short


def mermaid(design: Design) -> str:
    """A Mermaid flowchart: one node per cell, colored by the operator's family; skips are faded.

    Nodes and their text have explicit colors, so that both are legible on light and dark pages.
    """
    lines = ["flowchart TB"]
    for modality in design.modalities:
        lines.append(f'  {modality}_features(["{modality} features"])')
        lines.append(f'  subgraph {modality}["{modality} encoder"]')
        lines += [f"    {line}" for line in _nodes(design, modality)]
        lines.append("  end")
    lines += [f"  {line}" for line in _nodes(design, "")]
    for node in network_graph(design.modalities):
        if node.module.endswith("_input"):
            continue
        lines += [f"  {_id(source)} --> {_id(node.module)}" for source in node.inputs]
    for family in FAMILIES:
        members = [cell for cell, candidate in design.architecture.items() if family_of(candidate) is family]
        if members:
            lines.append(f"  classDef {_slug(family)} {_look(family)}")
            lines.append(f"  class {','.join(map(_id, members))} {_slug(family)}")
    return "\n".join(lines) + "\n"


def _nodes(design: Design, modality: str) -> Iterator[str]:
    for node in network_graph(design.modalities):
        group, _, leaf = node.module.rpartition(".")
        if group != modality or leaf.endswith("_input"):
            continue
        text = design.fixed(node.module)
        if node.module in design.architecture:
            weight = design.weights.get(node.module)
            number = "" if weight is None else f", {weight:.2f}"
            text = f"{leaf}: {short(design.architecture[node.module], 40)}{number}"
        yield f'{_id(node.module)}["{_escaped(text)}"]'


def _id(module: str) -> str:
    """Id of a node. Features and the layer that projects them to the model width are one node."""
    return module.replace("_input", "_features").replace(".", "_")


def _escaped(text: str) -> str:
    """Text for a quoted label; Mermaid reads `#...;` as a character code."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _slug(family: Family) -> str:
    return re.sub(r"\W+", "_", family.title)


def _look(family: Family) -> str:
    if family is SKIP:
        return f"fill:#f4f5f6,stroke:{MUTED},color:{MUTED},stroke-dasharray:4 3"
    return f"fill:{_tint(family.color)},stroke:{family.color},color:{INK}"


def _tint(color: str, share: float = 0.22) -> str:
    """A translucent color on white, as in the pictures.

    >>> _tint("#000000", 0.2)
    '#cccccc'
    """
    parts = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)
