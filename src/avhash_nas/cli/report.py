"""`avnas report RUN [RUN ...]`: a page with pictures of runs."""

from collections.abc import Sequence

from avhash_nas.cli.pages import page_of_runs
from avhash_nas.cli.parser import make_parser

_DESCRIPTION = """Write one self-contained HTML page with pictures of runs, and the pictures as PNG and SVG beside it.

It shows what there is, also of a run that is not finished, and says what is not there."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    made = make_parser("report", _DESCRIPTION)
    made.add_argument("runs", nargs="+", type=str, help="folders of runs")
    made.add_argument("--out", type=str, help="folder of the page; by default report/ in the folder of a single run")
    made.add_argument("--title", type=str, help="of the page")
    options = made.parse(arguments)
    page = page_of_runs(options.runs, options.out, options.title)
    print(f"written: {page}")
    return 0
