"""`avnas latency`: a table that a search reads, what it prints, what it refuses."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from avhash_nas.networks.latency import LatencyTable
from avhash_nas.space import load_space
from training.tiny import avnas, metrics_of, tiny_options

SMALL = (
    *("--width=8", "--heads=2", "--states=4", "--visual_dim=8", "--audio_dim=6", "--bits=16"),
    *("--batch=2", "--frames=5", "--repeats=2", "--warmup=1", "--check=2"),
)


def test_the_table_is_written_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "folder" / "latency.json"
    assert avnas("latency", "--out", out, *SMALL) == 0
    table, space = LatencyTable.load(out), load_space("full")
    assert table.seconds(space).keys() == {cell.name for cell in space.cells}
    assert table.network == {"width": 8, "heads": 2, "states": 4, "rank": 4}
    assert len(table.check) == 2
    assert all(each["table"] > 0 and each["measured"] > 0 for each in table.check)
    stated = {"machine", "device", "device_name", "threads", "batch", "frames", "repeats", "dtype", "versions"}
    assert table.conditions.keys() == stated
    assert table.conditions["threads"] == torch.get_num_threads()
    assert table.conditions["versions"]["torch"] == torch.__version__
    printed = capsys.readouterr()
    assert all(place in printed.out for place in (*table.cells, "fixed"))
    assert printed.out.count("measured whole") == 2
    assert printed.err.splitlines()[-1] == "latency: 105 of 105 timings"
    assert [path.name for path in out.parent.iterdir()] == ["latency.json"]


def test_a_space_with_one_architecture_has_its_operators_measured(tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps(load_space("arch-1").to_dict()))
    assert avnas("latency", "--space", space, "--out", tmp_path / "latency.json", *SMALL) == 0
    assert LatencyTable.load(tmp_path / "latency.json").cells["F@8"].keys() == {"gated_attention"}


def test_a_search_reads_it_and_refuses_another_width(
    tmp_path: Path, tiny_data: Path, tiny_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, config = tmp_path / "latency.json", tmp_path / "config.yaml"
    assert avnas("latency", "--out", out, *SMALL) == 0
    options = tiny_options(tiny_data, tiny_cache)
    given = {"latency": str(out), "portion": 0.6, "every": 1, "warmup": 0.0, "gates": "full"}
    options["strategy"] = {"class_path": "proxylessnas", "init_args": given}
    options["search"]["epochs"] = options["finetune"]["epochs"] = 1
    config.write_text(yaml.safe_dump(options))
    assert avnas("fit", "--config", config, "--out", tmp_path / "run") == 0
    found = metrics_of(tmp_path / "run")["search"]["latency"]
    assert min(found["derived"], found["reference"]) > 0

    capsys.readouterr()
    assert avnas("fit", "--config", config, "--network.width=12", "--out", tmp_path / "other") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"strategy.latency: {out}: it was measured at width 8, the network has 12; measure again" in error


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "required"),
        (("--out=x.json", "--batch=0"), "--batch must be at least 1, got 0"),
        (("--out=x.json", "--check=-1"), "--check must be at least 0, got -1"),
        (("--out=x.json", "--width=256"), "12 heads do not divide the width 512"),
        (("--out=x.json", "--device=mps"), "--device must be auto, cpu, cuda or cuda:N, got mps"),
        (("--out=x.json", "--device=cuda:x"), "--device cuda:x: Invalid device string"),
        (("--out=x.json", "--space=nothing"), "unknown space 'nothing'"),
    ],
)
def test_errors_are_one_line(
    options: tuple[str, ...],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert avnas("latency", *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error
    assert list(tmp_path.iterdir()) == []


def test_help_comes_from_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("latency", "--help") == 0
    assert "Random architectures that are measured whole as well" in " ".join(capsys.readouterr().out.split())
