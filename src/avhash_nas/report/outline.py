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
"""Lines of an encoder: how they look, and the modules in the main column and beside it."""


def outline(design: Design) -> str:
    """An architecture as text: the encoders with their gate and residual path, then what lies behind them.

    With weights, a number behind each operator.
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
    for step in network_graph(design.modalities):
        if "." not in step.module and not step.module.endswith("_input"):
            sources = " and ".join(source.replace(".", " ") for source in step.inputs)
            lines.append(f"{_line(design, step.module, width)}   of {sources}")
    return "\n".join(lines)


def _line(design: Design, module: str, width: int) -> str:
    """A module in one line: a cell, its operator and the operator's weight, or what is no cell."""
    leaf = module.rpartition(".")[2]
    if module in design.architecture:
        weight = design.weights.get(module)
        number = "" if weight is None else f"{weight:6.2f}"
        return f"{leaf:<4}{design.architecture[module]:<{width}}{number}"
    return f"    {design.fixed(module)}"
