"""Writes docs/keys.md from the tables of actions; a test says when it has to be run again."""

from pathlib import Path

from vqdoctor.tui.actions import markdown
from vqdoctor.tui.inspecting.keys import ACTIONS as INSPECT_ACTIONS
from vqdoctor.tui.repair_screen import ACTIONS as REPAIR_ACTIONS
from vqdoctor.tui.watch_actions import WATCH_ACTIONS

TABLES = {
    "vqdoctor watch": WATCH_ACTIONS, "vqdoctor inspect --tui": INSPECT_ACTIONS, "vqdoctor repair --tui": REPAIR_ACTIONS,
}  # fmt: skip


def page() -> str:
    """The page of keys."""
    return "# Keys\n\n" + "\n".join(markdown(title, actions) for title, actions in TABLES.items())


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
