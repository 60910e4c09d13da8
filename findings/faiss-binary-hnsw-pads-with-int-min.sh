#!/bin/sh
# faiss-cpu 1.15.1: asked for more neighbors than there are, IndexBinaryFlat, IndexBinaryIVF, IndexBinaryHash and
# IndexBinaryMultiHash fill up with id -1 at distance 2147483647. IndexBinaryHNSW fills up with id -1 at distance
# -2147483648. Code that sorts answers by distance, or merges those of two indexes, puts the missing ones first.
# Output: flat 2147483647, hash 2147483647, multihash 2147483647, hnsw -2147483648.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/env/bin/python" - <<'PYTHON'
import faiss
import numpy as np

codes = np.random.default_rng(0).integers(0, 256, (10, 8), np.uint8)
indexes = {
    "flat": faiss.IndexBinaryFlat(64),
    "hash": faiss.IndexBinaryHash(64, 16),
    "multihash": faiss.IndexBinaryMultiHash(64, 4, 16),
    "hnsw": faiss.IndexBinaryHNSW(64, 16),
}
padding = {}
for name, index in indexes.items():
    index.add(codes)
    distances, ids = index.search(codes[:1], 15)
    assert ids[0, 0] == 0 and ids[0, -1] == -1, name
    padding[name] = int(distances[0, -1])
    print(name, padding[name])
assert padding == {"flat": 2**31 - 1, "hash": 2**31 - 1, "multihash": 2**31 - 1, "hnsw": -(2**31)}, padding
PYTHON
