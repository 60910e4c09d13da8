"""Means and standard deviations over seeds: `python summary.py SCORES.csv OUT_FOLDER` writes the tables of the page."""

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

Key = tuple[str, str, str, str]


def spread(values: list[float], scale: float = 100) -> str:
    """Mean and standard deviation."""
    scaled = [scale * value for value in values]
    return f"{statistics.mean(scaled):.1f} ± {statistics.stdev(scaled):.1f}" if len(scaled) > 1 else f"{scaled[0]:.1f}"


def read(path: str) -> dict[Key, list[dict[str, str]]]:
    """Rows by variant, recall, rerank and direction."""
    rows: dict[Key, list[dict[str, str]]] = defaultdict(list)
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["variant"], row["recall"], row["rerank"], row["direction"]].append(row)
    return rows


def cells(rows: list[dict[str, str]]) -> list[str]:
    """Number of seeds, R@1, R@5, R@10 in percent, median and mean rank."""
    hits = [spread([float(row[name]) for row in rows]) for name in ("hit@1", "hit@5", "hit@10")]
    return [
        str(len(rows)),
        *hits,
        *(spread([float(row[name]) for row in rows], 1) for name in ("median_rank", "mean_rank")),
    ]


def write(path: Path, head: list[str], rows: list[list[str]]) -> None:
    """Writes a table."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def main() -> None:
    """Writes the tables."""
    rows, out = read(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    head = ["seeds", "R@1", "R@5", "R@10", "MdR", "MnR"]
    float_variants = ("coarse only", "+ frames", "+ correlation")
    ways = (
        ("values", "alone", "coarse vectors"),
        ("values", "k=50", "coarse vectors, rerank of 50"),
        ("all", "alone", "all reranked"),
    )
    write(
        out / "stages.csv",
        ["trained with", "searched by", *head],
        [
            [variant, title, *cells(rows[variant, recall, way, "text_to_video"])]
            for variant in float_variants
            if any(key[0] == variant for key in rows)
            for recall, way, title in ways
        ],
    )
    coded = [variant for variant in dict.fromkeys(key[0] for key in rows) if "bits" in variant]
    ways = (
        ("values", "alone", "relaxed coarse vectors"),
        ("codes", "alone", "codes"),
        ("codes", "k=50", "codes, rerank of 50"),
        ("all", "alone", "all reranked"),
    )
    write(
        out / "codes.csv",
        ["network", "searched by", *head],
        [
            [variant, title, *cells(rows[variant, recall, way, "text_to_video"])]
            for variant in coded
            for recall, way, title in ways
        ],
    )
    names = {"video_to_text_by_video": "by video", "video_to_text_by_caption": "by caption"}
    write(
        out / "video-to-text.csv",
        ["trained with", "direction", *head],
        [
            [variant, title, *cells(rows[variant, "values", "k=50", name])]
            for variant in float_variants
            if any(key[0] == variant for key in rows)
            for name, title in names.items()
        ],
    )


if __name__ == "__main__":
    main()
