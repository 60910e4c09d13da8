"""`avnas report RUN [RUN ...]`: a page with pictures of runs."""

from collections.abc import Sequence

from avhash_nas.cli.parser import make_parser

_DESCRIPTION = """Write one self-contained HTML page with pictures of runs, and the pictures as PNG and SVG beside it.

The page also shows unfinished runs as far as possible, and lists what is missing."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = make_parser("report", _DESCRIPTION)
    parser.add_argument("runs", nargs="+", type=str, help="folders of runs")
    parser.add_argument("--out", type=str, help="folder of the page; by default report/ in the folder of a single run")
    parser.add_argument("--title", type=str, help="title of the page")
    options = parser.parse(arguments)
    from avhash_nas.cli.pages import page_of_runs  # takes seconds: not for --help or a typo

    page = page_of_runs(options.runs, options.out, options.title)
    print(f"written: {page}")
    return 0
