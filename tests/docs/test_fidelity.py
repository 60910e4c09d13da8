"""Every file and every name that a page of the documentation points to exists."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("tests/", "src/", "experiments/", "strategies/", "benchmarks/", "docs/")


def resolve(dotted):
    """The object that a dotted name means: the longest part of it that is a module, then attributes."""
    parts = dotted.split(".")
    for size in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for name in parts[size:]:
            value = getattr(value, name)
        return value
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_and_symbols_exist(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    missing = []
    for name in CODE.findall(prose):
        if name.startswith(FOLDERS) and re.fullmatch(r"[\w./-]+", name) and "NAME" not in name:
            if not (ROOT / name).exists():
                missing.append(name)
        elif re.fullmatch(r"avhash_nas(\.\w+)+", name) and name != "avhash_nas.strategies":
            try:
                resolve(name)
            except (ModuleNotFoundError, AttributeError):
                missing.append(name)
    assert missing == []


def test_the_fidelity_page_names_code_and_tests():
    """The check above would pass on a page without names."""
    names = CODE.findall((ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8"))
    assert sum(name.startswith("tests/") for name in names) > 30
    assert sum(name.startswith("avhash_nas.") for name in names) > 30
