"""Searching codes: recall by Hamming distance, then rerank."""

from avhash_nas.retrieval.asymmetric import AsymmetricRerank
from avhash_nas.retrieval.flat import Flat
from avhash_nas.retrieval.frames import FrameRerank
from avhash_nas.retrieval.index_kind import IndexKind
from avhash_nas.retrieval.rerank import Rerank
from avhash_nas.retrieval.store import CodeStore, Found, StoreHeader, create_store, open_store
from avhash_nas.retrieval.values import ValueRerank

__all__ = [
    "AsymmetricRerank",
    "CodeStore",
    "Flat",
    "Found",
    "FrameRerank",
    "IndexKind",
    "Rerank",
    "StoreHeader",
    "ValueRerank",
    "create_store",
    "open_store",
]
