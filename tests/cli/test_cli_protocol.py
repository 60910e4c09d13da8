"""Queries that are in the database, and videos without a label there, from the lists to the tables."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avhash_nas.code_set import CodeSet
from avhash_nas.data import HashingData, Shuffled
from avhash_nas.pipeline import flatten
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.retrieval import reranked_scores
from distributed.scoring import small_supernet
from reference import metrics_protocol as protocol
from training.tiny import avnas, metrics_of, tiny_set


def _lines(root: Path, split: str) -> list[str]:
    return (root / f"{split}.txt").read_text().split()


def _describe(root: Path, **entries: object) -> None:
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    (root / "dataset.yaml").write_text(yaml.safe_dump(described | entries))


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database: some training videos, all of test but one, and as many distractors as val has lost videos."""
    root = tiny_set(tmp_path_factory.mktemp("pooled") / "data")
    val = _lines(root, "val")
    distractors = [line.split(",")[0] + end for line, end in zip(val[8:], ["", ",-1"] * 4, strict=True)]
    (root / "val.txt").write_text("\n".join(val[:8]) + "\n")
    pool = [*_lines(root, "train")[:12], *_lines(root, "test")[1:], val[0], *distractors]
    (root / "pool.txt").write_text("\n".join(pool) + "\n")
    _describe(root, lists={"pool": "pool.txt"}, database="pool")
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, pooled: Path, tiny_cache: Path) -> Path:
    options = {
        "bits": 8,
        "page": False,
        "data": {"root": str(pooled), "cache_dir": str(tiny_cache), "eval_batch_size": 5},
        "network": {"class_path": "mlp", "init_args": {"hidden": 8}},
        "finetune": {"epochs": 1},
    }
    options["data"]["sampling"] = {"class_path": "ClassBalanced", "init_args": {"classes": 4, "videos": 2}}
    path = tmp_path_factory.mktemp("config") / "pooled.yaml"
    path.write_text(yaml.safe_dump(options))
    return path


@pytest.mark.parametrize("keep", [False, True])
def test_a_run_ranks_as_its_tables_say(
    keep: bool, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert avnas("fit", "--config", config, "--out", out, *(["--data.include_self=true"] if keep else [])) == 0
    printed = " ".join(capsys.readouterr().out.split())
    own = "15 of 16 queries are in the database"
    rule = "and each ranks itself there (data.include_self)" if keep else "each is left out of its own ranking"
    assert printed.count(own) == printed.count(rule) == 1
    assert printed.count("8 of 36 videos of the database have no label") == 1
    assert ("include_self" in yaml.safe_load((out / "config.yaml").read_text())["data"]) == keep

    queries, database = (CodeSet.load(out / "codes" / f"{role}.npz") for role in ("query", "database"))
    assert len(set(queries.ids) & set(database.ids)) == 15
    assert (~database.labels.any(axis=1)).sum() == 8
    test = metrics_of(out)["test"]
    for k in (5, 20, 100):
        expected, without = protocol.scores(queries, database, k, include_self=keep)
        assert test[f"map@{k}"] == pytest.approx(expected, abs=1e-12)
        assert test["queries_without_relevant"] == without
    again = flatten(reranked_scores(queries, database, None, exclude_self=not keep).to_dict())
    assert again == pytest.approx(flatten(test), abs=1e-12)

    assert avnas("test", "--run", out, "--accelerator=cpu") == 0
    assert " ".join(capsys.readouterr().out.split()).count(own) == 1
    assert avnas("test", "--run", out, "--accelerator=cpu", "--rerank=values", "--rerank.depth=5") == 0
    printed = capsys.readouterr().out
    assert printed.count(rule) == 1
    assert f"{test['map@5']['standard']:.4f}" in printed
    assert avnas("report", out, "--out", tmp_path / "page") == 0
    assert own in (tmp_path / "page" / "index.html").read_text()


def test_data_check_counts_both(pooled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("data", "check", pooled) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line.split() for line in lines if "pool (database)" in line)
    assert row[2:4] == ["36", "8"]
    assert any(line.startswith("15 of 16 test queries are in the database: each is left out") for line in lines)
    assert any(line.startswith("1 of 8 val queries are in the database: each is left out") for line in lines)


def test_one_video_a_class_in_its_own_database_has_no_relevant_one(
    tmp_path: Path, tiny_cache: Path, config: Path
) -> None:
    root = tiny_set(tmp_path / "data")
    by_class = {line.split(",")[1]: line for line in _lines(root, "test")}
    (root / "test.txt").write_text("\n".join(by_class.values()) + "\n")
    _describe(root, database="test")
    out = tmp_path / "run"
    assert avnas("fit", "--config", config, "--data.root", root, "--out", out) == 0
    metrics = metrics_of(out)
    assert metrics["test"]["map@5"] == {"retrieved": 0.0, "standard": 0.0, "k": 0.0}
    assert (metrics["test"]["queries"], metrics["test"]["queries_without_relevant"]) == (4, 4)
    assert metrics["chance"]["map@100"] == metrics["random_projection"]["map@100"] == metrics["test"]["map@100"]


@pytest.mark.parametrize("keep", [False, True])
def test_an_evaluator_ranks_val_by_the_same_rule(keep: bool, pooled: Path, tiny_cache: Path) -> None:
    data = HashingData(pooled, tiny_cache, Shuffled(4), database="val", include_self=keep).prepare()
    network = small_supernet("arch-1")
    architecture = network.space.only()
    assert architecture is not None
    found = ArchitectureScorer(network, data, Scoring(), torch.device("cpu")).scores([architecture])[0]
    batch = data.batch(data.splits["val"])
    codes = CodeSet(
        ids=np.array(data.ids)[batch.index],
        packed=network.encode(batch.visual, batch.audio).numpy(),
        bits=network.bits,
        fingerprint="",
        labels=batch.labels.numpy(),
        class_names=data.class_names,
    )
    assert found == pytest.approx(protocol.scores(codes, codes, 100, include_self=keep)[0], abs=1e-12)


def test_training_videos_without_a_label_need_an_objective_that_reads_none(
    pooled: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(pooled, root)
    train = _lines(root, "train")
    (root / "train.txt").write_text("\n".join([*train[:-2], *(line.split(",")[0] for line in train[-2:])]) + "\n")
    (root / "pool.txt").write_text("\n".join(_lines(root, "test")) + "\n")
    assert avnas("data", "check", root) == 0
    assert "warning: 2 training videos have no label" in capsys.readouterr().out
    fit = ("fit", "--config", config, "--data.root", root, "--out", tmp_path / "run")
    for more, reader in (((), "ClassBalanced"), (("--data.sampling=Shuffled",), "InfoNCE")):
        assert avnas(*fit, *more) == 2
        error = capsys.readouterr().err
        assert f"2 training videos have no label, such as {train[-2].split(',')[0]}, and {reader} reads" in error
        assert error.count("\n") == 1
        assert not (tmp_path / "run").exists()
    options = ("--network=conmh", "--data.sampling=Shuffled", "--data.sampling.batch_size=8", "--search.epochs=1")
    assert avnas(*fit, *options) == 0
