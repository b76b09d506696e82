"""The house rules that a linter cannot hold: sizes, documentation, and nothing that could execute an input."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "vqdoctor").rglob("*.py"))
CODE = sorted(
    path for room in ("vqdoctor", "plugins", "benchmarks", "docs", "sample_checkpoints") for path in (ROOT / room).rglob("*.py")
)
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short_documented_and_harmless(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 400, "over 400 lines: split it"
    assert not text.strip() or ast.get_docstring(tree), "a module says what it is for"
    for function in functions(tree):
        size = (function.end_lineno or 0) - function.lineno + 1
        assert size <= 60, f"{function.name}: {size} lines"


UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
NEVER = {"pd.read_pickle", "pandas.read_pickle", "yaml.unsafe_load", "yaml.full_load"}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_could_execute_an_input(path: Path) -> None:
    """In what is installed, in plugins, and in the scripts beside them: people run those too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}: {node.func.id}()"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in NEVER, f"line {node.lineno}: {called}"
            assert called != "torch.load" or "weights_only=True" in map(ast.unparse, node.keywords), f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not UNPICKLERS & set(names), f"line {node.lineno}: {names}"
        if isinstance(node, ast.keyword) and node.arg == "weights_only":
            assert isinstance(node.value, ast.Constant) and node.value.value is True
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


def test_half_of_the_functions_fit_ten_lines() -> None:
    sizes = sorted(
        function.end_lineno - function.lineno + 1 - len((ast.get_docstring(function) or "").splitlines())
        for path in FILES
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if function.end_lineno
    )
    assert sizes[len(sizes) // 2] <= 10


def test_public_names_of_the_package_exist_and_are_few() -> None:
    import vqdoctor

    assert len(vqdoctor.__all__) <= 15
    assert vqdoctor.__all__ == sorted(vqdoctor.__all__)
    for name in vqdoctor.__all__:
        assert getattr(vqdoctor, name).__doc__
