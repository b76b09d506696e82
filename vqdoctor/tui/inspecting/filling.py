"""What each pane shows: from where the user is and a room to lines, a heading and a note on the border. No widget in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from vqdoctor.tui.chart import legend, paint
from vqdoctor.tui.inspecting import collisions, findings, levels, overview, scatter, use
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.codes import CodeLines
from vqdoctor.tui.inspecting.tree import TreeLines
from vqdoctor.tui.themes import Look


@dataclass(frozen=True, slots=True)
class Room:
    """Cells across and down inside a pane, and how things look."""

    width: int
    height: int
    look: Look

    def title(self, words: str) -> Text:
        """Our own words for the upper border."""
        return Text(self.look.fold(words), self.look.title)

    def remark(self, words: str) -> Text:
        """Our own words for the lower border."""
        return Text(self.look.fold(words), self.look.dim)

    def instead(self, words: str) -> list[Text]:
        """Words in the place of what there is not."""
        return [Text(self.look.fold(words), self.look.dim)]


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """Lines, the words on both borders, and what stands for the lines where comparing them would cost."""

    lines: Sequence[Text]
    heading: Text
    note: Text = field(default_factory=Text)
    version: object = None


def _summary(browsing: Browsing, room: Room) -> Filled:
    several = browsing.quantizer is not None and len(browsing.quantizer.levels) > 1
    lines = overview.summary(browsing, room.width, room.look)
    return Filled(lines, room.title("overview"), room.remark("l next level" if several else ""))


def _list(browsing: Browsing, room: Room) -> Filled:
    lines = overview.finding_rows(browsing, room.width, room.look)
    return Filled(lines, room.title("findings"), room.remark("enter: to what it is about" if browsing.groups else ""))


def _detail(browsing: Browsing, room: Room) -> Filled:
    note = room.remark("x explain · r repair · y copy command")
    return Filled(findings.detail(browsing, room.width, room.look), findings.heading(browsing, room.look), note)


def _codes(browsing: Browsing, room: Room) -> Filled:
    table, asked = browsing.table, browsing.ordering
    if table is None:
        return Filled(room.instead("no stored codes to list") * 2, room.title("codes"))
    order = browsing.order()
    number = f"{len(order)} of {table.size}" if asked.query else str(table.size)
    heading = room.title(f"codes of {room.look.cut(browsing.where, 28)}: {number}")
    note = room.remark(f"filter: {room.look.say(asked.query)} · esc: all" if asked.query else "")
    version = (browsing.place, asked.sort, asked.up, asked.query, room.look.name, room.width)
    return Filled(CodeLines(table, order, room.look, asked.sort, asked.up, room.width), heading, note, version)


def _map(browsing: Browsing, room: Room) -> Filled:
    shown, look = browsing.map, room.look
    if shown is None:
        return Filled(room.instead("no stored codes to draw"), room.title("map"))
    lines = scatter.paint(shown, room.width, room.height, look, browsing.zoom, browsing.code)
    return Filled(lines, room.title(scatter.title(shown, browsing.zoom)), scatter.key(shown, look, browsing.zoom))


def _ranked(browsing: Browsing, room: Room) -> Filled:
    if browsing.level is None:
        return Filled(room.instead("no level to draw"), room.title("use"))
    chart = use.ranked_chart(browsing.level, browsing.table, "sorted use")
    return Filled(paint(chart, room.width, room.height, room.look), legend(chart, room.look), room.remark("codes, most used first"))


def _hits(browsing: Browsing, room: Room) -> Filled:
    lines = room.instead("no level") if browsing.level is None else use.hit_lines(browsing.level, room.width, room.look)
    return Filled(lines, room.title("codes by how often they are hit"))


def _levels(browsing: Browsing, room: Room) -> Filled:
    quantizer = browsing.quantizer
    if quantizer is None or not quantizer.levels:
        return Filled(room.instead("no levels"), room.title("levels"))
    hourglass = quantizer.metrics.get("levels.hourglass")
    note = room.remark(f"hourglass {hourglass:.2f}" if isinstance(hourglass, float) else "")
    return Filled(levels.level_lines(browsing.report, quantizer, room.width, room.look), room.title("levels together"), note)


def _tree(browsing: Browsing, room: Room) -> Filled:
    tree, heading = browsing.tree, room.title("tree of IDs, fullest first")
    if tree is None:
        return Filled(room.instead("no tree: it takes IDs of two levels or more, and rows to count them by"), heading)
    version = (browsing.place[:2], tree.version, room.width, room.look.name)
    return Filled(TreeLines(tree, room.width, room.look), heading, room.remark("enter opens and closes"), version)


def _groups(browsing: Browsing, room: Room) -> Filled:
    if browsing.ids is None or browsing.quantizer is None:
        return Filled(room.instead("one code is the whole ID, or nothing was counted: nothing to collide"), room.title("IDs"))
    heading = room.title(collisions.group_heading(browsing.quantizer, room.look))
    lines = collisions.GroupLines(browsing.ids, browsing.shared, room.width, room.look)
    return Filled(lines, heading, room.remark("enter: in the tree"), (browsing.place[:2], room.width, room.look.name))


def _members(browsing: Browsing, room: Room) -> Filled:
    ids = browsing.ids
    lines = room.instead("no items") if ids is None else collisions.member_lines(ids, browsing.shared_id, room.width, room.look)
    return Filled(lines, room.title("who shares it"))


FILLERS: Mapping[str, Callable[[Browsing, Room], Filled]] = {
    "summary": _summary, "list": _list, "detail": _detail, "codes": _codes, "map": _map, "ranked": _ranked, "hits": _hits,
    "levels": _levels, "tree": _tree, "groups": _groups, "members": _members,
}  # fmt: skip
"""By the pane's id, in the order in which panes stand."""
