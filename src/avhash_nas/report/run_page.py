"""The sections of a page about one or several runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from avhash_nas.code_set import CodeSet
from avhash_nas.data import read_media
from avhash_nas.report.architecture import draw_architectures
from avhash_nas.report.class_scores import draw_class_scores
from avhash_nas.report.codes import draw_codes
from avhash_nas.report.design import design_of_run
from avhash_nas.report.embedding import draw_embedding
from avhash_nas.report.evaluations import draw_evaluations, draw_generations, draw_shares
from avhash_nas.report.examples import examples
from avhash_nas.report.learning_curves import draw_learning_curves
from avhash_nas.report.page import Part, Section
from avhash_nas.report.probabilities import draw_probabilities
from avhash_nas.report.retrieval_curves import draw_retrieval_curves
from avhash_nas.report.style import Picture
from avhash_nas.report.text_search import draw_text_search
from avhash_nas.report.timelines import draw_timelines
from avhash_nas.results import RunRecord, group_by_method, run_tables

_Codes = Mapping[str, tuple[CodeSet, CodeSet]]
"""Codes of queries and database, by title of the run."""


def run_sections(records: Sequence[RunRecord]) -> list[Section]:
    """The sections of a page about at least one run."""
    pairs = {record.title: (record.codes("query"), record.codes("database")) for record in records}
    codes = {title: (query, database) for title, (query, database) in pairs.items() if query and database}
    missing = [f"{record.title}: {sentence}" for record in records for sentence in record.missing]
    designs = [design for record in records if (design := design_of_run(record))]
    queries = {title: query for title, (query, _) in codes.items()}
    return [
        Section("Results", run_tables(records), missing),
        Section("Architecture", [draw_architectures(designs)] if designs else []),
        *(_training(number, record) for number, record in enumerate(records)),
        Section("Timelines", list(_timelines(records))),
        Section("Retrieval", list(_retrieval(records, codes))),
        Section("Codes in the plane", [draw_embedding(queries)] if queries else []),
        Section("Examples", list(_examples(records, codes))),
    ]


def search_pictures(record: RunRecord, prefix: str = "search") -> tuple[list[Picture], list[str]]:
    """All pictures of a run's training.

    Args:
        record: The run.
        prefix: Prefix of the pictures' names, unique among the runs of a report.

    Returns:
        The pictures, and a sentence for each kind of data that is missing.
    """
    return list(_pictures(record, prefix)), list(_missing(record))


def _pictures(record: RunRecord, prefix: str) -> Iterator[Picture]:
    report = record.metrics.get("search") or {}
    selected = record.selected_epoch
    if rows := record.epochs("search"):
        phases = report.get("phases", [])
        yield draw_learning_curves(
            rows, f"{prefix}-learning-curves", "Search by epoch", selected=selected, phases=phases
        )
    if record.probabilities:
        yield draw_probabilities(
            record.probabilities, record.architecture, f"{prefix}-probabilities", selected=selected
        )
    if record.evaluations:
        yield draw_evaluations(record.evaluations, f"{prefix}-scored")
        if len({each.round for each in record.evaluations}) > 1:
            yield draw_shares(record.evaluations, record.space, record.architecture, f"{prefix}-shares")
    elif generations := report.get("generations"):
        yield draw_generations(generations, f"{prefix}-scored")
    if rows := record.epochs("finetune"):
        yield draw_learning_curves(rows, f"{prefix}-finetune", "Training of the chosen network by epoch")


def _missing(record: RunRecord) -> Iterator[str]:
    if record.strategy is None:
        return
    if not record.epochs("search"):
        yield "There are no search epochs: the run trains no supernet, or has not started to."
    elif not record.probabilities and not record.evaluations:
        yield (
            "There are neither candidate probabilities nor evaluated architectures (search/probabilities.csv, "
            "search/evaluations.csv): the run has not written them yet, or is from a version that did not."
        )


def _training(number: int, record: RunRecord) -> Section:
    pictures, notes = search_pictures(record, f"training-{number}")
    return Section(f"{'Training' if record.strategy is None else 'Search'}: {record.title}", pictures, notes)


def _retrieval(records: Sequence[RunRecord], codes: _Codes) -> Iterator[Part]:
    curves = draw_retrieval_curves(group_by_method(records))
    if curves is not None:
        yield curves
    if (words := draw_text_search(records)) is not None:
        yield words
    left_out = {record.title: record.exclude_self for record in records}
    for number, (title, (query, database)) in enumerate(codes.items()):
        if query.labels is not None and database.labels is not None:
            yield draw_codes(query, database, title, f"codes-{number}")
            yield draw_class_scores(query, database, title, name=f"classes-{number}", exclude_self=left_out[title])


def _timelines(records: Sequence[RunRecord]) -> Iterator[Part]:
    for number, record in enumerate(records):
        if record.predictions is not None:
            yield draw_timelines(record.predictions, record.title, f"timelines-{number}")


def _examples(records: Sequence[RunRecord], codes: _Codes) -> Iterator[Part]:
    """Examples of the first run that has codes."""
    for record in records:
        if record.title in codes:
            root = Path(str(record.options.get("data", {}).get("root", "")))
            yield examples(*codes[record.title], read_media(root) if root.is_dir() else {})
            return
