"""What the repair screen shows, as lines: treatments, options, the plan before and after, the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from vqdoctor.app.repair import RepairPlan, describe
from vqdoctor.render.figures import plural
from vqdoctor.render.repair_text import show_repair
from vqdoctor.tui.inspecting.grid import clipped, prose, to_type
from vqdoctor.tui.themes import Look
from vqdoctor.tui.treatments import HELP, TITLES, Repairing

STAGES = ("choosing", "planning", "planned", "writing", "written")
STAGE_WORDS = {"choosing": "1 choose", "planning": "2 plan", "planned": "3 decide", "writing": "4 write", "written": "5 done"}
MARKS = {"!": "warning", "→": "info", "✓": "healthy"}  # how lines of the plan begin, and the state that they tell


def stage_line(stage: str, look: Look) -> Text:
    """Where the user is on the way: nothing is written before the fourth step."""
    line = Text()
    for each in STAGES:
        line.append(f" {STAGE_WORDS[each]} ", f"bold {look.select}" if each == stage else look.dim)
    return line.append(look.fold("  nothing is written before step 4"), look.dim)


def treatment_rows(asked: Repairing, width: int, look: Look) -> list[Text]:
    """A line a treatment: those that are prescribed first, with what prescribes them."""
    room = max(len(choice.method) for choice in asked.choices)
    rows = []
    for choice in asked.choices:
        mark = ("★" if look.unicode else "*") if choice.why else " "
        line = Text.assemble((mark, look.state_style("healthy")), " ", (f"{choice.method:<{room}}", "bold"), "  ")
        words = f"for {choice.why}" if choice.why else choice.about
        rows.append(line.append_text(clipped(look.say(words), width - len(line), look, "" if choice.why else look.dim)))
    return rows


def option_rows(asked: Repairing, width: int, look: Look) -> list[Text]:
    """A line an option: what it is set to, and what it does where there is room."""
    names = asked.options
    titles = max(len(TITLES[name]) for name in names)
    rows = []
    for name in names:
        value = look.cut(asked.written(name), max(8, width - titles - 2))
        line = Text.assemble((f"{TITLES[name]:<{titles}}  ", look.dim), (value, "bold"))
        column = titles + 14
        if width - column > 24 and len(line) < column:
            line.append(" " * (column - len(line))).append_text(clipped(HELP[name], width - column, look, look.dim))
        rows.append(line)
    return rows


def before_planning(asked: Repairing, width: int, look: Look) -> list[Text]:
    """What the chosen treatment is, why, and how to see what it would do."""
    choice = asked.choices[asked.at]
    lines = prose(look.say(f"{choice.method}: {choice.about}."), width, look, "bold")
    why = f"Prescribed by {choice.why}." if choice.why else "No finding prescribes it; trying is free: a plan changes nothing."
    lines += prose(look.say(why), width, look, "" if choice.why else look.dim)
    if asked.finding is not None and asked.finding.remedy.text:
        lines += [Text(), *prose(look.say(asked.finding.remedy.text, 2000), width, look, look.dim)]
    lines += [Text(), *prose("p shows what it would do to rows held out; nothing is written. From a shell it is:", width, look)]
    return [*lines, *to_type(asked.command(), width, look)]


def note_lines(note: Mapping[str, Any], width: int, look: Look, *, nothing: bool) -> list[Text]:
    """A plan, or a repair that was written, as `vqdoctor repair` tells it, wrapped to the pane; where it is, before what it did."""
    lines: list[Text] = []
    told = show_repair(note, look.screen, nothing=nothing).rstrip("\n").split("\n")
    end = next((at for at, words in enumerate(told) if note["target"] and words.startswith(look.fold(" ✓ "))), 0)
    for words in [*told[end:], "", *told[:end]] if end else told:
        bare = words.lstrip(" ")
        state = next((state for mark, state in MARKS.items() if bare.startswith(f"{look.fold(mark)} ")), None)
        style = look.state_style(state) if state else "bold" if words.startswith(" ") and not words.startswith("  ") else ""
        lines += prose(bare, width, look, style, indent=len(words) - len(bare)) if bare else [Text()]
    return lines


def question(asked: Repairing, planned: RepairPlan | None, width: int, look: Look) -> list[Text]:
    """What is written if the answer is yes."""
    lines = prose(look.say(f"Write {asked.out}?", 500), width, look, "bold")
    if planned is not None:
        note = describe(planned)
        rows = sum(len(level["rows_changed"]) for level in note["levels"])
        changed = f"{plural(rows, 'row')} of codes and {plural(len(note['tensors']), 'tensor')} change"
        lines += prose(look.fold(f"{asked.method}: {changed}."), width, look)
        if note["warnings"]:
            words = f"{plural(len(note['warnings']), 'warning')} stand in the plan: page down there."
            lines += prose(look.fold(words), width, look, look.state_style("warning"), indent=2, first="! ")
    kept = "The checkpoint itself stays as it is; what undoes the repair is put beside the copy."
    return [*lines, *prose(kept, width, look, look.dim)]


def refusal(words: str, width: int, look: Look) -> list[Text]:
    """Why there is no plan."""
    return prose(look.say(words, 2000), width, look, look.state_style("error"), indent=2, first="✗ ")
