"""What a gate answered: `vqdoctor.gate/1` as values (contract §8). Views render these; they judge nothing."""

from __future__ import annotations

from dataclasses import dataclass

GATE_SCHEMA = "vqdoctor.gate/1"
STATUSES = ("pass", "inconclusive", "fail")  # ascending; of several checks the worst counts


@dataclass(frozen=True, slots=True)
class Check:
    """One question to one place of one source, and its answer.

    Attributes:
        source: the file. where: "quantizer.vq[1]", "quantizer.vq", "" for all of it, "quantizer.vq[*]" for the mean of its levels.
        metric, rule: what was asked about, exactly one of the two.
        op: "min" or "max" for a metric (as in --min, --max), "absent" for a rule. threshold: the number asked for, None for a rule.
        value: what was found, None where it is not known. n: rows behind it, None for facts of the file and for logs.
        needed_n: rows in all that would settle an inconclusive check, None where it is settled or no number of rows would do.
        status: "pass", "fail" or "inconclusive". level: how grave a failure is, "error", "warning" or "info".
        reason: one sentence. origin: who asked ("--min", "preset recommended", "/home/me/pyproject.toml").
        known: the value that the baseline holds for a failure it accepts, None elsewhere.
    """

    source: str
    where: str
    metric: str | None = None
    rule: str | None = None
    op: str = "absent"
    threshold: float | None = None
    value: float | None = None
    n: int | None = None
    needed_n: int | None = None
    status: str = "pass"
    level: str = "error"
    reason: str = ""
    origin: str = ""
    known: float | str | None = None

    @property
    def subject(self) -> str:
        """The metric or the rule."""
        return self.metric or self.rule or ""


@dataclass(frozen=True, slots=True)
class Ungated:
    """What a preset would judge and could not, since it was not measured: `what` of `source`, why, and how to have it judged."""

    source: str
    what: str
    why: str
    how: str | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """All answers. verdict: "fail" where a check of a level that counts failed, else "inconclusive" where one is, else "pass".

    Attributes:
        checks: gravest first. ungated: see there. presets: those that were applied. asked: False where nobody asked for anything
            and the recommended preset stepped in. stops: True where a pipeline should stop (exit status 1).
    """

    verdict: str
    checks: tuple[Check, ...]
    ungated: tuple[Ungated, ...] = ()
    presets: tuple[str, ...] = ()
    asked: bool = True
    stops: bool = False
    version: str = ""

    @property
    def passed(self) -> bool:
        """True where nothing stops a pipeline."""
        return not self.stops
