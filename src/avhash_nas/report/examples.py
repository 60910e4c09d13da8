"""Example queries of a test with their nearest videos, with pictures if the dataset names its video files."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avhash_nas.code_set import CodeSet
from avhash_nas.data import Media
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import hamming_distances, ids_from_names
from avhash_nas.metrics.ties import tie_order

_HEIGHT = 90


@dataclass(frozen=True)
class ExampleVideo:
    """A video of an example.

    Attributes:
        id: Id of the video.
        labels: Names of its classes.
        distance: Hamming distance to the query; None for the query itself.
        relevant: Whether it shares a class with the query.
        picture: A frame as a data URI, or empty.
    """

    id: str
    labels: tuple[str, ...]
    distance: int | None = None
    relevant: bool = True
    picture: str = ""


@dataclass(frozen=True)
class Example:
    """A query and its nearest videos.

    Attributes:
        query: The query.
        answers: The nearest videos, nearest first.
    """

    query: ExampleVideo
    answers: tuple[ExampleVideo, ...]


def examples(
    query: CodeSet, database: CodeSet, media: Mapping[str, Media], count: int = 8, top: int = 8, seed: int = 0
) -> list[Example]:
    """Draw some queries and look up their nearest videos; a query is never its own answer.

    Args:
        query: Codes of the test split, with labels.
        database: Codes that were searched, with labels.
        media: Known video files, by id.
        count: Number of queries.
        top: Number of answers to each query.
        seed: Seed of the draw, and of the order at equal distances.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(query))[:count])
    order = tie_order(ids_from_names(database.ids.tolist()).numpy(), seed)
    items = database.take(order)
    distances = hamming_distances(torch.from_numpy(query.packed[drawn]), torch.from_numpy(items.packed)).numpy()
    drawn_examples = []
    for row, away in zip(drawn.tolist(), distances, strict=True):
        order_of_row = np.argsort(away, kind="stable")
        nearest = order_of_row[items.ids[order_of_row] != query.ids[row]][:top]
        answers = [
            _video(items, item, media, int(away[item]), _shares_class(query, row, items, item))
            for item in nearest.tolist()
        ]
        drawn_examples.append(Example(_video(query, row, media), tuple(answers)))
    return drawn_examples


def _shares_class(query: CodeSet, row: int, items: CodeSet, item: int) -> bool:
    assert query.labels is not None
    assert items.labels is not None
    return bool((query.labels[row] & items.labels[item]).any())


def _video(
    codes: CodeSet, row: int, media: Mapping[str, Media], distance: int | None = None, relevant: bool = True
) -> ExampleVideo:
    name = str(codes.ids[row])
    labels = () if codes.labels is None else tuple(codes.class_names[each] for each in codes.labels[row].nonzero()[0])
    picture = _picture(Path(media[name].path)) if name in media else ""
    return ExampleVideo(name, labels, distance, relevant, picture)


def _picture(path: Path) -> str:
    """The middle frame of a video as a small data URI; empty if the file is missing or cannot be read."""
    try:
        from PIL import Image

        from avhash_nas.extraction import read_clip

        frame = Image.fromarray(read_clip(path, steps=1, side=_HEIGHT).frames[0])
    except (ImportError, AvnasError):
        return ""
    buffer = io.BytesIO()
    frame.thumbnail((_HEIGHT * 2, _HEIGHT))
    frame.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
