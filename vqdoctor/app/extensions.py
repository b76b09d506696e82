"""What vqdoctor is made of on this machine: built in, or from a plugin, and whether that works. The list behind `vqdoctor plugins`.

Nothing is measured. Asking for the list loads every enabled plugin once, since only that tells whether it can be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import vqdoctor
from vqdoctor import plugins
from vqdoctor.diagnosis import RULES, known_rules
from vqdoctor.engines import known_engines
from vqdoctor.layouts import LAYOUTS, known_layouts
from vqdoctor.logs import READERS, known_readers
from vqdoctor.metrics import METRICS
from vqdoctor.model import Extension
from vqdoctor.model.extension import BUILT_IN


def extensions() -> list[Extension]:
    """All of them, by seam, plugins behind what is built in."""
    found = [*_built_in(), *_from_plugins()]
    seams = [*plugins.SEAMS, "metrics", plugins.POINTS]
    return sorted(found, key=lambda one: (seams.index(one.seam), one.origin != BUILT_IN))


def _built_in() -> Iterator[Extension]:
    entries = (
        *(("layouts", layout.name, layout.about) for layout in LAYOUTS),
        *(("log_readers", reader.name, _first_line(reader)) for reader in READERS),
        *(("rules", rule.id, f"{rule.name}: {rule.title}") for rule in RULES),
        ("engines", "local", "this process, one pass, constant memory"),
        *(("metrics", metric.name, metric.title) for metric in METRICS),
    )
    for seam, name, about in entries:
        yield Extension(seam, name, about, BUILT_IN, vqdoctor.__version__)


def _first_line(reader: type) -> str:
    """What the module of a reader says that it is for."""
    return (sys.modules[reader.__module__].__doc__ or "").split("\n", 1)[0]


def _from_plugins() -> Iterator[Extension]:
    load_every_plugin()
    faults = plugins.broken()
    for plugin in plugins.installed():
        error = faults.get(plugin)
        state = "off" if not plugin.enabled else "broken" if error else "ok"
        why = error.what if error is not None else None
        yield Extension(plugin.seam, plugin.name, plugin.value, plugin.package, plugin.version, state, why)
    for plugin, error in faults.items():
        if plugin.seam == plugins.POINTS:  # what it would bring nobody knows
            yield Extension(plugin.seam, plugin.name, "of a package", plugin.package, plugin.version, "broken", error.what)


def load_every_plugin() -> None:
    """Each seam's own check runs over its plugins; those that fail are in `plugins.broken`."""
    known_layouts()
    known_rules()
    known_readers()
    known_engines()
