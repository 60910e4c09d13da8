"""What a report on runs shows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avhash_nas.code_set import CodeSet
from avhash_nas.comparison import Table
from avhash_nas.comparison.figures import MISSING
from avhash_nas.comparison.measures import Statistic, millions_text, time_text
from avhash_nas.data import read_media
from avhash_nas.report.architecture import draw_architectures
from avhash_nas.report.choices import draw_choices
from avhash_nas.report.classes import draw_classes
from avhash_nas.report.codes import draw_codes
from avhash_nas.report.curves import draw_curves
from avhash_nas.report.embedding import draw_embedding
from avhash_nas.report.examples import examples
from avhash_nas.report.learning_curves import draw_learning_curves
from avhash_nas.report.methods import methods
from avhash_nas.report.page import Part, Section
from avhash_nas.report.run import RunRecord
from avhash_nas.report.scored_architectures import draw_generations, draw_rounds, draw_shares
from avhash_nas.report.style import Picture


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
        yield draw_learning_curves(
            rows, name=f"{prefix}-course", title="The search, epoch by epoch", kept=kept, phases=phases
        )
    if record.choices:
        yield draw_choices(record.choices, record.architecture, name=f"{prefix}-choices", kept=kept)
    if record.evaluations:
        yield draw_rounds(record.evaluations, name=f"{prefix}-scored", title="Architectures scored before the choice")
        if len({each.round for each in record.evaluations}) > 1:
            yield draw_shares(record.evaluations, record.space, record.architecture, name=f"{prefix}-shares")
    elif generations := report.get("generations"):
        yield draw_generations(generations, name=f"{prefix}-scored", title="Scores by generation")
    if rows := record.epochs("finetune"):
        yield draw_learning_curves(
            rows, name=f"{prefix}-finetune", title="Training of the chosen network, epoch by epoch"
        )


def _missing(record: RunRecord) -> Iterator[str]:
    if record.strategy is None:
        return
    if not record.epochs("search"):
        yield "There are no epochs of a search: no supernet is trained, or not yet."
    elif not record.choices and not record.evaluations:
        yield (
            "There are neither probabilities of candidates nor scored architectures (search/probabilities.csv, "
            "search/evaluations.csv): there are none yet, or the run is from a version that did not keep them."
        )


_NORMALISATIONS = ("retrieved", "standard", "k")
_TIMES = {
    "supernet_epoch_s": "supernet/epoch",
    "search_s": "search",
    "train_epoch_s": "train/epoch",
    "inference_12500_s": "infer/12.5k",
}


def run_sections(records: Sequence[RunRecord]) -> list[Section]:
    """Figures, architectures, retrieval and examples of some runs.

    Args:
        records: At least one.
    """
    codes = {record.title: found for record in records if (found := _codes(record)) is not None}
    missing = [f"{record.title}: {sentence}" for record in records for sentence in record.missing]
    designs = [design for record in records if (design := record.design) is not None]
    return [
        Section("Figures", [table for table in (_scores(records), _costs(records)) if table.rows], missing),
        Section("Architecture", [draw_architectures(designs)] if designs else []),
        *(_training(number, record) for number, record in enumerate(records)),
        Section("Retrieval", list(_retrieval(records, codes))),
        Section(
            "Codes in the plane",
            [draw_embedding({title: query for title, (query, _) in codes.items()})] if codes else [],
        ),
        Section("Examples", list(_examples(records, codes))),
    ]


def _training(number: int, record: RunRecord) -> Section:
    pictures, notes = search_pictures(record, f"training-{number}")
    return Section(f"{'Training' if record.strategy is None else 'Search'}: {record.title}", pictures, notes)


def _codes(record: RunRecord) -> tuple[CodeSet, CodeSet] | None:
    query, database = record.codes("query"), record.codes("database")
    return None if query is None or database is None else (query, database)


def _scores(records: Sequence[RunRecord]) -> Table:
    done = [record for record in records if record.metrics]
    kinds = [name for name in (done[0].metrics["test"] if done else {}) if name.startswith("map@")][::-1]
    columns = ["run", *(f"{kind} {each}" for kind in kinds for each in _NORMALISATIONS), "val", "supernet", "derived"]
    rows = []
    for record in done:
        test = record.metrics["test"]
        texts = [_score(test, kind, each) for kind in kinds for each in _NORMALISATIONS]
        selected = [
            _score(record.metrics.get(each) or {}, "map@100", "retrieved") for each in ("val", "supernet", "derived")
        ]
        rows.append([record.title, *texts, *selected])
    notes = [
        "mAP on test, by what the sum of precisions is divided by: the hits within K (retrieved), min(K, relevant) "
        "(standard), K (k). val, supernet, derived: mAP@100 retrieved on val.",
    ]
    return Table("Scores", columns, rows, notes)


def _costs(records: Sequence[RunRecord]) -> Table:
    rows = []
    for record in records:
        if record.metrics:
            times = record.metrics.get("time", {})
            texts = [time_text(Statistic(times[key], None, 1)) if key in times else MISSING for key in _TIMES]
            size = millions_text(Statistic(record.metrics["parameters"] / 1e6, None, 1))
            rows.append([record.title, size, *texts])
    return Table("Size and time", ["run", "params (M)", *_TIMES.values()], rows)


def _score(scores: Mapping[str, Any], kind: str, normalization: str) -> str:
    value = scores.get(kind, {}).get(normalization)
    return MISSING if value is None else f"{value:.4f}"


def _retrieval(records: Sequence[RunRecord], codes: Mapping[str, tuple[CodeSet, CodeSet]]) -> Iterator[Part]:
    curves = draw_curves(methods(records))
    if curves is not None:
        yield curves
    for number, (title, (query, database)) in enumerate(codes.items()):
        if query.labels is not None and database.labels is not None:
            yield draw_codes(query, database, title, f"codes-{number}")
            yield draw_classes(query, database, title, name=f"classes-{number}")


def _examples(records: Sequence[RunRecord], codes: Mapping[str, tuple[CodeSet, CodeSet]]) -> Iterator[Part]:
    """Of the first run that has codes."""
    for record in records:
        if record.title in codes:
            root = Path(str(record.options.get("data", {}).get("root", "")))
            yield examples(*codes[record.title], read_media(root) if root.is_dir() else {})
            return
