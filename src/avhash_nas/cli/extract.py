"""`avnas extract`: turn video files into features."""

import sys
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

from avhash_nas.cli.parser import Choice, Parser, make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AudioExtractor, Extraction, Labeling, Outcome, VisualExtractor, extract_folder
from avhash_nas.extraction.listing import SUFFIXES

CHOICES = {
    "visual": Choice(
        "avhash_nas.extraction.VisualExtractor", ("avhash_nas.extraction",), default="avhash_nas.extraction.CLIP"
    ),
    "audio": Choice(
        "avhash_nas.extraction.AudioExtractor", ("avhash_nas.extraction",), default="avhash_nas.extraction.AST"
    ),
}
"""Options that name a class."""

_DESCRIPTION = """Turn video files into features.

The same command goes on where it stopped; when files were added or have changed, it extracts only these. Exit code 1
tells that some files gave no features, while the others did. To try things out without any download:
--visual=color_gradients --audio=log_mel."""
_CLASS = "a name or package.module.Class, {default} if none is given; --{option}.help=NAME lists its options"


def parser() -> Parser:
    """All options of `avnas extract`."""
    made = make_parser("extract", _DESCRIPTION, CHOICES)
    made.usage = "avnas extract VIDEOS --out DIR [options]"
    by_hand: set[str | int] = {"extraction", "labeling", "out", "suffixes", "drop_missing", "overwrite"}
    made.add_function_arguments(extract_folder, as_positional=True, skip=by_hand)
    made.add_argument("--out", type=str, required=True, help="folder of the features")
    made.add_argument("--overwrite", action="store_true", help="remove an extraction that is in the folder")
    drop = "take videos whose files are gone out of the features, which else is an error"
    made.add_argument("--drop_missing", "--drop-missing", action="store_true", help=drop)
    more = f"further endings of video files, such as .gif,.dat; known are {' '.join(SUFFIXES)}"
    made.add_argument("--suffixes", type=str, default="", help=more)
    made.add_argument("--steps", type=int, default=25, help="T, frames and audio segments of a video")
    made.add_argument("--dtype", type=Literal["float32", "float16"], default="float32", help="type of stored features")
    made.add_class_arguments(Labeling, skip={"split", "resplit"})
    shares = "shares of train, val and test, where the CSV file or folders of these names do not tell"
    made.add_argument("--split", type=str, default="0.5,0.25,0.25", help=shares)
    made.add_argument("--resplit", action="store_true", help="draw anew what an earlier extraction has drawn")
    for option, base, default in (("visual", VisualExtractor, "clip"), ("audio", AudioExtractor, "ast")):
        made.add_subclass_arguments(base, option, required=True, help=_CLASS.format(option=option, default=default))
    return made


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    made = parser()
    options = made.make(made.parse(arguments))
    outcome = extract_folder(
        options.videos,
        options.out,
        Extraction(options.visual, options.audio, options.steps, options.dtype),
        Labeling(options.labels, _shares(options.split), options.seed, options.resplit),
        suffixes=(*SUFFIXES, *(f".{each.strip().lstrip('.')}" for each in options.suffixes.split(",") if each.strip())),
        workers=options.workers,
        timeout=options.timeout,
        drop_missing=options.drop_missing,
        overwrite=options.overwrite,
    )
    print_outcome(outcome, options.out)
    return 1 if outcome.problems else 0


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise AvnasError(f"--split: {text!r} is not of numbers separated by commas, such as 0.5,0.25,0.25") from None


def print_outcome(outcome: Outcome, out: str) -> None:
    """Print the files that gave no features, and what the folder holds.

    Args:
        outcome: Of an extraction.
        out: The folder.
    """
    console = Console(width=None if sys.stdout.isatty() else 10_000)  # a file takes lines of any length

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if outcome.problems:
        table = Table("file", "why it gave no features", box=None)
        for path, reason in outcome.problems:
            table.add_row(path, reason)
        console.print(table, markup=False, highlight=False)
        say(f"files without features: {len(outcome.problems)}; the same command tries them again")
    for line in outcome.remarks:
        say(line)
    notes = [f"{count} {note}" for note, count in sorted(outcome.notes.items())]
    lists = [f"{count} {split}" for split, count in outcome.lists.items() if count]
    say(f"{out}: {outcome.videos} videos, {outcome.new} of them new" + (f" ({', '.join(notes)})" if notes else ""))
    if lists:
        say(f"lists: {', '.join(lists)}")
