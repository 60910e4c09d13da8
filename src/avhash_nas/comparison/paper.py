"""The values of the paper's Tables 2 and 3, as printed."""

import re
from dataclasses import dataclass

from avhash_nas.errors import AvnasError

DATASETS = ("activitynet", "fcvid")

_TABLE_2 = """
3  | MCMSH        | 0.1488 0.2849 0     0   1m31s 18s 1.2  | 0.3442 0.3723 0     0   4m59s 59s 1.2
4  | BTH          | 0.1845 0.2721 0     0   26s   12s 2    | 0.2987 0.3593 0     0   2m8s  2m18s 2
5  | DKPH         | 0.1528 0.2283 0     0   39s   17s 4    | 0.3256 0.3731 0     0   54s   58s 4
6  | SSTH         | 0.1727 0.2395 0     0   4m42s 29s 5    | 0.2275 0.3037 0     0   20m24s 5m38s 5
7  | ConMH        | 0.2974 0.3312 0     0   8s    13s 11.3 | 0.3899 0.4232 0     0   30s   49s 11.3
8  | DSVH         | 0.2056 0.2979 0     0   2m33s 1m44s 63 | 0.2616 0.3683 0     0   11m   6m19s 63
9  | SRH          | 0.3205 0.4266 0     0   8s    19s 4.5  | 0.3699 0.4783 0     0   25s   38s 4.5
10 | AVH          | 0.3576 0.4722 0     0   10s   12s 22   | 0.3318 0.4818 0     0   32s   37s 22
11 | AVHash       | 0.8530 0.8676 0     0   25s   7s  28.4 | 0.9208 0.9213 0     0   1m47s 33s 28.4
12 | DARTS        | 0.8630 0.8860 2m17s 0   50s   10s 38.6 | 0.9180 0.9199 10m   0   3m    1m16s 67.1
13 | SPOS         | 0.8785 0.8982 1m20s 6h  2m10s 19s 30.4 | 0.9165 0.9198 6m20s 40h 5m40s 1m25s 32.1
14 | ProxylessNAS | 0.8571 0.8690 2m    0   1m10s 22s 60.4 | 0.8470 0.8638 3m    0   2m10s 1m15s 56.5
15 | ENAS         | 0.8545 0.8696 5m    30m 2m    16s 38.7 | 0.9094 0.9193 7m    1h  10m   1m13s 36.3
16 | Random 1     | 0.8411 0.8562 0     0   28s   12s 23.9 | 0.9143 0.9201 0     0   2m53s 53s   23.9
17 | Random 2     | 0.8649 0.8880 0     0   25s   9s  23.3 | 0.9204 0.9264 0     0   1m49s 51s   23.3
18 | Random 3     | 0.7447 0.8071 0     0   32s   13s 35.7 | 0.8908 0.8984 0     0   2m18s 57s   35.7
19 | Random 4     | 0.8420 0.8554 0     0   42s   12s 33.3 | 0.9106 0.9181 0     0   3m    55s   33.3
20 | Random 5     | 0.8348 0.8573 0     0   22s   9s  21.9 | 0.9063 0.9080 0     0   1m36s 41s   21.9
21 | Visual       | 0.8650 0.8795 0     0   35s   9s  23.7 | 0.9192 0.9231 0     0   1m44s 42s   21.4
22 | Audio        | 0.2379 0.2541 0     0   34s   9s  22.7 | 0.4350 0.4387 0     0   1m38s 42s   22.7
23 | Arch-1       | 0.8750 0.9010 1m6s  0   50s   11s 42.7 | 0.9215 0.9253 4m54s 0   2m58s 53s   42.7
24 | Arch-2       | 0.8724 0.8950 1m6s  0   50s   11s 40.5 | 0.9230 0.9321 4m54s 0   2m58s 53s   40.5
"""
"""For ActivityNet, then for FCVID: mAP@100 at 32 and 64 bits; at 64 bits, the times of a supernet epoch, of the search,
of a training epoch and of encoding 12,500 videos, and millions of parameters."""

_TABLE_3 = """
Table 3 | Transformer  | 0.8379 0.8569 | 0.9135 0.9150
Table 3 | Transformer+ | 0.8434 0.8653 | 0.9150 0.9170
Table 3 | Mamba        | 0.8300 0.8741 | 0.9102 0.9240
Table 3 | AV-NAS       | 0.8750 0.9010 | 0.9230 0.9321
"""

_TIMES = ("supernet_epoch_s", "search_s", "train_epoch_s", "inference_12500_s")


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper's tables for one dataset.

    Attributes:
        line: Line of Table 2, or "Table 3".
        method: Name of the method in the paper.
        retrieved: mAP@100, divided by the hits within 100, by code length. The paper gives no spread.
        at_64: Times in seconds and millions of parameters at 64 bits, by the column names of our CSV files; empty in
            Table 3. The time of a stage that a method lacks is 0.
    """

    line: str
    method: str
    retrieved: dict[int, float]
    at_64: dict[str, float]

    def value(self, key: str, bits: int) -> float | None:
        """A value by its column in our CSV files; None if the paper does not report it."""
        if key == "test_retrieved":
            return self.retrieved.get(bits)
        return self.at_64.get(key) if bits == 64 else None


def paper_rows(method: str, dataset: str) -> list[PaperRow]:
    """The rows of a method: one, or several that are numbered 1, 2, ... (Random).

    Args:
        method: Name in the paper: MCMSH, BTH, DKPH, SSTH, ConMH, DSVH, SRH, AVH, AVHash, DARTS, SPOS, ProxylessNAS,
            ENAS, Random, Visual, Audio, Arch-1, Arch-2 (Table 2), Transformer, Transformer+, Mamba, AV-NAS (Table 3).
        dataset: `activitynet` or `fcvid`.

    Raises:
        AvnasError: The tables have no such row.

    >>> paper_rows("SPOS", "fcvid")[0].value("search_s", 64) / 3600
    40.0
    >>> [row.line for row in paper_rows("Random", "activitynet")]
    ['16', '17', '18', '19', '20']
    """
    rows = [_read(line, DATASETS.index(dataset)) for line in (_TABLE_2 + _TABLE_3).splitlines() if line]
    matches = [row for row in rows if row.method == method or re.fullmatch(rf"{re.escape(method)} \d", row.method)]
    if not matches:
        known = dict.fromkeys(re.sub(r" \d$", "", row.method) for row in rows)
        raise AvnasError(f"the paper's tables have no row {method!r}; they have {', '.join(known)}")
    return matches


def seconds(text: str) -> float:
    """Parse a time of the paper.

    >>> seconds("2m17s"), seconds("6h"), seconds("0")
    (137.0, 21600.0, 0.0)
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return sum((float(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", text)), 0.0)


def _read(line: str, column: int) -> PaperRow:
    number, method, *datasets = (part.strip() for part in line.split("|"))
    at_32, at_64, *rest = datasets[column].split()
    values = dict(zip(_TIMES, map(seconds, rest)))
    if rest:
        values["parameters_m"] = float(rest[-1])
    return PaperRow(number, method, {32: float(at_32), 64: float(at_64)}, values)
