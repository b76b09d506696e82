"""The house rules that a linter cannot hold: sizes, documentation, and nothing that could execute an input."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest
from executing import dangers, imports_by_name

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "vqdoctor").rglob("*.py"))
CODE = sorted(
    path for room in ("vqdoctor", "plugins", "benchmarks", "docs", "sample_checkpoints") for path in (ROOT / room).rglob("*.py")
)


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


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_could_execute_an_input(path: Path) -> None:
    """In what is installed, in plugins, and in the scripts beside them: people run those too."""
    text = path.read_text(encoding="utf-8")
    assert not list(dangers(text))
    assert not imports_by_name(text) or str(path.relative_to(ROOT)) in IMPORT_BY_NAME


IMPORT_BY_NAME = {
    "vqdoctor/plugins.py",  # what a user has installed and enabled
    "vqdoctor/__init__.py",
    "vqdoctor/checkpoint/__init__.py",
    "vqdoctor/trainer/__init__.py",
    "vqdoctor/model/report.py",
    "vqdoctor/cli/command.py",
    "vqdoctor/cli/watch_faces.py",
    "vqdoctor/render/__init__.py",
    "vqdoctor/render/notebook.py",
    "benchmarks/soak_inspect.py",  # tables of ours, these and the ones above
}

EVASIONS = {
    "eval by another name": "run = eval",
    "builtins": "import builtins\nbuiltins.eval('1')",
    "builtins by an alias": "from builtins import exec as go",
    "the import function": "__import__('pickle')",
    "the import function of importlib": "import importlib\nimportlib.__import__('pickle')",
    "what leads to builtins": "print.__self__.__builtins__",
    "what leads to globals": "(lambda: 0).__globals__['x']",
    "pickle by an alias": "import pickle as storage",
    "a part of pickle": "from pickle import Unpickler",
    "the unpickler that nobody knows": "import _pickle",
    "marshal": "import marshal",
    "shelve": "import shelve",
    "joblib": "from joblib import load",
    "multiprocessing's pickler": "from multiprocessing.reduction import ForkingPickler",
    "torch.load without a word": "import torch\ntorch.load('a')",
    "torch.load by an alias": "import torch as t\nt.load('a')",
    "torch.load by its own name": "from torch import load\nload('a')",
    "torch.load by its home": "from torch.serialization import load",
    "torch.load that is picked": "import torch\ngetattr(torch, 'load')('a')",
    "torch.load that is put together": "import torch\ngetattr(torch, 'lo' + 'ad')('a')",
    "torch.load of everything": "import torch\ntorch.load('a', weights_only=False)",
    "torch.load as somebody says": "import torch\ntorch.load('a', weights_only=safe)",
    "torch.load with hidden arguments": "import torch\ntorch.load('a', weights_only=True, **more)",
    "torch.load with a pickler": "import torch\ntorch.load('a', None, storage, weights_only=True)",
    "TorchScript": "import torch\ntorch.jit.load('a')",
    "torch.hub": "import torch.hub",
    "objects of numpy": "import numpy as np\nnp.load('a', allow_pickle=True)",
    "objects of numpy by place": "import numpy as np\nnp.load('a', None, True)",
    "objects of numpy as somebody says": "import numpy as np\nnp.load('a', allow_pickle=given)",
    "pandas": "import pandas as pd\npd.read_pickle('a')",
    "YAML with tags": "import yaml\nyaml.load(text, yaml.Loader)",
    "YAML with tags by another name": "from yaml import UnsafeLoader as Plain",
    "YAML with the loader of old": "import yaml\nyaml.load(text)",
    "YAML in full": "from yaml import full_load",
    "a shell": "import subprocess\nsubprocess.run(text, shell=True)",
    "the system": "import os\nos.system(text)",
    "a script": "import runpy",
    "everything there is": "from somewhere import *",
}


@pytest.mark.parametrize("evasion", EVASIONS)
def test_what_could_execute_is_seen_behind_any_name(evasion: str) -> None:
    assert list(dangers(EVASIONS[evasion]))


def test_imports_by_name_are_seen() -> None:
    for text in ("import importlib\nimportlib.import_module(x)", "from importlib import import_module as go\ngo(x)"):
        assert imports_by_name(text) == [2]


def test_what_cannot_execute_is_left_alone() -> None:
    harmless = """
        import os, re, torch, yaml, numpy as np
        code = {1: 2}; code.items(); re.compile("a"); torch.load("a", weights_only=True); np.load("a", allow_pickle=False)
        getattr(os, "O_NONBLOCK", 0); model.eval(); yaml.load(text, Plain); getattr(event, name)
    """
    assert not list(dangers(textwrap.dedent(harmless)))


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
