"""The inspect dashboard without a screen: order, filter, map, tree, and where each finding leads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inspected import blind, bookless, healthy, report_of

from vqdoctor.diagnosis import RULES
from vqdoctor.metrics import VERDICTS
from vqdoctor.tui.inspecting import scatter
from vqdoctor.tui.inspecting.browsing import AIMS, VIEWS, Browsing
from vqdoctor.tui.inspecting.codes import CodeLines, CodeTable, table_of
from vqdoctor.tui.inspecting.filling import FILLERS, Room
from vqdoctor.tui.inspecting.findings import strip
from vqdoctor.tui.inspecting.grid import bar, prose
from vqdoctor.tui.inspecting.query import matching
from vqdoctor.tui.inspecting.tree import Tree, TreeLines
from vqdoctor.tui.themes import LOOKS

LOOK, ASCII = LOOKS["default"], LOOKS["ascii"]


def table(use, verdicts=None, marks=None, **columns):
    use = np.asarray(use, float)
    judged = None if verdicts is None else np.array([VERDICTS.index(word) for word in verdicts], np.int8)
    return CodeTable(len(use), {"code": np.arange(len(use), dtype=float), "use": use} | columns, judged, marks or {})


@given(keys=arrays(np.float64, st.integers(1, 60), elements=st.one_of(st.integers(-3, 3), st.just(np.nan))), up=st.booleans())
def test_codes_are_sorted_with_undefined_ones_last_and_equal_ones_by_number(keys, up):
    order = table(np.zeros(len(keys)), norm=keys).order("norm", up)
    assert sorted(order.tolist()) == list(range(len(keys)))
    known = [code for code in order.tolist() if not np.isnan(keys[code])]
    assert known == sorted(known, key=lambda code: (keys[code] if up else -keys[code], code))
    assert order.tolist()[: len(known)] == known


FILTERS = {  # of codes 0…4: use 9, 0, 3, 0, 1
    "": [0, 1, 2, 3, 4], "unused": [1, 3], "use>=3": [0, 2], "use!=0": [0, 2, 4], "share<2%": [1, 3], "2": [2], "1-3": [1, 2, 3],
    "1-3 !unused": [2], "live": [0, 2], "rare": [4], "dead": [1], "copy": [3], "marked": [2, 3], "orphan": [2],
    "zero": [], "!live use=0": [1, 3], "DEAD": [1],
}  # fmt: skip


@pytest.mark.parametrize("query", FILTERS)
def test_filters_mean_what_they_say(query):
    use = [9, 0, 3, 0, 1]
    codes = table(use, ["live", "dead", "live", "undecided", "rare"], {3: "copy of 1", 2: "orphan"}, share=np.array(use) / 13)
    assert np.flatnonzero(matching(codes, query)).tolist() == FILTERS[query]


@pytest.mark.parametrize(("query", "words"), [("foo", "means nothing"), ("bar>1", "no column bar"), ("use>1e", "not a number")])
def test_a_filter_that_means_nothing_says_so(query, words):
    with pytest.raises(ValueError, match=words):
        matching(table([1, 2]), query)


def test_only_lines_that_are_asked_for_are_made():
    codes = table(np.arange(16384), norm=np.ones(16384))
    lines = CodeLines(codes, codes.order("use", up=False), LOOK, "use", False)
    assert len(lines) == 16385 and lines.made == 0
    words = [line.plain.replace("\u202f", "").split() for line in lines[1:4]]
    assert words == [["16383", "16383", "1.00"], ["16382", "16382", "1.00"], ["16381", "16381", "1.00"]] and lines.made == 3


@given(use=arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 10**9)))
def test_columns_stand_under_their_titles(use):
    codes = table(use)
    lines = list(CodeLines(codes, codes.order("use", up=False), LOOK, "use", False))
    assert len({line.cell_len for line in lines}) == 1


def test_every_rule_that_inspect_has_leads_somewhere():
    own = {rule.id for rule in RULES if not rule.id.startswith("VQ5")}
    assert set(AIMS) == own
    assert all(aim.view in VIEWS for aim in AIMS.values())


def test_a_finding_leads_to_its_level_its_view_and_its_codes():
    browsing = Browsing([report_of()])
    browsing.step_finding(1)
    assert (browsing.view, browsing.level_at, browsing.ordering.sort) == ("codes", 1, "use")
    browsing.step_finding(1)
    assert (browsing.view, browsing.level_at) == ("ids", 1)
    finding = browsing.step_finding(1)
    assert finding.where == "rq[0]" and (browsing.view, browsing.ordering.query) == ("codes", "copy")
    assert browsing.order().tolist() == [5]
    browsing.step_level(1)
    browsing.step_level(1)
    assert browsing.finding.where == "rq[2]", "of findings alike the one of the level in view"
    browsing.step_finding(1)
    assert browsing.view == "levels"
    assert browsing.step_finding(1).rule == "VQ101", "after the last comes the first"


def test_a_filter_that_would_leave_nothing_is_not_set():
    browsing = Browsing([report_of()])
    browsing.reports[0].quantizers[0].levels[0].facts["rows"].clear()
    browsing._tables.clear()
    browsing.turn_to(2)
    assert browsing.ordering.query == "" and len(browsing.order()) == 32


@pytest.mark.parametrize("look", [LOOK, ASCII], ids=lambda look: look.name)
@pytest.mark.parametrize("size", [(30, 4), (76, 14), (196, 50)])
@pytest.mark.parametrize("make", [report_of, healthy, blind, bookless], ids=lambda make: make.__name__)
def test_every_pane_has_something_to_say_within_its_room(make, size, look):
    browsing = Browsing([make()])
    for name, fill in FILLERS.items():
        filled = fill(browsing, Room(*size, look))
        lines = [filled.lines[i] for i in range(min(60, len(filled.lines)))]
        assert any(line.plain.strip() for line in lines), name
        assert look.unicode or all(line.plain.isascii() for line in [*lines, filled.heading, filled.note]), name
        if size[0] > 70:
            assert all(line.cell_len <= size[0] for line in lines), name


def test_codes_and_features_fall_where_they_belong():
    shown = scatter.Map(
        np.array([[0, 0], [10, 10], [10, 0]]), np.array([4, 7, 9]), np.array([4, 2, 0]), np.array([[0.0, 10.0]]), 0.6
    )
    lines = [line.plain for line in scatter.paint(shown, 40, 10, LOOK, chosen=9)]
    assert len(lines) == 10 and all(len(line) == 40 for line in lines)
    assert lines[-1].strip()[0] == "●" and lines[0].rstrip()[-1] == "×" and lines[-1].rstrip()[-1] == "◆"
    assert 0x2800 < ord(lines[0].strip()[0]) <= 0x28FF
    zoomed = "".join(line.plain for line in scatter.paint(shown, 40, 10, LOOK, "live codes"))
    assert "●" in zoomed and "×" not in zoomed
    assert "3" not in scatter.key(shown, LOOK, "all").plain and "1 live" in scatter.key(shown, LOOK, "all").plain


def test_many_codes_in_one_cell_are_counted():
    points = np.vstack([np.zeros((510, 2)), [[1.0, 1.0]]])
    shown = scatter.Map(points, np.arange(511), np.full(511, 2), np.zeros((0, 2)), None)
    assert any("510 codes here" in line.plain for line in scatter.paint(shown, 60, 12, LOOK))


@given(st.lists(st.tuples(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30)), min_size=1, max_size=30))
def test_no_points_are_too_odd_for_a_map(points):
    shown = scatter.Map(np.array(points), np.arange(len(points)), np.zeros(len(points), int), np.zeros((0, 2)), None)
    assert "•" in "".join(line.plain for line in scatter.paint(shown, 30, 8, LOOK))


def test_a_map_tells_verdicts_by_code_number():
    browsing = Browsing([report_of()])
    browsing.level_at = 1
    states = dict(zip(browsing.map.numbers.tolist(), browsing.map.states.tolist(), strict=True))
    names = list(scatter.GLYPHS)
    assert names[states[0]] == "healthy" and names[states[17]] == "error"


def test_the_tree_opens_node_by_node():
    tree = Tree(Browsing([report_of()]).ids)
    rows = tree.rows()
    assert sum(items for _, items, _ in rows) == 600 and [node for node, _, _ in rows] == [rows[i][0] for i in range(len(rows))]
    top = rows[0][0]
    tree.toggle(top)
    below = [row for row in tree.rows() if row[0][:1] == top and len(row[0]) == 2]
    assert sum(items for _, items, _ in below) == rows[0][1] and tree.rows()[1] == below[0]
    tree.toggle(top)
    assert tree.rows() == rows
    whole = (*top, *below[0][0][1:], 0)
    version = tree.version
    tree.toggle(whole)
    assert tree.version == version, "a whole ID has nothing to open"
    lines = TreeLines(tree, 76, LOOK)
    assert lines.made == 0 and "items" in lines[0].plain and lines.made == 1


def test_prose_hangs_and_tells_that_it_was_cut():
    lines = [line.plain for line in prose("one two three four five six seven", 12, LOOK, indent=2, first="$ ", most=2)]
    assert lines[0].startswith("$ one") and len(lines) == 2 and lines[1].endswith("…")
    assert bar(0.0001, 10, LOOK).plain != "" and bar(0, 10, LOOK).plain == "" and bar(1, 10, ASCII).plain == "#" * 10


def test_a_command_that_has_no_room_tells_how_to_get_all_of_it():
    browsing = Browsing([report_of("a-name-that-takes-up-half-a-line")])
    lines = [line.plain for line in strip(browsing, 60, LOOK, 3)]
    assert len(lines) == 3 and lines[2].endswith("… y copies all of it") and not lines[2].endswith("\\")
    whole = [line.plain for line in strip(browsing, 190, LOOK, 3)]
    assert whole[-1].strip() == f"$ {browsing.finding.remedy.command}"


def test_levels_that_hold_no_codes_have_no_table():
    assert bookless().quantizers[0].levels == () and Browsing([bookless()]).table is None
    assert table_of(report_of().quantizers[0].levels[0]).size == 32
