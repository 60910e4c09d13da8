"""Results read from the folders of runs and comparisons, and tables of them."""

from avhash_nas.results.comparison_results import ComparisonResults, read_results
from avhash_nas.results.comparison_tables import comparison_tables, write_tables
from avhash_nas.results.run_tables import run_tables
from avhash_nas.results.runs import Method, RunRecord, group_by_method
from avhash_nas.results.search_quality import SearchQuality, kendall_tau
from avhash_nas.results.table import Table

__all__ = [
    "ComparisonResults",
    "Method",
    "RunRecord",
    "SearchQuality",
    "Table",
    "comparison_tables",
    "group_by_method",
    "kendall_tau",
    "read_results",
    "run_tables",
    "write_tables",
]
