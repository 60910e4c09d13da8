"""`avnas data check DIR`: validate a dataset; its other commands are in their own files."""

from collections.abc import Sequence

from avhash_nas.data import check, print_report
from avhash_nas.errors import AvnasError

_USAGE = (
    "usage: avnas data check DIR [--all] | convert SOURCE --out DIR | captions SOURCE --dataset NAME --out DIR |"
    " text DIR --encoder NAME | events DIR --audio NAME --visual NAME"
)

_HELP = """Prints what a dataset holds and every problem in one pass; exit code 2 if there is one.
A kind of problem is one line with the first examples; --all prints a line for each video, list line and class."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    if arguments and arguments[0] == "convert":
        from avhash_nas.cli import data_convert

        return data_convert.run(arguments[1:])
    if arguments and arguments[0] in ("captions", "text"):
        from avhash_nas.cli import data_text

        return {"captions": data_text.run_captions, "text": data_text.run_text}[arguments[0]](arguments[1:])
    if arguments and arguments[0] == "events":
        from avhash_nas.cli import data_events

        return data_events.run(arguments[1:])
    if "-h" in arguments or "--help" in arguments:
        print(f"{_USAGE}\n\n{_HELP}")
        return 0
    every = "--all" in arguments
    rest = [argument for argument in arguments if argument != "--all"]
    if len(rest) != 2 or rest[0] != "check":
        raise AvnasError(_USAGE)
    report = check(rest[1], every=every)
    print_report(report)
    return 2 if report.problems else 0
