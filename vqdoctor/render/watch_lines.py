"""A watch as plain lines, one a change: what is read in a pipe, a log of CI, or a file the morning after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vqdoctor.model import Event, Finding
from vqdoctor.render.figures import UNDEFINED, count, plural, share, short, span
from vqdoctor.render.page import Page, cut_middle
from vqdoctor.render.screen import STATES, Screen
from vqdoctor.render.vital_signs import POWER, id_signs, levels
from vqdoctor.render.watch_states import run_state
from vqdoctor.render.watch_text import event_words
from vqdoctor.render.watch_words import id_words, since_words

if TYPE_CHECKING:
    from vqdoctor.app.watching.changes import Change
    from vqdoctor.app.watching.view import RunView

SILENT = ("run", "usage", "digest", "kmeans-begin")  # events that say nothing to a person by themselves
NAME, STEP = 28, 10  # widths


def change_text(change: Change, screen: Screen) -> str:
    """The lines of a change; "" where a person has no use for it."""
    page = Page(screen)
    of = change.of
    if isinstance(of, Finding):
        _show_finding(page, change, of)
    elif isinstance(of, Event):
        if of.kind not in SILENT and not change.old:
            _show(page, change, ("·", ""), f"{screen.say(of.kind)}  {event_words(of, screen.say)}")
    elif change.kind == "run":
        _show(page, change, run_state(screen, change.view.state), _seen_words(change.view, screen))
    elif change.kind == "state":
        before = screen.say(of.get("before"))
        _show(page, change, run_state(screen, str(of["state"])), f"was {before}   {sign_words(change.view)}")
    elif change.kind == "events" and of["event"] not in SILENT and not change.old:
        _show(page, change, ("·", ""), f"{screen.say(of['event'])} ×{count(of['n'])}{_range(of)}")
    elif change.kind == "cleared":
        _show(page, change, ("✓ cleared", STATES["healthy"].style), screen.say(f"{of['rule']} no longer holds {of['where']}"))
    return page.text()


def last_text(run: RunView, screen: Screen) -> str:
    """One line on where a run stands: when the watch ends."""
    page = Page(screen)
    found = ", ".join(dict.fromkeys(finding.rule for finding in run.findings if finding.severity != "info"))
    words = f"{sign_words(run)}   found: {screen.say(found) or 'nothing'}"
    _line(page, run.name, run.last_step, run_state(screen, run.state), words)
    return page.text()


def sign_words(run: RunView) -> str:
    """``real use 47–92 % · EMA says 98–100 % · perplexity 18.0–41.2 · collisions 13.5 %``; "" where the log has no signs."""
    signs, ids = levels(run), {name: series.last for name, series in id_signs(run).items()}
    words = []
    power = f" ({POWER})" if any((sign := one.readings.get("perplexity")) and sign.power for one in signs) else ""
    for title, values, written, behind in (
        ("real use", [one.last("real") for one in signs], share, ""),
        ("EMA says", [one.last("ema") for one in signs], share, ""),
        ("perplexity", [one.last("perplexity") for one in signs], short, power),
        ("collisions", [ids.get("rate")], share, ""),
    ):
        if (told := span(values, written)) != UNDEFINED:
            words.append(f"{title} {told}{behind}")
    return " · ".join(words) or " · ".join(id_words(ids))


def _seen_words(run: RunView, screen: Screen) -> str:
    """What there is of a run when it is first seen."""
    words = [screen.say(run.path), screen.say(run.reader) or "format not known yet"]
    words += [plural(len(run.series), "curve")]
    told = sum(event.kind not in SILENT for event in run.events)
    words += [plural(told, "event")] if told else []
    signs = sign_words(run)
    return " · ".join(words) + (f"   {signs}" if signs else "")


def _show_finding(page: Page, change: Change, finding: Finding) -> None:
    """What, since when and where; below it what to type."""
    screen, look = page.screen, STATES[finding.severity]
    where = f"  {screen.say(finding.where)}" if finding.where else ""
    since = f"  {since_words(finding)}" if since_words(finding) else ""
    state = (f"{look.glyph} {finding.severity}", look.style)
    words = f"{screen.say(finding.rule)} {screen.say(finding.name)}{where}{since}: {screen.say(finding.message)}"
    _line(page, change.run, change.view.last_step, state, words)
    if finding.remedy.command:
        page.line(("→ " if screen.unicode else "-> ") + screen.say(finding.remedy.command), indent=NAME + STEP + 4)


def _show(page: Page, change: Change, state: tuple[str, str], words: str) -> None:
    _line(page, change.run, change.step, state, words)


def _line(page: Page, run: str, step: float | None, state: tuple[str, str], words: str) -> None:
    screen = page.screen
    name = cut_middle(screen.say(run), NAME, screen.fold("…"))
    at = "" if step is None else screen.fold(count(step))
    page.line(
        (f"{name:<{NAME}}", "bold"), f" {at:>{STEP}}  ", (screen.fold(state[0]), state[1]), "  " + screen.fold(words), indent=0
    )


def _range(of: Mapping[str, object]) -> str:
    first, final = of.get("first_step"), of.get("last_step")
    return f", steps {count(first)} to {count(final)}" if isinstance(first, float) and isinstance(final, float) else ""
