"""One finding in full: what, where, since when, on what it rests, what to do, which command."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from vqdoctor.render.figures import count, scalar
from vqdoctor.render.page import wrapped
from vqdoctor.render.vital_signs import onset
from vqdoctor.tui.base import LinesScreen
from vqdoctor.tui.shell import shell_lines
from vqdoctor.tui.themes import Look
from vqdoctor.tui.watch_state import Found


class FindingScreen(LinesScreen):
    """A finding over the watch screen. cure: begin with the command, for whoever asked how to repair it."""

    def __init__(self, one: Found, cure: bool = False) -> None:
        super().__init__(f"{one.finding.rule}: what to do" if cure else one.finding.rule)
        self._one = one
        self._cure = cure

    def lines(self, look: Look, width: int) -> list[Text]:
        """The message, then evidence and remedy, or remedy and evidence."""
        finding = self._one.finding
        since = onset(finding)
        began = f"since step {look.fold(count(round(since)))}" if since is not None else ""
        words = (look.say(finding.where, 80), f"run {look.cut(self._one.run.name, 40)}", began, finding.confidence)
        lines = [
            Text.assemble(look.state(finding.severity), "  ", (f"{finding.rule} {look.say(finding.name, 40)}", "bold")),
            Text(look.fit("  ".join(word for word in words if word), width), look.dim), Text(),
            *(Text(line) for line in wrapped(look.say(finding.message, 2000), width)),
        ]  # fmt: skip
        parts = [self._evidence(look, width), self._remedy(look, width)]
        for part in reversed(parts) if self._cure else parts:
            lines += [Text(), *part] if part else []
        return lines

    def _remedy(self, look: Look, width: int) -> list[Text]:
        finding = self._one.finding
        lines = [Text("WHAT TO DO", look.title)]
        lines += [Text(f"  {line}") for line in wrapped(look.say(finding.remedy.text, 2000), width - 2) if line]
        if finding.remedy.command:
            style = f"bold {look.real}".strip()
            lines += [Text(), *(Text(line, style) for line in shell_lines(look.say(finding.remedy.command, 2000), width))]
        if finding.next:
            lines += [Text(), Text("THE CHEAPEST TEST THAT SEPARATES THE CAUSES", look.title)]
            lines += [Text(f"  {line}") for line in wrapped(look.say(finding.next, 2000), width - 2)]
        lines += [Text(), Text(f"  more: vqdoctor explain {look.say(finding.rule, 20)}", look.dim)]
        return lines

    def _evidence(self, look: Look, width: int) -> list[Text]:
        rows = [(look.say(name, 60), look.fold(_written(value, look))) for name, value in self._one.finding.evidence.items()]
        room = max((len(name) for name, _ in rows), default=0)
        lines = [Text.assemble((f"  {name:<{room}}  ", look.dim), look.fit(value, width - room - 4)) for name, value in rows]
        return [Text("EVIDENCE", look.title), *lines] if lines else []


def _written(value: Any, look: Look) -> str:
    """A piece of evidence; steps and counts as whole numbers."""
    if isinstance(value, list | tuple):
        return ", ".join(_written(one, look) for one in value[:12])
    return count(round(value)) if isinstance(value, float) and value.is_integer() else scalar(value, look.say)
