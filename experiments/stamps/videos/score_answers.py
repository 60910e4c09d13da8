"""mAP@100 of the whole way: each test video goes as a file through extraction, network and index, as a query would.

python experiments/stamps/videos/score_answers.py --store STORE --run RUN --media MEDIA

MEDIA is the folder that make_videos.py filled. Answers at one distance come in the order of the index, and in the run's
own test in one drawn from its ids. With the latter the figures must be those of RUN/metrics.json, where average
precision is computed by other code, from features read from files: exit code 1 tells that they are not.
"""

import argparse
import csv
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avhash_nas.cli.query import query_extraction, query_network
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.progress import Progress
from avhash_nas.files import read_json
from avhash_nas.metrics.ties import ids_from_names, tie_order
from avhash_nas.retrieval import open_store
from avhash_nas.serving import Answer, VideoSearch

K = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, score, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="what `avnas index` made of the training videos' codes")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run whose network made the codes")
    parser.add_argument("--media", type=Path, required=True, help="folder with labels.csv and videos/")
    options = parser.parse_args(arguments)
    try:
        return score(options.store, options.run, options.media)
    except AvnasError as error:
        print(f"score_answers: error: {error}", file=sys.stderr)
        return 2


def score(where: str, run: Path, media: Path) -> int:
    """As `main`."""
    search = open_search(where, str(run))
    with (media / "labels.csv").open(newline="", encoding="utf-8") as file:
        queries = [row for row in csv.DictReader(file) if row["split"] == "test"]
    answered, as_test = [], []
    started = time.perf_counter()
    with Progress(len(queries)) as progress:
        for row in queries:
            answers = search.by_video(media / "videos" / row["file"], top=len(search.store))
            wanted = set(row["labels"].split(";"))
            answered.append(precisions(answers, wanted))
            as_test.append(precisions(ties_as_in_test(answers), wanted))
            progress.advance()
    seconds = (time.perf_counter() - started) / len(queries)
    said = read_json(run / "metrics.json")["test"]["map@100"]
    figures = {
        "answers": np.mean(answered, 0),
        "answers, ties as in the run's test": np.mean(as_test, 0),
        f"{run / 'metrics.json'}": (said["retrieved"], said["standard"]),
    }
    for name, (retrieved, standard) in figures.items():
        print(f"mAP@{K}  retrieved {retrieved:.4f}  standard {standard:.4f}  {name}")
    print(f"{len(queries)} queries, {1000 * seconds:.0f} ms each, from file to ranking")
    same = np.allclose(figures["answers, ties as in the run's test"], (said["retrieved"], said["standard"]), atol=1e-6)
    if not same:
        print("score_answers: the answers are not those of the run's own test", file=sys.stderr)
    return 0 if same else 1


def open_search(where: str, run: str) -> VideoSearch:
    """The search that `avnas query` makes."""
    store = open_store(where)
    network = query_network(run, "cpu")
    return VideoSearch(store, network, query_extraction(store, run, network))


def precisions(answers: Sequence[Answer], wanted: set[str]) -> tuple[float, float]:
    """AP@100 of one query: divided by the hits within 100, and by min(100, relevant).

    Args:
        answers: The whole database, best first.
        wanted: Labels of the query.
    """
    hits = [not wanted.isdisjoint(answer.labels) for answer in answers]
    found = math.fsum(sum(hits[:rank]) / rank for rank in range(1, min(K, len(hits)) + 1) if hits[rank - 1])
    return found / max(sum(hits[:K]), 1), found / max(min(K, sum(hits)), 1)


def ties_as_in_test(answers: Sequence[Answer]) -> list[Answer]:
    """Answers at one distance in the order that `avnas fit` and `avnas test` give them.

    Args:
        answers: The whole database.
    """
    order = tie_order(ids_from_names(answer.id for answer in answers).numpy(), seed=0)
    return sorted((answers[place] for place in order), key=lambda answer: answer.distance)


if __name__ == "__main__":
    sys.exit(main())
