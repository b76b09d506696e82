"""`vqdoctor.gate/1` as JSON, and a line a check as JSONL; `gate.schema.json` beside this file says it to programs."""

from __future__ import annotations

import json
from typing import Any

from vqdoctor.model.gate import GATE_SCHEMA, Check, GateResult
from vqdoctor.render.to_json import plain, pretty


def render_gate(result: GateResult) -> str:
    """The whole result as one object."""
    return pretty(gate_object(result)) + "\n"


def render_lines(result: GateResult) -> str:
    """The verdict, then a check a line."""
    whole = gate_object(result)
    head = {key: value for key, value in whole.items() if key != "checks"}
    return "".join(json.dumps(each, ensure_ascii=True, allow_nan=False) + "\n" for each in (head, *whole["checks"]))


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `render_gate` writes."""
    from importlib.resources import files

    loaded: dict[str, Any] = json.loads(files("vqdoctor.render").joinpath("gate.schema.json").read_text("utf-8"))
    return loaded


def gate_object(result: GateResult) -> dict[str, Any]:
    """A result as JSON's own types, keys in the contract's order."""
    return {
        "schema": GATE_SCHEMA,
        "version": result.version,
        "verdict": result.verdict,
        "stops": result.stops,
        "presets": list(result.presets),
        "checks": [_check(check) for check in result.checks],
        "ungated": [{"source": each.source, "what": each.what, "why": each.why, "how": each.how} for each in result.ungated],
    }


def _check(check: Check) -> dict[str, Any]:
    about = {"metric": check.metric} if check.metric is not None else {"rule": check.rule}
    return about | {
        "where": check.where,
        "level": check.level,
        "op": check.op,
        "threshold": plain(check.threshold),
        "value": plain(check.value),
        "n": check.n,
        "needed_n": check.needed_n,
        "status": check.status,
        "reason": check.reason,
        "source": check.source,
        "origin": check.origin,
        "known": plain(check.known),
    }
