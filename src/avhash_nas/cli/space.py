"""`avnas space`: print a search space, or draw an architecture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from avhash_nas.cli.parser import make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.space import SearchSpace, load_space


def show(
    preset: str | None = None,
    architecture: str | None = None,
    mermaid: bool = False,
    width: int = 768,
    bits: int | None = None,
    visual_dim: int = 768,
    audio_dim: int = 768,
    heads: int = 12,
    head_hidden: int = 0,
) -> None:
    """Print cells, candidates and sizes of a search space; or draw an architecture as text and count its parameters.

    Args:
        preset: Name of a preset, or a JSON file with a space or an architecture. By default the full space, or the
            space of the architecture's one modality.
        architecture: JSON file with one architecture of that space. With a run's architecture.json, or the folder of
            a run, it is shown how sure each choice was.
        mermaid: Print the architecture as a Mermaid flowchart, and nothing else.
        width: Model width D, for the parameter count.
        bits: Code length q. By default that of the run, or 64.
        visual_dim: Width of the frame features, for the parameter count.
        audio_dim: Width of the segment features, for the parameter count.
        heads: Attention heads, for the parameter count.
        head_hidden: Hidden layer of the hash layer, for the parameter count.
    """
    space = None if preset is None and architecture is not None else load_space(preset or "full")
    if space is not None and space.choices and architecture is None:
        if mermaid:
            raise AvnasError("--mermaid draws one architecture: give --architecture, or a --preset that is one")
        _print_space(space, preset or "full")
        return
    from avhash_nas.report.design import Design, load_design
    from avhash_nas.report.mermaid import mermaid as flowchart
    from avhash_nas.report.outline import outline

    if architecture is not None:
        design = load_design(architecture)
        space = space or load_space("full" if len(design.modalities) > 1 else design.modalities[0])
        space.check(design.architecture)
    else:
        assert space is not None
        design = Design(str(preset), space.only())
    bits = bits or design.bits or 64
    design = replace(design, expand=space.expand, bits=bits)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if mermaid:
        console.print(flowchart(design), end="")
        return
    console.print(f"{outline(design)}\n")
    if space.choices:
        console.print(f"one of {space.size:,} architectures")
    sizes = {"width": width, "heads": heads, "head_hidden": head_hidden}
    console.print(_parameters(space.fix(design.architecture), visual_dim, audio_dim, bits, sizes))


def _print_space(space: SearchSpace, title: str) -> None:
    table = Table(title=f"{title}: {len(space.cells)} cells, expand {space.expand}")
    table.add_column("cell")
    table.add_column("candidates")
    for cell in space.cells:
        table.add_row(cell.name, "  ".join(cell.candidates))
    console = Console()
    console.print(table)
    console.print(f"{space.size:,} architectures")
    console.print(f"{space.size_kernels_merged:,} when conv3, conv4 and conv5 count as one, as the paper counts")


def _parameters(plain: SearchSpace, visual_dim: int, audio_dim: int, bits: int, sizes: dict[str, Any]) -> str:
    from avhash_nas.networks import AudioVisualNetwork

    network = AudioVisualNetwork(visual_dim, audio_dim, bits, plain, **sizes)
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{count:,} parameters at D = {sizes['width']}, q = {bits}, inputs of {visual_dim} and {audio_dim}"


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    purpose = "Print a search space: cells, candidates, sizes; or draw an architecture and count its parameters."
    parser = make_parser("space", purpose)
    parser.add_function_arguments(show, as_positional=False, skip={"mermaid"})
    parser.add_argument(
        "--mermaid", action="store_true", help="print the architecture as a Mermaid flowchart, for Markdown"
    )
    options = parser.parse(arguments).as_dict()
    options.pop("config")
    for name in ("width", "bits"):
        if options[name] is not None and options[name] < 1:
            raise AvnasError(f"--{name} must be positive, got {options[name]}")
    show(**options)
    return 0
