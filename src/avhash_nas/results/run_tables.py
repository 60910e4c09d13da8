"""Results of single runs as tables."""

from collections.abc import Sequence

from avhash_nas.results import measures
from avhash_nas.results.evaluation_notes import evaluation_notes
from avhash_nas.results.measures import Measure, score_text, statistic
from avhash_nas.results.runs import RunRecord
from avhash_nas.results.table import Table

_DIVISORS = ("retrieved", "standard", "k")
_SELECTED = {"val": measures.VAL, "supernet": measures.SUPERNET, "derived": measures.DERIVED}
_COSTS = (measures.PARAMETERS, measures.SUPERNET_EPOCH, measures.SEARCH, measures.TRAIN_EPOCH, measures.INFERENCE)
_LEVELS = {"segment": "seg", "event": "evt"}
_KINDS = {"audio": "A", "visual": "V", "audio_visual": "AV", "type": "Type", "event": "Event"}
_SCORES_NOTE = (
    "mAP on test, by the divisor of the sum of precisions: the hits within K (retrieved), min(K, relevant) "
    "(standard), K (k). val, supernet, derived: mAP@100 retrieved on val."
)


def run_tables(records: Sequence[RunRecord]) -> list[Table]:
    """Scores and costs of the finished runs; no tables if none is finished."""
    finished = [record for record in records if record.metrics]
    if not finished:
        return []
    hashing = [record for record in finished if not record.parses]
    parsing = [record for record in finished if record.parses]
    return [
        *([_retrieval(hashing)] if hashing else []),
        *([_f_scores(parsing)] if parsing else []),
        _table("Size and time", finished, {measure.title: measure for measure in _COSTS}, []),
    ]


def _retrieval(records: Sequence[RunRecord]) -> Table:
    kinds = [name for name in records[0].metrics["test"] if name.startswith("map@")][::-1]
    scores = {
        f"{kind} {divisor}": Measure("", "", ("test", kind, divisor), score_text)
        for kind in kinds
        for divisor in _DIVISORS
    }
    notes = evaluation_notes({record.title: record.metrics for record in records})
    return _table("Scores", records, scores | _SELECTED, [_SCORES_NOTE, *notes])


def _f_scores(records: Sequence[RunRecord]) -> Table:
    columns = {
        f"{_LEVELS[level]} {_KINDS[kind]}": Measure("", "", ("test", level, kind), score_text)
        for level in _LEVELS
        for kind in _KINDS
    }
    notes = ["F-scores on test, of segments (seg) and events (evt): means over videos."]
    told = [record.title for record in records if record.metrics.get("oracle_labels")]
    notes += [f"{title}: the network reads labels that tell part of the truth (oracle_labels)." for title in told]
    return _table("F-scores", records, columns, notes)


def _table(title: str, records: Sequence[RunRecord], columns: dict[str, Measure], notes: list[str]) -> Table:
    rows = [
        [record.title, *(measure.text(statistic([measure.of(record.metrics)])) for measure in columns.values())]
        for record in records
    ]
    return Table(title, ["run", *columns], rows, notes)
