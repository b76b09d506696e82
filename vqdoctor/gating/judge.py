"""Asks and a subject to checks: each threshold at each place, each rule's findings, what could not be judged and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from vqdoctor.diagnosis import Case, Rule, known_rules
from vqdoctor.errors import printable
from vqdoctor.gating.asks import Asks, MetricAsk, RuleAsk
from vqdoctor.gating.bands import Band, band_of, mean_band
from vqdoctor.gating.baseline import Baseline
from vqdoctor.gating.subject import METRIC_NAMES, OF_A_BOOK, Place, Subject
from vqdoctor.metrics.sufficiency import ROWS_PER_CODE
from vqdoctor.model.gate import STATUSES, Check, Ungated
from vqdoctor.model.report import SEVERITIES

SLACK = 1e-12
"""Relative: a share that is the threshold but for its last bit has met it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """checks: the answers. seen: those at every single place, before a baseline and before levels are put together."""

    checks: tuple[Check, ...]
    seen: tuple[Check, ...]
    ungated: tuple[Ungated, ...]


def judge(
    subject: Subject, asks: Asks, *, baseline: Baseline | None = None, require_n: bool = False, rules: Sequence[Rule] | None = None
) -> Judged:
    """Every ask to every place of one source.

    Args:
        baseline: failures that it holds, and that are no worse now, pass. require_n: what a log states without saying on how many
            rows is inconclusive.
    """
    by_id = {rule.id: rule for rule in (known_rules() if rules is None else rules)}
    checks: list[Check] = []
    seen: list[Check] = []
    open_questions: list[Ungated] = []
    for ask in asks.metrics.values():
        answers, missing = _metric(subject, ask, baseline, require_n)
        seen += answers
        accepted = [_accepted(check, baseline) if not ask.drop else check for check in answers]
        checks += missing if ask.required else []
        checks += accepted if ask.over == "each" else _worst(accepted)
        if missing and not ask.required:
            open_questions.append(Ungated(subject.path, ask.metric, *subject.why_missing(ask.metric)))
    for wanted in asks.rules.values():
        if wanted.level == "off":
            continue
        answers = _rule(subject, wanted, by_id[wanted.rule])
        seen += answers
        checks += [_accepted(check, baseline) for check in answers]
    wanted_rules = [by_id[each.rule] for each in asks.rules.values() if not each.required and each.level != "off"]
    open_questions += _not_judged(subject, [rule for rule in wanted_rules if not _judged(subject, rule)])
    return Judged(tuple(checks), tuple(seen), tuple(dict.fromkeys(open_questions)))


def verdict_of(checks: Iterable[Check], *, fail_on: str = "error", inconclusive: str = "fail") -> tuple[str, bool]:
    """The verdict over checks of the levels that count, and whether it stops a pipeline. No check at all settles nothing.

    Args:
        fail_on: the least level that counts; "never": nothing stops. inconclusive: "fail" stops, "pass" and "warn" do not.
    """
    least = "error" if fail_on == "never" else fail_on
    counting = [check.status for check in checks if SEVERITIES.index(check.level) >= SEVERITIES.index(least)]
    everything = list(checks)
    verdict = max(counting, key=STATUSES.index, default="pass" if everything else "inconclusive")
    stops = verdict == "fail" or (verdict == "inconclusive" and inconclusive == "fail")
    return verdict, stops and fail_on != "never"


def in_order(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Gravest first: failures, then what is open, then what passes; errors before warnings; else as asked."""
    return tuple(sorted(checks, key=lambda check: (-STATUSES.index(check.status), -SEVERITIES.index(check.level))))


def _metric(subject: Subject, ask: MetricAsk, baseline: Baseline | None, require_n: bool) -> tuple[list[Check], list[Check]]:
    """Answers where the metric has a value, and failures where it should have one."""
    asked = [place for place in subject.places if ask.metric in place.metrics and ask.at(place)]
    bands = [(place, band) for place in asked if (band := band_of(place, ask.metric)) is not None]
    empty = [place for place in asked if place.value(ask.metric) is None]
    missing = [_missing(subject, ask, place.where) for place in empty] if bands else []
    if not bands:
        missing = [_missing(subject, ask, ask.scope or (empty[0].where if len(empty) == 1 else ""))]
    if ask.over == "mean" and bands:
        merged = Place(_shared_name(place for place, _ in bands), None, {}, stated=bands[0][0].stated)
        bands = [(merged, mean_band([band for _, band in bands]))]
    return [_answer(subject, ask, place, band, baseline, require_n) for place, band in bands], missing


def _shared_name(places: Iterable[Place]) -> str:
    names = list(dict.fromkeys(place.quantizer for place in places))
    return f"{names[0]}[*]" if len(names) == 1 else "*"


def _missing(subject: Subject, ask: MetricAsk, where: str) -> Check:
    """Fails closed: what was asked for and is not known may be anything."""
    known = any(ask.at(place) for place in subject.places)
    why, how = subject.why_missing(ask.metric)
    if ask.scope and not known:
        names = ", ".join(dict.fromkeys(printable(place.quantizer) for place in subject.places))
        why, how = f"there is no {printable(ask.scope)} here; there is {names or 'no quantiser'}", None
    given = f" ({how})" if how else ""
    return Check(
        subject.path, where, ask.metric, op=ask.op, threshold=None if ask.drop else ask.threshold, status="fail", level=ask.level,
        reason=f"no value: {why}{given}", origin=ask.origin,
    )  # fmt: skip


def _answer(subject: Subject, ask: MetricAsk, place: Place, band: Band, baseline: Baseline | None, require_n: bool) -> Check:
    check = Check(
        subject.path, place.where, ask.metric, op=ask.op, threshold=ask.threshold, value=band.value, n=band.n, level=ask.level,
        origin=ask.origin,
    )  # fmt: skip
    threshold, grounds = ask.threshold, ""
    if ask.drop:
        known = baseline.value(check) if baseline is not None else None
        if known is None:
            return replace(check, threshold=None, status="fail", reason="the baseline holds no value to compare with")
        threshold = _bound(ask, known)
        grounds = f"the baseline holds {known:.4g}"
        check = replace(check, threshold=threshold)
    doubt = _doubt(subject, place, band, require_n)
    status = "inconclusive" if doubt else status_of(band, ask.op, threshold)
    needed = band.settle(threshold) if status == "inconclusive" and not doubt else None
    reason = "; ".join(part for part in (grounds, doubt or band.basis) if part)
    return replace(check, status=status, needed_n=needed, reason=reason)


def status_of(band: Band, op: str, threshold: float) -> str:
    """Passes where the whole band is on the good side of the threshold, fails where it is on the other."""
    slack = SLACK * max(1.0, abs(threshold))
    if op == "max":
        return "pass" if band.high <= threshold + slack else "fail" if band.low > threshold + slack else "inconclusive"
    return "pass" if band.low >= threshold - slack else "fail" if band.high < threshold - slack else "inconclusive"


def _bound(ask: MetricAsk, known: float) -> float:
    allowed = ask.threshold * abs(known) if ask.relative else ask.threshold
    return known + allowed if ask.op == "max" else known - allowed


def _doubt(subject: Subject, place: Place, band: Band, require_n: bool) -> str:
    """Why a number cannot be relied upon whatever it is."""
    if place.stated and require_n:
        return "the log states it and not on how many rows"
    return subject.doubt if band.n is not None else ""


def _worst(checks: Sequence[Check]) -> list[Check]:
    """One answer for several places: that of the gravest, of equally grave ones that with the worst value."""
    if len(checks) < 2:
        return list(checks)

    def badness(check: Check) -> tuple[int, float]:
        value = check.value or 0.0
        return STATUSES.index(check.status), value if check.op == "max" else -value

    worst = max(checks, key=badness)
    words = f"the worst of {len(checks)}"
    return [replace(worst, reason=f"{worst.reason}; {words}" if worst.reason else words)]


def _accepted(check: Check, baseline: Baseline | None) -> Check:
    """A failure that the baseline knows passes while it gets no worse."""
    if baseline is None or check.status != "fail" or not baseline.accepts(check):
        return check
    known = baseline.known(check)
    shown = f"{known:.4g}" if isinstance(known, float | int) else known
    return replace(check, status="pass", known=known, reason=f"known: the baseline holds {shown}")


def _judged(subject: Subject, rule: Rule) -> bool:
    return rule.id in subject.judged or any(finding.rule == rule.id for finding in subject.findings)


def _rule(subject: Subject, ask: RuleAsk, rule: Rule) -> list[Check]:
    """A check a finding; where there is none, one for the rule's silence, if that means anything."""
    counting = [
        finding
        for finding in subject.findings
        if finding.rule == rule.id and (finding.severity == ask.level if ask.level else finding.severity != "info")
    ]
    rests_on_rows = "usage.n" in rule.needs
    blank = Check(subject.path, "", rule=rule.id, level=ask.level or "error", origin=ask.origin)
    doubt = subject.doubt if rests_on_rows else ""
    if counting:
        blank = replace(blank, status="inconclusive" if doubt else "fail")
        return [
            replace(blank, where=each.where, level=each.severity, reason=doubt or each.message, n=_rows_of(each.evidence))
            for each in counting
        ]
    if not _judged(subject, rule):
        why, how = why_not(subject, rule)
        reason = f"it cannot be judged: {why}" + (f" ({how})" if how else "")
        return [replace(blank, status="fail", reason=reason)] if ask.required else []
    if doubt:
        return [replace(blank, status="inconclusive", reason=doubt)]
    if (level := subject.thin.get(rule.id)) is not None:
        needed = ROWS_PER_CODE * level.codes
        words = f"it finds nothing, on fewer than {ROWS_PER_CODE} rows a code"
        return [replace(blank, where=level.where, status="inconclusive", n=level.n, needed_n=needed, reason=words)]
    return [blank]


def _rows_of(evidence: object) -> int | None:
    rows = evidence.get("usage.n") if isinstance(evidence, dict) else None
    return int(rows) if isinstance(rows, int | float) else None


def why_not(subject: Subject, rule: Rule) -> tuple[str, str | None]:
    """Why a rule has nothing to judge by, and how it would have."""
    if subject.kind != "log" and rule.subject is not Case:
        return "it judges logs", None
    if subject.kind == "log" and rule.subject is Case and not rule.also:
        return "it judges checkpoints and IDs, this is a log", None
    return subject.why_missing(next((name for name in rule.needs if name in METRIC_NAMES), OF_A_BOOK))


_OF_CHECKPOINTS = (
    "the rules of checkpoints and IDs",
    "a log holds no codebook: ask for what it states",
    "vqdoctor gate LOG --min usage.batch_utilization=0.8",
)


def _not_judged(subject: Subject, rules: Sequence[Rule]) -> Iterator[Ungated]:
    """What a preset leaves out here: rules of one reason together, under the family of metrics that they lack.

    Rules that judge another kind of source altogether are none of this one's business.
    """
    reasons: dict[tuple[str, str, str | None], list[str]] = {}
    log = subject.kind == "log"
    if log and rules:
        yield Ungated(subject.path, *_OF_CHECKPOINTS)
    for rule in rules:
        if log or rule.subject is not Case:
            continue
        first = next((name for name in rule.needs if name in METRIC_NAMES), OF_A_BOOK)
        why, how = why_not(subject, rule)
        reasons.setdefault((f"{first.partition('.')[0]}.*", why, how), []).append(rule.id)
    for (family, why, how), ids in reasons.items():
        yield Ungated(subject.path, f"{family} ({', '.join(ids)})", why, how)
