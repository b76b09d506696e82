"""The keys of the watch screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vqdoctor.tui.actions import Action, shared

if TYPE_CHECKING:
    from vqdoctor.tui.watch_screen import WatchScreen


def _has_run(screen: WatchScreen) -> bool:
    return bool(screen.model.view.runs)


def _has_runs(screen: WatchScreen) -> bool:
    return len(screen.model.view.runs) > 1


def _has_findings(screen: WatchScreen) -> bool:
    return bool(screen.found)


def _has_levels(screen: WatchScreen) -> bool:
    return len(screen.levels) > 1


def _has_pages(screen: WatchScreen) -> bool:
    return len(screen.plans) > screen.slots


def _has_steps(screen: WatchScreen) -> bool:
    first, last = screen.model.window(screen.state)
    return _has_run(screen) and last > first


def _smoothing(screen: WatchScreen) -> str:
    return f"smooth {screen.state.half_life or 'off'}"


def _pausing(screen: WatchScreen) -> str:
    return "go on" if screen.paused else "pause"


def _pinning(screen: WatchScreen) -> str:
    run = screen.run
    return "unpin" if run is not None and run.path == screen.state.baseline else "baseline"


WATCH_ACTIONS = (
    *shared("quit", "help"),
    Action("pause", ("space",), "pause",
           "Hold the picture still; what comes meanwhile is counted.", "time", word=_pausing, rank=3),
    Action("cursor_left", ("left",), "cursor",
           "Move the cursor a column back: all charts show that step.", "time", _has_steps, rank=6),
    Action("cursor_right", ("right",), "", "Move the cursor a column on.", "time", _has_steps),
    Action("cursor_left_far", ("shift+left",), "", "Move the cursor ten columns back.", "time", _has_steps),
    Action("cursor_right_far", ("shift+right",), "", "Move the cursor ten columns on.", "time", _has_steps),
    Action("live", ("t",), "", "Back to the newest step: no cursor, no pause.", "time"),
    Action("zoom_in", ("plus", "equals_sign"), "",
           "Half as many steps in sight, around the cursor or up to the end.", "time", _has_steps),
    Action("zoom_out", ("minus",), "", "Twice as many steps in sight.", "time", _has_steps),
    Action("whole", ("0",), "", "All steps in sight.", "time", _has_steps),
    Action("next_finding", ("e",), "finding",
           "Go to the next finding, at the step where it began.", "findings", _has_findings, rank=4),
    Action("previous_finding", ("E",), "", "Go to the finding before.", "findings", _has_findings),
    Action("repair", ("r",), "repair", "What cures the chosen finding, with its command.", "findings", _has_findings, rank=5),
    Action("acknowledge", ("a",), "seen",
           "Mark the chosen finding as seen to, or take that back.", "findings", _has_findings, rank=10),
    Action("faults", ("f",), "faults",
           "Only what is wrong: errors and warnings, levels and runs that have them.", "findings", _has_run, rank=14),
    Action("smooth", ("s",), "smooth",
           "Smooth the curves, half-life in steps: off, 10, 100, 1000.", "charts", _has_run, word=_smoothing, rank=9),
    Action("next_level", ("l",), "level", "The next level of the codebook.", "charts", _has_levels, rank=7),
    Action("previous_level", ("L",), "", "The level before.", "charts", _has_levels),
    Action("next_charts", ("n", "full_stop"), "more charts",
           "The next charts: losses, collisions, every other series of the log.", "charts", _has_pages, rank=11),
    Action("previous_charts", ("p", "comma"), "", "The charts before.", "charts", _has_pages),
    Action("zoom_pane", ("z",), "", "The pane that has the focus, alone and large; again: all panes.", "charts"),
    Action("next_tab", ("v",), "view",
           "The lower pane shows: use over time, runs, tail of the log, all series.", "lists", rank=12),
    Action("previous_tab", ("V",), "", "The lower pane shows what came before.", "lists"),
    Action("up", ("up", "k"), "", "A row up in the pane that has the focus.", "lists"),
    Action("down", ("down", "j"), "", "A row down.", "lists"),
    Action("page_up", ("pageup",), "", "Ten rows up.", "lists"),
    Action("page_down", ("pagedown",), "", "Ten rows down.", "lists"),
    Action("open", ("enter",), "",
           "Open the chosen row: a finding's evidence, a run, a series' chart, a pane alone.", "lists", _has_run),
    Action("search", ("slash",), "filter",
           "Filter charts, series, findings and runs: words, -not, a|b; esc takes it back.", "lists", _has_run, rank=8),
    Action("next_run", ("right_square_bracket",), "run", "The next run.", "runs", _has_runs, rank=9),
    Action("previous_run", ("left_square_bracket",), "", "The run before.", "runs", _has_runs),
    Action("baseline", ("b",), "baseline",
           "Pin this run as the baseline that others are drawn against, or unpin it.", "runs", _has_run, word=_pinning, rank=13),
    Action("compare", ("c",), "compare",
           "Show by how much each level differs from the baseline at the same step.", "runs", _has_run, rank=13),
    *shared("next_pane", "previous_pane", "save_view", "next_theme", "palette", "back"),
)  # fmt: skip
