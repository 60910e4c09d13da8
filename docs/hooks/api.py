"""Pages of the API reference: one for each package, with every name of its `__all__`.

Sources are parsed, not imported, so that a page needs neither torch nor a GPU.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "avhash_nas"


@dataclass(frozen=True)
class Package:
    """A package of the library.

    Attributes:
        name: Its dotted name.
        summary: The first paragraph of its docstring.
        exports: Every name of `__all__`, with the module that defines it.
    """

    name: str
    summary: str
    exports: dict[str, str]

    @property
    def page(self) -> str:
        """The page's path, relative to the folder of pages."""
        return f"api/{self.name}.md"


def read_package(init: Path) -> Package:
    """Read a package from its `__init__.py`."""
    tree = ast.parse(init.read_text(encoding="utf-8"))
    name = ".".join(("avhash_nas", *init.parent.relative_to(SOURCE).parts))
    homes: dict[str, str] = {}
    exports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            homes |= {alias.asname or alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            exports = ast.literal_eval(node.value)
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return Package(name, summary, {export: homes.get(export, name) for export in exports})


def packages() -> list[Package]:
    """All packages, the library itself first."""
    found = (read_package(init) for init in sorted(SOURCE.rglob("__init__.py")))
    return [package for package in found if package.exports]


def summary_of(module: str, name: str) -> str:
    """The first line of a class's or function's docstring; empty if there is none."""
    parts = module.split(".")[1:]
    path = SOURCE.joinpath(*parts).with_suffix(".py") if parts else SOURCE / "__init__.py"
    if not path.exists():
        path = SOURCE.joinpath(*parts) / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}:
            return summary_of(node.module, name)
    return ""


def package_of(module: str, known: dict[str, Package]) -> str:
    """The package that documents what a module defines; the library's own page for modules outside a package."""
    parts = module.split(".")
    return next((name for size in range(len(parts), 0, -1) if (name := ".".join(parts[:size])) in known), "avhash_nas")


def page_of(package: Package, known: dict[str, Package]) -> str:
    """The Markdown of a package's page."""
    lines = [f"# {package.name}", "", package.summary, "", "| name | meaning |", "|---|---|"]
    own: list[str] = []
    for name, module in sorted(package.exports.items(), key=lambda item: item[0].lower()):
        if name == "__version__":
            continue
        home = package_of(module, known)
        exported = known[home].exports.get(name)
        target = f"{exported if exported and home != package.name else module}.{name}"
        lines.append(f"| [`{name}`][{target}] | {summary_of(module, name).replace('|', chr(92) + '|')} |")
        if home == package.name or not exported:
            own.append(f"::: {module}.{name}")
    return "\n".join([*lines, "", *(f"{entry}\n" for entry in own)])


def index_of(known: dict[str, Package]) -> str:
    """The Markdown of the page that lists the packages."""
    rows = [f"| [`{package.name}`]({package.name}.md) | {package.summary} |" for package in known.values()]
    head = "Every name in a package's `__all__` is public; modules behind it may change."
    return "\n".join(["# API reference", "", head, "", "| package | purpose |", "|---|---|", *rows, ""])


def pages() -> dict[str, str]:
    """All pages of the reference by path."""
    known = {package.name: package for package in packages()}
    return {"api/index.md": index_of(known)} | {each.page: page_of(each, known) for each in known.values()}
