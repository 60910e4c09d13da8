"""MkDocs hooks: executed pages, generated tables and API pages, and links to files outside the site.

- Pages with blocks to execute (`run_blocks.py`) are executed before the build; the output stands below each block. A
  block that fails fails the build. `DOCS_EXECUTE=no` leaves this out, for a quick look.
- `<!-- generate: NAME ARGUMENT... -->` is replaced by what the function NAME of `tables.py` returns.
- Files of the repository that are also pages (`INCLUDED`) are read from where they are.
- A relative link to another file of the repository becomes the file's name; it works where the page is read in the
  repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import api
import run_blocks
import tables

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WORK = ROOT / "runs" / "docs"
INCLUDED = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Files of the repository that are pages of the site as well."""

GENERATE = re.compile(r"^<!-- generate: (?P<name>\w+)(?P<arguments>[^>]*?) -->$", re.MULTILINE)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")

_outputs: dict[str, list[str]] = {}


def on_files(files: Files, config: Any) -> Files:
    """Execute pages and add the generated ones."""
    generated = api.pages()
    _list_api(config, generated)
    for source, page in INCLUDED.items():
        generated[page] = (ROOT / source).read_text(encoding="utf-8")
    for path, text in generated.items():
        files.append(File.generated(config, path, content=text))
    for path, image in _execute(files).items():
        files.append(File.generated(config, path, abs_src_path=str(image)))
    for path in sorted((ROOT / "experiments").rglob("*.png")):
        files.append(File.generated(config, f"assets/{path.relative_to(ROOT)}", abs_src_path=str(path)))
    return files


def _list_api(config: Any, generated: Mapping[str, str]) -> None:
    for section in config["nav"]:
        if section.get("API reference") == "api/":
            section["API reference"] = sorted(path for path in generated if path.startswith("api/"))
            section["API reference"].sort(key=lambda path: path != "api/index.md")


def _execute(files: Files) -> dict[str, Path]:
    """Execute all pages that have something to execute, two at a time; returns the images that they leave."""
    _outputs.clear()
    if os.environ.get("DOCS_EXECUTE") == "no":
        return {}
    pages = {}
    for file in files.documentation_pages():
        if file.generated_by is None:
            found = list(run_blocks.blocks(file.content_string))
            if any(block.runs for block in found):
                pages[file.src_uri] = found
    shutil.rmtree(WORK, ignore_errors=True)
    with ThreadPoolExecutor(max_workers=int(os.environ.get("DOCS_JOBS", "2"))) as pool:
        failures = [error for error in pool.map(_execute_page, pages) if error]
    if failures:
        raise PluginError("\n".join(failures))
    images = {}
    for page, found in pages.items():
        _outputs[page] = json.loads((_folder(page) / "outputs.json").read_text(encoding="utf-8"))
        for block in found:
            if block.image:
                images[_image(page, block.image)] = _folder(page) / block.image
    return images


def _folder(page: str) -> Path:
    return WORK / page.removesuffix(".md").replace("/", "-")


def _image(page: str, name: str) -> str:
    return f"assets/executed/{_folder(page).name}-{Path(name).name}"


def _execute_page(page: str) -> str:
    """Returns what went wrong; nothing if all blocks ran."""
    command = [sys.executable, str(DOCS / "hooks" / "run_blocks.py"), str(DOCS / page), str(_folder(page))]
    environment = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return f"{page}:\n{done.stderr[-6000:]}"
    print(done.stderr.splitlines()[-1], file=sys.stderr)
    return ""


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put outputs, generated tables and links in."""
    path = page.file.src_uri
    source = next((source for source, included in INCLUDED.items() if included == path), f"docs/{path}")
    markdown = GENERATE.sub(lambda match: _generate(match, path), markdown)
    markdown = _with_outputs(markdown, path)
    return _outside_code(markdown, lambda text: LINK.sub(lambda match: _link(match, source, path), text))


def _generate(match: re.Match[str], path: str) -> str:
    try:
        return str(getattr(tables, match["name"])(*match["arguments"].split()))
    except Exception as error:
        raise PluginError(f"{path}: {match[0]}: {type(error).__name__}: {error}") from error


def _with_outputs(markdown: str, path: str) -> str:
    outputs = iter(_outputs.get(path, ()))

    def shown(match: re.Match[str]) -> str:
        block, output = run_blocks.block_of(match), next(outputs, "")
        title = f' title="{block.file}"' if block.file else ""
        text = f"```{block.language}{title}\n{block.code}```"
        if output:
            text += f'\n\n```text title="Output"\n{output}\n```'
        if block.image and path in _outputs:
            text += f"\n\n![Output of the block above]({_up(path)}{_image(path, block.image)})"
        return text

    return run_blocks.BLOCK.sub(shown, markdown)


def _outside_code(markdown: str, change: Any) -> str:
    parts = re.split(r"(^```.*?^```$|`[^`\n]+`(?!\]))", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def _up(path: str) -> str:
    return "../" * path.count("/")


def _link(match: re.Match[str], source: str, path: str) -> str:
    target = match["target"]
    if not target or "://" in target or target.startswith("mailto:"):
        return match[0]
    file = (ROOT / source).parent.joinpath(target).resolve()
    if source.startswith("docs/") and file.is_relative_to(DOCS):
        return match[0]  # within the site: MkDocs checks it
    if path.startswith("api/") or "hooks" in file.parts:
        return match[0]
    if not file.exists():
        raise PluginError(f"{source}: no such file: {target}")
    name = str(file.relative_to(ROOT))
    anchor = match["anchor"] or ""
    if name in INCLUDED:
        return f"{match['image']}[{match['text']}]({_up(path)}{INCLUDED[name]}{anchor})"
    if file.is_relative_to(DOCS):
        return f"{match['image']}[{match['text']}]({_up(path)}{file.relative_to(DOCS)}{anchor})"
    if match["image"]:
        return f"![{match['text']}]({_up(path)}assets/{name})"
    text = match["text"].strip("`")
    return f"`{name}`" if text in (name, file.name, target) else f"{match['text']} (`{name}`)"
