"""`avnas synth`: write a labeled synthetic dataset."""

from collections.abc import Sequence

from avhash_nas.cli.parser import make_parser
from avhash_nas.data import write_synthetic, write_synthetic_events


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    write = write_synthetic_events if "--events" in arguments else write_synthetic
    parser = make_parser(
        "synth",
        "Write a labeled synthetic dataset in the published layout; with --events one for video parsing, whose options "
        "`avnas synth --events --help` lists.",
    )
    parser.add_function_arguments(write, as_positional=False, skip={"overwrite"})
    parser.add_argument("--events", action="store_true", help="a dataset for video parsing: what is heard, what seen")
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset in the folder")
    options = parser.parse(arguments).as_dict()
    del options["config"], options["events"]
    out = write(**options)
    print(f"wrote {out}")
    return 0
