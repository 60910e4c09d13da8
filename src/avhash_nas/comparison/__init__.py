"""Strategies and networks side by side: the runs of a comparison, its tables, and how good the choices are."""

from avhash_nas.comparison.figures import Table
from avhash_nas.comparison.jobs import Job, run_jobs
from avhash_nas.comparison.paper import PaperRow, paper_rows
from avhash_nas.comparison.plan import Comparison, Entry, FitOptions, Ranking, Run
from avhash_nas.comparison.ranking import Quality, kendall_tau, quality
from avhash_nas.comparison.report import tables, write_report
from avhash_nas.comparison.results import Results

__all__ = [
    "Comparison",
    "Entry",
    "FitOptions",
    "Job",
    "PaperRow",
    "Quality",
    "Ranking",
    "Results",
    "Run",
    "Table",
    "kendall_tau",
    "paper_rows",
    "quality",
    "run_jobs",
    "tables",
    "write_report",
]
