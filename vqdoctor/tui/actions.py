"""What keys do: one table a screen, from which come its dispatch, its footer, its help, the command palette and the page of keys.

An action named ``pause`` is the method ``action_pause`` of its screen. A key that two actions of one screen share is a mistake that
`conflicts` finds; a test runs it over every table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from textual.binding import Binding

SHOWN = {
    "left": "←", "right": "→", "up": "↑", "down": "↓", "space": "space", "escape": "esc", "enter": "enter", "tab": "tab",
    "shift+tab": "shift+tab", "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "left_square_bracket": "[",
    "right_square_bracket": "]", "pageup": "page up", "pagedown": "page down", "shift+left": "shift ←", "shift+right": "shift →",
    "equals_sign": "=", "less_than_sign": "<", "greater_than_sign": ">", "comma": ",", "full_stop": ".", "ctrl+p": "ctrl+p",
}  # fmt: skip
ASCII = {"←": "left", "→": "right", "↑": "up", "↓": "down", "shift ←": "shift+left", "shift →": "shift+right"}


def _always(screen: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a user can do.

    Attributes:
        name: of the method ``action_<name>``, words joined by underscores.
        keys: Textual's names of the keys, the first is the one shown.
        label: a word or two for the footer; "" keeps it out of there. help: one sentence.
        group: heading in the help.
        when: whether it makes sense on a screen as it is now; otherwise it is not offered.
        word: for an action whose label says how things stand ("smooth 100"): label from the screen.
        rank: place in the footer where there is little room, small first.
    """

    name: str
    keys: tuple[str, ...]
    label: str
    help: str
    group: str
    when: Callable[[Any], bool] = _always
    word: Callable[[Any], str] | None = None
    rank: int = 50

    def shown(self, unicode: bool = True) -> str:
        """Its first key as people read it."""
        key = SHOWN.get(self.keys[0], self.keys[0])
        return key if unicode else ASCII.get(key, key)

    def all_keys(self, unicode: bool = True) -> str:
        """All its keys as people read them."""
        words = [SHOWN.get(key, key) for key in self.keys]
        return " ".join(word if unicode else ASCII.get(word, word) for word in words)


def shared(*names: str) -> tuple[Action, ...]:
    """Those actions that every screen has, or the named ones of them."""
    return tuple(action for action in SHARED if not names or action.name in names)


SHARED = (
    Action("quit", ("q", "ctrl+q"), "quit", "Leave; what is watched goes on without us.", "everywhere", rank=1),
    Action("help", ("question_mark", "f1"), "help", "All keys of this screen.", "everywhere", rank=2),
    Action("next_pane", ("tab",), "pane", "Go to the next pane.", "everywhere", rank=8),
    Action("previous_pane", ("shift+tab",), "", "Go to the pane before.", "everywhere"),
    Action("save_view", ("S",), "save view", "Save what is seen as SVG, text and JSON, and say where.", "everywhere", rank=15),
    Action("next_theme", ("T",), "", "Next colour theme: default, colour-blind-safe, ASCII, without colours.", "everywhere"),
    Action("palette", ("ctrl+p",), "", "Find an action by its name.", "everywhere"),
    Action("back", ("escape",), "", "Back: close what is open, drop the cursor or the filter.", "everywhere"),
)


def bindings(actions: Iterable[Action]) -> list[Binding]:
    """Textual's bindings of a table; ids are the actions' names, so that a keymap can move them."""
    return [
        Binding(",".join(action.keys), action.name, action.label or action.help, show=bool(action.label), id=action.name)
        for action in actions
    ]


def conflicts(actions: Sequence[Action]) -> list[str]:
    """Keys with two actions, names that stand twice, actions without help: sentences, none if the table is sound."""
    found = []
    owners: dict[str, str] = {}
    for action in actions:
        for key in action.keys:
            if key in owners:
                found.append(f"{key} is both {owners[key]} and {action.name}")
            owners[key] = action.name
        if not action.keys or not action.help.endswith("."):
            found.append(f"{action.name} has no key or no sentence of help")
    names = [action.name for action in actions]
    return found + [f"{name} stands twice" for name in sorted({name for name in names if names.count(name) > 1})]


def groups(actions: Sequence[Action]) -> list[tuple[str, list[Action]]]:
    """Actions under their headings, in the order of the table."""
    order = list(dict.fromkeys(action.group for action in actions))
    ranked = sorted(actions, key=lambda action: order.index(action.group))
    return [(group, list(members)) for group, members in groupby(ranked, key=lambda action: action.group)]


def markdown(title: str, actions: Sequence[Action]) -> str:
    """A section of the page of keys."""
    lines = [f"## {title}", ""]
    for group, members in groups(actions):
        lines += [f"**{group.capitalize()}**", "", "| key | does |", "|---|---|"]
        for action in members:
            keys = ", ".join(f"`{SHOWN.get(key, key)}`" for key in action.keys)
            lines.append(f"| {keys} | {action.help} |")
        lines.append("")
    return "\n".join(lines)
