"""Pages with pictures that `avnas report`, `avnas fit` and `avnas compare` write."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from avhash_nas.errors import MissingExtraError
from avhash_nas.results import ComparisonResults, RunRecord

OPTION = "write a page with pictures at the end, as avnas report does; needs avhash-nas[report]"


def write_if_possible(write: Callable[[], Path]) -> Path | None:
    """Write a page; if the packages for it are missing, print one line instead.

    Args:
        write: Writes the page and returns its path.

    Returns:
        The page, or None.
    """
    try:
        page = write()
    except MissingExtraError as error:
        print(f"avnas: no page with pictures: {error}", file=sys.stderr)
        return None
    print(f"written: {page}")
    return page


def page_of_runs(runs: Sequence[str | Path], out: str | None = None, title: str | None = None) -> Path:
    """Write the page of some runs.

    Args:
        runs: Folders of the runs.
        out: Folder of the page; by default report/ in the folder of a single run, else runs/report.
        title: Title of the page; by default that of a single run, else the number of runs.
    """
    from avhash_nas.report import write_page
    from avhash_nas.report.run_page import run_sections

    records = [RunRecord(folder) for folder in runs]
    single = len(records) == 1
    folder = Path(out or (records[0].path / "report" if single else "runs/report"))
    return write_page(folder, title or (records[0].title if single else f"{len(records)} runs"), run_sections(records))


def page_of_comparison(results: ComparisonResults) -> Path:
    """Write the page of a comparison to the folder REPORT-page beside its tables."""
    from avhash_nas.report import write_page
    from avhash_nas.report.comparison_page import comparison_sections

    comparison = results.comparison
    folder = Path(comparison.out) / f"{comparison.report}-page"
    return write_page(folder, comparison.title, comparison_sections(results))
