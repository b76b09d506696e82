"""What every view of a gate's result says in the same words: the headline with both numbers, the tally, who asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vqdoctor.diagnosis import known_rules
from vqdoctor.model.gate import Check, GateResult
from vqdoctor.render.figures import UNDEFINED, count, plural, short
from vqdoctor.render.screen import GAP

SIGNS = {"min": "≥", "max": "≤"}
_BROKEN = {"min": "<", "max": ">"}
MOST_DIGITS = 9


def headline(result: GateResult) -> str:
    """What decided, with both numbers: ``usage.utilization 0.42 < 0.90 at quantizer[1]``."""
    if not result.checks:
        return "nothing could be judged"
    several = len({check.source for check in result.checks}) > 1
    met = (check for check in result.checks if check.metric and check.status == "pass")
    decisive = next(met, None) if result.verdict == "pass" else result.checks[0]
    if decisive is None:
        return ""
    return decisive_words(decisive) + (f" of {decisive.source}" if several else "")


def decisive_words(check: Check) -> str:
    """One check as a clause."""
    place = f" at {check.where}" if check.where else ""
    if check.rule:
        return rule_words(check.rule) + place
    if check.value is None:
        return f"{check.metric} has no value{place}"
    value, threshold = pair(check.value, check.threshold)
    if check.status == "inconclusive":
        rows = f", {rows_words(check)}" if check.n is not None else ""
        return f"{check.metric} {value}, asked {SIGNS[check.op]} {threshold}{place}{rows}"
    met = check.status == "pass" and check.known is None
    known = " (known)" if check.known is not None else ""
    return f"{check.metric} {value} {(SIGNS if met else _BROKEN)[check.op]} {threshold}{place}{known}"


def rows_words(check: Check) -> str:
    """``512 rows, 768 settle it (256 more)``, with plain spaces: it goes through sinks that escape others."""
    if check.n is None:
        return ""
    rows = plural(check.n, "row").replace(GAP, " ")
    if check.needed_n is None:
        return rows
    more = f" ({count(check.needed_n - check.n)} more)" if check.needed_n > check.n else ""
    return f"{rows}, {count(check.needed_n)} settle it{more}".replace(GAP, " ")


def rule_words(rule: str) -> str:
    """``VQ101 codebook-collapse``."""
    return next((f"{rule} {each.name}" for each in known_rules() if each.id == rule), rule)


def tally(result: GateResult) -> str:
    """``1 of 12 checks failed, 2 inconclusive``."""
    numbers = Counter(check.status for check in result.checks)
    total = plural(len(result.checks), "check")
    known = sum(check.known is not None for check in result.checks)
    aside = f", {count(known)} of them known failures" if known else ""
    if numbers["pass"] == len(result.checks):
        return f"all {total} pass{aside}" if len(result.checks) > 1 else f"{total} passes{aside}" if result.checks else ""
    milder = sum(check.status == "fail" and check.level != "error" for check in result.checks)
    if numbers["fail"] == milder and not numbers["inconclusive"]:
        return f"{count(numbers['pass'])} of {total} pass, {plural(milder, 'failure')} below error"
    aside = f" ({count(milder)} below error)" if milder else ""
    parts = [f"{count(numbers['fail'])} of {total} failed{aside}"] if numbers["fail"] else []
    parts += [f"{count(numbers['inconclusive'])}{'' if parts else f' of {total}'} inconclusive"] if numbers["inconclusive"] else []
    return ", ".join(parts)


def asked_words(result: GateResult) -> str:
    """Which presets were applied, and why."""
    if not result.presets:
        return "thresholds and rules that were asked for"
    names = ", ".join(result.presets)
    return f"preset {names}" + ("" if result.asked else ", since nothing was asked for")


def asked(check: Check) -> str:
    """``≥ 0.90``; a rule's findings should be absent."""
    if check.rule:
        return "no finding"
    if check.threshold is None:
        return "no worse than the baseline"
    value = check.threshold if check.value is None else check.value
    return f"{SIGNS[check.op]} {pair(value, check.threshold)[1]}"


def found(check: Check) -> str:
    """What was found, as precisely as it takes to tell it from what was asked."""
    if check.rule:
        return {"fail": "found", "pass": "found" if check.known else "none", "inconclusive": "open"}[check.status]
    return pair(check.value, check.threshold)[0]


def pair(value: float | None, threshold: float | None) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart, and two decimals at least for shares."""
    if value is None or threshold is None:
        return _one(value), _one(threshold)
    if float(value).is_integer() and float(threshold).is_integer() and max(abs(value), abs(threshold)) < 1e7:
        return f"{value:.0f}", f"{threshold:.0f}"
    told = [(_fixed(value, digits), _fixed(threshold, digits)) for digits in range(2, MOST_DIGITS)]
    apart = [words for words in told if words[0] != words[1] or value == threshold]
    whole = (words for words in apart if float(words[1]) == threshold or abs(threshold) < 1e-2)
    for words in (*whole, *apart[1:], *apart):  # a threshold that was asked for is shown as it is, one worked out is rounded
        return words
    return f"{value:.17g}", f"{threshold:.17g}"


def _fixed(number: float, digits: int) -> str:
    whole = float(number).is_integer() and abs(number) >= 10
    if whole or abs(number) >= 1e7 or 0 < abs(number) < 10.0**-digits:
        return f"{number:.{max(3, digits)}g}"
    return f"{number:.{digits}f}"


def _one(number: float | None) -> str:
    return UNDEFINED if number is None else short(number)


def quiet_rules(checks: Sequence[Check]) -> list[Check]:
    """The checks of rules that find nothing at all, which one line can name together."""
    return [check for check in checks if check.rule and check.status == "pass" and check.known is None and not check.where]
