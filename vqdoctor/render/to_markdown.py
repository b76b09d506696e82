"""GitHub-flavoured Markdown, to paste into an issue or a pull request: the text view's story in headings and tables.

Names from a file may hold pipes, backticks, HTML, links or @mentions. Every word that is not ours goes through `escape`, or through
`code` where it is to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vqdoctor.errors import printable
from vqdoctor.model.gate import Check, GateResult
from vqdoctor.model.report import LevelReport, QuantizerReport, Report
from vqdoctor.render.figures import count, plural, scalar, share, short, unit
from vqdoctor.render.gated import asked_words, check_name, check_place, found_words, told_checks
from vqdoctor.render.screen import LONGEST, STATES, Screen
from vqdoctor.render.spark import usage_bars
from vqdoctor.render.words import (
    alike,
    codes_of,
    collision_words,
    group_words,
    joint_words,
    kind_words,
    level_state,
    missing,
    number_of,
    place_words,
    sample_words,
    size_words,
    source_words,
    translations,
    verdict_words,
)

BARS = 24
ALSO = 8  # further messages of a rule that holds at several places
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)|^(?:[-+#>=]|\d+(?=[.)]))")
_LINKING = re.compile(r"(?<=@)|(?<=#)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=GH-)", re.IGNORECASE)


def render(reports: Sequence[Report], screen: Screen, gate: GateResult | None = None) -> str:
    """A section a source, the gate's checks before them."""
    sections = [gate_blocks(gate)] if gate is not None else []
    return "\n".join("\n\n".join(blocks) + "\n" for blocks in [*sections, *map(report_blocks, reports)])


def gate_blocks(gate: GateResult) -> list[str]:
    """The gate's verdict, a row a check, and a line for the rules that found nothing."""
    titles = ("status", "check", "where", "found", "asked", "n", "rows that settle it", "why")
    told, quiet = told_checks(gate)
    rows = [[*map(escape, (check.status, check_name(check), check_place(check))), *_answer(check)] for check in told]
    blocks = [f"## Gate: {escape(gate.verdict)}", table(titles, rows)]
    return [*blocks, f"Nothing found by {', '.join(map(escape, quiet))}."] if quiet else blocks


def _answer(check: Check) -> list[str]:
    return [found_words(check), asked_words(check, escape), count(check.n), count(check.needed_n), escape(check.reason)]


def escape(words: object) -> str:
    """`words` as text that GitHub shows as it is: no table cell, HTML, link, mention or issue reference comes of it."""
    text = _LINKING.sub("\x00", printable(words, LONGEST))
    text = _SPECIAL.sub(_escaped, text.replace("&", "&amp;").replace("<", "&lt;"))
    return text.replace("\x00", "<!-- -->")


def _escaped(found: re.Match[str]) -> str:
    """A backslash before the mark; before a list's number it would show, so after it."""
    mark = found[0]
    return f"{mark}\\" if mark[0].isdigit() else f"\\{mark}"


def code(words: object) -> str:
    """`words` as a code span, fenced by more backticks than it holds."""
    text = printable(words, LONGEST).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _state(name: str) -> str:
    return f"{STATES[name].glyph} {STATES[name].word}"


def report_blocks(report: Report) -> list[str]:
    """The story of one source, a heading, paragraph, list or table each."""
    blocks = [
        f"## {_state(report.verdict)}: {escape(report.source.path)}",
        f"{verdict_words(report)}  \n{source_words(report, escape)}  \n{sample_words(report, escape)}",
        *(f"> {escape(warning)}" for warning in report.source.warnings),
    ]
    for quantizer in report.quantizers:
        blocks += _quantizer(report, quantizer)
    blocks += _findings(report)
    if report.unmeasured:
        blocks += ["### Not measured", "\n".join(_unmeasured(*each) for each in missing(report))]
    return blocks


def _unmeasured(names: str, why: str, how: str | None) -> str:
    command = f": {code(how)}" if how else ""
    return f"- {escape(names)}: {escape(why)}{command}"


def _quantizer(report: Report, quantizer: QuantizerReport) -> list[str]:
    titles = ("", "level", "K × D", "real use", "EMA says", "perplexity", "entropy", "codes by use")
    levels = [_level(report, quantizer, level) for level in quantizer.levels]
    blocks = [f"### {escape(quantizer.name)}", f"{kind_words(quantizer, escape)}: {escape(quantizer.evidence)}"]
    blocks += [table(titles, levels)] if levels else []
    facts = [words for words in (collision_words(quantizer), joint_words(quantizer), *group_words(quantizer, escape)) if words]
    lines = [f"- {words}" for words in (*facts, *map(escape, quantizer.notes))]
    blocks += ["\n".join(lines)] if lines else []
    if rows := translations(quantizer):
        blocks.append(table([escape(title) for title in rows[0]], _values(rows)))
    return blocks


def _values(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[scalar(each, escape) for each in row.values()] for row in rows]


def _level(report: Report, quantizer: QuantizerReport, level: LevelReport) -> list[str]:
    used, utilization, ema, perplexity, entropy = (
        number_of(level.metrics, name)
        for name in ("usage.used", "usage.utilization", "ema.utilization", "usage.perplexity", "usage.entropy_normalized")
    )
    return [
        _state(level_state(report, quantizer, level)),
        str(level.index),
        size_words(level),
        f"{count(used)} ({share(utilization)})" if used is not None else "–",
        share(ema),
        short(perplexity),
        unit(entropy),
        "–" if level.counts is None else f"`{usage_bars(level.counts.values(), codes_of(level), BARS)}`",
    ]


def _findings(report: Report) -> list[str]:
    blocks = ["### Findings"] if report.findings else []
    for same in alike(report.findings):
        first = same[0]
        where = place_words([finding.where for finding in same], escape)
        blocks.append(
            f"**{_state(first.severity)}: {escape(first.rule)} {escape(first.name)}** ({escape(first.confidence)}) at {where}  \n"
            + escape(first.message)
        )
        also = [f"- {escape(finding.where)}: {escape(finding.message)}" for finding in same[1 : 1 + ALSO]]
        also += [f"- and {plural(len(same) - 1 - ALSO, 'more place')}"] if len(same) > 1 + ALSO else []
        blocks += ["\n".join(also)] if also else []
        blocks += [f"→ {escape(first.remedy.text)}"] if first.remedy.text else []
        blocks += [fenced(first.remedy.command)] if first.remedy.command else []
        blocks += [f"To be sure: {escape(first.next)}"] if first.next else []
    return blocks


def fenced(command: str) -> str:
    """A command as a block of its own, with GitHub's copy button; a name inside cannot close it."""
    text = printable(command, LONGEST)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}console\n{text}\n{fence}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells that are escaped already, as a table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
