"""Queries of a test and their first answers, with pictures where the dataset names its video files."""

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
class Shown:
    """A video as the page shows it.

    Attributes:
        id: Its id.
        labels: Names of its classes.
        distance: Hamming distance to the query; None for the query itself.
        relevant: Whether it shares a class with the query.
        picture: A frame as a data URI, or nothing.
    """

    id: str
    labels: tuple[str, ...]
    distance: int | None = None
    relevant: bool = True
    picture: str = ""


@dataclass(frozen=True)
class Example:
    """A query and its first answers.

    Attributes:
        query: The query.
        answers: Nearest first.
    """

    query: Shown
    answers: tuple[Shown, ...]


def examples(
    query: CodeSet, database: CodeSet, media: Mapping[str, Media], count: int = 8, top: int = 8, seed: int = 0
) -> list[Example]:
    """Draw some queries and look up their nearest videos.

    Args:
        query: Codes of the test split, with labels.
        database: Codes that were searched, with labels.
        media: Video files by id, as far as they are known.
        count: Queries.
        top: Answers of each.
        seed: Of the draw, and of the order at equal distances.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(query))[:count])
    order = tie_order(ids_from_names(database.ids.tolist()).numpy(), seed)
    items = database.take(order)
    distances = hamming_distances(torch.from_numpy(query.packed[drawn]), torch.from_numpy(items.packed)).numpy()
    found = []
    for row, away in zip(drawn.tolist(), distances, strict=True):
        nearest = np.argsort(away, kind="stable")[:top]
        answers = [
            _shown(items, int(each), media, int(away[each]), _shares(query, row, items, int(each))) for each in nearest
        ]
        found.append(Example(_shown(query, row, media), tuple(answers)))
    return found


def _shares(query: CodeSet, row: int, items: CodeSet, item: int) -> bool:
    assert query.labels is not None
    assert items.labels is not None
    return bool((query.labels[row] & items.labels[item]).any())


def _shown(
    codes: CodeSet, row: int, media: Mapping[str, Media], distance: int | None = None, relevant: bool = True
) -> Shown:
    video = str(codes.ids[row])
    labels = () if codes.labels is None else tuple(codes.class_names[each] for each in codes.labels[row].nonzero()[0])
    picture = _picture(Path(media[video].path)) if video in media else ""
    return Shown(video, labels, distance, relevant, picture)


def _picture(path: Path) -> str:
    """The frame in the middle of a video, small, as a data URI; nothing if the file is gone or cannot be read."""
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
