"""Random codes, and addresses of new stores."""

import itertools
import re

import numpy as np
import pytest

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import HNSW, IVF, MIH, Flat

MODEL = "0123456789abcdef"
KINDS = {"flat": Flat(), "ivf": IVF(nprobe=1000), "mih": MIH(), "hnsw": HNSW(m=8, ef_construction=40)}
ON_MILVUS = {"milvus-flat": Flat(), "milvus-ivf": IVF(nprobe=1000)}
ON_POSTGRES = {"postgres-flat": Flat(), "postgres-ivf": IVF(nprobe=1000), "postgres-hnsw": HNSW(m=8)}
SERVED = ON_MILVUS | ON_POSTGRES
STORES = (*KINDS, "milvus", *(pytest.param(name, marks=pytest.mark.services) for name in SERVED))


def codes_of(names, packed=None, *, seed=0, bits=12, spread=4, **changes):
    """Random codes with small distances, hence many ties, and random values, frames and labels."""
    rng = np.random.default_rng(seed)
    ids = np.array(names, np.str_)
    width = -(-bits // 8)
    if packed is None:
        packed = rng.integers(0, spread, (len(ids), width), dtype=np.uint8)
    parts = {
        "ids": ids,
        "packed": np.asarray(packed, np.uint8).reshape(len(ids), width),
        "bits": bits,
        "fingerprint": MODEL,
        "values": rng.uniform(-1, 1, (len(ids), bits)).astype(np.float16),
        "frames": rng.normal(size=(len(ids), 3, 5)).astype(np.float16),
        "labels": rng.random((len(ids), 10)) < 0.3,
        "class_names": tuple(f"class {number}" for number in range(10)),
        "extraction": {"steps": 25},
    }
    return CodeSet(**{**parts, **changes})


class Places:
    """Addresses of new stores of one kind.

    Args:
        name: The kind.
        folder: Of files.
        server: Address of Milvus or PostgreSQL; None for files of FAISS.
    """

    def __init__(self, name, folder, server=None):
        self.name = name
        self.kind = (KINDS | SERVED).get(name, Flat())
        self.exact = "hnsw" not in name
        self.ordered_by_id = "milvus" in name
        self._server = server
        self._folder = folder
        self._count = itertools.count()

    def new(self):
        """An unused address."""
        number = next(self._count)
        if self._server is not None:
            name = re.sub(r"\W", "_", self._folder.name.lower())[-30:]
            return f"{self._server}#t{name}_{number}"
        return str(self._folder / f"{number}.avnas")
