"""The page of a rule, over the screen."""

from __future__ import annotations

from rich.text import Text

from vqdoctor.diagnosis import RULES, page
from vqdoctor.render.explanation import show_markdown
from vqdoctor.render.screen import Screen
from vqdoctor.tui.base import LinesScreen
from vqdoctor.tui.themes import Look


class ExplainScreen(LinesScreen):
    """What a rule means, why it is bad, what to do."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"vqdoctor explain {rule}")
        self._rule = next((one for one in RULES if one.id == rule), None)

    def lines(self, look: Look, width: int) -> list[Text]:
        """The page as the command prints it."""
        if self._rule is None:
            return [Text("This rule is a plugin's; its page is read by: vqdoctor explain")]
        shown = show_markdown(page(self._rule), Screen(width, color=look.color, unicode=look.unicode))
        return [Text.from_ansi(line) for line in shown.split("\n")]
