"""Pictures of runs and comparisons, and the page that shows them.

Each picture is drawn by one function from results, and keeps the numbers that it shows.
"""

from avhash_nas.report.page import Section, write_page
from avhash_nas.report.style import Picture, save, svg

__all__ = ["Picture", "Section", "save", "svg", "write_page"]
