"""The pages that `avnas fit` and `avnas compare` write at their end."""

import sys
from collections.abc import Callable
from pathlib import Path

from avhash_nas.comparison import Results
from avhash_nas.errors import MissingExtraError

OPTION = "write a page with pictures at the end, as avnas report does; needs avhash-nas[report]"


def write_if_possible(write: Callable[[], Path]) -> Path | None:
    """Write a page; where the packages for it are missing, say so in one line and go on.

    Args:
        write: Writes it and gives its path.

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


def page_of_run(folder: Path) -> Path:
    """Write the page of one run to report/ in its folder."""
    from avhash_nas.report import RunRecord, write_page
    from avhash_nas.report.runs import run_sections

    record = RunRecord(folder)
    return write_page(folder / "report", record.title, run_sections([record]))


def page_of_comparison(results: Results) -> Path:
    """Write the page of a comparison to the folder REPORT-page beside its tables."""
    from avhash_nas.report import write_page
    from avhash_nas.report.comparison import comparison_sections

    comparison = results.comparison
    folder = Path(comparison.out) / f"{comparison.report}-page"
    return write_page(folder, comparison.title, comparison_sections(results))
