"""A finding as the strip under the header tells it, in a few lines, and as its own view does, with all that it rests on."""

from __future__ import annotations

from rich.text import Text

from vqdoctor.model import Finding, Report
from vqdoctor.render.figures import scalar
from vqdoctor.render.words import place_words, verdict_words
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.grid import prose, to_type
from vqdoctor.tui.themes import Look


def command_of(browsing: Browsing) -> str | None:
    """What to type now: the finding's command, else the page that explains it; without a finding what would measure more."""
    finding = browsing.finding
    if finding is not None:
        return finding.remedy.command or f"vqdoctor explain {finding.rule}"
    return _would_measure(browsing.report)


def _would_measure(report: Report) -> str | None:
    """Of a report that could not say whether all is well, the command that would let it: first of all for real use."""
    hows = [each.how for each in report.unmeasured if each.how and each.metric.startswith("usage.")]
    return next((how for how in hows if how.startswith("vqdoctor ")), None) if report.verdict == "unknown" else None


def heading(browsing: Browsing, look: Look) -> Text:
    """``✗ error  VQ101 codebook-collapse  certain  quantizer[0…2]``."""
    finding = browsing.finding
    if finding is None:
        return look.state(browsing.report.verdict)
    wheres = [one.where for one in browsing.groups[browsing.group_at]]
    place = look.cut(look.fold(place_words(wheres, look.say)), 40)
    title = (look.say(f"{finding.rule} {finding.name}"), look.title)
    sure = (look.say(finding.confidence), look.dim)
    return Text.assemble(look.state(finding.severity), "  ", title, "  ", sure, "  ", (place, look.dim))


def note(browsing: Browsing, look: Look) -> Text:
    """Which of how many, and the keys that lead on."""
    if not browsing.groups:
        return Text()
    words = f"finding {browsing.group_at + 1} of {len(browsing.groups)} · e next · E previous · y copy command"
    return Text(look.fold(words), look.dim)


def strip(browsing: Browsing, width: int, look: Look, most: int) -> list[Text]:
    """What is wrong and what to type, in at most `most` lines."""
    finding = browsing.finding
    typed = _typed(command_of(browsing), width, look, most - 1)
    if finding is None:
        return [*prose(_without_finding(browsing.report, look), width, look, most=most - len(typed)), *typed]
    message = _message(finding, browsing, width, look, max(1, min(2, most - len(typed))))
    left = most - len(typed) - len(message)
    remedy = prose(look.say(finding.remedy.text, 2000), width, look, look.dim, most=left) if left > 0 else []
    return [*message, *remedy, *typed]


def _typed(command: str | None, width: int, look: Look, most: int) -> list[Text]:
    """The command; where it is longer than there is room, as much of it, and how to get the rest."""
    lines = to_type(command, width, look)
    if len(lines) > most:
        rest = look.fold("… y copies all of it")
        kept = lines[most - 1].plain.removesuffix(" \\")
        lines[most - 1] = Text(look.cut(kept, width - len(rest) - 1), lines[0].style).append(f" {rest}", look.dim)
    return lines[:most]


def _without_finding(report: Report, look: Look) -> str:
    """What there is to say of a report that found nothing."""
    unseen = "" if report.sample else "Real use was not measured: no features, codes or IDs were given. By the file alone: "
    return unseen + look.fold(verdict_words(report))


def _message(finding: Finding, browsing: Browsing, width: int, look: Look, most: int) -> list[Text]:
    """The message, with its level in front where there are several."""
    several = len(browsing.groups[browsing.group_at]) > 1
    where = f"{finding.where}: " if several else ""
    return prose(look.say(where + finding.message, 2000), width, look, most=most)


def detail(browsing: Browsing, width: int, look: Look) -> list[Text]:
    """All of the finding in view: where, message, evidence, remedy, command, the test that makes sure."""
    finding = browsing.finding
    if finding is None:
        return prose(look.fold(verdict_words(browsing.report)), width, look)
    lines: list[Text] = []
    for one in browsing.groups[browsing.group_at]:
        lines += prose(look.say(f"{one.where}: {one.message}", 4000), width, look, "bold" if one is finding else "", indent=0)
    lines += [Text(), Text(look.say(f"what {finding.where} rests on ({finding.confidence})"), look.title)]
    room = max((len(name) for name in finding.evidence), default=0)
    for name, value in finding.evidence.items():
        lines += prose(f"{look.say(name):<{room}}  {look.fold(scalar(value, look.say))}", width, look, indent=2)
    lines += [Text(), Text("what to do", look.title), *prose(look.say(finding.remedy.text, 4000), width, look, indent=2)]
    for command in (finding.remedy.command, f"vqdoctor explain {finding.rule}"):
        lines += to_type(command, width, look)
    if finding.next:
        lines += [Text(), Text("to be sure", look.title), *prose(look.say(finding.next, 2000), width, look, indent=2)]
    return lines
