"""Executes the code blocks of a page, in order, in one process and one folder.

    python docs/hooks/run_blocks.py docs/quickstart.md FOLDER

The info string of a block says what to do with it: `sh run` and `python run` execute it, `python file=NAME` writes it
to a file, `image=FILE` shows an image that it leaves. Other blocks are only shown. Python blocks of a page share their
names. `avnas` commands run within this process, which saves the import of torch; every other command is handed to the
shell. Standard output of each block goes to `FOLDER/outputs.json`; a block that fails ends the page with its error.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?P<language>\w+)(?P<words>(?: [\w.=/-]+)*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = 40
"""A longer output is shown by its first and last lines."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: `sh`, `python` or another.
        words: The rest of the info string.
        code: The text between the fences.
    """

    language: str
    words: tuple[str, ...]
    code: str

    @property
    def runs(self) -> bool:
        """Whether it is executed."""
        return "run" in self.words

    @property
    def file(self) -> str | None:
        """The file that the block is written to."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def image(self) -> str | None:
        """An image that the block leaves, shown below it."""
        return next((word.removeprefix("image=") for word in self.words if word.startswith("image=")), None)


def block_of(match: re.Match[str]) -> Block:
    """The block that a match of `BLOCK` stands for."""
    return Block(match["language"], tuple(match["words"].split()), match["code"])


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    return map(block_of, BLOCK.finditer(page))


def commands(code: str) -> list[str]:
    """The command lines of a shell block: comments are left out, and continued lines are joined."""
    joined = code.replace("\\\n", " ")
    return [line for line in map(str.strip, joined.splitlines()) if line and not line.startswith("#")]


def run_shell(code: str) -> None:
    """Execute a shell block, line by line.

    Raises:
        RuntimeError: A command failed.
    """
    for line in commands(code):
        words = shlex.split(line, comments=True)
        if words[0] == "avnas" and not set(words) & {"|", ">", "&&", "&"}:
            run_avnas(words[1:])
            continue
        done = subprocess.run(line, shell=True, capture_output=True, text=True)
        print(done.stdout, end="")
        if done.returncode:
            raise RuntimeError(f"{line}: exit code {done.returncode}\n{done.stderr}")


def run_avnas(arguments: list[str]) -> None:
    """Execute an `avnas` command within this process.

    Raises:
        RuntimeError: The command failed.
    """
    from avhash_nas.cli import main

    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    if code:
        raise RuntimeError(f"avnas {shlex.join(arguments)}: exit code {code}")


def run(block: Block, names: dict[str, Any]) -> str:
    """Execute one block and return its standard output."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
        if block.runs and block.language == "python":
            exec(compile(block.code, "<page>", "exec"), names)
        elif block.runs:
            run_shell(block.code)
    return shorten(output.getvalue())


def shorten(text: str) -> str:
    """The first and last lines of a long output, without colors and trailing spaces."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    lines = [line.rstrip() for line in plain.replace("\r\n", "\n").splitlines()]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], "...", *lines[-LINES // 2 :]]
    return "\n".join(lines).strip("\n")


def main(page: Path, folder: Path) -> None:
    """Execute a page in a folder; the repository's recipes are there under the names that they have at its root."""
    text = page.read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("experiments", "strategies"):
        (folder / name).symlink_to(ROOT / name)
    os.chdir(folder)
    os.environ.update(XDG_CACHE_HOME=str(ROOT / "runs" / "docs-cache"), COLUMNS="100")
    sys.path[0] = ""  # modules that a page writes; not those beside this script
    names: dict[str, Any] = {"__name__": "__page__"}
    outputs: list[str] = []
    start = time.monotonic()
    for index, block in enumerate(blocks(text), 1):
        try:
            outputs.append(run(block, names))
        except Exception:
            sys.stderr.write(f"{page}: block {index} failed:\n{block.code}\n")
            raise
    Path("outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    sys.stderr.write(f"{page.name}: {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
