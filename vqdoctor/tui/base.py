"""What all screens share: an app with looks, a screen driven by its table of actions, the footer, the help, the palette, `S`.

A screen is a `TableScreen` with a table `ACTIONS`; each action is one of its methods. It draws itself in `redraw`, and says what is
seen, as plain values for the JSON of `S`, in `seen`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from vqdoctor.errors import VqdoctorError
from vqdoctor.render.page import wrapped
from vqdoctor.tui import export
from vqdoctor.tui.actions import Action, bindings, groups, shared
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.themes import LOOKS, Look, choose

Rules = Mapping[str, Mapping[str, Any]]
PAGE = 10  # rows, where a screen does not know better


class ActionProvider(Provider):
    """The command palette's view of a screen's table: what makes sense now."""

    def _offered(self) -> list[tuple[str, str, Callable[[], Any]]]:
        screen = self.screen
        table = screen.ACTIONS if isinstance(screen, TableScreen) else ()
        return [
            (f"{action.name.replace('_', ' ')}  ({action.shown()})", action.help, partial(screen.run_action, action.name))
            for action in table
            if action.name != "palette" and action.when(screen)
        ]

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for name, words, run in self._offered():
            yield DiscoveryHit(name, run, help=words)

    async def search(self, query: str) -> Hits:
        """Those whose name or help fits what was typed."""
        matcher = self.matcher(query)
        for name, words, run in self._offered():
            score = max(matcher.match(name), 0.9 * matcher.match(words))
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=words)


class KeysBar(Static):
    """The footer: the actions that make sense now, as many as there is room for; a click is as good as the key."""

    SCOPED_CSS = False
    DEFAULT_CSS = """
    KeysBar { height: 1; dock: bottom; background: $surface; color: $foreground; padding: 0 1; }
    KeysBar { link-style: none; link-color: $foreground; link-background: $surface; link-style-hover: reverse; }
    App.-plain KeysBar { background: ansi_default; color: ansi_default; link-color: ansi_default; link-background: ansi_default; }
    """

    def __init__(self) -> None:
        super().__init__(Text())
        self._shown = Text()

    def offer(self, screen: TableScreen, look: Look) -> None:
        """Show what `screen` offers now."""
        actions = [action for action in screen.ACTIONS if (action.label or action.word) and action.when(screen)]
        pieces = {action.name: self._piece(action, screen, look) for action in actions}
        room = screen.app.size.width - 2
        kept: set[str] = set()
        for action in sorted(actions, key=lambda action: action.rank):
            width = cell_len(pieces[action.name].plain) + 2
            if width - 2 <= room:
                kept.add(action.name)
                room -= width
        line = Text("  ").join(pieces[action.name] for action in sorted(actions, key=lambda a: a.rank) if action.name in kept)
        if line != self._shown:
            self._shown = line
            self.update(line)

    @staticmethod
    def _piece(action: Action, screen: TableScreen, look: Look) -> Text:
        word = action.word(screen) if action.word else action.label
        piece = Text.assemble((action.shown(look.unicode), "bold"), " ", (word, look.dim))
        piece.stylize(Style(meta={"@click": f"screen.{action.name}"}))
        return piece


class TableScreen(Screen[Any]):
    """A screen whose keys, footer, help and palette are its table of actions."""

    ACTIONS: ClassVar[Sequence[Action]] = shared()
    TITLE_WORDS: ClassVar[str] = "vqdoctor"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(shared())]
    PANES: ClassVar[Sequence[str]] = ()  # ids, in the order of tab

    def __init_subclass__(cls, **options: Any) -> None:
        if "ACTIONS" in cls.__dict__:
            cls.BINDINGS = [*bindings(cls.ACTIONS)]
        super().__init_subclass__(**options)

    @property
    def look(self) -> Look:
        """How things look now."""
        return self.app.look if isinstance(self.app, BaseApp) else LOOKS["default"]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An action that makes no sense now does nothing."""
        own = next((each for each in self.ACTIONS if each.name == action), None)
        return True if own is None or not self.is_mounted else bool(own.when(self))

    def redraw(self) -> None:
        """Draw everything anew: the look, or the state of the screen, has changed. To be extended."""
        for bar in self.query(KeysBar):
            bar.offer(self, self.look)

    def seen(self) -> dict[str, Any]:
        """What is on the screen as plain values. To be extended."""
        return {"screen": self.TITLE_WORDS}

    def on_resize(self, event: events.Resize) -> None:
        """Another size is another picture."""
        self.call_after_refresh(self.redraw)

    def action_quit(self) -> None:
        """Leave."""
        self.app.exit()

    def action_help(self) -> None:
        """All keys."""
        self.app.push_screen(HelpScreen(self.TITLE_WORDS, self.ACTIONS))

    def action_next_pane(self) -> None:
        """Focus goes on."""
        self._step_pane(1)

    def action_previous_pane(self) -> None:
        """Focus goes back."""
        self._step_pane(-1)

    def _step_pane(self, by: int) -> None:
        panes = [pane for name in self.PANES for pane in self.query(f"#{name}") if pane.display]
        if panes:
            at = next((i for i, pane in enumerate(panes) if pane.has_focus), -1 if by > 0 else 0)
            panes[(at + by) % len(panes)].focus()

    @property
    def page_rows(self) -> int:
        """Rows of a page. To be replaced where a screen knows better."""
        return PAGE

    def move_rows(self, rows: int) -> None:
        """Up or down in the pane with the focus. To be replaced where a row is chosen by it."""
        if isinstance(self.focused, Pane):
            self.focused.scroll_rows(rows)

    def action_up(self) -> None:
        """A row up."""
        self.move_rows(-1)

    def action_down(self) -> None:
        """A row down."""
        self.move_rows(1)

    def action_page_up(self) -> None:
        """A page up."""
        self.move_rows(-self.page_rows)

    def action_page_down(self) -> None:
        """A page down."""
        self.move_rows(self.page_rows)

    def action_save_view(self) -> None:
        """Save what is seen, and say where."""
        try:
            paths = export.save_view(self.app, self.seen(), self.TITLE_WORDS)
        except VqdoctorError as error:
            self.app.notify(str(error), title="not saved", severity="error", markup=False)
            return
        self.app.notify("\n".join(self.look.say(path) for path in paths), title="saved", markup=False)

    def action_next_theme(self) -> None:
        """The next look."""
        if isinstance(self.app, BaseApp):
            self.app.next_look()

    def action_palette(self) -> None:
        """The command palette."""
        self.app.action_command_palette()

    def action_back(self) -> None:
        """Close this screen if there is one below. To be extended."""
        if len(self.app.screen_stack) > 2:
            self.dismiss()


class LinesScreen(ModalScreen[None]):
    """A box of lines over a screen; any of its keys that do not scroll close it."""

    DEFAULT_CSS = """
    LinesScreen { align: center middle; }
    LinesScreen Pane { width: 90%; max-width: 110; height: auto; max-height: 90%; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,f1", "close", "close"),
        Binding("up,k", "scroll(-1)", "up"), Binding("down,j", "scroll(1)", "down"),
        Binding("pageup", "scroll(-10)", "page up"), Binding("pagedown,space", "scroll(10)", "page down"),
    ]  # fmt: skip

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading

    def lines(self, look: Look, width: int) -> list[Text]:
        """What to show; to be given by the screen."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """One pane."""
        yield Pane(id="lines")

    def on_mount(self) -> None:
        """Fill the pane, as high as its lines."""
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """Lines depend on the width."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        look = self.app.look if isinstance(self.app, BaseApp) else LOOKS["default"]
        pane = self.query_one(Pane)
        width = min(110, self.app.size.width * 9 // 10) - 4
        lines = self.lines(look, width)
        pane.styles.height = min(len(lines) + 2, max(5, self.app.size.height * 9 // 10))
        pane.show(lines)
        pane.head(Text(f" {look.fold(self._heading)} ", look.title), Text(look.fold(" esc close · ↑↓ scroll "), look.dim))
        pane.focus()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()

    def action_scroll(self, rows: int) -> None:
        """Up or down."""
        self.query_one(Pane).scroll_rows(rows)


class HelpScreen(LinesScreen):
    """All keys of a screen, from its table."""

    def __init__(self, title: str, actions: Sequence[Action]) -> None:
        super().__init__(f"{title}: keys")
        self._actions = actions

    def lines(self, look: Look, width: int) -> list[Text]:
        """A heading a group, a line an action."""
        keys = max(len(action.all_keys(look.unicode)) for action in self._actions)
        lines: list[Text] = []
        for group, members in groups(self._actions):
            lines += [Text()] if lines else []
            lines.append(Text(group.upper(), look.title))
            for action in members:
                shown = f"  {action.all_keys(look.unicode):<{keys}}  "
                for words in wrapped(look.fold(action.help), width - len(shown)):
                    lines.append(Text.assemble((shown, "bold"), words))
                    shown = " " * len(shown)
        return lines


class BaseApp(App[int]):
    """An app of ours.

    Args:
        look: by name, None for the default. no_color: colours were turned off. unicode: the terminal has more than ASCII.
        folder: where `S` saves to.
        rules: the project's, as in [tool.vqdoctor.rules]: what is looked at from here is judged by them.
    """

    CSS = """
    Screen { background: $background; layers: base; }
    App.-ascii Toast { border: none; }
    App.-ascii SearchIcon { display: none; }
    """
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[Any]] = {ActionProvider}
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "interrupt", "interrupt", show=False, priority=True)]

    def __init__(
        self, *, look: str | None = None, no_color: bool = False, unicode: bool = True, folder: str = ".",
        rules: Rules | None = None,
    ) -> None:  # fmt: skip
        asked = os.environ.pop("NO_COLOR", None)  # Textual takes even an empty one for set
        try:
            super().__init__()
        finally:
            if asked is not None:
                os.environ["NO_COLOR"] = asked
        self.look = choose(look, no_color=no_color or bool(asked), unicode=unicode)
        self.unicode = unicode
        self.folder = folder
        self.rules: Rules = rules or {}
        self.animation_level = "none"

    def on_load(self) -> None:
        """Our themes, and the look that was asked for."""
        self._wear(self.look)

    def next_look(self) -> None:
        """The next of the looks that this terminal can show."""
        names = [name for name, look in LOOKS.items() if self.unicode or not look.unicode]
        at = names.index(self.look.name) if self.look.name in names else -1
        self._wear(LOOKS[names[(at + 1) % len(names)]])
        self.notify(f"theme: {self.look.name}", markup=False, timeout=2)
        for screen in self.screen_stack:
            if isinstance(screen, TableScreen) and screen.is_mounted:
                screen.redraw()

    def _wear(self, look: Look) -> None:
        self.look = look
        theme = look.textual()
        self.register_theme(theme)
        self.theme = theme.name
        self.set_class(not look.unicode, "-ascii")
        self.set_class(not look.color, "-plain")

    def action_interrupt(self) -> None:
        """Control-C: leave as a program that was interrupted."""
        self.exit(130)
