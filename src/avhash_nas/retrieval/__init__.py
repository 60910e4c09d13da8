"""Code search: recall by Hamming distance, then rerank."""

from avhash_nas.retrieval.asymmetric import AsymmetricRerank
from avhash_nas.retrieval.columns import join_codes
from avhash_nas.retrieval.flat import Flat
from avhash_nas.retrieval.frames import FrameRerank
from avhash_nas.retrieval.hnsw import HNSW
from avhash_nas.retrieval.index_kind import IndexKind
from avhash_nas.retrieval.ivf import IVF
from avhash_nas.retrieval.mih import MIH
from avhash_nas.retrieval.rerank import Rerank
from avhash_nas.retrieval.reranked_scores import reranked_scores
from avhash_nas.retrieval.store import CodeStore, Neighbors, StoreHeader
from avhash_nas.retrieval.stores import create_store, open_store
from avhash_nas.retrieval.text_gated import TextGatedRerank
from avhash_nas.retrieval.values import ValueRerank

__all__ = [
    "HNSW",
    "IVF",
    "MIH",
    "AsymmetricRerank",
    "CodeStore",
    "Flat",
    "FrameRerank",
    "IndexKind",
    "Neighbors",
    "Rerank",
    "StoreHeader",
    "TextGatedRerank",
    "ValueRerank",
    "create_store",
    "join_codes",
    "open_store",
    "reranked_scores",
]
