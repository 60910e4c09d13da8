"""Parsing from the command line: fit, search, test, and the timeline of a video."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from avhash_nas.data import ParsingData
from avhash_nas.metrics import parsing_scores
from avhash_nas.networks import AudioVisualParser, ParsingNetwork
from avhash_nas.report.run_page import run_sections
from avhash_nas.results import RunRecord
from avhash_nas.training.predictions import Predictions
from training.parsing_runs import events_set, parsing_options
from training.tiny import SMALL_SEARCHES, avnas, epochs_of, metrics_of, write_config

SMALL_SUPERNET = ("--network=audio_visual_parser", "--network.width=8", "--network.heads=2", "--network.states=2")
LEVELS = ("segment", "event")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return events_set(tmp_path_factory.mktemp("events") / "set")


@pytest.fixture(scope="module")
def config(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("config")
    return write_config(folder / "parsing.yaml", parsing_options(data, folder / "cache"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config):
    out = tmp_path_factory.mktemp("finished") / "run"
    assert avnas("fit", "--config", config, "--out", out) == 0
    return out


def test_a_run_leaves_scores_references_and_the_network(finished, config):
    metrics = metrics_of(finished)
    assert (metrics["task"], metrics["network"], metrics["strategy"]) == ("parsing", "LINKStyle", None)
    assert metrics["oracle_labels"] is False
    for name in ("test", "val", "nothing", "weak_everywhere"):
        assert set(metrics[name]["segment"]) == {"audio", "visual", "audio_visual", "type", "event"}
    epochs = epochs_of(finished, "finetune")
    best = max(float(row["val/segment_type"]) for row in epochs)
    assert metrics["val"]["segment"]["type"] == best
    assert {"network/alpha_audio", "network/beta_visual", "objective/mu", "objective/clamped"} <= set(epochs[0])
    network = ParsingNetwork.from_pretrained(finished / "model")
    options = yaml.safe_load(config.read_text())["data"]
    batch = next(iter(ParsingData(options["root"], cache_dir=options["cache_dir"]).prepare().test_dataloader()[0]))
    assert network.probabilities(batch.visual, batch.audio)[0].shape == (10, 2, 6, 4)


def test_the_table_has_the_papers_columns_and_a_second_test_prints_the_same(finished, config, capsys):
    assert avnas("fit", "--config", config, "--out", finished) == 0  # finished: read and printed
    table = capsys.readouterr().out
    assert "A     V    AV  Type Event" in table
    assert "weak everywhere*" in table
    assert "as printed" not in table  # what papers print is for LLP
    assert avnas("test", "--run", finished) == 0
    assert capsys.readouterr().out == table
    row = next(line.split() for line in table.splitlines() if line.split()[:1] == ["test"])
    scores = metrics_of(finished)["test"]
    assert [float(cell) for cell in row[1:]] == pytest.approx(
        [100 * score for level in LEVELS for score in scores[level].values()], abs=0.051
    )


def test_printed_figures_of_llp(capsys):
    from avhash_nas.pipeline.results_table import PRINTED_FOR_LLP, print_results

    level = dict.fromkeys(("audio", "visual", "audio_visual", "type", "event"), 0.5)
    scores = {"segment": level, "event": level}
    print_results({"task": "parsing", "network": "HAN", "seed": 0, "parameters": 1, "test": scores, "dataset": "LLP"})
    printed = capsys.readouterr().out
    assert all(name in printed for name, *_ in PRINTED_FOR_LLP)
    for _, *figures in PRINTED_FOR_LLP:
        for a, v, av, kind in (figures[0:4], figures[5:9]):
            assert kind is None or kind == pytest.approx((a + v + av) / 3, abs=0.11)


def test_the_same_run_again_gives_the_same_bytes(finished, config, tmp_path):
    assert avnas("fit", "--config", config, "--out", tmp_path / "again") == 0
    for name in ("model/model.safetensors", "model/config.json", "deviations.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("strategy", ["avnas", "spos"])
def test_search(config, tmp_path, strategy):
    options = [f"--strategy.{option}={value}" for option, value in SMALL_SEARCHES.get(strategy.upper(), {}).items()]
    objective = "--objective=segment_labels"
    assert avnas("fit", "--config", config, f"--strategy={strategy}", *options, *SMALL_SUPERNET, objective,
                 "--finetune.epochs=1", "--out", tmp_path / "run") == 0  # fmt: skip
    metrics = metrics_of(tmp_path / "run")
    assert {"supernet", "derived"} <= set(metrics)
    network = ParsingNetwork.from_pretrained(tmp_path / "run" / "model")
    assert isinstance(network, AudioVisualParser)
    assert not network.space.choices
    assert (tmp_path / "run" / "architecture.json").exists()


def test_page_draws_what_the_network_says_of_test_videos(finished):
    pytest.importorskip("matplotlib")
    record = RunRecord(finished)
    assert record.title == "LINKStyle, seed 0"
    assert record.missing == ()
    sections = {section.title: section for section in run_sections([record])}
    scores, _costs = sections["Results"].parts
    assert scores.columns[1:6] == ["seg A", "seg V", "seg AV", "seg Type", "seg Event"]
    [picture] = sections["Timelines"].parts
    kept = Predictions.load(finished / "predictions.npz")
    scored = parsing_scores(torch.from_numpy(kept.predicted), torch.from_numpy(kept.truth))
    assert {**scored.means["event"]} == metrics_of(finished)["test"]["event"]
    for video, drawn in picture.data.items():
        row = kept.ids.tolist().index(video)
        for name in ("truth", "predicted"):
            steps = np.zeros_like(kept.truth[row])
            for label, sense, start, end in drawn[name]:
                steps[("heard", "seen").index(sense), start:end, kept.class_names.index(label)] = True
            assert (steps == getattr(kept, name)[row]).all()


def test_timeline(finished, config, capsys):
    ids = [line.split(",")[0] for line in (config_data(config) / "test.txt").read_text().splitlines()]
    capsys.readouterr()
    assert avnas("parse", "--run", finished, f"--id=[{ids[0]},{ids[1]}]", "--json", "--threshold=0.05") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [video["video"] for video in printed] == ids[:2]
    assert printed[0]["seconds"] == 6
    found = [moment for video in printed for moment in video["moments"]]
    assert found
    for moment in found:
        assert moment["sense"] in ("heard", "seen", "both")
        assert 0 <= moment["start"] < moment["end"] <= 6
        assert 0.05 <= moment["confidence"] < 1
    assert avnas("parse", "--run", finished, "--id", ids[0], "--threshold=0.05") == 0
    text = capsys.readouterr().out
    assert f"{ids[0]}, 6.0 s" in text
    assert printed[0]["moments"][0]["label"] in text


def config_data(config):
    from pathlib import Path

    return Path(yaml.safe_load(config.read_text())["data"]["root"])


def fails(capsys, *arguments):
    """The one line of a command that fails with code 2."""
    capsys.readouterr()
    assert avnas(*arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_errors(finished, config, tmp_path, capsys, tiny_data):
    out = ("--out", tmp_path / "no")
    fit = ("fit", "--config", config)
    assert "InfoNCE trains HashNetwork networks only" in fails(capsys, *fit, "--objective=info_nce", *out)
    assert "has no entry `events`" in fails(capsys, *fit, "--data.root", tiny_data, *out)
    assert "parsing labels every time step" in fails(capsys, *fit, "--augmentation.frames=3", *out)
    assert "parsing needs the cells of both" in fails(capsys, *fit, *SMALL_SUPERNET, "--space=visual", *out)
    assert "only codes can be ranked" in fails(capsys, "test", "--run", finished, "--rerank=values")
    assert "--id: " in fails(capsys, "parse", "--run", finished, "--id=nobody")
    assert "name videos either by" in fails(capsys, "parse", "--run", finished)
    assert "--id parses videos of the dataset" in fails(capsys, "parse", "--run", finished, "--video=a.mp4")
    assert "--threshold must lie between" in fails(capsys, "parse", "--run", finished, "--id=x", "--threshold=2")
    assert "not a HashNetwork" in fails(capsys, "encode", "--model", finished, "--features", config_data(config), *out)


def test_a_dataset_without_pseudo_labels_and_texts(config, data, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(data, bare)
    described = yaml.safe_load((bare / "dataset.yaml").read_text())
    del described["events"]["pseudo"], described["events"]["texts"]
    (bare / "dataset.yaml").write_text(yaml.safe_dump(described))
    fit = ("fit", "--config", config, "--data.root", bare, "--finetune.epochs=1", "--out")
    assert "--network.texts=means" in fails(capsys, *fit, tmp_path / "a")
    assert "--objective.pseudo=means" in fails(capsys, *fit, tmp_path / "b", "--network.texts=means")
    assert avnas(*fit, tmp_path / "c", "--network.texts=means", "--objective.pseudo=means") == 0
    kept = torch.load(tmp_path / "c" / "finetune" / "prepared.pt", weights_only=True)["pseudo"]
    assert kept.shape == (24, 2, 6, 4)
