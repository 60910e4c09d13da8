"""The README's library example runs, and every `avnas` command in the documentation has options that exist."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from avhash_nas.cli import COMMANDS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "experiments").rglob("README.md")),
    ROOT / "strategies" / "README.md",
]


def name(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    return [code for found, code in BLOCK.findall(path.read_text(encoding="utf-8")) if found == language]


def commands(path):
    """Arguments of the `avnas` commands in the shell blocks of a page."""
    for code in blocks(path, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and "avnas" in words[:3]:
                yield words[words.index("avnas") + 1 :]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_the_library_example_runs(tmp_path, monkeypatch):
    """With smaller data, a smaller network and fewer epochs than the README shows; nothing else is changed."""
    (code,) = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    smaller = {
        '"runs/example-data", overwrite=True': '"runs/example-data", overwrite=True, classes=4, train=8, val=3, test=6',
        "width=32": "width=8",
        "max_epochs=10": "max_epochs=1",
        "max_epochs=5": "max_epochs=1",
        'HashingData("runs/example-data")': 'HashingData("runs/example-data", "cache", av.ClassBalanced(4, 2))',
    }
    for shown, used in smaller.items():
        assert code.count(shown) == 1
        code = code.replace(shown, used)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["codes"].shape == (5, 8)
    assert (tmp_path / "runs" / "example-network" / "model.safetensors").exists()


def test_there_are_commands_to_check():
    assert len(list(commands(ROOT / "README.md"))) > 10


@pytest.fixture
def parse_only(monkeypatch):
    """Parse the options of a command, and end before it does anything."""

    class ParsedError(Exception):
        pass

    from avhash_nas.cli.parser import Parser

    real = Parser.parse

    def parse(self, *arguments, **options):
        real(self, *arguments, **options)
        raise ParsedError

    monkeypatch.setattr(Parser, "parse", parse)

    def run(arguments):
        command, *rest = arguments
        assert command in COMMANDS
        with pytest.raises(ParsedError):
            importlib.import_module(f"avhash_nas.cli.{command}").run(rest)

    return run


PLAIN = {"env", "data"}
"""Commands without a parser of options."""


@pytest.mark.parametrize("path", FILES, ids=name)
def test_commands_have_options_that_exist(path, parse_only, monkeypatch):
    monkeypatch.chdir(ROOT)
    own_files = set(written_files(path))
    for arguments in commands(path):
        executed = any(file.split(".")[0] in word for file in own_files for word in arguments)
        if arguments[0] in PLAIN or "..." in arguments or executed:
            assert arguments[0] in COMMANDS
            continue
        try:
            parse_only(arguments)
        except (SystemExit, argparse.ArgumentError) as error:
            pytest.fail(f"{name(path)}: avnas {shlex.join(arguments)}: {error}")


def written_files(path):
    """Files that a page writes for its own commands, which are executed by the build of the documentation."""
    for info in re.findall(r"^```\w+ ([^\n]*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        yield from (word.removeprefix("file=") for word in info.split() if word.startswith("file="))


def test_experiments_are_listed():
    """Every folder of experiments/ that has a README is named in the table."""
    table = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    folders = {
        path.parent.relative_to(ROOT / "experiments").as_posix() for path in ROOT.glob("experiments/**/README.md")
    }
    folders |= {path.name for path in (ROOT / "experiments").iterdir() if path.is_dir() and path.name != "__pycache__"}
    missing = [folder for folder in sorted(folders - {"."}) if f"({folder}/README.md)" not in table]
    assert missing == []
