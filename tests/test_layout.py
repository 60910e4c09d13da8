"""The source tree: imports point downwards, importing is light, and everything public is described and exported."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import avhash_nas

SOURCE = Path(avhash_nas.__file__).parent
MODULES = {
    ".".join(("avhash_nas", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")

LAYERS = (
    {"cache", "errors", "legacy"},
    {"codes", "distributed", "files", "kernels", "random_streams", "versions"},
    {"code_set", "operators"},
    {"space"},
    {"networks"},
    {"metrics", "data"},
    {"offline"},
    {"objectives"},
    {"strategies"},
    {"training"},
    {"pipeline"},
    {"retrieval", "extraction", "baselines", "comparison", "testing"},
    {"results"},
    {"report", "serving"},
    {"cli"},
    {"__main__"},
)
"""Lowest first. A module imports from its own part and from lower layers; parts of one layer do not know each other."""

OPTIONAL = (
    *("av", "fastapi", "faiss", "mamba_ssm", "matplotlib", "PIL", "psycopg", "pyarrow", "pymilvus", "scipy", "sklearn"),
    *("starlette", "transformers", "uvicorn", "wandb", "webdataset"),
)


def layer(part):
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


def imported(name):
    """Every module of this package that a module imports, at whatever depth, with the line."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative import"
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [target if target in MODULES else node.module for target in joined]  # x may be a module
            names = {alias.name for alias, target in zip(node.names, targets, strict=True) if target == "avhash_nas"}
            assert names <= {"__version__"}, f"{name}:{node.lineno}: import {names} from their own module"
        else:
            continue
        yield from ((target, node.lineno) for target in targets if target.split(".")[0] == "avhash_nas")


def part(module):
    """`space` for avhash_nas.space.cell; nothing for the package itself, which holds the version."""
    return [*module.split("."), ""][1]


def import_circles(graph=None):
    """Groups of modules that import each other, directly or through others, at whatever depth (Tarjan's components)."""
    graph = graph or {name: {target for target, _ in imported(name)} for name in MODULES}
    order, lowest, stack, circles = {}, {}, [], []

    def visit(name):
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for target in graph[name]:
            if target not in order:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == order[name]:
            start = stack.index(name)
            if len(stack) - start > 1 or name in graph[name]:
                circles.append(sorted(stack[start:]))
            del stack[start:]

    for name in graph:
        if name not in order:
            visit(name)
    return circles


def test_import_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"f"}, "g": {"a", "e"}}
    assert import_circles(graph) == [["a", "b", "c"], ["f"]]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"avhash_nas"}))
def test_nothing_imports_upwards(name):
    own = part(name)
    for target, line in imported(name):
        other = part(target)
        if other not in ("", own):
            assert layer(other) < layer(own), f"{name}:{line}: {own} must not import {target}"


def test_no_module_lies_on_a_circle_of_imports():
    assert import_circles() == []


def test_the_walk_sees_late_imports_and_imports_for_types():
    """The test above would pass on an empty list: it has to see what is written inside functions and conditions."""
    targets = {target for target, _ in imported("avhash_nas.metrics")}
    assert "avhash_nas.metrics.retrieval" in targets  # within a function
    assert "avhash_nas.codes" in targets
    assert "avhash_nas.data.batch" in {target for target, _ in imported("avhash_nas.data")}  # for types


def loaded_by(statement, watched):
    code = f"import sys\n{statement}\nprint(*[name for name in {tuple(watched)!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_importing_the_package_is_light():
    assert loaded_by("import avhash_nas", ("torch", "lightning", *OPTIONAL)) == []


@pytest.mark.parametrize("name", MODULES)
def test_optional_packages_are_imported_within_functions(name):
    """What sys.modules holds would not tell: torchmetrics and Lightning load some of them where they are installed."""
    assert {target.split(".")[0] for target in at_import(ast.parse(MODULES[name].read_text()))}.isdisjoint(OPTIONAL)


def at_import(node):
    """Modules imported outside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(child)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_says_what_it_is_and_what_it_exports(name):
    package = importlib.import_module(name)
    assert package.__doc__
    assert package.__all__
    assert len(set(package.__all__)) == len(package.__all__)
    missing = [symbol for symbol in package.__all__ if not hasattr(package, symbol)]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_described(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name}: no docstring"
    undescribed = [qualified for qualified, node in public(tree) if not ast.get_docstring(node) and not overrides(node)]
    assert undescribed == []


def overrides(node):
    """Whether a method is marked by @override: its base class describes it, and mypy checks that there is one."""
    return any(ast.unparse(decorator) == "override" for decorator in node.decorator_list)


def public(node, prefix=""):
    """Public classes, functions and methods, but not functions inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public(child, f"{prefix}{child.name}.")
