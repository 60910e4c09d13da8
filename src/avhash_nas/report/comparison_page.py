"""The sections of a page about a comparison."""

from dataclasses import replace

from avhash_nas.report.architecture import draw_architectures
from avhash_nas.report.comparison_charts import draw_costs, draw_ranking, draw_scores
from avhash_nas.report.design import design_of_run
from avhash_nas.report.embedding import draw_embedding
from avhash_nas.report.page import Section
from avhash_nas.report.retrieval_curves import draw_retrieval_curves
from avhash_nas.results import ComparisonResults, Method, RunRecord, comparison_tables


def comparison_sections(results: ComparisonResults) -> list[Section]:
    """The sections of a page about a comparison.

    Architectures and the embedding are those of each entry's first seed, at the largest code length.
    """
    longest = max(results.comparison.bits)
    records = {run: RunRecord(run.path) for run in results.metrics}
    methods = [
        Method(entry.title, bits, tuple(records[run] for run in runs))
        for entry in results.comparison.entries
        for bits in results.comparison.bits
        if (runs := results.finished(entry, bits))
    ]
    first = {method.label: method.runs[0] for method in methods if method.bits == longest}
    designs = [replace(design, title=title) for title, run in first.items() if (design := design_of_run(run))]
    codes = {title: query for title, run in first.items() if (query := run.codes("query")) is not None}
    pictures = [draw_scores(results), draw_costs(results), draw_ranking(results), draw_retrieval_curves(methods)]
    notes = [] if codes else ["No run has the folder codes/, so there is no embedding of codes."]
    return [
        Section("Tables", comparison_tables(results)),
        Section("Pictures", [picture for picture in pictures if picture is not None]),
        Section("Architectures", [draw_architectures(designs)] if designs else []),
        Section("Codes in the plane", [draw_embedding(codes)] if codes else [], notes),
    ]
