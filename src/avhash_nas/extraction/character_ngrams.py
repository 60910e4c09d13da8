"""Text vectors without a model: hashed n-grams of characters."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import Vectors
from avhash_nas.extraction.text_encoder import TextEncoder


class CharacterNgrams(TextEncoder):
    """Counts of character n-grams, hashed into a fixed width with signs (Weinberger et al., 2009), of length 1.

    It needs no download and takes texts of any language and length, but knows no meaning: two texts are similar if they
    are spelled alike. N-grams are those of the case-folded text with a space at each end; a count enters by its square
    root.

    Args:
        width: Dimensions of a vector.
        shortest: Characters of the shortest n-grams.
        longest: Characters of the longest n-grams.
    """

    def __init__(self, width: int = 512, shortest: int = 3, longest: int = 5) -> None:
        if width < 1 or not 1 <= shortest <= longest:
            raise AvnasError(
                f"width={width}, shortest={shortest}, longest={longest}: expected 1 <= shortest <= longest"
            )
        self.width = width
        self.shortest = shortest
        self.longest = longest

    @property
    @override
    def dim(self) -> int:
        return self.width

    @override
    def arguments(self) -> dict[str, Any]:
        return {"width": self.width, "shortest": self.shortest, "longest": self.longest}

    @override
    def __call__(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.width), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for gram, count in self._ngrams(text).items():
                number = int.from_bytes(blake2b(gram.encode(), digest_size=8).digest(), "little")
                vector[number // 2 % self.width] += (1 - 2 * (number % 2)) * count**0.5
            vector /= np.linalg.norm(vector) or 1
        return vectors

    def _ngrams(self, text: str) -> Counter[str]:
        plain = f" {' '.join(unicodedata.normalize('NFKC', text).casefold().split())} "
        sizes = range(self.shortest, self.longest + 1)
        return Counter(plain[at : at + size] for size in sizes for at in range(max(1, len(plain) - size + 1)))
