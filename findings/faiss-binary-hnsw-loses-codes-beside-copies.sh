#!/bin/sh
# faiss-cpu 1.15.1: an IndexBinaryHNSW of 10,000 copies of one code and 10 other codes. A query that equals one of the
# ten is answered with a copy, at efSearch 512 and whichever part was added first: the links of a node are
# used up by its copies, which lie at distance 0, so no path leads to the others. Videos that share a code do this to
# their neighbors. Output: 0 of 10 codes found, whichever were added first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/env/bin/python" - <<'PYTHON'
import faiss
import numpy as np

faiss.omp_set_num_threads(1)
random = np.random.default_rng(0)
copies = np.repeat(random.integers(0, 256, (1, 8), np.uint8), 10_000, axis=0)
others = random.integers(0, 256, (10, 8), np.uint8)
for name, parts in (("copies", (copies, others)), ("others", (others, copies))):
    index = faiss.IndexBinaryHNSW(64, 16)
    index.hnsw.efSearch = 512
    index.add(np.concatenate(parts))
    distances, _ = index.search(others, 1)
    found = int((distances[:, 0] == 0).sum())
    print(f"{found} of 10 codes found, {name} added first")
    assert found == 0
    exact = faiss.IndexBinaryFlat(64)
    exact.add(np.concatenate(parts))
    assert (exact.search(others, 1)[0] == 0).all()
PYTHON
