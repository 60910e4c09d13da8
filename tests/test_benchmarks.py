"""What `make bench` relies on."""

import ast
import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def calls(path):
    """Names of functions that a file calls, with the first argument where that is a constant."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return {
        (node.func.id, node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None)
        for node in nodes
    }


@pytest.fixture
def run_all(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("run_all", FOLDER / "run_all.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_benchmark_takes_the_common_options_and_leaves_its_results(run_all):
    names = run_all.benchmarks()
    assert {"evaluation", "input", "selective_scan"} <= set(names)
    assert not {"run_all", "measuring"} & set(names)
    for name in names:
        called = calls(FOLDER / f"{name}.py")
        assert ("parse", None) in called, name
        assert ("write_json", name) in called, name


def test_a_benchmark_that_fails_is_told_of_and_leaves_no_old_results(run_all, tmp_path, monkeypatch, capfd):
    (tmp_path / "broken.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "endless.py").write_text("while True: pass\n")
    (tmp_path / "broken.json").write_text('{"results": 1}')
    monkeypatch.setattr(run_all, "HERE", tmp_path / "run_all.py")
    assert run_all.run("broken", tmp_path, 60).items() >= {"failed": "exit code 3"}.items()
    assert not (tmp_path / "broken.json").exists()
    assert run_all.run("endless", tmp_path, 0.5)["failed"] == "stopped after 0.5 s"
    assert "broken: exit code 3" in capfd.readouterr().err
