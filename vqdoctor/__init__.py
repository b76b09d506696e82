"""The doctor for codebooks of vector-quantised models.

The public names below are the same values that the command line prints; each is imported on first use, so that ``import vqdoctor``
stays cheap inside a training loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vqdoctor.app.api import compare, encode, gate, inspect, load, repair, watch_once
    from vqdoctor.errors import VqdoctorError
    from vqdoctor.model.report import Report
    from vqdoctor.monitor.capture import capture
    from vqdoctor.monitor.monitor import Monitor
    from vqdoctor.treatment import repair_module_

_HOMES = {
    "Monitor": "vqdoctor.monitor.monitor",
    "Report": "vqdoctor.model.report",
    "VqdoctorError": "vqdoctor.errors",
    "capture": "vqdoctor.monitor.capture",
    "compare": "vqdoctor.app.api",
    "encode": "vqdoctor.app.api",
    "gate": "vqdoctor.app.api",
    "inspect": "vqdoctor.app.api",
    "load": "vqdoctor.app.api",
    "repair": "vqdoctor.app.api",
    "repair_module_": "vqdoctor.treatment",
    "watch_once": "vqdoctor.app.api",
}

__all__ = [
    "Monitor",
    "Report",
    "VqdoctorError",
    "capture",
    "compare",
    "encode",
    "gate",
    "inspect",
    "load",
    "repair",
    "repair_module_",
    "watch_once",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vqdoctor' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
