"""`avnas data check DIR`: validate a dataset; `avnas data captions` and `avnas data text` are in their own file."""

from collections.abc import Sequence

from avhash_nas.data import check, print_report
from avhash_nas.errors import AvnasError

_USAGE = "usage: avnas data check DIR | captions SOURCE --dataset NAME --out DIR | text DIR --encoder NAME"


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    if arguments and arguments[0] in ("captions", "text"):
        from avhash_nas.cli import data_text

        return {"captions": data_text.run_captions, "text": data_text.run_text}[arguments[0]](arguments[1:])
    if "-h" in arguments or "--help" in arguments:
        print(f"{_USAGE}\n\nPrints what a dataset holds and every problem in one pass; exit code 2 if there is one.")
        return 0
    if len(arguments) != 2 or arguments[0] != "check":
        raise AvnasError(_USAGE)
    report = check(arguments[1])
    print_report(report)
    return 2 if report.problems else 0
