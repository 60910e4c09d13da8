"""`avnas report RUN [RUN ...]`: a page with pictures of runs."""

from collections.abc import Sequence
from pathlib import Path

from avhash_nas.cli.parser import make_parser
from avhash_nas.report import RunRecord, write_page
from avhash_nas.report.runs import run_sections

_DESCRIPTION = """Write one self-contained HTML page with pictures of runs, and the pictures as PNG and SVG beside it.

It shows what there is, also of a run that is not finished, and says what is not there."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    made = make_parser("report", _DESCRIPTION)
    made.add_argument("runs", nargs="+", type=str, help="folders of runs")
    made.add_argument("--out", type=str, help="folder of the page; by default report/ in the folder of a single run")
    made.add_argument("--title", type=str, help="of the page")
    options = made.parse(arguments)
    records = [RunRecord(folder) for folder in options.runs]
    alone = len(records) == 1
    folder = Path(options.out or (records[0].path / "report" if alone else "runs/report"))
    title = options.title or (records[0].title if alone else f"{len(records)} runs")
    page = write_page(folder, title, run_sections(records))
    print(f"written: {page}")
    return 0
