"""`avnas data captions` and `avnas data text`."""

import json
import shutil

import numpy as np
import pytest

from avhash_nas.cli import main
from avhash_nas.data import HashingData, check
from extraction.checkpoints import save_sentence_transformer


@pytest.fixture
def dataset(tiny_data, tmp_path):
    """A dataset, and the files of a published one with captions of its videos."""
    root, source = tmp_path / "data", tmp_path / "source"
    shutil.copytree(tiny_data, root)
    source.mkdir()
    captions = {}
    for split in ("train", "val", "test"):
        ids = [line.split(",")[0] for line in (root / f"{split}.txt").read_text().splitlines()]
        (source / f"{split}_list.txt").write_text("".join(f"{video}\n" for video in ids))
        captions |= {video: [f"a dog {video}", "a cat runs"] for video in ids}
    (source / "ref_captions.json").write_text(json.dumps(captions))
    return root, source


def test_captions_are_imported_and_encoded(dataset, capsys, tmp_path):
    root, source = dataset
    assert main(["data", "captions", str(source), "--dataset=vatex", f"--out={root}"]) == 0
    assert "144 captions; videos with captions: 40 train, 16 val, 16 test" in capsys.readouterr().out
    assert main(["data", "text", str(root), "--encoder=character_ngrams", "--encoder.width=32"]) == 0
    assert "144 vectors of width 32 by CharacterNgrams(width=32, shortest=3, longest=5)" in capsys.readouterr().out
    data = HashingData(root, cache_dir=tmp_path / "cache").prepare()
    assert data.text_dim == 32
    np.testing.assert_allclose(np.linalg.norm(data.captions.vectors, axis=1), 1, rtol=1e-5)
    assert not check(root).problems


def test_long_captions_are_refused_before_any_is_encoded(dataset, capsys, tmp_path):
    root, _ = dataset
    folder = save_sentence_transformer(tmp_path / "encoder")
    ids = [line.split(",")[0] for line in (root / "train.txt").read_text().splitlines()]
    lines = [json.dumps({"video": ids[n], "text": "dog " * length}) for n, length in enumerate((3, 9, 20))]
    (root / "captions.jsonl").write_text("\n".join(lines))
    with (root / "dataset.yaml").open("a") as file:
        file.write("captions: captions.jsonl\n")
    command = ["data", "text", str(root), "--encoder=sentence_transformer", f"--encoder.checkpoint={folder}"]
    assert main(command) == 2
    assert "caption 2 has 11 tokens, and 1 more are too long; the encoder takes 10: shorten" in capsys.readouterr().err
    assert not (root / "text.h5").exists()
    assert main([*command, "--encoder.truncate=true"]) == 0


def test_datasets_without_captions_are_refused(tiny_data, capsys):
    assert main(["data", "text", str(tiny_data), "--encoder=character_ngrams"]) == 2
    assert "names no captions" in capsys.readouterr().err
