"""From captions to a search by words: fit, test, encode, index and query, and a text side for a trained network."""

import json
import shutil

import pytest
import yaml

from avhash_nas.cli import main
from avhash_nas.networks import HashNetwork, TextPaired
from avhash_nas.report.text_search import draw_text_search
from avhash_nas.results import RunRecord
from training.tiny import captioned_set

RECIPE = (
    *("--finetune.epochs=6", "--finetune.lr=0.01", "--objective.scale=20", "--page=false"),
    *("--data.sampling=Shuffled", "--data.sampling.batch_size=20"),
)


@pytest.fixture(scope="module")
def captioned(tiny_data, tmp_path_factory):
    return captioned_set(tiny_data, tmp_path_factory.mktemp("captioned") / "data")


@pytest.fixture(scope="module")
def run(captioned, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "eercf"
    network = ("--network=eercf", "--network.width=16", "--network.heads=2", "--network.layers=1", "--bits=24")
    assert main(["fit", *network, *RECIPE, f"--data.root={captioned}", f"--out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def store(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    assert main(["encode", f"--run={run}", "--frames", f"--out={folder / 'codes.npz'}"]) == 0
    assert main(["index", "build", f"--codes={folder / 'codes.npz'}", f"--store={folder / 'store'}"]) == 0
    return folder / "store"


def found(capsys, *arguments):
    capsys.readouterr()
    assert main(["query", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_is_scored_by_its_captions(run, captioned):
    text = json.loads((run / "metrics.json").read_text())["text"]
    assert (text["captions"], text["videos"]) == (32, 16)
    assert set(text["scores"]) == {"values", "codes", "all"}
    best = text["scores"]["values"]["k=50"]["text_to_video"]
    assert best == text["scores"]["all"]["alone"]["text_to_video"]  # 50 is all of the videos
    assert best["hit@5"] > 0.5  # four videos have each class, chance is 5 / 16
    assert json.loads((run / "model" / "text_encoder.json").read_text())["arguments"]["width"] == 64
    assert text["cost"]["bytes"]["codes alone"] == 3


def test_the_page_draws_recall_against_cost(run):
    pytest.importorskip("matplotlib")
    text = json.loads((run / "metrics.json").read_text())["text"]
    picture = draw_text_search([RunRecord(run)])
    line = picture.data["lines"][0]
    assert line["ways"] == ["alone", "k=10", "k=20", "k=50", "k=100", "all"]
    assert line["cost"] == sorted(line["cost"])
    assert line["hit@1"][0] == text["scores"]["values"]["alone"]["text_to_video"]["hit@1"]
    assert line["hit@10"][-1] == text["scores"]["all"]["alone"]["text_to_video"]["hit@10"]


def test_test_prints_recall_and_rerank(run, capsys):
    capsys.readouterr()
    assert main(["test", f"--run={run}"]) == 0
    printed = capsys.readouterr().out
    assert "32 captions and 16 videos of test" in printed
    assert "k=20" in printed


def test_words_find_videos_of_their_class(run, store, capsys):
    where = (f"--store={store}", f"--run={run}", "--text=a blue whale")
    answers = found(capsys, *where, "--rerank=text_gated", "--top=5")
    labels = [answer["labels"] for answer in answers]
    assert sum(answer == ["1"] or answer == labels[0] for answer in labels) >= 3
    assert all(0 <= answer["step"] < 9 for answer in answers)
    assert [answer["score"] for answer in answers] == sorted((answer["score"] for answer in answers), reverse=True)
    limited = found(capsys, *where, f"--label={labels[0][0]}", "--top=40")
    assert {tuple(answer["labels"]) for answer in limited} == {tuple(labels[0])}
    assert len(limited) == 18


def test_a_trained_network_gets_a_text_side_for_its_own_store(captioned, tmp_path, capsys):
    mlp, paired, codes, store = (tmp_path / name for name in ("mlp", "paired", "codes.npz", "store"))
    data = f"--data.root={captioned}"
    classes = ("--data.sampling=ClassBalanced", "--data.sampling.classes=4", "--data.sampling.videos=4")
    short = ("--bits=16", "--finetune.epochs=3", "--page=false")
    assert main(["fit", "--network=mlp", *short, *classes, data, f"--out={mlp}"]) == 0
    assert main(["encode", f"--run={mlp}", "--frames", f"--out={codes}"]) == 0
    assert main(["index", "build", f"--codes={codes}", f"--store={store}"]) == 0
    command = ["fit", "--network=text_paired", f"--network.video={mlp}", "--network.hidden=32", "--bits=16", data]
    assert main([*command, *RECIPE, f"--out={paired}"]) == 0
    video, pair = (HashNetwork.from_pretrained(folder / "model") for folder in (mlp, paired))
    assert isinstance(pair, TextPaired)
    assert pair.fingerprint() == video.fingerprint()
    for name, weight in video.state_dict().items():
        assert (pair.state_dict()[f"video.{name}"] == weight).all()
    by_words = found(capsys, f"--store={store}", f"--run={paired}", "--text=green frog", "--rerank=text_gated")
    assert len(by_words) == 10
    assert len(found(capsys, f"--store={store}", f"--id={by_words[0]['id']}")) == 10
    assert main(["query", f"--store={store}", f"--run={mlp}", "--text=green frog"]) == 2
    assert "has no text side; train one by avnas fit --network=text_paired" in capsys.readouterr().err
    assert (
        main(["fit", "--network=text_paired", f"--network.video={mlp}", "--bits=8", data, f"--out={tmp_path / 'x'}"])
        == 2
    )
    assert "that network has bits 16, this run 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text="], "the text is empty"),
        (["--text=x", "--label=cow"], "has no class 'cow'"),
        (["--id=x", "--label=cow"], "--label goes with --text"),
    ],
)
def test_bad_queries_are_one_line(run, store, arguments, message, capsys):
    capsys.readouterr()
    assert main(["query", f"--store={store}", f"--run={run}", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_networks_with_a_text_side_need_captions(tiny_data, tmp_path, capsys):
    capsys.readouterr()
    assert main(["fit", "--network=eercf", f"--data.root={tiny_data}", f"--out={tmp_path / 'run'}"]) == 2
    assert "has no captions; write captions.jsonl" in capsys.readouterr().err


def test_captions_of_another_encoder_are_refused(run, captioned, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(captioned, other)
    assert (
        main(["data", "text", str(other), "--encoder=character_ngrams", "--encoder.width=64", "--encoder.longest=4"])
        == 0
    )
    assert main(["test", f"--run={run}", f"--data.root={other}"]) == 2
    assert "its vectors are by CharacterNgrams(width=64, shortest=3, longest=4), but" in capsys.readouterr().err
    assert yaml.safe_load((other / "dataset.yaml").read_text())["files"]["text"] == "text.h5"


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_other_precisions_run(captioned, precision, tmp_path):
    network = ("--network=eercf", "--network.width=16", "--network.heads=2", "--network.layers=1", "--bits=16")
    where = (f"--data.root={captioned}", f"--out={tmp_path / 'run'}", f"--trainer.precision={precision}")
    assert main(["fit", *network, *RECIPE, "--finetune.epochs=1", *where]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["text"]["scores"]["all"]["alone"]["text_to_video"]["mean_rank"] < 17
