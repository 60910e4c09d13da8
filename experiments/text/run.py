"""Runs the comparison of text search: `python run.py CONFIG DATASET OUT`; finished runs are skipped, so it resumes.

Writes OUT/scores.csv: a row for each run, recall and rerank.
"""

import csv
import json
import sys
from pathlib import Path

from avhash_nas.cli import main

LOSS = "--objective."
VARIANTS = {
    "coarse only": ["--bits=96", f"{LOSS}codes=0", f"{LOSS}frames=0", f"{LOSS}context=0", f"{LOSS}correlation=0"],
    "+ frames": ["--bits=96", f"{LOSS}codes=0", f"{LOSS}correlation=0"],
    "+ correlation": ["--bits=96", f"{LOSS}codes=0", f"{LOSS}correlation=0.001"],
    **{f"{bits} bits": [f"--bits={bits}", f"{LOSS}correlation=0"] for bits in (32, 64, 128, 256)},
}
SEEDS = (0, 1, 2)
COLUMNS = (
    "variant",
    "seed",
    "bits",
    "recall",
    "rerank",
    "direction",
    "hit@1",
    "hit@5",
    "hit@10",
    "median_rank",
    "mean_rank",
)


def rows(variant: str, metrics: dict) -> list[dict]:
    """The scores of a run, one row for each way to search and direction."""
    found = []
    for recall, ways in metrics["text"]["scores"].items():
        for way, directions in ways.items():
            for direction, scores in directions.items():
                row = {"variant": variant, "seed": metrics["seed"], "bits": metrics["bits"], "recall": recall}
                found.append({**row, "rerank": way, "direction": direction, **scores})
    return found


def run() -> None:
    """Runs what is missing, and writes the table anew after each run."""
    config, data, out = sys.argv[1:4]
    scores = []
    for seed in SEEDS:
        for variant, options in VARIANTS.items():
            folder = Path(out) / f"{variant.replace(' ', '_').replace('+', 'with').replace(',', '')}-{seed}"
            where = [f"--data.root={data}", f"--out={folder}", f"--seed={seed}", "--page=false"]
            if not (folder / "metrics.json").exists():
                code = main(["fit", f"--config={config}", *options, *where])
                if code:
                    raise SystemExit(code)
            scores += rows(variant, json.loads((folder / "metrics.json").read_text()))
            with (Path(out) / "scores.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
                writer.writerows(scores)


if __name__ == "__main__":
    run()
