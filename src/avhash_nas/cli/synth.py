"""`avnas synth`: write a labeled synthetic dataset."""

from collections.abc import Sequence

from avhash_nas.cli.parser import make_parser
from avhash_nas.data import write_synthetic


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = make_parser("synth", "Write a labeled synthetic dataset in the published layout.")
    parser.add_function_arguments(write_synthetic, as_positional=False, skip={"overwrite"})
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset in the folder")
    options = parser.parse(arguments).as_dict()
    options.pop("config")
    out = write_synthetic(**options)
    print(f"wrote {out}")
    return 0
