"""How far a long pass is, on standard error, for a person who watches: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vqdoctor.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vqdoctor.app.request import Progress as ProgressProtocol


class Bar:
    """A transient bar; it draws itself only where a pass takes long enough to start one."""

    def __init__(self, color: str = "auto") -> None:
        self._plain = color == "never" or None  # None: as the environment has it
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, label: str, total: int | None) -> None:
        """A pass begins; total in rows or bytes, None where unknown."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.stop()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        console = Console(stderr=True, markup=False, highlight=False, no_color=self._plain)
        self._progress = Progress(*columns, console=console, transient=True)
        self._progress.start()
        self._task = self._progress.add_task(printable(label, 60), total=total)

    def advance(self, n: int) -> None:
        """n more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, n)

    def stop(self) -> None:
        """The pass is over; the bar is wiped."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None


def progress_for(quiet: bool, color: str = "auto") -> ProgressProtocol:
    """A bar where a person watches standard error, else silence. color: as of --color."""
    from vqdoctor.app.request import Silent

    return Bar(color) if not quiet and sys.stderr.isatty() else Silent()
