"""What keys do in `vqdoctor inspect --tui`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vqdoctor.tui.actions import Action, shared
from vqdoctor.tui.inspecting.browsing import VIEWS

VIEW_WORDS = {
    "overview": "All of one file: its levels, real use beside what the EMA says, its findings.",
    "codes": "The codes of a level as a table, and where they lie.",
    "use": "How the codes share the rows: sorted use, and how often codes are hit.",
    "map": "Codes and features on two axes.",
    "levels": "What each level adds, and the tree of prefixes.",
    "ids": "Items that share an ID, and who they are.",
    "findings": "Each finding with its evidence, how sure it is, and what to do.",
}


def _in(*views: str) -> Callable[[Any], bool]:
    return lambda screen: screen.browsing.view in views


def _several(what: str) -> Callable[[Any], bool]:
    return lambda screen: screen.has_several(what)


_VIEWS = tuple(Action(f"view_{name}", (str(number + 1),), "", f"{VIEW_WORDS[name]}", "views") for number, name in enumerate(VIEWS))
_FINDINGS = (
    Action(
        "next_finding",
        ("e",),
        "next finding",
        "Next finding, and to what it is about.",
        "findings",
        rank=3,
        when=_several("findings"),
    ),
    Action("previous_finding", ("E",), "", "Finding before, and to what it is about.", "findings", when=_several("findings")),
    Action(
        "copy_command",
        ("y",),
        "copy command",
        "Copy the command of the finding in view.",
        "findings",
        rank=12,
        when=_several("commands"),
    ),
    Action("explain", ("x",), "explain", "The page of the rule in view.", "findings", rank=13, when=_several("findings")),
    Action(
        "repair",
        ("r",),
        "repair",
        "Choose a treatment, see what it would do, then decide.",
        "findings",
        rank=4,
        when=_several("repairs"),
    ),
)
_CODES = (
    Action("next_sort", ("s",), "sort", "Sort the codes by the next column.", "codes", rank=6, when=_in("codes")),
    Action("reverse", ("o",), "reverse", "Turn the order around.", "codes", rank=10, when=_in("codes")),
    Action(
        "filter",
        ("slash",),
        "filter",
        "Show only some codes: dead, use>100, 40-60, copy, !live.",
        "codes",
        rank=5,
        when=_in("codes"),
    ),
    Action("go_to", ("g",), "go to", "Go to a code by its number.", "codes", rank=9, when=_in("codes")),
    Action("troubled", ("f",), "not live", "Only codes that are not live, or all again.", "codes", rank=11, when=_in("codes")),
    Action(
        "next_zoom", ("z",), "zoom", "Map: everything, the features, the live codes.", "codes", rank=8, when=_in("map", "codes")
    ),
)
_PLACES = (
    Action("next_level", ("l",), "level", "Next level.", "places", rank=7, when=_several("levels")),
    Action("previous_level", ("L",), "", "Level before.", "places", when=_several("levels")),
    Action("next_quantizer", ("n",), "quantiser", "Next quantiser.", "places", rank=7, when=_several("quantizers")),
    Action("previous_quantizer", ("N",), "", "Quantiser before.", "places", when=_several("quantizers")),
    Action("next_file", ("c",), "file", "Next checkpoint.", "places", rank=7, when=_several("files")),
    Action("previous_file", ("C",), "", "Checkpoint before.", "places", when=_several("files")),
)
_MOVES = (
    Action(
        "open", ("enter",), "", "Open what is chosen: a finding's place, a code on the map, a node, a group in the tree.", "moves"
    ),
    Action("up", ("up", "k"), "", "A line up.", "moves"),
    Action("down", ("down", "j"), "", "A line down.", "moves"),
    Action("page_up", ("pageup",), "", "A page up.", "moves"),
    Action("page_down", ("pagedown", "space"), "", "A page down.", "moves"),
    Action("top", ("home",), "", "To the first line.", "moves"),
    Action("bottom", ("end",), "", "To the last line.", "moves"),
)
ACTIONS = (*shared(), *_FINDINGS, *_VIEWS, *_PLACES, *_CODES, *_MOVES)
