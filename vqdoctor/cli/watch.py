"""`vqdoctor watch`: logs as they grow, to a dashboard on a terminal and to plain lines, JSON lines or one frame elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_path
from vqdoctor.cli.options import Output, exit_status, reporting
from vqdoctor.cli.streams import working_folder, write_out
from vqdoctor.cli.watch_options import Asked, Binding, Until, refuse_contradictions
from vqdoctor.errors import ExitCode, MissingInput, printable
from vqdoctor.safe_write import begun

if TYPE_CHECKING:
    from vqdoctor.app.watching.attended import Attended
    from vqdoctor.app.watching.request import WatchRequest
    from vqdoctor.app.watching.view import WatchView
    from vqdoctor.app.watching.watcher import Watcher

EXAMPLES = (
    ("Follow the runs of a folder: a dashboard on a terminal, plain lines elsewhere", "vqdoctor watch runs/"),
    ("One frame of where a run stands now", "vqdoctor watch runs/rq-7/log.jsonl --once"),
    ("For a program", "vqdoctor watch runs/rq-7/log.jsonl --once --format json"),
    (
        "In CI: fail as soon as a codebook begins to collapse, give up after an hour",
        "vqdoctor watch runs/ --until VQ501 --timeout 3600",
    ),
    ("Tell a program of yours about each finding, as JSON on its standard input", "vqdoctor watch runs/ --on-finding ./tell.sh"),
    ("Say what a name in your log means", "vqdoctor watch train.csv --alias 'vq/active=usage.utilization'"),
    ("See a codebook die and be cured, in under a minute", "vqdoctor watch --demo"),
)
STOP, SEEN, DONE, OTHER = "When to stop", "What is seen", "What is done about it", "Instead of PATH"
ALARM_PATIENCE = 10.0  # seconds for the last calls of --on-finding when the watch ends


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("paths", metavar="PATH...", nargs=-1, shell_complete=complete_path)
@option("--once", is_flag=True, group=STOP, help="Look once: one frame of text, or the runs as JSON.")
@option("--until", type=Until(), metavar="RULE|end", group=STOP,
        help="Stop with 1 once RULE has a finding; or once every run is over.")  # fmt: skip
@option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", group=STOP, help="Stop then whatever happens.")
@option("--forever", is_flag=True, group=STOP, help="Without a terminal: go on when every run is over; new ones may come.")
@option("--poll", type=click.FloatRange(min=0.05, max=3600), metavar="SECONDS", default=0.5, show_default=True, group=SEEN,
        help="Between two looks.")  # fmt: skip
@option("--alias", "bindings", type=Binding(), multiple=True, group=SEEN, help="What a name in the log means; repeatable.")
@option("--no-checkpoints", is_flag=True, group=SEEN, help="Leave checkpoints that appear in the folder unopened.")
@option("--plain", is_flag=True, group=SEEN, help="Plain lines on a terminal too.")
@option("--on-finding", metavar="CMD", group=DONE, help="Run CMD for each new finding: JSON on its standard input, no shell.")
@option("--record", metavar="FILE", group=DONE, help="Keep all that comes, for --replay.")
@option("--state", metavar="FILE", group=DONE, help="Remember what was told: started again, only what is new is told.")
@option("--replay", metavar="FILE", group=OTHER, help="See a recording again.")
@option("--speed", type=click.FloatRange(min=0, min_open=True), metavar="TIMES", default=1.0, show_default=True, group=OTHER,
        help="As fast as it was.")  # fmt: skip
@option("--demo", is_flag=True, group=OTHER, help="Train a codebook that dies and one that lives, and watch.")
@reporting
def command(paths: tuple[str, ...], bindings: tuple[tuple[str, str], ...], no_checkpoints: bool, on_finding: str | None,
            output: Output, **asked: Any) -> int:  # fmt: skip
    """Follow training logs, live or finished: what the codebooks really do, and since which step something is wrong.

    PATH is a log (vqdoctor.log/1, JSON lines, CSV, JSON, text with key=value or progress bars, TensorBoard events) or a folder of
    runs, newest first; it need not exist yet. Checkpoints that appear beside a log are opened once each and measured. Rotated,
    truncated and rewritten logs are followed; nothing is lost and nothing told twice.

    Views: text, json (the runs as they stand at the end, vqdoctor.watch/1) and jsonl (what happens, as it comes); the others show
    each run at the end as a report: its last numbers and its findings. --state FILE does
    not keep numbers: started again, the watch reads the logs again, since judging needs their history, and tells only what is new.
    --on-finding runs one call at a time for at most a minute; what goes wrong with it is said on standard error.

    Without a terminal it ends when every run is over. Exit status: 1 where RULE of --until fired or a finding is at --fail-on;
    after --timeout the findings decide, and 2 says that there was nothing to see at all.
    """
    from vqdoctor.app.watching.refusals import refuse_others

    wanted = Asked(paths=paths, **asked)
    refuse_contradictions(wanted, output)
    refuse_others(paths)
    request = _request(dict(bindings), not no_checkpoints)
    with _attended(wanted, request, on_finding, output) as watcher:
        if wanted.once:
            return _once(watcher, wanted, output)
        return _follow(watcher, wanted, output)


def _request(bindings: dict[str, str], checkpoints: bool) -> WatchRequest:
    from vqdoctor.app.watching.request import WatchRequest
    from vqdoctor.cli.config import project_rules

    return WatchRequest(bindings, checkpoints, project_rules(Path(working_folder())))


@contextmanager
def _attended(asked: Asked, request: WatchRequest, on_finding: str | None, output: Output) -> Iterator[Attended]:
    """The watch with all that it takes, let go of in the end in any case."""
    from vqdoctor.app.watching.alarm import Alarm
    from vqdoctor.app.watching.attended import Attended
    from vqdoctor.cli.watch_faces import has_screen
    from vqdoctor.cli.watch_state import kept_changes, save_changes

    changes = kept_changes(asked.state)
    seen = has_screen(asked, output)
    with ExitStack() as stack:
        alarm = Alarm(on_finding, _later(stack) if seen else _talk(quiet=False)) if on_finding is not None else None
        watcher, going = _watcher(asked, request, stack)
        stack.callback(watcher.close)
        if alarm is not None:
            stack.callback(alarm.close, ALARM_PATIENCE)
        if asked.state:
            stack.callback(save_changes, asked.state, changes)
        yield Attended(watcher, asked.goal(seen=seen), changes=changes, alarm=alarm, going=going)


def _watcher(asked: Asked, request: WatchRequest, stack: ExitStack) -> tuple[Watcher, Any]:
    """What is watched: files, a recording, or the demo's trainer; and whether more runs are to come."""
    from vqdoctor.app.watching.recording import Replay, Tape
    from vqdoctor.app.watching.watcher import Watcher

    if asked.replay:
        if not Path(asked.replay).is_file():
            raise MissingInput(
                "there is no such recording.", where=asked.replay, hint="vqdoctor watch PATH --record FILE makes one."
            )
        replay = Replay(asked.replay, asked.speed, time.time, request.bindings)
        return Watcher([], request, clock=time.time, sources=[replay]), lambda: not replay.over
    tape = Tape(stack.enter_context(begun(asked.record)), time.time) if asked.record else None
    if asked.demo:
        from vqdoctor.app.watching.demo import Demo

        demo = stack.enter_context(Demo())
        return Watcher([demo.folder], request, clock=time.time, tape=tape), demo.going
    return Watcher(asked.paths, request, clock=time.time, tape=tape), lambda: False


def _once(watcher: Attended, asked: Asked, output: Output) -> int:
    """One look at all that is there."""
    from vqdoctor.app.watching.once import refuse_nothing
    from vqdoctor.cli.progress import progress_for
    from vqdoctor.cli.watch_faces import changes_as_lines, write_view, write_views

    progress = progress_for(output.quiet, output.color)
    try:
        view = watcher.finish(progress)
    finally:
        progress.stop()
    refuse_nothing(watcher.watcher, view, asked.paths or [asked.replay or ""])
    write_views(view, output)
    if output.format == "jsonl":
        write_out(changes_as_lines(watcher.news, output))
    else:
        write_view(view, output)
    _warn(view, output)
    return exit_status(view.runs, output.fail_on)


def _follow(watcher: Attended, asked: Asked, output: Output) -> int:
    """Look until the goal is reached, the reader is gone, or the user has seen enough."""
    from vqdoctor.cli.watch_faces import dashboard, follow_plainly, has_screen, last_words, write_views

    seen = has_screen(asked, output)
    if not seen:
        _say_what_is_awaited(asked.paths, output)
    try:
        status = (dashboard if seen else follow_plainly)(watcher, asked, output)
    finally:
        write_views(watcher.view, output)
    if seen:
        write_out(last_words(watcher.view, output))
    if status == ExitCode.INTERRUPTED:
        return status
    if watcher.outcome == "fired":
        return int(ExitCode.FINDINGS)
    if watcher.outcome == "timeout":
        _talk(output.quiet)(f"stopped after {asked.timeout:g} s: {_not_yet(asked)}")
        if not watcher.view.runs:
            return int(ExitCode.UNUSABLE)
    return exit_status(watcher.view.runs, output.fail_on)


def _say_what_is_awaited(paths: Sequence[str], output: Output) -> None:
    """Silence before the first line would look the same for a run that begins soon and for a name that was mistyped."""
    for path in paths:
        if not os.path.lexists(path):
            _talk(output.quiet)(f"{printable(path)} does not exist yet: waiting for it.")
        elif os.path.isdir(path) and not os.listdir(path):
            _talk(output.quiet)(f"{printable(path)} holds nothing yet: waiting for the first run.")


def _not_yet(asked: Asked) -> str:
    if asked.until is None:
        return "the time is up"
    return "not every run is over" if asked.until == "end" else f"{asked.until} has no finding"


def _warn(view: WatchView, output: Output) -> None:
    """Formats for programs leave out what was left out; a person who runs them should see it, once where it is of all runs."""
    if output.format == "text" or output.quiet:
        return
    notes = {note: run for run in reversed(view.runs) for note in reversed(run.notes)}
    for note, run in reversed(notes.items()):
        _talk(output.quiet)(f"warning: {printable(run.path)}: {printable(note, 1000)}")


def _later(stack: ExitStack) -> Callable[[str], None]:
    """Says sentences once the dashboard has gone: on top of it nobody could read them."""
    said: list[str] = []
    stack.callback(lambda: [_talk(quiet=False)(words) for words in said])
    return said.append


def _talk(quiet: bool) -> Callable[[str], None]:
    """Says a sentence on standard error."""

    def say(words: str) -> None:
        if not quiet:
            sys.stderr.write(f"vqdoctor: {printable(words, 2000)}\n")
            sys.stderr.flush()

    return say
