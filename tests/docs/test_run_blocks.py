"""How the blocks of a page are found and executed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "hooks" / "run_blocks.py"


def execute(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    done = subprocess.run([sys.executable, SCRIPT, page, tmp_path / "work"], capture_output=True, text=True)
    outputs = tmp_path / "work" / "outputs.json"
    return done, json.loads(outputs.read_text()) if outputs.exists() else None


def test_blocks_share_names_and_files(tmp_path):
    done, outputs = execute(
        tmp_path,
        "```python file=number.py\nvalue = 3\n```\n"
        "```python run\nfrom number import value\nprint(value)\n```\n"
        "```sh\nexit 1\n```\n"
        "```sh run\n# comment\nls number.py\navnas --version\n```\n"
        "```python run\nprint(value + 1)\n```\n",
    )
    assert done.returncode == 0, done.stderr
    assert outputs[0] == ""
    assert outputs[1] == "3"
    assert outputs[2] == ""
    assert outputs[3].startswith("number.py\navnas ")
    assert outputs[4] == "4"


@pytest.mark.parametrize("block", ["python run\n1 / 0\n", "sh run\nls missing\n", "sh run\navnas nothing\n"])
def test_a_failing_block_fails_the_page(tmp_path, block):
    done, outputs = execute(tmp_path, f"```sh run\necho before\n```\n```{block}```\n")
    assert done.returncode == 1
    assert "block 2 failed" in done.stderr
    assert outputs is None
