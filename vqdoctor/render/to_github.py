"""GitHub Actions: findings as annotations on standard output, and a job summary for `$GITHUB_STEP_SUMMARY`.

A step shows ten annotations of a kind and drops the rest without a word, so the worst come first and the rest are folded into
one that says how many there are. The summary's upload is dropped as a whole above 1 MiB, so it is cut by section before that.

Nothing that a file has worded can start a command of its own: every line begins with ours, and `%`, line ends and, in
properties, `:` and `,` are escaped as the runner's own toolkit does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape as html

from vqdoctor.errors import printable
from vqdoctor.model.gate import GateResult
from vqdoctor.model.report import SEVERITIES, Finding, Report
from vqdoctor.render.figures import plural
from vqdoctor.render.gated import check_name, check_place, check_words, severity_of
from vqdoctor.render.screen import GAP, LONGEST, STATES, Screen
from vqdoctor.render.to_markdown import escape as markdown
from vqdoctor.render.to_markdown import gate_blocks, report_blocks, table
from vqdoctor.render.words import tally, verdict_words

CAP = 10  # annotations of one kind that a step shows
ROOM = 1_000_000  # bytes of a summary; GitHub drops it above 1 MiB = 1 048 576
KINDS = {"error": "error", "warning": "warning", "info": "notice"}


@dataclass(frozen=True, slots=True)
class Annotation:
    """One line of the checks view. file: "" where it belongs to no file."""

    severity: str
    title: str
    message: str
    file: str = ""

    def line(self) -> str:
        """The workflow command."""
        properties = {"file": self.file, "title": self.title}
        told = ",".join(f"{name}={in_property(value)}" for name, value in properties.items() if value)
        return f"::{KINDS[self.severity]} {told}::{in_message(self.message)}"


def render(reports: Sequence[Report], screen: Screen, gate: GateResult | None = None) -> str:
    """A line a source, then the annotations, worst first."""
    heads = [_head(report) for report in reports]
    heads += [f"vqdoctor: gate: {_inert(gate.verdict)}"] if gate is not None else []
    return "\n".join([*heads, *(each.line() for each in _folded(_annotations(reports, screen, gate)))]) + "\n"


def _head(report: Report) -> str:
    """A line of the log."""
    words = verdict_words(report).replace(GAP, " ")
    return f"vqdoctor: {STATES[report.verdict].word}: {_inert(report.source.path)}: {words}"


def in_message(words: object) -> str:
    """`words` as the message of a workflow command."""
    return _inert(words).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def in_property(words: object) -> str:
    """`words` as the value of a workflow command's property."""
    return in_message(words).replace(":", "%3A").replace(",", "%2C")


def _inert(words: object) -> str:
    """Printable, and without the older form of a command, which the runner takes wherever it stands in a line."""
    return printable(words, LONGEST).replace("##[", "##\\[")


def _annotations(reports: Sequence[Report], screen: Screen, gate: GateResult | None) -> Iterator[Annotation]:
    for check in gate.checks if gate is not None else ():
        severity = severity_of(check, gate) if gate is not None else None
        if severity:
            title = f"gate {check.status}: {check_name(check)} at {check_place(check)}"
            yield Annotation(severity, title, check_words(check), screen.path(check.source))
    for report in reports:
        for finding in report.findings:
            yield _annotation(finding, screen.path(report.source.path))


def _annotation(finding: Finding, file: str) -> Annotation:
    parts = [finding.message, finding.remedy.text, finding.remedy.command or ""]
    title = f"{finding.rule} {finding.name} at {finding.where}"
    return Annotation(finding.severity, title, " → ".join(part for part in parts if part), file)


def _folded(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    """Errors, then warnings, then notices; of each kind at most `CAP`, the last of which tells of the rest."""
    given = list(annotations)
    for severity in reversed(SEVERITIES):
        same = [each for each in given if each.severity == severity]
        if len(same) <= CAP:
            yield from same
            continue
        yield from same[: CAP - 1]
        more = same[CAP - 1 :]
        first = "; ".join(each.title for each in more[:CAP])
        rest = f"GitHub shows {CAP} of a kind; the summary has all. Next: {first}"
        yield Annotation(severity, f"{plural(len(more), 'more ' + KINDS[severity])}", rest)


def summary(reports: Sequence[Report], gate: GateResult | None = None, room: int = ROOM) -> str:
    """The job summary in Markdown, at most `room` bytes of UTF-8: a table of verdicts, then each report folded away."""
    head = [*(gate_blocks(gate) if gate is not None else []), "## vqdoctor", _verdicts(reports[: CAP**3])]
    taken, left_out = _within(head, room // 4), 0
    for report in reports:
        blocks = [
            f"<details><summary>{html(printable(report.source.path, LONGEST))}</summary>",
            *report_blocks(report),
            "</details>",
        ]
        used = _bytes([*taken, *blocks])
        if used > room - 200:
            left_out += 1
            blocks = _within(blocks[:-1], room - 400 - _bytes(taken))
            blocks = [*blocks, "(cut here)", "</details>"] if len(blocks) > 1 else []
        taken += blocks
    if left_out:
        taken.append(f"{plural(left_out, 'report')} cut to stay under GitHub's limit of 1 MiB; `-o markdown=FILE` holds all.")
    return "\n\n".join(taken) + "\n"


def _verdicts(reports: Sequence[Report]) -> str:
    rows = [
        [f"{STATES[each.verdict].glyph} {STATES[each.verdict].word}", markdown(each.source.path), tally(each.findings) or "–"]
        for each in reports
    ]
    return table(("verdict", "file", "found"), rows)


def _within(blocks: Sequence[str], room: int) -> list[str]:
    """The first of `blocks` that fit."""
    kept: list[str] = []
    for block in blocks:
        if _bytes([*kept, block]) > room:
            break
        kept.append(block)
    return kept


def _bytes(blocks: Iterable[str]) -> int:
    return sum(len(block.encode("utf-8", "backslashreplace")) + 2 for block in blocks)
