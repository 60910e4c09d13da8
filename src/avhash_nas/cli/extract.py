"""`avnas extract`: turn video files into features."""

import sys
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

from avhash_nas.cli.parser import Choice, Parser, make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AudioExtractor, Extraction, Labeling, Outcome, Tracks, VisualExtractor, extract_folder
from avhash_nas.extraction.listing import SUFFIXES
from avhash_nas.extraction.media_file import BEST

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

The same command resumes where it stopped. If files were added or have changed, it extracts only these. Exit code 1
means that some files gave no features. To try it without any download:
--visual=color_gradients --audio=log_mel."""
_CLASS = "a name or package.module.Class, {default} if none is given; --{option}.help=NAME lists its options"


def parser() -> Parser:
    """All options of `avnas extract`."""
    command = make_parser("extract", _DESCRIPTION, CHOICES)
    command.usage = "avnas extract VIDEOS --out DIR [options]"
    separate: set[str | int] = {"extraction", "labeling", "out", "suffixes", "drop_missing", "overwrite"}
    command.add_function_arguments(extract_folder, as_positional=True, skip=separate)
    command.add_argument("--out", type=str, required=True, help="folder of the features")
    command.add_argument("--overwrite", action="store_true", help="remove an extraction that is in the folder")
    drop = "remove videos whose files are missing from the features; otherwise they are an error"
    command.add_argument("--drop_missing", "--drop-missing", action="store_true", help=drop)
    more = f"further file extensions of videos, such as .gif,.dat, besides {' '.join(SUFFIXES)}"
    command.add_argument("--suffixes", type=str, default="", help=more)
    command.add_argument("--steps", type=int, default=25, help="T: frames and audio segments of a video")
    command.add_argument(
        "--dtype", type=Literal["float32", "float16"], default="float32", help="type of stored features"
    )
    track = "which {} track is read if a file has several: best (FFmpeg's choice), its number from 0, or its language"
    for kind in ("video", "audio"):
        command.add_argument(f"--{kind}_track", f"--{kind}-track", type=str, default=BEST, help=track.format(kind))
    command.add_class_arguments(Labeling, skip={"split", "resplit"})
    shares = "shares of train, val and test, if neither the CSV file nor folders of these names give the splits"
    command.add_argument("--split", type=str, default="0.5,0.25,0.25", help=shares)
    command.add_argument(
        "--resplit", action="store_true", help="draw the splits again, not as an earlier extraction did"
    )
    for option, base, default in (("visual", VisualExtractor, "clip"), ("audio", AudioExtractor, "ast")):
        command.add_subclass_arguments(base, option, required=True, help=_CLASS.format(option=option, default=default))
    return command


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    command = parser()
    options = command.make(command.parse(arguments))
    tracks = Tracks(options.video_track, options.audio_track)
    outcome = extract_folder(
        options.videos,
        options.out,
        Extraction(options.visual, options.audio, options.steps, options.dtype, tracks),
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
        raise AvnasError(f"--split: {text!r} is not a list of numbers such as 0.5,0.25,0.25") from None


def print_outcome(outcome: Outcome, out: str) -> None:
    """Print the files that gave no features, and what the folder holds.

    Args:
        outcome: What an extraction returned.
        out: The folder of the features.
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
