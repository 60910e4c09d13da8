"""Code sets of random videos."""

import numpy as np

from avhash_nas.code_set import CodeSet


def code_set(seed, count, bits=12, steps=5, classes=4, prefix="v", fingerprint="0123"):
    """Random codes, of 12 bits by default: many distances are equal, and the last byte is half full."""
    random = np.random.default_rng(seed)
    values = np.tanh(random.normal(size=(count, bits))).astype(np.float16)
    return CodeSet(
        ids=np.array([f"{prefix}{place}" for place in range(count)]),
        packed=np.packbits(values >= 0, axis=1),
        bits=bits,
        fingerprint=fingerprint,
        values=values,
        frames=np.tanh(random.normal(size=(count, steps, bits))).astype(np.float16),
        labels=random.random((count, classes)) < 0.4,
        class_names=tuple(f"class {place}" for place in range(classes)),
    )
