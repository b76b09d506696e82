"""The doctor for codebooks of vector-quantised models.

The public names below are the same values that the command line prints; each is imported on first use, so that ``import vqdoctor`` stays cheap
inside a training loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vqdoctor.app.api import inspect, load
    from vqdoctor.errors import VqdoctorError
    from vqdoctor.model.report import Report

_HOMES = {
    "Report": "vqdoctor.model.report",
    "VqdoctorError": "vqdoctor.errors",
    "inspect": "vqdoctor.app.api",
    "load": "vqdoctor.app.api",
}

__all__ = ["Report", "VqdoctorError", "inspect", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vqdoctor' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
