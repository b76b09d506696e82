"""`vqdoctor inspect --tui` as a program: the inspection in a thread, its progress, the screen; its error for the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.errors import VqdoctorError, printable
from vqdoctor.model import Report
from vqdoctor.tui.actions import Action, shared
from vqdoctor.tui.base import BaseApp, KeysBar, TableScreen
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.screen import InspectScreen
from vqdoctor.tui.work import LOOK_IN, Work


class LoadingScreen(TableScreen):
    """Until there is something to see: what is being done, and how far it is."""

    ACTIONS: ClassVar[Sequence[Action]] = shared("quit", "help", "next_theme")
    TITLE_WORDS = "vqdoctor inspect"
    DEFAULT_CSS = """
    LoadingScreen { align: center middle; }
    LoadingScreen #progress { width: auto; height: auto; }
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name_shown = name

    def compose(self) -> ComposeResult:
        """The words in the middle, the footer."""
        yield Static(Text(), id="progress")
        yield KeysBar()

    def on_mount(self) -> None:
        """The footer."""
        self.redraw()

    def tell(self, work: Work[list[Report]]) -> None:
        """How far it is now."""
        heading = Text(self.look.cut(f"inspecting {self._name_shown}", max(20, self.size.width - 4)), self.look.title)
        line = work.line(self.look, max(20, self.size.width - 4))
        self.query_one("#progress", Static).update(Text("\n\n").join([heading, line]))


class InspectApp(BaseApp):
    """Inspects and shows.

    Args:
        paths, request: as for `vqdoctor.app.inspect.inspect`; details and views are asked for here.
        left_out: told of each file of a folder that could not be read, once the screen is there.
        options: as for `BaseApp`.

    Attributes:
        reports: those that there are. error: what ended the inspection; the command line says it.
    """

    TITLE = "vqdoctor inspect"

    def __init__(self, paths: Sequence[str], request: InspectRequest, **options: object) -> None:
        super().__init__(rules=request.rules, **options)  # type: ignore[arg-type]
        self.reports: list[Report] = []
        self.left_out: list[VqdoctorError] = []
        self.error: BaseException | None = None
        self._told = 0
        self._screen = InspectScreen(Browsing())
        self._loading = LoadingScreen(" ".join(paths))
        self._work = Work(lambda progress: self._inspect(paths, request, progress))

    def _inspect(self, paths: Sequence[str], request: InspectRequest, progress: Progress) -> list[Report]:
        return inspect(paths, request, progress, self.left_out.append, self.reports.append)

    def on_mount(self) -> None:
        """Begin."""
        self.push_screen(self._loading)
        self._work.begin()
        self._looking = self.set_interval(LOOK_IN, self._look_in)

    def on_unmount(self) -> None:
        """Nobody waits for it any more."""
        self._work.cancel()

    def _look_in(self) -> None:
        """Show what has come; leave with the error where nothing will."""
        finished = self._work.finished  # before the reports: none can come after it
        while self._told < len(self.reports):
            self._show(self.reports[self._told])
            self._told += 1
        if not finished:
            if not self._told:
                self._loading.tell(self._work)
            return
        self._looking.stop()
        self.error = self._work.error
        if self.error is not None and not self._told:
            self.exit(1)
        elif self.error is not None:
            self.notify(printable(self.error, 1000), title="the rest was not inspected", severity="error", markup=False, timeout=30)
        for trouble in self.left_out:
            self.notify(printable(trouble, 500), title="left out", severity="warning", markup=False)

    def _show(self, report: Report) -> None:
        if not self._told:
            self._screen.browsing.reports.append(report)
            self.switch_screen(self._screen)
        else:
            self._screen.add(report)


def show(paths: Sequence[str], request: InspectRequest, warn: Callable[[VqdoctorError], None], **options: object) -> list[Report]:
    """Inspects, shows until the user leaves, and returns what was inspected.

    Args:
        warn: told of each file that was left out, after the screen is gone. options: as for `BaseApp`.

    Raises:
        VqdoctorError: as `inspect`. KeyboardInterrupt: the user interrupted it.
    """
    app = InspectApp(paths, request, **options)
    status = app.run()
    if app.error is not None:
        raise app.error
    if status == KEY_INTERRUPT:
        raise KeyboardInterrupt
    for trouble in app.left_out:
        warn(trouble)
    return app.reports


KEY_INTERRUPT = 130
