"""What is measured of a run, and the mean and spread over seeds."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]
"""The content of `metrics.json`."""

MISSING = "-"
"""Table cell without a value."""


@dataclass(frozen=True)
class Statistic:
    """Mean and spread of some values.

    Attributes:
        mean: Arithmetic mean.
        spread: Sample standard deviation; None for a single value.
        count: Number of values.
    """

    mean: float
    spread: float | None
    count: int


def statistic(values: Iterable[float | None]) -> Statistic | None:
    """Mean and spread of the values that are not None; None if there are none.

    >>> statistic([0.5, None, 0.7]).mean
    0.6
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Statistic(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None, len(known))


@dataclass(frozen=True)
class Measure:
    """One value of a run.

    Attributes:
        key: Column in CSV files.
        title: Column in tables.
        path: Keys that lead to the value in `metrics.json`.
        format: Formats the mean and spread.
        scale: Divisor of the stored value.
    """

    key: str
    title: str
    path: tuple[str, ...]
    format: Callable[[Statistic], str]
    scale: float = 1.0

    def of(self, metrics: Metrics) -> float | None:
        """The value of one run; None if the run has none: a plain network has no supernet."""
        value: Any = metrics
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None else float(value) / self.scale

    def text(self, value: Statistic | None) -> str:
        """A cell of a table."""
        return MISSING if value is None else self.format(value)


def score_text(score: Statistic) -> str:
    """A score with its spread; a single score with four digits, as the paper prints it.

    >>> score_text(Statistic(0.68471, 0.0213, 3)), score_text(Statistic(0.875, None, 1))
    ('0.685 ± 0.021', '0.8750')
    """
    return f"{score.mean:z.4f}" if score.spread is None else f"{score.mean:z.3f} ± {score.spread:.3f}"


def time_text(time: Statistic) -> str:
    """A mean time.

    >>> [time_text(Statistic(seconds, None, 1)) for seconds in (0, 0.04, 12.3, 137, 21600)]
    ['0', '0.0s', '12s', '2m17s', '6h00m']
    """
    seconds, minutes = round(time.mean), round(time.mean / 60)
    if time.mean == 0:
        return "0"
    if seconds < 10:
        return f"{time.mean:.1f}s"
    if seconds < 60:
        return f"{seconds}s"
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds < 3600 else f"{minutes // 60}h{minutes % 60:02d}m"


def millions_text(count: Statistic) -> str:
    """A mean number in millions."""
    return f"{count.mean:.2f}" if count.mean < 1 else f"{count.mean:.1f}"


RETRIEVED = Measure("test_retrieved", "retrieved", ("test", "map@100", "retrieved"), score_text)
STANDARD = Measure("test_standard", "standard", ("test", "map@100", "standard"), score_text)
SUPERNET = Measure("supernet_val", "supernet, val", ("supernet", "map@100", "retrieved"), score_text)
DERIVED = Measure("derived_val", "derived, val", ("derived", "map@100", "retrieved"), score_text)
VAL = Measure("val", "fine-tuned, val", ("val", "map@100", "retrieved"), score_text)
SUPERNET_EPOCH = Measure("supernet_epoch_s", "supernet/epoch", ("time", "supernet_epoch_s"), time_text)
SEARCH = Measure("search_s", "search", ("time", "search_s"), time_text)
TRAIN_EPOCH = Measure("train_epoch_s", "train/epoch", ("time", "train_epoch_s"), time_text)
INFERENCE = Measure("inference_12500_s", "infer/12.5k", ("time", "inference_12500_s"), time_text)
PARAMETERS = Measure("parameters_m", "params (M)", ("parameters",), millions_text, 1e6)
IN_TRAINING = Measure("training_only_m", "+ in training (M)", ("parameters_of_training_only",), millions_text, 1e6)

_KEYS = {5: "test_{}@5", 20: "test_{}@20", 100: "test_{}"}
IN_FULL = {
    divisor: tuple(
        Measure(key.format(divisor), f"mAP@{k}", ("test", f"map@{k}", divisor), score_text) for k, key in _KEYS.items()
    )
    for divisor in ("retrieved", "standard", "k")
}
"""Every mAP on test, by normalization."""

TEST = (RETRIEVED, STANDARD)
"""Shown at every code length."""

SEARCHED = (SUPERNET, DERIVED)
"""Shown at the largest code length."""

COSTS = (SUPERNET_EPOCH, SEARCH, TRAIN_EPOCH, INFERENCE, PARAMETERS, IN_TRAINING)
"""Shown at the largest code length, as in the paper's Table 2."""

ALL = (*(measure for measures in IN_FULL.values() for measure in measures), VAL, *SEARCHED, *COSTS)
"""Written to CSV files at every code length."""
