"""Pictures of runs and comparisons, and the page that shows them.

A picture is drawn by a function of what a run left on disk and keeps the numbers that it shows.
"""

from avhash_nas.report.page import Section, write_page
from avhash_nas.report.run import RunRecord
from avhash_nas.report.style import Picture, save, svg

__all__ = ["Picture", "RunRecord", "Section", "save", "svg", "write_page"]
