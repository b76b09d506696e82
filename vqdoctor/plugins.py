"""Packages that add to a room: who is installed, loaded when somebody asks for their kind.

Four seams take strangers, by entry points of the groups ``vqdoctor.layouts``, ``vqdoctor.log_readers``, ``vqdoctor.rules`` and
``vqdoctor.engines``. Three grains: `installed` names them without importing any, `load` imports one, `load_all` all of a seam. The
room that owns a seam says what fits it; nothing here knows a layout from a rule. A plugin that cannot be loaded, or does not fit,
is remembered in `broken` and left out: it must not cost the user the report.

Only installed distributions are looked at, never the working directory: a folder of checkpoints from the internet must not be able
to bring code of its own. ``VQDOCTOR_PLUGINS=none`` switches all off, ``VQDOCTOR_PLUGINS=a,b`` all but the packages or names given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from vqdoctor.errors import UsageError, VqdoctorError, printable

SEAMS = ("layouts", "log_readers", "rules", "engines")
POINTS = "entry_points"
"""In the place of a seam, for a distribution whose entry points cannot be read."""
SWITCH = "VQDOCTOR_PLUGINS"
LARGEST = 1 << 20  # bytes of an entry_points.txt


class PluginError(VqdoctorError):
    """A plugin could not be loaded, or is not what its seam takes."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point.

    Attributes:
        seam: of `SEAMS`. name: as the package calls it. value: "module:attribute".
        package, version: of the distribution that brings it.
        enabled: False where `VQDOCTOR_PLUGINS` leaves it out.
    """

    seam: str
    name: str
    value: str
    package: str
    version: str
    enabled: bool = True

    @property
    def label(self) -> str:
        """For messages: "vqdoctor-example 1.0 (layout 'example')", safe to print."""
        kind = self.seam.removesuffix("s").replace("_", " ")
        return f"{printable(self.package, 80)} {printable(self.version, 40)}".rstrip() + f" ({kind} {printable(self.name, 80)!r})"


@cache
def installed() -> tuple[Plugin, ...]:
    """Every plugin of every seam, in the order of the import path; nothing is imported of them.

    The scan reads no metadata but of the distributions whose entry points name a seam of ours: 2 ms where asking the standard
    library for a group takes 40.
    """
    allowed = _allowed(os.environ.get(SWITCH))
    found: dict[tuple[str, str], Plugin] = {}
    for folder in _distributions():
        try:
            for plugin in _entry_points(folder, allowed):
                found.setdefault((plugin.seam, plugin.name), plugin)
        except Exception as error:  # the standard library's reader raises whatever it meets
            name = os.path.basename(folder)
            unread = Plugin(POINTS, "entry_points.txt", "", name, "")
            if allowed is None or name.partition("-")[0] in allowed:
                _BROKEN[unread] = _broken(unread, f"cannot be read: {type(error).__name__}: {printable(error)}.")
    return tuple(found.values())


def load(plugin: Plugin) -> Any:
    """The object that a plugin brings.

    Raises:
        PluginError: importing it failed, for whatever reason.
    """
    module, _, attribute = plugin.value.partition(":")
    try:
        found: Any = import_module(module.strip())
        for part in filter(None, attribute.split("[")[0].strip().split(".")):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise _broken(plugin, f"could not be loaded: {type(error).__name__}: {printable(error)}.") from error
    return found


def load_named(seam: str, name: str, fits: Callable[[Any], str | None]) -> Any:
    """One by name, for what the user asked for: here a broken plugin is an error.

    Args:
        fits: the reason why an object is not what the seam takes, None where it is.

    Raises:
        UsageError: none of that name is installed and enabled; those that are are told. PluginError: it is broken.
    """
    known = [plugin for plugin in installed() if plugin.seam == seam and plugin.enabled]
    for plugin in known:
        if plugin.name == name:
            return _fitting(plugin, fits)
    names = ", ".join(printable(plugin.name, 80) for plugin in known)
    raise UsageError(f"there is no plugin {printable(name)!r} for {seam}.", hint=f"Installed: {names}." if names else None)


def load_all(seam: str, fits: Callable[[Any], str | None]) -> tuple[Any, ...]:
    """Every enabled plugin of a seam that loads and fits; the others are found in `broken`. See `load_named`."""
    for plugin in installed():
        if plugin.seam == seam and plugin.enabled and plugin not in _LOADED and plugin not in _BROKEN:
            try:
                _LOADED[plugin] = _fitting(plugin, fits)
            except PluginError as error:
                _BROKEN[plugin] = error
    return tuple(found for plugin, found in _LOADED.items() if plugin.seam == seam)


def broken() -> dict[Plugin, PluginError]:
    """The plugins that were asked for so far and left out, and why."""
    return dict(_BROKEN)


def leave_out(found: Any, error: Exception) -> None:
    """Note that what a plugin brought failed at work: it is not asked again in this process."""
    for plugin in [plugin for plugin, loaded in _LOADED.items() if loaded is found]:
        del _LOADED[plugin]
        _BROKEN[plugin] = _broken(plugin, f"failed at work: {type(error).__name__}: {printable(error)}.")


_LOADED: dict[Plugin, Any] = {}
_BROKEN: dict[Plugin, PluginError] = {}
"""Facts about this process's installation, like the modules it has loaded: a report takes them from here at its end."""


def _fitting(plugin: Plugin, fits: Callable[[Any], str | None]) -> Any:
    found = load(plugin)
    why = fits(found)
    if why is not None:
        raise _broken(plugin, why)
    return found


def _broken(plugin: Plugin, why: str) -> PluginError:
    hint = f"Mend or uninstall it, or set {SWITCH}=none."
    return PluginError(why, where=f"plugin {plugin.label}", hint=hint)


def _allowed(switch: str | None) -> frozenset[str] | None:
    """The packages and names that the switch lets in, None: all."""
    if switch is None or not switch.strip():
        return None
    return frozenset(part.strip() for part in switch.split(",")) - {"none", ""}


def _distributions() -> Iterator[str]:
    """The metadata folders, along the import path, whose entry points name one of our seams."""
    try:
        here = os.path.realpath(os.getcwd())
    except FileNotFoundError:  # it has been removed: nothing can be imported from it
        here = ""
    for folder in dict.fromkeys(sys.path):
        if not os.path.isabs(folder) or os.path.realpath(folder) == here:
            continue
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        yield from (path for path in (os.path.join(folder, name) for name in names) if _names_a_seam(path))


def _names_a_seam(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
            return b"[vqdoctor." in file.read(LARGEST)
    except OSError:
        return False


def _entry_points(folder: str, allowed: frozenset[str] | None) -> Iterator[Plugin]:
    from importlib.metadata import Distribution  # two dozen modules: for those who have plugins
    from pathlib import Path

    distribution = Distribution.at(Path(folder))
    package, version = distribution.metadata["Name"] or "?", distribution.version or "?"
    for point in distribution.entry_points:
        seam = point.group.removeprefix("vqdoctor.")
        if point.group.startswith("vqdoctor.") and seam in SEAMS:
            enabled = allowed is None or bool(allowed & {package, point.name})
            yield Plugin(seam, point.name, point.value, package, version, enabled)
