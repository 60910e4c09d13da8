"""`avnas data convert`: datasets of features from other formats and back."""

from collections.abc import Sequence
from pathlib import Path

from avhash_nas.cli.parser import Choice, make_parser
from avhash_nas.data.formats import Format, convert

CHOICES = {
    side: Choice(
        "avhash_nas.data.formats.Format",
        ("avhash_nas.data.formats",),
        default="avhash_nas.data.formats.PublishedLayout",
    )
    for side in ("from", "to")
}
"""Options that name a class."""

_DESCRIPTION = """Convert a dataset of features from another format, or to one.

Formats are stacked (one HDF5 array a split, with .mat labels), arrays (a .npy, .npz or .pkl file a video), parquet,
webdataset, and layout, which all other commands read and both options default to."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    command = make_parser("data convert", _DESCRIPTION, CHOICES)
    command.add_argument("--source", type=str, required=True, help="folder or file to read")
    command.add_argument("--out", type=str, required=True, help="folder to write")
    for side, text in (("from", "format of the source"), ("to", "format to write")):
        command.add_subclass_arguments(Format, side, required=False, help=text)
    command.add_argument("--overwrite", action="store_true", help="replace the folder if it is there")
    named = [*(["--source"] if arguments and not arguments[0].startswith("-") else []), *arguments]
    ready = command.make(command.parse(named))
    written = convert(ready.source, ready["from"], Path(ready.out), ready["to"], overwrite=ready.overwrite)
    splits = ", ".join(f"{name} (database)" if name == written.database else name for name in written.splits)
    print(f"{ready.out}: {written.count:,} videos, {len(written.classes)} classes, splits {splits}")
    return 0
