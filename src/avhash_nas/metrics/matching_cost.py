"""What comparing a text with a video costs: multiply-adds a pair, and bytes a video.

Letters: N videos, the first k of which are reranked, F frames of P patches, L tokens, joint width d. The formulae are
those behind the tables of EERCF (Tian et al., AAAI 2024, arXiv 2401.00701), which call a multiply-add an operation.
They leave out folding W into the text and the second reading of the frames, which `counted_cost` has.
"""

from dataclasses import dataclass

from avhash_nas.errors import AvnasError


@dataclass(frozen=True)
class Matching:
    """What is compared.

    Args:
        width: d.
        frames: F.
        patches: P of a frame; 0 without patches.
        videos: N.
        depth: k, the number of videos to rerank; 0 for recall alone.

    Raises:
        AvnasError: A number is out of range.
    """

    width: int
    frames: int
    patches: int = 0
    videos: int = 1
    depth: int = 0

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("frames", 0), ("patches", 0), ("videos", 1), ("depth", 0)):
            if getattr(self, name) < least:
                raise AvnasError(f"{name}={getattr(self, name)} must be at least {least}")

    @property
    def share(self) -> float:
        """Share k / N of the videos that is reranked."""
        return min(self.depth, self.videos) / self.videos


def published_cost(matching: Matching) -> float:
    """Multiply-adds a pair of text and video as EERCF counts them: d + k/N [F d + F P d + F + F P].

    >>> round(published_cost(Matching(512, 12, 49, videos=1000, depth=50)))
    15902
    """
    parts = matching.frames * (1 + matching.patches)
    return matching.width + matching.share * parts * (matching.width + 1)


def x_clip_cost(matching: Matching, tokens: int) -> int:
    """Multiply-adds a pair of full fine-grained matching, X-CLIP's, as EERCF counts them: d + L d + F d + L F d."""
    return matching.width * (1 + tokens) * (1 + matching.frames)


def counted_cost(matching: Matching, *, context: bool = True) -> float:
    """Multiply-adds a pair that scoring by `avhash_nas.networks.text_gate` takes, exponentials and lengths apart.

    Folding W into the text takes d^2 once a query. A candidate takes F d for the similarities and F for their weighted
    sum; the same for patches; and, for the second reading of the frames, F d for the attended vector, and d each for
    its length and for its similarity.

    Args:
        matching: What is compared.
        context: Whether the second reading, s_G, is among the scores.
    """
    width, parts = matching.width, matching.frames * (1 + matching.patches)
    second = matching.frames * width + 2 * width if context else 0
    return width + width**2 / matching.videos + matching.share * (parts * (width + 1) + second)


def bytes_per_video(matching: Matching, value_bytes: int = 2, *, context: bool = False, code_bits: int = 0) -> int:
    """Bytes that a database keeps for a video.

    Args:
        matching: What is compared.
        value_bytes: Bytes of a value, 2 for float16.
        context: Whether frames with context are kept beside the frames, for s_G.
        code_bits: Length of the binary code that takes the place of the coarse vector; 0 for the coarse vector itself.
    """
    coarse = -(-code_bits // 8) if code_bits else matching.width * value_bytes
    vectors = matching.frames * (1 + matching.patches + bool(context))
    return coarse + vectors * matching.width * value_bytes
