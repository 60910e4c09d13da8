"""The script that scores the answers to the stamps videos counts as the library's measures do."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("faiss")

from avhash_nas.code_set import CodeSet
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.retrieval import create_store
from avhash_nas.serving import VideoSearch
from experiments.loading import load


@pytest.mark.parametrize("videos", [40, 260])
def test_answers_of_an_index_score_as_its_codes_do(videos: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(videos)
    labels = np.eye(5, dtype=bool)[rng.integers(5, size=videos + 20)]
    packed = rng.integers(256, size=(videos + 20, 1), dtype=np.uint8)  # 8 bits: many ties
    ids = np.array([f"video {i}" for i in rng.permutation(videos)])
    names = tuple("abcde")
    database = CodeSet(ids, packed[20:], 8, "a network", labels=labels[20:], class_names=names)
    search = VideoSearch(create_store(str(tmp_path / "index"), database))
    script = load("stamps/videos/score_answers.py")
    found = []
    for code, row in zip(packed[:20], labels[:20], strict=True):
        answers = search.by_code(code.tobytes().hex(), top=videos)
        found.append(script.precisions(script.ties_as_in_test(answers), {names[row.argmax()]}))
    wanted = evaluate(
        *(torch.from_numpy(array) for array in (packed[:20], labels[:20], packed[20:], labels[20:])),
        ks=(100,),
        database_ids=ids_from_names(ids.tolist()),
    ).to_dict()["map@100"]
    assert np.mean(found, 0) == pytest.approx([wanted["retrieved"], wanted["standard"]], abs=1e-6)
