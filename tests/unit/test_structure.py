"""The house: what must not exist, how large things may be, and that the architecture's law really breaks."""

import ast
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import ROOT

_PACKAGE = ROOT / "operator" / "nodegate"
_SOURCES = sorted(path for folder in ("operator", "hack") for path in (ROOT / folder).rglob("*.py"))
_LAW = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
_LINTER = Path(sys.executable).with_name("lint-imports")
_SHADOWS = {"types", "logging", "queue", "select", "signal", "platform", "operator", "utils", "helpers", "common"}


class _Function(NamedTuple):
    """A function and its size in lines, its docstring and decorators left out."""

    where: str
    lines: int
    complexity: int


_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case, ast.comprehension)
_CLOSED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what belongs to a function itself, without the functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _CLOSED):
            yield child
            yield from _inside(child)


def _functions() -> Iterator[_Function]:
    for path in _SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                branches = sum(isinstance(child, _BRANCHES) for child in _inside(node))
                start = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.lineno
                lines = (node.end_lineno or start) - start + 1
                yield _Function(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines, 1 + branches)


def test_operator_is_no_package() -> None:
    """With operator/__init__.py the standard library's `operator` would be shadowed in the repository's root."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "operator" / "operator.py").exists()
    assert not (_PACKAGE / "operator.py").exists()


def test_the_standard_library_is_what_the_root_imports() -> None:
    """`import operator` from the repository's root still finds the standard library."""
    script = "import operator, collections; print(operator.itemgetter(0)([1]))"

    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert found.stdout == "1\n"


def test_no_module_has_a_name_that_shadows() -> None:
    """A script that is run by path puts its folder first; such names would shadow the standard library."""
    assert [str(path) for path in _SOURCES if path.stem in _SHADOWS] == []


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_fits(path: Path) -> None:
    """Every module has a docstring and at most 400 lines."""
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def test_functions_are_short_and_plain() -> None:
    """The median is at most 10 lines, none has more than 50, and none branches more than its budget."""
    functions = list(_functions())

    assert statistics.median(function.lines for function in functions) <= 10
    assert [function for function in functions if function.lines > 50] == []
    assert [function for function in functions if function.complexity > 12] == []


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the architecture's law over a tree; it reads pyproject.toml there and imports from its packages."""
    paths = [str(root / "operator"), str(root / "node")]
    script = f"import sys; sys.path[:0] = {paths!r}; sys.argv = ['lint-imports', '--no-cache']; "
    script += "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", name="tree")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its law."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("operator/nodegate", "node/nodegate_host"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_architecture_holds() -> None:
    """`lint-imports` is content with the real tree."""
    run = subprocess.run([_LINTER, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


_VIOLATIONS = {
    "Inside a room the flow goes one way": ("csr/decide.py", "nodegate.csr.parse"),
    "model, parse, decide and render are pure": ("csr/decide.py", "time"),
    "Rooms meet only through their models": ("csr/decide.py", "nodegate.enrollment.decide"),
    "The API client knows nothing": ("kube/client.py", "nodegate.csr.model"),
    "The plugin explains and never acts": ("cli/explain.py", "kopf"),
    "Only enrollment handlers, credentials and startup know kopf": ("csr/render.py", "kopf"),
    "The host tool stands alone": ("../../node/nodegate_host/exits.py", "nodegate.text"),
    "The host tool's model": ("../../node/nodegate_host/model.py", "subprocess"),
}
"""The start of each contract's name, a module, and what it must not import."""


@pytest.mark.parametrize("contract", [contract["name"] for contract in _LAW["contracts"]])
def test_every_contract_is_seen_to_break(contract: str, tree: Path) -> None:
    """A contract that nothing can break is no law: one forbidden import breaks it."""
    start = next((start for start in _VIOLATIONS if contract.startswith(start)), None)
    assert start is not None, f"expected a violation for the contract {contract!r}; add one to _VIOLATIONS"
    module, banned = _VIOLATIONS[start]
    path = tree / "operator" / "nodegate" / module
    before = path.read_text()
    path.write_text(f"{before}\nimport {banned}\n")

    run = _lint(tree)

    path.write_text(before)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contract} BROKEN" in " ".join(run.stdout.split()), run.stdout
