"""The faces of a watch on a command line: the dashboard where there is a terminal, lines as things change where there is none."""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vqdoctor.cli.options import Output, add_job_summary, has_terminal
from vqdoctor.cli.streams import discard_output, working_folder, write_out
from vqdoctor.errors import ExitCode
from vqdoctor.render import Screen, renderer

if TYPE_CHECKING:
    from vqdoctor.app.watching.attended import Attended
    from vqdoctor.app.watching.changes import Change
    from vqdoctor.app.watching.view import WatchView
    from vqdoctor.cli.watch_options import Asked
    from vqdoctor.model import Report

DASHBOARD = "vqdoctor.tui.watch_app"
VIEWS = {"text": "vqdoctor.render.watch_text", "json": "vqdoctor.render.watch_json"}


def has_screen(asked: Asked, output: Output) -> bool:
    """Whether to draw a dashboard: a person sits at a terminal, and asked for nothing else."""
    return output.format == "text" and not asked.plain and not asked.once and has_terminal() and _dashboard_is_there()


def _dashboard_is_there() -> bool:
    """An installation without it shows plain lines."""
    try:
        return find_spec(DASHBOARD) is not None
    except ModuleNotFoundError:
        return False


def dashboard(watcher: Attended, asked: Asked, output: Output) -> int | None:
    """Draw until the user leaves, or the goal is reached; 130 where they left by control-C."""
    status: int | None = import_module(DASHBOARD).run_watch(
        lambda: watcher,
        until=lambda view: int(ExitCode.OK) if watcher.outcome else None,
        interval=asked.poll,
        no_color=output.color == "never",
        unicode=output.screen(sys.stdout).unicode,
        rules=watcher.watcher.request.rules,
    )
    return status


def follow_plainly(watcher: Attended, asked: Asked, output: Output) -> int | None:
    """Lines as things change, until the goal is reached or nobody reads them.

    Raises:
        KeyboardInterrupt: the user stopped it; where each run stands has been told.
    """
    from vqdoctor.app.watching.changes import Calm

    calm = Calm(time.monotonic)
    told = (lambda news: news) if output.format == "jsonl" else calm.of
    try:
        while True:
            watcher.poll()
            if not _write(changes_as_lines(told(watcher.news), output)) or watcher.outcome or _reader_is_gone():
                break
            if not watcher.behind:
                time.sleep(max(0.0, min(asked.poll, watcher.left)))
        if watcher.outcome == "over":  # the last line may have no end, the last checkpoint not have been looked at
            watcher.finish()
            _write(changes_as_lines(told(watcher.news), output))
    finally:
        _write(changes_as_lines(calm.rest(), output) + last_words(watcher.view, output))
    return None


def changes_as_lines(changes: Sequence[Change], output: Output) -> str:
    """Changes as text or as JSON lines; nothing for the other formats, which tell the end only."""
    if output.format == "jsonl":
        from vqdoctor.render.watch_json import change_line

        return "".join(change_line(change) for change in changes)
    if output.format != "text" or not changes:
        return ""
    from vqdoctor.render.watch_lines import change_text

    screen = output.screen(sys.stdout)
    return "".join(change_text(change, screen) for change in changes)


def write_view(view: WatchView, output: Output) -> None:
    """The runs as they stand, on standard output."""
    write_out(_rendered(view, output.format, output.screen(sys.stdout)))


def write_views(view: WatchView, output: Output) -> None:
    """The files of --report, and the summary of a GitHub job, as the runs stand now."""
    from vqdoctor.safe_write import write_atomically

    for form, path in output.targets:
        write_atomically(path, _rendered(view, form, Screen(folder=working_folder())).encode("utf-8", errors="backslashreplace"))
    if output.wants("github"):
        add_job_summary(_reports(view))


def _rendered(view: WatchView, form: str, screen: Screen) -> str:
    if form == "jsonl":
        from vqdoctor.app.watching.changes import Changes
        from vqdoctor.render.watch_json import change_line

        return "".join(change_line(change) for change in Changes().since(view))
    if form not in VIEWS:
        return renderer(form).render(_reports(view), screen)
    text: str = import_module(VIEWS[form]).render(view, screen)
    return text


def _reports(view: WatchView) -> list[Report]:
    from vqdoctor import __version__
    from vqdoctor.app.watching.reports import reports_of

    return reports_of(view, __version__)


def last_words(view: WatchView, output: Output) -> str:
    """Where each run stands at the end."""
    if output.format == "jsonl":
        return ""
    if output.format != "text":
        return _rendered(view, output.format, output.screen(sys.stdout))
    from vqdoctor.render.watch_lines import last_text

    screen = output.screen(sys.stdout)
    return "".join(last_text(run, screen) for run in view.runs)


def _write(text: str) -> bool:
    """Put lines on standard output at once; False where nobody reads them any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return False
    return True


def _reader_is_gone() -> bool:
    """Whether the other end of the pipe that standard output is has been closed: seen without writing to it."""
    if not hasattr(select, "poll"):
        return False
    with contextlib.suppress(OSError, ValueError):
        ends: Any = select.poll()
        ends.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in ends.poll(0))
    return False
