"""Text-gated interaction of EERCF (Tian et al., AAAI 2024, arXiv 2401.00701), without parameters, in both readings.

A text t weighs the n parts x_1..x_n of a video (its frames, or the patches of all frames) by how similar they are,

    a_i = softmax_i( cos(t, x_i) / temperature ),

and the video's score is, in the reading *scored*, the weighted similarity sum_i a_i cos(t, x_i); in the reading
*vector*, the similarity of t and the weighted vector, cos(t, sum_i a_i y_i / |y_i|), for values y that may differ from
the parts. The paper describes one block; the authors' code has both. With y = x, scored is the length of the weighted
vector times vector. A low temperature gives the best part, a high one the mean.

Everything is computed in float32 at least, also under autocast. Letters: A texts, B videos, N parts, d width.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from avhash_nas.errors import AvnasError

Gate = Literal["query", "own"]
"""Which text weighs a video's parts: the one it is compared with, or its own caption, as the authors' code trains."""


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1 along the last axis, float32 at least; zeros stay zero."""
    return normalize(vectors if vectors.dtype == torch.float64 else vectors.float(), dim=-1, eps=1e-8)


def scored_gate(
    text: Tensor, parts: Tensor, temperature: float, *, mask: Tensor | None = None, gate: Gate = "query"
) -> Tensor:
    """Similarity of texts and videos in the reading *scored*.

    Args:
        text: (A, d).
        parts: (B, N, d).
        temperature: Divisor of the cosines, above 0.
        mask: Which parts exist, bool, (B, N); the authors' code lets padded frames take part. None for all.
        gate: `query`, or `own`, for which text j must be the caption of video j.

    Returns:
        (A, B), in [-1, 1].

    Raises:
        AvnasError: The temperature is not above 0, or the texts are not those of the videos for `own`.
    """
    with torch.autocast(text.device.type, enabled=False):
        cosines = _cosines(text, parts)
        return (_weights(cosines, temperature, mask, gate) * cosines).sum(dim=2)


def vector_gate(
    text: Tensor,
    parts: Tensor,
    values: Tensor,
    temperature: float,
    *,
    mask: Tensor | None = None,
    gate: Gate = "query",
    detach: bool = True,
) -> Tensor:
    """Similarity of texts and videos in the reading *vector*.

    The weighted vectors of all pairs, (A, B, d), are not formed: their lengths follow from the products of the values
    with each other.

    Args:
        text: (A, d).
        parts: (B, N, d), by which parts are weighed.
        values: (B, N, d), what is weighed.
        temperature: Divisor of the cosines, above 0.
        mask: Which parts exist, bool, (B, N); None for all.
        gate: As for `scored_gate`.
        detach: Let no gradient through the weights, as the authors' code does.

    Returns:
        (A, B), in [-1, 1].

    Raises:
        AvnasError: As `scored_gate`.
    """
    with torch.autocast(text.device.type, enabled=False):
        weights = _weights(_cosines(text, parts), temperature, mask, gate)
        if detach:
            weights = weights.detach()
        weights = weights.expand(len(text), -1, -1)
        units = unit(values)
        products = units @ units.transpose(1, 2)  # (B, N, N)
        square = torch.einsum("abn,bnm,abm->ab", weights, products, weights)
        top = (weights * _cosines(text, values)).sum(dim=2)
        return top / square.clamp(min=1e-16).sqrt()


def attended(text: Tensor, parts: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """The weighted vector of each video for its own caption, (B, d).

    Args:
        text: Captions of the B videos, (B, d).
        parts: (B, N, d).
        temperature: Divisor of the cosines, above 0.
        mask: Which parts exist, bool, (B, N); None for all.
    """
    with torch.autocast(text.device.type, enabled=False):
        units = unit(parts)
        cosines = torch.einsum("bd,bnd->bn", unit(text), units)
        return torch.einsum("bn,bnd->bd", _softmax(cosines, temperature, mask), units)


def _cosines(text: Tensor, parts: Tensor) -> Tensor:
    """(A, B, N)."""
    return torch.einsum("ad,bnd->abn", unit(text), unit(parts))


def _weights(cosines: Tensor, temperature: float, mask: Tensor | None, gate: Gate) -> Tensor:
    """(A, B, N), or (1, B, N) of each video's own caption."""
    if gate == "own":
        if cosines.shape[0] != cosines.shape[1]:
            raise AvnasError(f"gate='own': {cosines.shape[0]} texts are not the captions of {cosines.shape[1]} videos")
        cosines = torch.diagonal(cosines).T[None]
    return _softmax(cosines, temperature, mask)


def _softmax(cosines: Tensor, temperature: float, mask: Tensor | None) -> Tensor:
    if not temperature > 0:
        raise AvnasError(f"temperature: expected a number above 0, got {temperature}")
    if mask is not None:
        cosines = cosines.masked_fill(~mask, torch.finfo(cosines.dtype).min)
    return torch.softmax(cosines / temperature, dim=-1)
