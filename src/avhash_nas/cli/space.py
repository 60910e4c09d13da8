"""`avnas space`: print a search space."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from avhash_nas.cli.parser import make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.space import Architecture, SearchSpace, load_space


def show(
    preset: str = "full",
    architecture: str | None = None,
    width: int = 768,
    bits: int = 64,
    visual_dim: int = 768,
    audio_dim: int = 768,
    heads: int = 12,
    head_hidden: int = 0,
) -> None:
    """Print cells, candidates and sizes of a search space, and the parameters of an architecture.

    Args:
        preset: Name of a preset, or a JSON file with a space or an architecture.
        architecture: JSON file with one architecture of that space, for instance a run's architecture.json.
        width: Model width D, for the parameter count.
        bits: Code length q, for the parameter count.
        visual_dim: Width of the frame features, for the parameter count.
        audio_dim: Width of the segment features, for the parameter count.
        heads: Attention heads, for the parameter count.
        head_hidden: Hidden layer of the hash layer, for the parameter count.
    """
    space = load_space(preset)
    chosen = Architecture.load(architecture) if architecture else None
    if chosen is not None:
        space.check(chosen)
    elif not space.choices:
        chosen = space.only()
    console = Console()
    console.print(_table(space, chosen, preset))
    if not chosen or space.choices:
        console.print(f"{space.size:,} architectures")
        console.print(f"{space.size_kernels_merged:,} when conv3, conv4 and conv5 count as one, as the paper counts")
    if chosen is not None:
        from avhash_nas.networks import AudioVisualNetwork

        network = AudioVisualNetwork(
            visual_dim, audio_dim, bits, space.fix(chosen), width=width, heads=heads, head_hidden=head_hidden
        )
        count = sum(parameter.numel() for parameter in network.parameters())
        console.print(f"{count:,} parameters at D = {width}, q = {bits}, inputs of {visual_dim} and {audio_dim}")


def _table(space: SearchSpace, chosen: Architecture | None, title: str) -> Table:
    table = Table(title=f"{title}: {len(space.cells)} cells, expand {space.expand}")
    table.add_column("cell")
    table.add_column("candidates")
    for cell in space.cells:
        names = [
            f"[bold green]{name}[/]"
            if chosen is not None and len(cell.candidates) > 1 and chosen[cell.name] == name
            else name
            for name in cell.candidates
        ]
        table.add_row(cell.name, "  ".join(names))
    return table


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = make_parser("space", "Print a search space: cells, candidates, sizes, and an architecture's parameters.")
    parser.add_function_arguments(show, as_positional=False)
    options = parser.parse(arguments).as_dict()
    options.pop("config")
    if options["width"] < 1:
        raise AvnasError(f"--width must be positive, got {options['width']}")
    show(**options)
    return 0
