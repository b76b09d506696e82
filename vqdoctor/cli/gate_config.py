"""What a gate is asked, and by whom: options over ``[tool.vqdoctor.gate]`` over presets over defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vqdoctor.cli.config import located, project_rules, project_table
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from vqdoctor.app.gating.request import GateRequest
    from vqdoctor.app.request import InspectRequest
    from vqdoctor.gating import Asks
    from vqdoctor.gating.asks import MetricAsk
    from vqdoctor.gating.settings import GateSettings

NAME = "gate"
DEFAULTS = {"inconclusive": "fail", "fail-on": "error", "require-n": False, "at": "last", "baseline": None}


@dataclass(frozen=True, slots=True)
class Settled:
    """request: what is asked, without inputs. origins: by policy, who says so. path: the settings file, None if there is none."""

    request: GateRequest
    origins: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    def with_inputs(self, inspect: InspectRequest) -> GateRequest:
        """The request with what is measured and how."""
        return replace(self.request, inspect=inspect)


def load(folder: Path) -> tuple[GateSettings, Path | None]:
    """The project's settings that hold in `folder`, and their file.

    Raises:
        UsageError: naming file, line and key, and the nearest valid name.
    """
    from vqdoctor.gating import parse_gate
    from vqdoctor.gating.settings import GateSettings, SettingError

    table, path = project_table(NAME, folder)
    if path is None:
        return GateSettings(), None
    try:
        return parse_gate(table, _origin(path)), path
    except SettingError as error:
        where = f"{located(path, [NAME, *error.key])}: {NAME}.{error.where}"
        raise UsageError(error.what, where=where, hint=error.hint) from error


def _origin(path: Path) -> Callable[[str], str]:
    return lambda key: located(path, [NAME, key])


def settle(
    folder: Path,
    *,
    least: Sequence[str],
    most: Sequence[str],
    drops: Sequence[str],
    rules: Sequence[str],
    presets: Sequence[str],
    write_baseline: str | None,
    shrink: bool,
    require_n: bool,
    **policies: str | None,
) -> Settled:
    """Options and settings as one request.

    Args:
        policies: fail_on, inconclusive, at, baseline; None where the user did not say.

    Raises:
        UsageError: a name or value that nothing reads, on the command line or in the settings.
    """
    from vqdoctor.app.gating.request import GateRequest, parse_at
    from vqdoctor.gating import Asks, metric_ask, rule_ask
    from vqdoctor.gating.asks import asks_of

    settings, path = load(folder)
    bounds: list[MetricAsk] = [metric_ask("min", given, "--min") for given in least]
    bounds += [metric_ask("max", given, "--max") for given in most]
    bounds += [metric_ask("min", given, "--max-drop", drop=True) for given in drops]
    told = asks_of(bounds, [rule_ask(given, "--rule") for given in rules])
    own = Asks(told.metrics, told.rules, tuple(presets))
    asks = settings.asks.but(own)
    if presets:
        asks = replace(asks, presets=tuple(presets))
    options = {name.replace("_", "-"): value for name, value in policies.items()} | {"require-n": require_n or None}
    values, origins = _policies(options, settings, path)
    at = parse_at(values["at"] or "last", origins["at"])
    request = GateRequest(
        asks, fail_on=values["fail-on"], inconclusive=values["inconclusive"] or "fail", require_n=bool(values["require-n"]), at=at,
        baseline=values["baseline"], write_baseline=write_baseline, shrink=shrink,
    )  # fmt: skip
    return Settled(request, origins | {"preset": _preset_origin(presets, settings, path)}, path)


def _policies(options: dict[str, Any], settings: GateSettings, path: Path | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Each policy's value and who says so; None, by default, where nobody does."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in DEFAULTS:
        values[name], origins[name] = None, "default"
        if name in settings.policies and path is not None:
            value = settings.policies[name]
            values[name] = str(path.parent / value) if name == "baseline" else value
            origins[name] = located(path, [NAME, name])
        if options.get(name) is not None:
            values[name], origins[name] = options[name], f"--{name}"
    return values, origins


def _preset_origin(presets: Sequence[str], settings: GateSettings, path: Path | None) -> str:
    if presets:
        return "--preset"
    return located(path, [NAME, "preset"]) if settings.asks.presets and path is not None else "default"


def show(settled: Settled) -> int:
    """Print every value that counts here, and who says so."""
    from vqdoctor.app.gating.request import fail_on_of
    from vqdoctor.app.gating.request import settled as with_presets

    request = settled.request
    asks, asked = with_presets(request.asks)
    fail_on = fail_on_of(request, asks)
    preset = ", ".join(asks.presets) or "none"
    rows = [("settings", str(settled.path or "none"), "nearest vqdoctor.toml or pyproject.toml with [tool.vqdoctor]")]
    rows += [("preset", preset, settled.origins["preset"] if asked else "default: nothing is asked for")]
    given = {
        "fail-on": fail_on, "inconclusive": request.inconclusive, "require-n": str(request.require_n).lower(),
        "at": str(request.at), "baseline": request.baseline or "none",
    }  # fmt: skip
    origins = settled.origins
    if request.fail_on is None and fail_on != "error":
        origins = origins | {"fail-on": f"preset {preset}"}
    rows += [(name, printable(value), printable(origins[name])) for name, value in given.items()]
    rows += _ask_rows(asks)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    write_out("".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() + "\n" for a, b, c in rows))
    return int(ExitCode.OK)


def _ask_rows(asks: Asks) -> list[tuple[str, str, str]]:
    rows = []
    for ask in asks.metrics.values():
        bound = f"max-drop {ask.threshold * 100:g}%" if ask.relative else f"{'max-drop' if ask.drop else ask.op} {ask.threshold:g}"
        rows.append((printable(ask.name), f"{bound}, {ask.level}, {ask.over}", printable(ask.origin)))
    kinds: dict[tuple[str, str], list[str]] = {}
    for wanted in asks.rules.values():
        kinds.setdefault((wanted.level or "as the rule grades it", printable(wanted.origin)), []).append(wanted.rule)
    for (level, origin), rules in kinds.items():
        rows += [(rule, level, origin) for rule in rules]
    return rows


def validate(folder: Path) -> int:
    """Check every setting that holds in `folder` by name.

    Raises:
        UsageError: the first that nothing reads: file, line, key, nearest valid name.
    """
    settings, path = load(folder)
    project_rules(folder)
    if path is None:
        write_out("no settings: neither vqdoctor.toml nor pyproject.toml with [tool.vqdoctor] here or above\n")
        return int(ExitCode.OK)
    from vqdoctor.app.gating.request import parse_at
    from vqdoctor.diagnosis.words import plural

    if "at" in settings.policies:
        parse_at(settings.policies["at"], located(path, [NAME, "at"]))
    asks = settings.asks
    numbers = {"threshold": len(asks.metrics), "rule": len(asks.rules), "setting": len(settings.policies) + bool(asks.presets)}
    counted = ", ".join(plural(number, word) for word, number in numbers.items())
    write_out(f"{printable(path, 4000)}: valid: {counted}\n")
    return int(ExitCode.OK)
