"""Train parsers and write one line for each run to a CSV file; a run that the file already has is not repeated.

    python experiments/parsing/measure.py planted OUT [--seeds 5] [--most 1000]
    python experiments/parsing/measure.py wesnoth OUT --data DIR [--seeds 3] [--most 1000]

`planted` makes synthetic events whose modalities disagree; DIR is a dataset that experiments/wesnoth has made. Data and
runs lie in OUT, results in planted-runs.csv and wesnoth-runs.csv.
"""

import argparse
import csv
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.cli import main
from avhash_nas.data import write_synthetic_events
from avhash_nas.files import read_json

HERE = Path(__file__).parent
SCORES = ("audio", "visual", "audio_visual", "type", "event")
LOGGED = {"alpha_audio": "network/alpha_audio", "alpha_visual": "network/alpha_visual", "mu": "objective/mu"}

SIZES = ("--network.width=32", "--network.layers=1", "--network.heads=4", "--network.hidden=64")
LINK = ("--network=link_style", *SIZES)
ALONE = (*LINK, "--network.gate=false", "--network.texts=none", "--objective.similarity=0")
WEAK = (*LINK, "--network.gate=false", "--network.texts=none", "--objective=weak_labels")
METHODS = {
    "HAN": ("--network=han", "--network.width=32", "--network.hidden=64"),
    "MLP of segments": ("--network=segment_mlp", "--network.width=32"),
    "VALOR": ("--network=valor", *SIZES),
    "LINK": LINK,
    "LINK without TSAM": (*LINK, "--network.gate=false", "--network.exchange=none"),
    "LINK without S-LOSS": (*LINK, "--objective.similarity=0"),
    "LINK without PLSIM": (*LINK, "--network.texts=none"),
}
ON_PLANTED = {
    **METHODS,
    "LINK, exchange fixed at 1": (*LINK, "--network.exchange=fixed"),
    "LINK, lambda 1": (*LINK, "--objective.weighting=one"),
    "LINK, mu fixed at 0.5": (*LINK, "--objective.weighting=fixed"),
    "LINK, oracle text": (*LINK, "--network.label_text=oracle"),
    "VALOR + trained exchange": (*ALONE, "--network.exchange=trained"),
    "VALOR + exchange fixed at 1": (*ALONE, "--network.exchange=fixed"),
    "weak labels, trained exchange": (*WEAK, "--network.exchange=trained"),
    "weak labels, exchange fixed at 1": (*WEAK, "--network.exchange=fixed"),
}
BY_ALIGNMENT = (
    *("HAN", "MLP of segments", "VALOR", "LINK", "VALOR + trained exchange", "VALOR + exchange fixed at 1"),
    *("weak labels, trained exchange", "weak labels, exchange fixed at 1"),
)
SUPERNET = ("--network=audio_visual_parser", "--network.width=32", "--network.heads=4", "--network.states=4")
ON_WESNOTH = {
    **METHODS,
    "searched, AV-NAS": (*SUPERNET, "--strategy=avnas", "--strategy.lr=0.05", "--strategy.temperature=0.1"),
    "random architecture": (*SUPERNET, "--strategy=random", "--strategy.count=1"),
}


@dataclass(frozen=True)
class Point:
    """One run: its columns in the CSV file, beside the scores, and what decides it."""

    columns: dict[str, str]
    options: tuple[str, ...]
    data: Path
    unaligned: float = 0.0
    flips: float = 0.0


def planted(out: Path, seeds: int) -> Iterator[Point]:
    """Methods by the share of unaligned events and of wrong pseudo labels."""
    for seed in range(seeds):
        cases = [(method, 0.6, 0.05) for method in ON_PLANTED]
        cases += [(method, unaligned, 0.05) for unaligned in (0.0, 1.0) for method in BY_ALIGNMENT]
        cases += [("VALOR", 0.6, flips) for flips in (0.0, 0.2, 0.4)]
        for method, unaligned, flips in cases:
            columns = {"method": method, "unaligned": str(unaligned), "flips": str(flips), "seed": str(seed)}
            data = out / f"data-{unaligned}-{flips}-{seed}"
            yield Point(columns, ON_PLANTED[method], data, unaligned, flips)


def wesnoth(data: Path, seeds: int) -> Iterator[Point]:
    """Methods; pseudo labels and texts come from class means, as the data have neither."""
    for seed in range(seeds):
        for method, options in ON_WESNOTH.items():
            made = [*options]
            if method != "HAN":
                made.append("--objective.pseudo=means")
            if "link_style" in options[0] and "--network.texts=none" not in options:
                made.append("--network.texts=means")
            yield Point({"method": method, "seed": str(seed)}, tuple(made), data)


def run(point: Point, kind: str, out: Path) -> dict[str, str]:
    """Train and test once."""
    seed = point.columns["seed"]
    if kind == "planted" and not point.data.exists():
        sizes = {"train": 400, "val": 150, "test": 300, "seed": int(seed)}
        write_synthetic_events(point.data, unaligned=point.unaligned, flips=point.flips, **sizes)
    folder = out / "run"
    where = [f"--data.root={point.data}", f"--data.cache_dir={out / 'cache'}", f"--seed={seed}", f"--out={folder}"]
    assert main(["fit", "--config", str(HERE / f"{kind}.yaml"), *point.options, *where, "--overwrite"]) == 0
    metrics = read_json(folder / "metrics.json")
    with (folder / "finetune" / "epochs.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    commit = subprocess.check_output(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], text=True).strip()
    row = {
        **point.columns,
        **{
            f"{level}_{name}": f"{metrics['test'][level][name]:.5f}"
            for level in ("segment", "event")
            for name in SCORES
        },
        **{name: last.get(column, "")[:8] for name, column in LOGGED.items()},
        **{"parameters": str(metrics["parameters"]), "commit": commit},
    }
    shutil.rmtree(folder)
    return row


def work(points: Sequence[Point], kind: str, out: Path, most: int) -> None:
    """Do the points that are missing in the file."""
    path = HERE / f"{kind}-runs.csv"
    known: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="") as file:
            known = list(csv.DictReader(file))
    missing = [point for point in points if not any(point.columns.items() <= row.items() for row in known)]
    for point in missing[:most]:
        row = run(point, kind, out)
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
    print(f"{len(missing[most:])} runs are left")


if __name__ == "__main__":
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("kind", choices=("planted", "wesnoth"))
    command.add_argument("out", type=Path)
    command.add_argument("--data", type=Path)
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--most", type=int, default=1000)
    given = command.parse_args()
    made = planted(given.out, given.seeds) if given.kind == "planted" else wesnoth(given.data, given.seeds)
    work(list(made), given.kind, given.out, given.most)
