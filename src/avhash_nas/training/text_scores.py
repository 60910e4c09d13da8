"""Scores of captions that search for their video, and of videos that search for their caption."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.codes import pack
from avhash_nas.data import HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import (
    Matching,
    OneTargetScores,
    bytes_per_video,
    counted_cost,
    hamming_distances,
    published_cost,
    text_to_video,
    video_to_text,
)
from avhash_nas.metrics.one_target import KS, Direction
from avhash_nas.metrics.ties import tie_order
from avhash_nas.networks import TextHashNetwork, TextViews, VideoViews
from avhash_nas.networks.text_gate import scored_gate, unit, vector_gate
from avhash_nas.networks.video_network import evaluating
from avhash_nas.objectives import EERCFLoss

Matrix = NDArray[np.float32]

TEXT_SCORE = "text_hits"
"""The score that selects an epoch of a network with a text side; see `selection_score`."""

DEPTHS = (10, 20, 50, 100)
"""The k at which a test reranks; EERCF's is 50."""

_BLOCK = 64


@dataclass(frozen=True)
class FineWeights:
    """What a rerank adds up; the defaults are those of EERCF's authors at test time.

    Attributes:
        frames: Of s_F, the frames' similarities weighed by the text.
        context: Of s_G, the attended frames with context; 0 where the network has none.
        patches: Of s_P; 0 without patches.
        coarse: Of s_V, the coarse vectors.
        frame_temperature: Of the gate of s_F.
        context_temperature: Of the gate of s_G.
        patch_temperature: Of the gate of s_P.
    """

    frames: float = 0.8
    context: float = 0.2
    patches: float = 0.2
    coarse: float = 0.5
    frame_temperature: float = 0.01
    context_temperature: float = 0.1
    patch_temperature: float = 0.01

    @classmethod
    def trained_by(cls, objective: object) -> "FineWeights":
        """The authors' weights, with the temperatures that an objective has trained with."""
        names = [name for name in ("frame", "context", "patch") if isinstance(objective, EERCFLoss)]
        return cls(**{f"{name}_temperature": getattr(objective, f"{name}_temperature") for name in names})


@dataclass(frozen=True)
class Views:
    """Captions of a split and the videos of the split that have captions, as a network sees them.

    Attributes:
        texts: The n captions.
        videos: The N videos.
        own: The video of each caption, (n,).
        frames: T.
        patches: P of a time step; 0 without patches.
    """

    texts: TextViews
    videos: VideoViews
    own: NDArray[np.int64]
    frames: int
    patches: int


def text_scores(
    network: TextHashNetwork,
    data: HashingData,
    split: str = "test",
    depths: Sequence[int] = (50,),
    weights: FineWeights | None = None,
    *,
    language: str | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Scores a network with a text side by the captions of a split, among the videos of this split.

    Recall is by coarse vectors (`values`) or by the Hamming distance of the codes (`codes`); the first k are reranked.
    From videos to texts, recall takes the first k captions of a video: a search of its own, while the code of EERCF
    reuses the ranking that was lifted from texts to videos.

    Args:
        network: The network.
        data: The dataset, open.
        split: Whose captions and videos.
        depths: k of each rerank.
        weights: Of the rerank.
        language: Only captions in this language; None for all.
        seed: Breaks the ties at the end of a recall.

    Returns:
        `weights` of the rerank; `scores`: by recall, `alone`, `k=50` and so on, and `all` for every video reranked, the
        scores by direction; `cost`: multiply-adds and bytes. None if the split has no captions.
    """
    views = split_views(network, data, split, language)
    if views is None:
        return None
    recalls = recall_scores(views)
    weights = weights or FineWeights()
    fine = fine_scores(views, weights, recalls["values"])
    scores: dict[str, dict[str, Any]] = {}
    for name, recall in recalls.items():
        scores[name] = {"alone": _directions(recall, recall.T, views.own)}
        for depth in depths:
            reranked = (two_stage(recall, fine, depth, seed), two_stage(recall.T, fine.T, depth, seed))
            scores[name][f"k={depth}"] = _directions(*reranked, views.own)
    scores["all"] = {"alone": _directions(fine, fine.T, views.own)}
    return {
        "weights": asdict(weights),
        "captions": len(views.own),
        "videos": len(views.videos.coarse),
        "scores": scores,
        "cost": _cost(views, depths, network.bits),
    }


def selection_score(network: TextHashNetwork, data: HashingData) -> float:
    """Mean of hit@1, hit@5 and hit@10 from the captions of val to its videos, by coarse vectors and by codes, 0..1.

    The authors of EERCF select by R@1 + R@5 + R@10 as well, on the test split.

    Raises:
        AvnasError: No video of val has a caption.
    """
    views = split_views(network, data, "val", None)
    if views is None:
        raise AvnasError(f"{data.root}: no video of val has a caption, by which the best epoch is selected")
    ranks = [text_to_video(recall, views.own) for recall in recall_scores(views).values()]
    return float(np.mean([each.hits(k) for each in ranks for k in KS]))


def recall_scores(views: Views) -> dict[str, Matrix]:
    """Scores of all pairs by coarse vectors (`values`) and by codes, (captions, videos)."""
    coarse = (unit(views.texts.coarse) @ unit(views.videos.coarse).T).numpy()
    distances = hamming_distances(pack(views.texts.codes), pack(views.videos.codes)).numpy()
    return {"values": coarse, "codes": -distances.astype(np.float32)}


def split_views(network: TextHashNetwork, data: HashingData, split: str, language: str | None) -> Views | None:
    """Captions and videos of a split in main memory; None without captions."""
    found = data.captions
    data.text_dim  # noqa: B018  # says what is missing
    assert found is not None, "checked by text_dim"
    assert found.vectors is not None, "checked by text_dim"
    positions = found.of(data.splits[split], language)
    if not len(positions):
        return None
    rows, own = np.unique(found.rows[positions], return_inverse=True)
    weight = next(network.parameters())
    with torch.inference_mode(), evaluating(network):
        texts = [
            network.text_views(torch.from_numpy(found.vectors[positions[start : start + 1024]]).to(weight))
            for start in range(0, len(positions), 1024)
        ]
        videos = []
        for piece in data.pieces(rows):
            visual, audio = piece.visual.to(weight), piece.audio.to(weight)
            patches = None
            if data.patches is not None:
                read = torch.from_numpy(data.patches.read(piece.index.numpy())).to(weight)
                patches = read.view(*read.shape[:2], -1, visual.shape[2])
            videos.append(network.video_views(visual, audio, patches))
    joined = VideoViews(*map(_joined, zip(*videos, strict=True)))  # type: ignore[arg-type]
    count = 0 if joined.patches is None else joined.patches.shape[1] // joined.frames.shape[1]
    texts_joined = TextViews(*map(_joined, zip(*texts, strict=True)))  # type: ignore[arg-type]
    return Views(texts_joined, joined, own.astype(np.int64), joined.frames.shape[1], count)


def fine_scores(views: Views, weights: FineWeights, coarse: Matrix) -> Matrix:
    """What a rerank sorts by, for all pairs, (captions, videos)."""
    total = weights.coarse * coarse
    videos = views.videos
    for start in range(0, len(total), _BLOCK):
        text = views.texts.vector[start : start + _BLOCK]
        block = torch.from_numpy(total[start : start + _BLOCK])
        if weights.frames:
            block += weights.frames * scored_gate(text, videos.frames, weights.frame_temperature)
        if weights.context and videos.context is not None:
            block += weights.context * vector_gate(text, videos.frames, videos.context, weights.context_temperature)
        if weights.patches and videos.patches is not None:
            block += weights.patches * scored_gate(text, videos.patches, weights.patch_temperature)
    return total


def two_stage(recall: Matrix, fine: Matrix, depth: int, seed: int = 0) -> Matrix:
    """Scores that order each row by `fine` among the first `depth` by `recall`, and by `recall` behind them.

    Args:
        recall: (queries, items), higher is nearer.
        fine: (queries, items), within [-10, 10].
        depth: k.
        seed: Of the permutation by which ties at the end of the recall are broken.
    """
    order = tie_order(np.arange(recall.shape[1]), seed)
    scores = np.empty_like(recall, dtype=np.float32)
    for row, (first, second) in enumerate(zip(recall, fine, strict=True)):
        distinct, place = np.unique(first, return_inverse=True)
        scores[row] = place / len(distinct) - 100  # ranks alone, so that no score reaches those of the rerank
        nearest = order[np.argsort(-first[order], kind="stable")[:depth]]
        scores[row, nearest] = second[nearest]
    return scores


def _directions(by_text: Matrix, by_video: Matrix, own: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Scores of both directions; `by_video` has a row for each video."""
    ranks = {"text_to_video": text_to_video(by_text, own)}
    for way in get_args(Direction):
        ranks[f"video_to_text_{way}"] = video_to_text(by_video.T, own, way)
    captions, videos = len(by_text), len(by_video)
    return {
        name: OneTargetScores.of(each, captions if name.endswith("by_caption") else videos).to_dict()
        for name, each in ranks.items()
    }


def _cost(views: Views, depths: Sequence[int], bits: int) -> dict[str, Any]:
    """Multiply-adds a pair and bytes a video."""
    videos, width = views.videos.coarse.shape
    context = views.videos.context is not None
    shape = {"width": width, "frames": views.frames, "patches": views.patches, "videos": videos}
    costs = {f"k={depth}": Matching(depth=depth, **shape) for depth in depths} | {
        "all": Matching(depth=videos, **shape)
    }
    return {
        "published": {"alone": width, **{name: published_cost(each) for name, each in costs.items()}},
        "counted": {name: counted_cost(each, context=context) for name, each in costs.items()},
        "bytes": {
            "values": bytes_per_video(costs["all"], context=context),
            "codes": bytes_per_video(costs["all"], context=context, code_bits=bits),
            "codes alone": -(-bits // 8),
        },
    }


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    if parts[0] is None:
        return None
    return torch.cat([part.float().cpu() for part in parts if part is not None])
