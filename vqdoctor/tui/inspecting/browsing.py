"""Where the user is in one or several reports: which file, quantiser, level, view, finding, order and filter. No screen in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vqdoctor.app.views import IdBrowser
from vqdoctor.model import Finding, LevelReport, QuantizerReport, Report
from vqdoctor.render.words import alike
from vqdoctor.tui.inspecting.codes import SORTED_UP, CodeTable, table_of
from vqdoctor.tui.inspecting.query import matching
from vqdoctor.tui.inspecting.scatter import Map, map_of
from vqdoctor.tui.inspecting.tree import Tree

VIEWS = ("overview", "codes", "use", "map", "levels", "ids", "findings")
ZOOMS = ("all", "features", "live codes")


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a finding is looked at: a view, and for its codes a filter and what to sort by."""

    view: str
    query: str = ""
    sort: str | None = None


AIMS = {
    "VQ101": Aim("codes", sort="use"), "VQ102": Aim("codes", "dead", "dist"), "VQ103": Aim("use"), "VQ104": Aim("use"),
    "VQ105": Aim("codes", "undecided", "use"),
    "VQ201": Aim("codes", "not", "code"), "VQ202": Aim("codes", "copy", "code"), "VQ203": Aim("codes", "zero", "norm"),
    "VQ204": Aim("codes", "untouched", "norm"), "VQ205": Aim("map"), "VQ206": Aim("map"), "VQ207": Aim("codes", "orphan", "dist"),
    "VQ208": Aim("map"), "VQ209": Aim("map"),
    "VQ301": Aim("codes", "unlike", "code"), "VQ302": Aim("codes", sort="ema"), "VQ303": Aim("codes", sort="norm"),
    "VQ304": Aim("codes", sort="ema"), "VQ305": Aim("codes", sort="norm"), "VQ306": Aim("codes", sort="ema"),
    "VQ401": Aim("ids"), "VQ402": Aim("ids"), "VQ403": Aim("levels"), "VQ404": Aim("levels"), "VQ405": Aim("levels"),
}  # fmt: skip
"""By rule; a rule that is not here (a plugin's) is read among the findings."""


@dataclass(slots=True)
class Ordering:
    """How the codes are listed. up: smallest first."""

    sort: str
    up: bool
    query: str = ""


@dataclass(slots=True)
class Browsing:
    """The place, and what lies there. Places are kept within what there is by the methods that move them."""

    reports: list[Report] = field(default_factory=list)
    view: str = "overview"
    zoom: str = "all"
    source_at: int = 0
    quantizer_at: int = 0
    level_at: int = 0
    group_at: int = 0
    code_at: int = 0
    shared_at: int = 0
    turned: bool = False
    _orderings: dict[tuple[int, int, int], Ordering] = field(default_factory=dict)
    _tables: dict[tuple[int, int, int], CodeTable | None] = field(default_factory=dict)
    _maps: dict[tuple[int, int, int], Map | None] = field(default_factory=dict)
    _trees: dict[tuple[int, int], Tree] = field(default_factory=dict)
    _shared: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    _order: tuple[object, np.ndarray] = (None, np.zeros(0, np.int64))

    @property
    def report(self) -> Report:
        """The source in view."""
        return self.reports[self.source_at]

    @property
    def quantizer(self) -> QuantizerReport | None:
        """The quantiser in view; None where a report holds none."""
        return self.report.quantizers[self.quantizer_at] if self.report.quantizers else None

    @property
    def level(self) -> LevelReport | None:
        """The level in view; None for a quantiser without a stored book."""
        levels = self.quantizer.levels if self.quantizer else ()
        return levels[self.level_at] if levels else None

    @property
    def place(self) -> tuple[int, int, int]:
        """Of the level in view."""
        return self.source_at, self.quantizer_at, self.level_at

    @property
    def where(self) -> str:
        """The level in view as a finding would name it."""
        return "" if self.quantizer is None or self.level is None else f"{self.quantizer.name}[{self.level.index}]"

    @property
    def table(self) -> CodeTable | None:
        """The codes in view."""
        if self.place not in self._tables:
            self._tables[self.place] = None if self.level is None else table_of(self.level)
        return self._tables[self.place]

    @property
    def map(self) -> Map | None:
        """The map in view."""
        if self.place not in self._maps:
            self._maps[self.place] = None if self.level is None else map_of(self.level.facts.get("map"), self.table)
        return self._maps[self.place]

    @property
    def ordering(self) -> Ordering:
        """How the codes in view are listed: most used first, until told otherwise."""
        if self.place not in self._orderings:
            names = self.table.numbers if self.table else {}
            first = next((name for name in ("use", "ema") if name in names), "code")
            self._orderings[self.place] = Ordering(first, first == "code")
        return self._orderings[self.place]

    def order(self) -> np.ndarray:
        """The codes in view, sorted and filtered."""
        if self.table is None:
            return np.zeros(0, np.int64)
        asked = self.ordering
        version = (self.place, asked.sort, asked.up, asked.query)
        if self._order[0] != version:
            kept = matching(self.table, asked.query) if asked.query else None
            self._order = version, self.table.order(asked.sort, asked.up, kept)
        return self._order[1]

    @property
    def code(self) -> int | None:
        """The code that the table points at."""
        order = self.order()
        return int(order[self.code_at]) if self.code_at < len(order) else None

    @property
    def ids(self) -> IdBrowser | None:
        """All IDs of the quantiser in view; None where it has one level or nothing was counted."""
        found = None if self.quantizer is None else self.quantizer.facts.get("ids")
        return found if isinstance(found, IdBrowser) else None

    @property
    def tree(self) -> Tree | None:
        """The tree of these IDs, as far as it has been opened."""
        if self.ids is not None and self.place[:2] not in self._trees:
            self._trees[self.place[:2]] = Tree(self.ids)
        return self._trees.get(self.place[:2])

    @property
    def shared(self) -> np.ndarray:
        """Rows of `ids` that several items have, largest group first."""
        if self.place[:2] not in self._shared:
            self._shared[self.place[:2]] = np.zeros(0, np.int64) if self.ids is None else self.ids.shared()
        return self._shared[self.place[:2]]

    @property
    def shared_id(self) -> int | None:
        """The group that is pointed at, as a row of `ids`."""
        return int(self.shared[self.shared_at]) if self.shared_at < len(self.shared) else None

    @property
    def groups(self) -> list[list[Finding]]:
        """Findings of the source in view, those of one rule together, errors first."""
        return alike(self.report.findings)

    @property
    def finding(self) -> Finding | None:
        """The finding in view: of its group the one about the level in view, else the first."""
        if not self.groups:
            return None
        group = self.groups[self.group_at]
        return next((one for one in group if one.where in (self.where, self._name())), group[0])

    def _name(self) -> str:
        return "" if self.quantizer is None else self.quantizer.name

    def step_source(self, by: int) -> None:
        """Another file; as near as can be to the same quantiser and level."""
        self.source_at = (self.source_at + by) % len(self.reports)
        self.quantizer_at = min(self.quantizer_at, max(0, len(self.report.quantizers) - 1))
        self.level_at = min(self.level_at, self._last_level())
        self.group_at = min(self.group_at, max(0, len(self.groups) - 1))

    def step_quantizer(self, by: int) -> None:
        """Another quantiser of the file."""
        self.quantizer_at = (self.quantizer_at + by) % max(1, len(self.report.quantizers))
        self.level_at = min(self.level_at, self._last_level())

    def step_level(self, by: int) -> None:
        """Another level of the quantiser."""
        self.level_at = (self.level_at + by) % (self._last_level() + 1)

    def _last_level(self) -> int:
        return max(0, len(self.quantizer.levels) - 1) if self.quantizer else 0

    def step_finding(self, by: int) -> Finding | None:
        """Another finding, and to what it is about; at first the one that is told already, but not yet looked at."""
        if not self.groups:
            return None
        first, self.turned = not self.turned, True
        return self.turn_to(self.group_at if first and by > 0 else self.group_at + by)

    def turn_to(self, group: int) -> Finding | None:
        """A finding by its place, and to what it is about: its level, its view, its codes."""
        self.group_at, self.turned = group % len(self.groups), True
        wheres = [finding.where for finding in self.groups[self.group_at]]
        if self.where not in wheres and self._name() not in wheres:
            self._go_to(wheres[0])
        finding = self.finding
        if finding is not None:
            aim = AIMS.get(finding.rule, Aim("findings"))
            self.view = aim.view
            self._list(aim)
        return finding

    def _go_to(self, where: str) -> None:
        """The quantiser and level that a finding names: ``quantizer.vq[3]`` or ``quantizer.vq``."""
        names = [quantizer.name for quantizer in self.report.quantizers]
        match = re.fullmatch(r"(.*)\[(\d{1,9})\]", where, re.DOTALL)
        name, level = (match[1], int(match[2])) if match and where not in names else (where, None)
        if name in names:
            self.quantizer_at = names.index(name)
            indices = [each.index for each in self.report.quantizers[self.quantizer_at].levels]
            self.level_at = indices.index(level) if level in indices else min(self.level_at, self._last_level())

    def _list(self, aim: Aim) -> None:
        """The codes as the aim wants them; without its filter where that would leave none."""
        if self.table is None or aim.view != "codes":
            return
        if aim.sort in self.table.sortable:
            self.ordering.sort, self.ordering.up = aim.sort, aim.sort in SORTED_UP
        self.ordering.query = aim.query if aim.query and self._any(aim.query) else ""

    def _any(self, query: str) -> bool:
        try:
            return self.table is not None and bool(matching(self.table, query).any())
        except ValueError:
            return False

    def sort_by(self, name: str) -> None:
        """Another column; the same once more turns it around."""
        if self.table is None or name not in self.table.sortable:
            return
        if name == self.ordering.sort:
            self.ordering.up = not self.ordering.up
        else:
            self.ordering.sort, self.ordering.up = name, name in SORTED_UP

    def next_sort(self) -> None:
        """The column to the right."""
        names: Sequence[str] = self.table.sortable if self.table else ()
        if names:
            at = names.index(self.ordering.sort) if self.ordering.sort in names else -1
            self.sort_by(names[(at + 1) % len(names)])

    def next_zoom(self) -> None:
        """Another part of the map."""
        self.zoom = ZOOMS[(ZOOMS.index(self.zoom) + 1) % len(ZOOMS)]
