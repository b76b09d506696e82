"""The body of the page: for each quantiser its levels, the use of its codes, where they lie, what its IDs do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vqdoctor.model.report import LevelReport, QuantizerReport
from vqdoctor.render.figures import UNDEFINED, count, plural, share
from vqdoctor.render.html.figures import map_figure, map_words, usage_figure, usage_words
from vqdoctor.render.html.level_figures import bits_figure, prefix_figure
from vqdoctor.render.html.markup import Markup, el, join, say
from vqdoctor.render.html.sheet import Sheet
from vqdoctor.render.html.tables import Cell, hits_table, level_table, table, word
from vqdoctor.render.words import codes_of, collision_words, joint_words, kind_words, number_of, why_unmeasured

OPEN = 3  # levels whose figures are not folded away: the least used
DRAWN = 64  # levels of a quantiser that are drawn at all


def levels_section(sheet: Sheet) -> Markup:
    """Every level of every quantiser, real use beside EMA."""
    parts: list[object] = []
    for quantizer in sheet.report.quantizers:
        parts.append(sheet.heading(2, say(quantizer.name)))
        parts.append(el("p", kind_words(quantizer, say), class_="facts"))
        if quantizer.levels:
            parts.append(level_table(sheet.report, quantizer))
        parts += [el("p", say(note), class_="facts") for note in quantizer.notes]
    return sheet.section("levels", "Codebooks", *(parts or [el("p", "No codebook is stored in this file.")]))


def use_section(sheet: Sheet) -> Markup:
    """Usage histograms, least used level first, and the map of the codes."""
    parts = [
        join([el("div", *_figures(sheet, i, quantizer), class_="figures"), _folded(sheet, i, quantizer)])
        for i, quantizer in enumerate(sheet.report.quantizers)
        if quantizer.levels
    ]
    why = why_unmeasured(sheet.report, "usage.used")
    none = el("p", "No use of codes was counted" + (f": {say(why)}." if why != UNDEFINED else "."))
    drawn = any("<svg" in part for part in parts)
    return sheet.section("use", "How the codes are used", *(parts if drawn else [none]))


def _ranked(quantizer: QuantizerReport) -> list[LevelReport]:
    counted = [level for level in quantizer.levels if level.counts]
    return sorted(counted, key=lambda level: len(level.counts or ()) / (codes_of(level) or 1))[:DRAWN]


def _figures(sheet: Sheet, i: int, quantizer: QuantizerReport) -> Iterator[Markup]:
    for level in sorted(_ranked(quantizer)[:OPEN], key=lambda level: level.index):
        yield usage_panel(f"{sheet.mark}-q{i}-u{level.index}", quantizer, level)
    drawn = map_figure(f"{sheet.mark}-q{i}-map", quantizer)
    if drawn is not None:
        caption = el("figcaption", "Map of ", el("code", say(quantizer.name)))
        yield el("figure", caption, drawn, el("p", map_words(quantizer), class_="said"))


def _folded(sheet: Sheet, i: int, quantizer: QuantizerReport) -> Markup | str:
    """The other levels, for whoever wants them."""
    more = _ranked(quantizer)[OPEN:]
    if not more:
        return ""
    more.sort(key=lambda level: level.index)
    panels = [usage_panel(f"{sheet.mark}-q{i}-u{level.index}", quantizer, level) for level in more]
    return el("details", el("summary", f"{plural(len(more), 'more level')}"), el("div", *panels, class_="figures"))


def usage_panel(mark: str, quantizer: QuantizerReport, level: LevelReport) -> Markup:
    """A usage histogram, the same in words, the same as a table."""
    name = quantizer.name if len(quantizer.levels) == 1 else f"{quantizer.name}[{level.index}]"
    drawn = usage_figure(mark, name, level)
    if drawn is None:
        return Markup("")
    hits = sorted((n for n in (level.counts or {}).values() if n > 0), reverse=True)
    told = el("p", usage_words(level, hits, codes_of(level)), class_="said")
    folded = el("details", el("summary", "As a table"), hits_table(name, level))
    return el("figure", el("figcaption", "Use of ", el("code", say(name))), drawn, told, folded)


def ema_section(sheet: Sheet) -> Markup | str:
    """EMA against real use, under each of the tests that trainers know."""
    rows = []
    for quantizer in sheet.report.quantizers:
        for level in quantizer.levels:
            real, claimed = (number_of(level.metrics, name) for name in ("usage.utilization", "ema.utilization"))
            if claimed is not None:
                name = f"{quantizer.name}[{level.index}]"
                gap = number_of(level.metrics, "ema.illusion_gap")
                rows.append(
                    [word(name), Cell(share(real)), Cell(share(claimed)), Cell(share(gap)), Cell(_thresholds(level), number=False)]
                )
    if not rows:
        return ""
    titles = ("codebook", "real use", "EMA says", "gap", "active under other tests of the count")
    note = "Running counts fall slowly: a code that is never hit again stays “active” for a long time. Judge by real use."
    return sheet.section(
        "ema", "EMA against real use", el("p", note), table("EMA against real use", titles, rows, class_="ema-tests")
    )


def _thresholds(level: LevelReport) -> str:
    tried = level.facts.get("ema.thresholds")
    if not isinstance(tried, Mapping):
        return UNDEFINED
    return " · ".join(f"{say(name)}: {share(value)}" for name, value in tried.items() if isinstance(value, int | float))


def ids_section(sheet: Sheet) -> Markup | str:
    """What levels and IDs do together: bits that each level adds, collisions, the largest groups, how prefixes narrow."""
    parts: list[object] = []
    for i, quantizer in enumerate(sheet.report.quantizers):
        words = [words for words in (collision_words(quantizer), joint_words(quantizer)) if words]
        drawn = list(_together(f"{sheet.mark}-q{i}", quantizer))
        if words or drawn or quantizer.groups:
            parts.append(sheet.heading(2, say(quantizer.name)))
            parts += [el("p", each) for each in words]
            parts += [el("div", *drawn, class_="figures")] if drawn else []
            parts += [_groups(quantizer)] if quantizer.groups else []
    return sheet.section("ids", "Levels together and IDs", *parts) if parts else ""


def _together(mark: str, quantizer: QuantizerReport) -> Iterator[Markup]:
    captions = {
        "Bits that each level adds, of those it could": bits_figure(f"{mark}-bits", quantizer),
        "Distinct prefixes of the IDs, log scale": prefix_figure(f"{mark}-prefixes", quantizer),
    }
    for caption, drawn in captions.items():
        if drawn is not None:
            yield el("figure", el("figcaption", caption), drawn)


def _groups(quantizer: QuantizerReport) -> Markup:
    rows = [
        [
            Cell(", ".join(map(str, group.id)), number=False),
            Cell(count(group.items), group.items),
            word(", ".join(group.members) or UNDEFINED),
        ]
        for group in quantizer.groups
    ]
    return table(f"Largest groups of {say(quantizer.name)}", ("ID", "items", "some of them"), rows)
