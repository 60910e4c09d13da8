"""Searching codes: recall by Hamming distance, then rerank."""

from avhash_nas.retrieval.asymmetric import AsymmetricRerank
from avhash_nas.retrieval.frames import FrameRerank
from avhash_nas.retrieval.rerank import Rerank
from avhash_nas.retrieval.values import ValueRerank

__all__ = [
    "AsymmetricRerank",
    "FrameRerank",
    "Rerank",
    "ValueRerank",
]
