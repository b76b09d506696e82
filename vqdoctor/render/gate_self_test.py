"""What the gate's test of itself has seen, a row a gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from vqdoctor.render.figures import UNDEFINED, count, plural
from vqdoctor.render.gate_words import rule_words
from vqdoctor.render.page import Page, fit, state, table
from vqdoctor.render.screen import Screen
from vqdoctor.render.to_json import pretty

SCHEMA = "vqdoctor.gate-self-test/1"
NAMED = 2  # specimens


class Shown(Protocol):
    """What was seen of one gate."""

    @property
    def gate(self) -> str:
        """As asked."""

    @property
    def origin(self) -> str:
        """Who asks."""

    @property
    def fails_on(self) -> tuple[str, ...]:
        """Sick specimens that it stops."""

    @property
    def passes_on(self) -> tuple[str, ...]:
        """Healthy ones that it lets pass."""

    @property
    def false_alarms(self) -> tuple[str, ...]:
        """Healthy ones that it stops."""

    @property
    def shown(self) -> bool:
        """Whether it does both, and no more."""


def render(seen: Sequence[Shown], form: str, screen: Screen) -> str:
    """As JSON where `form` says so, else as text."""
    return _json(seen) if form == "json" else _text(seen, screen)


def _json(seen: Sequence[Shown]) -> str:
    gates: list[dict[str, Any]] = [
        {
            "gate": each.gate,
            "origin": each.origin,
            "shown": each.shown,
            "fails_on": list(each.fails_on),
            "passes_on": list(each.passes_on),
            "false_alarms": list(each.false_alarms),
        }
        for each in seen
    ]
    return pretty({"schema": SCHEMA, "shown": all(each.shown for each in seen), "gates": gates}) + "\n"


def _text(seen: Sequence[Shown], screen: Screen) -> str:
    page = Page(screen)
    unseen = [each for each in seen if not each.shown]
    counted = f"{count(len(seen) - len(unseen))} of {plural(len(seen), 'gate')}"
    words = f"{counted} seen to fail on a sick specimen and to pass on a healthy one"
    page.line(state(screen, "fail" if unseen else "pass", shout=True), "   ", (screen.fold(words), "bold"))
    page.gap()
    columns = {
        "state": [state(screen, "pass" if each.shown else "fail") for each in seen],
        "gate": [(screen.say(rule_words(each.gate)), "bold") for each in seen],
        "fails on": [(screen.say(_some(each.fails_on)), "") for each in seen],
        "passes on": [(screen.say(_some(each.passes_on)), "") for each in seen],
        "but fails on": [(screen.say(_some(each.false_alarms)), "") for each in seen],
        "asked by": [(page.cut(screen.say(each.origin), 28), "dim") for each in seen],
    }
    if not any(each.false_alarms for each in seen):
        del columns["but fails on"]
    for line in table(fit(columns, screen.width - 1, ("asked by",)), tuple(columns)):
        page.line(line)
    if unseen:
        page.gap()
        page.prose(screen.say(_ADVICE), 3)
    return page.text()


_ADVICE = (
    "A gate that fails on no specimen asks for something that these small books (64 codes, 8 columns) never miss, or is the wrong "
    "way round; one that passes on none asks for more than they have. Try it on checkpoints of your own that you know to be sick "
    "and well."
)


def _some(names: Sequence[str]) -> str:
    if not names:
        return UNDEFINED
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
