"""`avnas data check DIR`: validate a dataset."""

from collections.abc import Sequence

from avhash_nas.data import check, print_report
from avhash_nas.errors import AvnasError

_USAGE = "usage: avnas data check DIR"


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    if "-h" in arguments or "--help" in arguments:
        print(f"{_USAGE}\n\nPrints what a dataset holds and every problem in one pass; exit code 2 if there is one.")
        return 0
    if len(arguments) != 2 or arguments[0] != "check":
        raise AvnasError(_USAGE)
    report = check(arguments[1])
    print_report(report)
    return 2 if report.problems else 0
