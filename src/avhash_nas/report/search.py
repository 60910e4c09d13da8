"""How a search went, in pictures."""

from collections.abc import Iterator

from avhash_nas.report.choices import draw_choices
from avhash_nas.report.course import draw_course
from avhash_nas.report.picture import Picture
from avhash_nas.report.population import draw_generations, draw_rounds, draw_shares
from avhash_nas.report.run import RunRecord


def search_pictures(record: RunRecord, prefix: str = "search") -> tuple[list[Picture], list[str]]:
    """Everything that can be drawn of a run's training.

    Args:
        record: The run.
        prefix: Of the pictures' names, unique among the runs of a report.

    Returns:
        The pictures, and what cannot be drawn, in whole sentences.
    """
    return list(_pictures(record, prefix)), list(_missing(record))


def _pictures(record: RunRecord, prefix: str) -> Iterator[Picture]:
    report = record.metrics.get("search") or {}
    kept = record.kept_epoch
    if rows := record.epochs("search"):
        phases = report.get("phases", [])
        yield draw_course(rows, name=f"{prefix}-course", title="The search, epoch by epoch", kept=kept, phases=phases)
    if record.choices:
        yield draw_choices(record.choices, record.architecture, name=f"{prefix}-choices", kept=kept)
    if record.judged:
        yield draw_rounds(record.judged, name=f"{prefix}-scored", title="Architectures scored before the choice")
        if len({each.round for each in record.judged}) > 1:
            yield draw_shares(record.judged, record.space, record.architecture, name=f"{prefix}-shares")
    elif generations := report.get("generations"):
        yield draw_generations(generations, name=f"{prefix}-scored", title="Scores by generation")
    if rows := record.epochs("finetune"):
        yield draw_course(rows, name=f"{prefix}-finetune", title="Training of the chosen network, epoch by epoch")


def _missing(record: RunRecord) -> Iterator[str]:
    if record.strategy is None:
        return
    if not record.epochs("search"):
        yield "There are no epochs of a search: no supernet is trained, or not yet."
    elif not record.choices and not record.judged:
        yield (
            "There are neither probabilities of candidates nor scored architectures (search/choices.csv, "
            "search/judged.csv): there are none yet, or the run is from a version that did not keep them."
        )
