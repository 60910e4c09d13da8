"""Figures of finished runs, and their mean and spread over seeds."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Statistic:
    """Mean and spread of some figures.

    Attributes:
        mean: Their mean.
        spread: Their sample standard deviation; None for a single one.
        count: How many there are.
    """

    mean: float
    spread: float | None
    count: int


def statistic(values: Iterable[float | None]) -> Statistic | None:
    """Mean and spread of the figures that are there, None if none is.

    >>> statistic([0.5, None, 0.7]).mean
    0.6
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Statistic(statistics.fmean(there), statistics.stdev(there) if len(there) > 1 else None, len(there))


@dataclass(frozen=True)
class Measure:
    """One figure of a run.

    Attributes:
        key: Its column in CSV files.
        title: Its column in tables.
        path: Where `metrics.json` has it.
        form: Text of a figure.
        scale: What the stored figure is divided by.
    """

    key: str
    title: str
    path: tuple[str, ...]
    form: Callable[[Statistic], str]
    scale: float = 1.0

    def of(self, metrics: Metrics) -> float | None:
        """The figure of one run; None if it has none, as a plain network has no supernet."""
        value: Any = metrics
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None else float(value) / self.scale


def score_text(of: Statistic) -> str:
    """A score with its spread; a single one as the paper prints it, with four digits.

    >>> score_text(Statistic(0.68471, 0.0213, 3)), score_text(Statistic(0.875, None, 1))
    ('0.685 ± 0.021', '0.8750')
    """
    return f"{of.mean:z.4f}" if of.spread is None else f"{of.mean:z.3f} ± {of.spread:.3f}"


def time_text(of: Statistic) -> str:
    """A mean time.

    >>> [time_text(Statistic(seconds, None, 1)) for seconds in (0, 0.04, 12.3, 137, 21600)]
    ['0', '0.0s', '12s', '2m17s', '6h00m']
    """
    seconds = round(of.mean)
    if of.mean == 0:
        return "0"
    if seconds < 10:
        return f"{of.mean:.1f}s"
    if seconds < 60:
        return f"{seconds}s"
    minutes = round(of.mean / 60)
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds < 3600 else f"{minutes // 60}h{minutes % 60:02d}m"


def millions_text(of: Statistic) -> str:
    """A mean number of parameters, in millions."""
    return f"{of.mean:.2f}" if of.mean < 1 else f"{of.mean:.1f}"


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

IN_FULL = {
    normalization: tuple(
        Measure(key, f"mAP@{k}", ("test", f"map@{k}", normalization), score_text)
        for k, key in zip(
            (5, 20, 100), (f"test_{normalization}@5", f"test_{normalization}@20", f"test_{normalization}")
        )
    )
    for normalization in ("retrieved", "standard", "k")
}
"""Every mAP of a test, by normalization."""

TEST = (RETRIEVED, STANDARD)
"""Shown at every code length."""

SEARCHED = (SUPERNET, DERIVED)
"""Shown at the longest codes."""

COSTS = (SUPERNET_EPOCH, SEARCH, TRAIN_EPOCH, INFERENCE, PARAMETERS, IN_TRAINING)
"""Shown at the longest codes, as in the paper's Table 2."""

ALL = (*(each for scores in IN_FULL.values() for each in scores), VAL, *SEARCHED, *COSTS)
"""In CSV files, at every code length."""
