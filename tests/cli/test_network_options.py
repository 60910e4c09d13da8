"""`avnas fit --checkpointing` and `--compile`: the same run with less memory, and one that compiles."""

from pathlib import Path

import pytest
import torch

from avhash_nas.networks import compiling, graph
from training.tiny import assert_same_run, avnas, metrics_of

SHORT = ("--search.epochs=1", "--finetune.epochs=1")


def test_checkpointing_changes_no_byte_of_a_run(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, run_checkpointed = [], graph.run_checkpointed

    def counted(*arguments: object) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return run_checkpointed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "run_checkpointed", counted)
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "plain", *SHORT) == 0
    assert calls == []
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "less", *SHORT, "--checkpointing") == 0
    assert len(calls) > 40
    assert_same_run(tmp_path / "plain", tmp_path / "less")
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "less", *SHORT) == 0  # the same run


def test_checkpointing_of_a_network_without_cells_is_refused(
    mlp_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "run", "--checkpointing") == 2
    assert "--checkpointing: MeanPoolMLP has no cells to run again" in capsys.readouterr().err


def test_compile_needs_a_compiler(
    mlp_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "run", "--compile") == 2
    assert "there is no no-such-compiler: install g++ or set CXX" in capsys.readouterr().err


@pytest.mark.slow
def test_compile_covers_training_and_leaves_validation_alone(
    mlp_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modes = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        modes.append(torch.is_grad_enabled())
        return graph.forward

    plain = compiling.compile_network
    monkeypatch.setattr(
        "avhash_nas.training.network_options.compile_network", lambda network: plain(network, backend=backend)
    )
    out = tmp_path / "run"
    assert avnas("fit", "--config", mlp_config, "--out", out, "--compile") == 0
    assert modes
    assert all(modes)
    assert metrics_of(out)["epochs"]["finetune"] > 0
    assert avnas("fit", "--config", mlp_config, "--out", out) == 2
    assert "compile was True, now not set" in capsys.readouterr().err
