"""The sentences that every view for people shares: what was opened, what it was judged by, what was found and where.

`say` is the sink's escaping (`Screen.say`, `to_markdown.escape`); it is applied to each piece that a file or a rule has worded,
so what comes back is ready to show.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from vqdoctor.diagnosis.case import Case, Level, finite
from vqdoctor.diagnosis.verdict import ROWS_PER_CODE
from vqdoctor.model.report import SEVERITIES, Finding, LevelReport, MetricValue, QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, plural, scalar, share, short, size

Say = Callable[[object], str]

FACTS = 6  # values of a checkpoint's header worth a line
GROUPS = 3  # groups of colliding items shown
PLACES = 6  # places named before "and n more"


def tally(findings: Iterable[Finding]) -> str:
    """``2 errors, 1 warning``; empty where nothing was found."""
    numbers = Counter(finding.severity for finding in findings)
    words = {"error": "error", "warning": "warning", "info": "remark"}
    return ", ".join(plural(numbers[severity], words[severity]) for severity in reversed(SEVERITIES) if numbers[severity])


def verdict_words(report: Report) -> str:
    """What the verdict rests on, in a few words."""
    found = tally(report.findings)
    if report.verdict == "unknown" and not any(finding.severity != "info" for finding in report.findings):
        return "no defect found in what could be measured" + (f", {found}" if found else "")
    return found or "no finding, and every codebook judged by real use"


def source_words(report: Report, say: Say) -> str:
    """``torch zip · 1.2 GB · epoch 1 · step 1 100``."""
    source = report.source
    facts = [f"{say(key)} {scalar(value, say)}" for key, value in list(source.info.items())[:FACTS]]
    kind = "semantic IDs" if source.kind == "semantic-ids" else say(source.kind.replace("-", " "))
    return " · ".join([kind, size(source.bytes), *facts])


def sample_words(report: Report, say: Say) -> str:
    """What real use was judged by, and how far that carries."""
    sample = report.sample
    if sample is None and report.source.kind == "log":
        return "numbers as the log states them: how many rows stand behind them is not known"
    if sample is None:
        return "real use not measured: no features, codes or IDs were given"
    width = f" × {count(sample.width)}" if sample.width else ""
    words = [f"{sample.kind}: {say(sample.path)}", f"{count(sample.n)} rows{width}"]
    words += ["the whole catalogue" if sample.population else "a sample", say(sample.origin)]
    words += [f"{plural(sample.dropped, 'row')} left out (not finite or unassigned)"] if sample.dropped else []
    words += [] if sample.complete else ["not read to the end"]
    return " · ".join(words)


def number_of(metrics: Mapping[str, MetricValue], name: str) -> float | None:
    """The metric `name` as a number; None where it is undefined, missing or a list."""
    return finite(metrics.get(name))


def size_words(level: LevelReport) -> str:
    """``512 × 256``; K alone for semantic IDs, which have no vectors and may not say it."""
    if not level.codes:
        return "unknown"
    return f"{count(level.codes)} × {count(level.dim)}" if level.dim else count(level.codes)


def codes_of(level: LevelReport) -> int:
    """K; where it is not known (0), as many codes as were seen."""
    return level.codes or len(level.counts or ())


def collision_words(quantizer: QuantizerReport) -> str:
    """``unique 3 359 of 3 883 · collisions 13.5 % (floor 0.2 %) · largest group 9``; empty where nothing was counted."""
    unique, items, rate, group, floor, room, left = (
        number_of(quantizer.metrics, f"collision.{name}")
        for name in ("unique", "items", "rate", "max_group", "floor_excess", "capacity", "after_suffix")
    )
    if not items:
        return ""
    at_least = f" (floor {share(floor / items)})" if floor is not None else ""
    words = [f"unique {count(unique)} of {count(items)}", f"collisions {share(rate)}{at_least}"]
    words += [f"largest group {count(group)}"] if group is not None else []
    words += [f"room for {count(room)}"] if room is not None else []
    words += [f"{count(left)} still collide with the suffix"] if left is not None else []
    return " · ".join(words)


def joint_words(quantizer: QuantizerReport) -> str:
    """What the levels do together, in bits and decibels; empty where nothing was measured."""
    get = quantizer.metrics.get
    joint, gains, hourglass = (get(f"levels.{name}") for name in ("joint_entropy_bits", "gain_db", "hourglass"))
    words = [f"joint entropy {scalar(joint)} bits"] if joint is not None else []
    words += [f"each level gains {', '.join(short(gain) for gain in gains)} dB"] if isinstance(gains, list) and gains else []
    words += [f"hourglass {scalar(hourglass)}"] if hourglass is not None else []
    return " · ".join(words)


def kind_words(quantizer: QuantizerReport, say: Say) -> str:
    """``taming-ema · single · lookup l2 (stated)``."""
    structure = quantizer.structure
    if quantizer.structure == "implicit":
        structure = "implicit, no stored book"
    elif len(quantizer.levels) > 1:
        structure = f"{quantizer.structure}, {plural(len(quantizer.levels), 'level')}"
    return " · ".join([say(quantizer.layout), structure, f"lookup {quantizer.metric} ({quantizer.metric_basis})"])


def level_state(report: Report, quantizer: QuantizerReport, level: LevelReport) -> str:
    """The worst finding on the level decides; without one it is healthy if real use was judged on enough rows, else unknown."""
    places = {f"{quantizer.name}[{level.index}]"} | ({quantizer.name} if len(quantizer.levels) == 1 else set())
    worst = max((SEVERITIES.index(finding.severity) for finding in report.findings if finding.where in places), default=0)
    if worst:
        return ("at-risk", "sick")[worst - 1]
    judged = Level(Case(None, quantizer, report.sample), level, None).sampled(ROWS_PER_CODE)
    return "healthy" if judged and level.codes else "unknown"


def why_unmeasured(report: Report, metric: str) -> str:
    """The reason why `metric` has no value, a dash where none was given."""
    names = {metric, metric.partition(".")[0] + ".*"}
    return next((each.why for each in report.unmeasured if each.metric in names), UNDEFINED)


def missing(report: Report) -> list[tuple[str, str, str | None]]:
    """(metrics, why, how): what has no value, those of one reason together, those of one command side by side."""
    kinds: dict[str | None, dict[str, list[str]]] = {}
    for each in report.unmeasured:
        kinds.setdefault(each.how, {}).setdefault(each.why, []).append(each.metric)
    return [(", ".join(metrics), why, how) for how, reasons in kinds.items() for why, metrics in reasons.items()]


def alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one rule, severity and confidence together, errors first, else in the order given."""
    ranked = sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in ranked:
        kinds.setdefault((finding.severity, finding.rule, finding.confidence), []).append(finding)
    return list(kinds.values())


def place_words(wheres: Iterable[str], say: Say) -> str:
    """``q[0], [2…5], decoder.q`` for the places of several findings."""
    named = []
    for base, group in groupby((_split(where) for where in dict.fromkeys(wheres)), key=lambda place: place[0]):
        ranges = _ranges([index for _, index in group])
        named += [say(base) + ranges[0], *ranges[1:]]
    more = f" and {count(len(named) - PLACES)} more" if len(named) > PLACES else ""
    return ", ".join(named[:PLACES]) + more


def _split(where: str) -> tuple[str, int | None]:
    """``("quantizer.vq", 3)`` of ``quantizer.vq[3]``."""
    match = re.fullmatch(r"(.*)\[(\d{1,9})\]", where, re.DOTALL)
    return (match[1], int(match[2])) if match else (where, None)


def _ranges(indices: Sequence[int | None]) -> list[str]:
    """``["[0]", "[2…5]"]`` of 0, 2, 3, 4, 5; an empty string for a place without an index."""
    numbers = sorted(index for index in indices if index is not None)
    written = [""] if len(numbers) < len(indices) else []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [index for _, index in group]
        written.append(f"[{run[0]}]" if len(run) == 1 else f"[{run[0]}…{run[-1]}]")
    return written


def group_words(quantizer: QuantizerReport, say: Say) -> list[str]:
    """``9 items share 3, 7, 1: tt0114709, tt0113497`` for the largest groups."""
    return [
        f"{count(group.items)} items share {', '.join(str(code) for code in group.id)}"
        + (f": {', '.join(say(member) for member in group.members)}" if group.members else "")
        for group in quantizer.groups[:GROUPS]
    ]


def translations(quantizer: QuantizerReport) -> list[dict[str, Any]]:
    """What other programs would print: a row a program and name, the values of the levels side by side."""
    rows: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in quantizer.translations:
        told = rows.setdefault((row.get("tool"), row.get("name")), {**row, "value": []})
        told["value"].append(row.get("value"))
        told.pop("level", None)
    for told in rows.values():
        told["value"] = told["value"] if any(value is not None for value in told["value"]) else None
    return list(rows.values())


def next_words(report: Report) -> list[str]:
    """What to type now, likeliest first; file names quoted for a shell."""
    words = [f"vqdoctor explain {same[0].rule}" for same in alike(report.findings)[:1]]
    if report.sample is not None:
        words.append("--plot draws the use of the codes")
    return words


def inspect_command(report: Report) -> str:
    """The command that tells this source's whole story."""
    return f"vqdoctor inspect {shlex.quote(report.source.path)}"


def file_name(report: Report) -> str:
    """The last part of the source's path."""
    return PurePath(report.source.path).name or report.source.path
