"""Comparisons of strategies and networks: what to run, and running it."""

from avhash_nas.comparison.jobs import Job, run_jobs
from avhash_nas.comparison.paper import PaperRow, paper_rows
from avhash_nas.comparison.plan import Comparison, Entry, FitOptions, Run
from avhash_nas.comparison.ranking import Ranking

__all__ = ["Comparison", "Entry", "FitOptions", "Job", "PaperRow", "Ranking", "Run", "paper_rows", "run_jobs"]
