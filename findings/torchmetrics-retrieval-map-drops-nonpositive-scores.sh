#!/bin/sh
# torchmetrics 1.9.0: RetrievalMAP counts a relevant item only if its score is above zero. Scores need only an order for
# average precision, so the natural score of hashing, the negative Hamming distance, is valid; yet every hit is dropped
# and the result is 0. The same order shifted above zero gives the right value, 5/6. A hit at a score of exactly 0 (the
# logit of probability one half, or an equal code) is dropped as well.
# Output: negative distances 0.0, shifted above zero 0.8333.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0
"$folder/env/bin/pip" install -q --disable-pip-version-check torchmetrics==1.9.0
OMP_NUM_THREADS=1 "$folder/env/bin/python" - <<'PYTHON'
import torch
from torchmetrics.retrieval import RetrievalMAP

distances = torch.tensor([1.0, 2.0, 3.0])
relevant = torch.tensor([True, False, True])
query = torch.zeros(3, dtype=torch.long)
negative = float(RetrievalMAP()(-distances, relevant, query))
shifted = float(RetrievalMAP()(10 - distances, relevant, query))
print(f"negative distances {negative}, shifted above zero {shifted:.4f}")
assert negative == 0.0 and abs(shifted - 5 / 6) < 1e-6
PYTHON
