"""An architecture as text for a terminal."""

from avhash_nas.networks import network_graph
from avhash_nas.report.design import Design

_GATE, _PASSES, _JOINS = "{main}   {gate}", "{main}   │", "{main} ──┘"
_ENCODER = (
    ("├{rule}┐", "", ""),
    (_GATE, "up", "up_gate"),
    (_PASSES, "M1", ""),
    (_GATE, "U1", "U2"),
    (_PASSES, "M2", ""),
    (_JOINS, "D1", ""),
    ("{main}", "down", ""),
    ("{main} ──┐", "U3", ""),
    (_PASSES, "M3", ""),
    (_JOINS, "D2", ""),
    ("{main}", "U4", ""),
)
"""Lines of an encoder: layout, module in the main column, module beside it."""


def outline(design: Design) -> str:
    """An architecture as text: the encoders with gate and residual path, then fusion, transformation and hash layer.

    With weights, each operator is followed by its weight.
    """
    width = max(len(name) for name in design.architecture.values())
    lines = []
    for modality in design.modalities:
        lines.append(f"{modality} features")
        for form, main, gate in _ENCODER:
            left = _line(design, f"{modality}.{main}", width) if main else ""
            length = len(_line(design, f"{modality}.M1", width))
            right = _line(design, f"{modality}.{gate}", width).rstrip() if gate else ""
            rule = "─" * (length + 2)
            lines.append(form.format(main=left.ljust(length), gate=right, rule=rule).rstrip())
        lines.append("")
    for node in network_graph(design.modalities):
        if "." not in node.module and not node.module.endswith("_input"):
            sources = " and ".join(source.replace(".", " ") for source in node.inputs)
            lines.append(f"{_line(design, node.module, width)}   of {sources}")
    return "\n".join(lines)


def _line(design: Design, module: str, width: int) -> str:
    """A module in one line: a cell with its operator and weight, or a fixed module."""
    leaf = module.rpartition(".")[2]
    if module in design.architecture:
        weight = design.weights.get(module)
        number = "" if weight is None else f"{weight:6.2f}"
        return f"{leaf:<4}{design.architecture[module]:<{width}}{number}"
    return f"    {design.fixed(module)}"
