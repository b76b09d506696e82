"""What a bug report needs to know of a machine: versions, plugins and cores; no paths, no variables, nothing of the user's."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from vqdoctor import __version__
from vqdoctor.errors import printable

PACKAGES = (
    "click", "numpy", "orjson", "plotext", "rich", "safetensors", "scikit-learn", "textual", "torch",
    "pyarrow", "pandas", "polars", "tensorboard",
)  # fmt: skip
"""What is needed, and behind it what is used where it is there."""


def versions() -> list[str]:
    """Us, Python and the system, and each package: asked of its metadata, since importing some takes seconds."""
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    return [f"vqdoctor {__version__}", python, *map(_version, PACKAGES)]


def environment() -> str:
    """All of it, a line each."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{os.cpu_count()} cores, {usable} of them ours; output in {sys.stdout.encoding}"
    return "\n".join([*versions(), machine, *_plugins()]) + "\n"


def _plugins() -> list[str]:
    """Each plugin and its state. Why one is broken is left to `vqdoctor plugins`: an error may quote a path."""
    from vqdoctor.app.extensions import extensions
    from vqdoctor.model.extension import BUILT_IN

    found = [one for one in extensions() if one.origin != BUILT_IN]
    told = (
        f"plugin {printable(one.origin)} {printable(one.version)}: {one.seam} {printable(one.name)}: {one.state}" for one in found
    )
    return list(told) or ["no plugins"]


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"
