"""What could execute an input, found in a module's syntax: by what names resolve to, whatever they are called where they are used.

Names are followed through imports and their aliases. A reference is as bad as a call (``run = eval``), and what picks a name while
the program runs (``getattr(builtins, "ev" + "al")``, ``import_module(name)``) is only allowed where it is listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

DANGEROUS = {"eval", "exec", "compile", "__import__", "breakpoint"}
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "pickletools",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "copyreg",
    "code",
    "codeop",
    "runpy",
    "imp",
    "jsonpickle",
    "builtins",
    "multiprocessing.reduction",
    "torch.package",
    "torch.hub",
    "torch.jit",
    "ctypes",
    "cffi",
}
"""Never imported: each unpickles, executes, or hands out what does."""
FUNCTIONS = {
    "torch.serialization.load",
    "pandas.read_pickle",
    "pandas.eval",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.unsafe_load_all",
    "yaml.full_load_all",
    "yaml.UnsafeLoader",
    "yaml.FullLoader",
    "yaml.Loader",
    "yaml.CLoader",
    "yaml.CFullLoader",
    "yaml.CUnsafeLoader",
    "numpy.lib.format.read_array",
    "scipy.io.loadmat",
    "os.system",
    "os.popen",
    "types.FunctionType",
    "types.CodeType",
    "importlib.__import__",
    "importlib.util.spec_from_file_location",
}
"""Never referred to."""
HIDDEN = {"__globals__", "__builtins__", "__subclasses__", "__code__", "__reduce__", "__reduce_ex__", "__import__"}
"""Attributes by which everything else can be reached."""
KEYWORDS = {"weights_only": True, "allow_pickle": False, "shell": False}
"""What a keyword must be, spelled out, wherever it is given."""
SPELLED = {
    "torch.load": ("weights_only", 1),
    "numpy.load": (None, 2),
    "numpy.save": (None, 2),
    "subprocess.Popen": (None, 1),
    "subprocess.run": (None, 1),
}
"""Calls that must spell a keyword out (None: need not), and how many arguments they may be given by place."""


def dangers(text: str) -> Iterator[str]:
    """A sentence for each place of a module that could execute what a file says."""
    tree = ast.parse(text)
    names = _imported(tree)
    for node in ast.walk(tree):
        for what in _in(node, names):
            yield f"line {getattr(node, 'lineno', 0)}: {what}"


def _in(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (
            f"imports {name}" for name in _modules(node) if _under(name, MODULES) or name in FUNCTIONS or name.endswith(".*")
        )
    elif isinstance(node, ast.Name | ast.Attribute):
        name = _resolved(node, names)
        if name in DANGEROUS or name in FUNCTIONS or (name.partition(".")[0] in names.values() and _under(name, MODULES)):
            yield f"refers to {name}"
        if (node.attr if isinstance(node, ast.Attribute) else node.id) in HIDDEN:
            yield "reaches for what leads everywhere"
    elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
        if not (isinstance(node.value, ast.Constant) and node.value.value is KEYWORDS[node.arg]):
            yield f"{node.arg} is not {KEYWORDS[node.arg]}"
    elif isinstance(node, ast.Call):
        yield from _called(_resolved(node.func, names), node, names)


def _called(name: str, call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    keywords = {given.arg for given in call.keywords}
    if name in SPELLED:
        needed, places = SPELLED[name]
        if needed is not None and needed not in keywords:
            yield f"{name} without {needed}"
        if None in keywords or len(call.args) > places or any(isinstance(given, ast.Starred) for given in call.args):
            yield f"{name} with arguments that cannot be seen"
    if name == "yaml.load" and len(call.args) + len(keywords) < 2:
        yield "yaml.load without a loader"
    if name == "getattr" and isinstance(call.args[0], ast.Name) and call.args[0].id in names:
        picked = call.args[1]
        plain = isinstance(picked, ast.Constant) and picked.value not in DANGEROUS | HIDDEN | {"load"}
        if not plain:
            yield f"picks a name of {names[call.args[0].id]} while it runs"


def imports_by_name(text: str) -> list[int]:
    """Lines on which a module is imported by a name that the program works out."""
    tree = ast.parse(text)
    names = _imported(tree)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))
    return [node.lineno for node in calls if _resolved(node, names) == "importlib.import_module"]


def _imported(tree: ast.AST) -> dict[str, str]:
    """Local name → what it was imported as, in full."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [] if node.level else [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]


def _resolved(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of a dotted expression, "" for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        home = _resolved(node.value, names)
        return f"{home}.{node.attr}" if home else ""
    return ""


def _under(name: str, modules: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:n]) in modules for n in range(1, len(parts) + 1))
