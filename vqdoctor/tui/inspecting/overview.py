"""The first view: the verdict, what was opened and judged by, a line a level with real and EMA use, and what was not measured."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text

from vqdoctor.model import LevelReport, QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, share, short, unit
from vqdoctor.render.spark import usage_bars
from vqdoctor.render.words import (
    alike,
    codes_of,
    collision_words,
    file_name,
    joint_words,
    kind_words,
    level_state,
    missing,
    number_of,
    place_words,
    sample_words,
    size_words,
    source_words,
    verdict_words,
)
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.grid import GridColumn, clipped, grid, prose, to_type
from vqdoctor.tui.needle import needles
from vqdoctor.tui.themes import Look


def header(browsing: Browsing, width: int, look: Look) -> Text:
    """Which file, and its verdict, before anything else."""
    report = browsing.report
    verdict = look.state(report.verdict, shout=True)
    of = f"   {browsing.source_at + 1} of {len(browsing.reports)}" if len(browsing.reports) > 1 else ""
    end = Text.assemble(verdict, look.fold(f"  {verdict_words(report)}{of}"))
    left = look.fold("vqdoctor ▸ inspect  ") if look.unicode else "vqdoctor > inspect  "
    name = look.cut(file_name(report), max(8, width - len(left) - len(end) - 4))
    facts = look.fold(source_words(report, look.say))
    line = Text.assemble((left, look.dim), (name, "bold"))
    line.append("   " + facts if len(line) + len(facts) + len(end) + 8 <= width else "", look.dim)
    return line.append(" " * max(2, width - len(line) - len(end))).append_text(end)


def summary(browsing: Browsing, width: int, look: Look) -> list[Text]:
    """All of one source."""
    report = browsing.report
    lines: list[Text] = []
    for quantizer in report.quantizers:
        lines += [*_quantizer(browsing, quantizer, width, look), Text()]
    lines += prose(look.fold(source_words(report, look.say)), width, look, look.dim)
    lines += prose(look.fold(sample_words(report, look.say)), width, look, look.dim)
    for warning in report.source.warnings:
        lines += prose(look.say(warning), width, look, look.state_style("warning"), indent=2, first="! ")
    return [*lines, *_unmeasured(report, width, look)]


def _quantizer(browsing: Browsing, quantizer: QuantizerReport, width: int, look: Look) -> list[Text]:
    here = quantizer is browsing.quantizer
    name = Text.assemble((look.cut(quantizer.name, max(16, width // 3)), "bold"), "   ")
    lines = [name.append(look.fold(kind_words(quantizer, look.say)), look.dim)]
    if quantizer.levels:
        lines += level_rows(browsing.report, quantizer, width, look, browsing.level_at if here else None)
    for words in (collision_words(quantizer), joint_words(quantizer)):
        lines += prose(look.fold(words), width, look, indent=2) if words else []
    for note in quantizer.notes:
        lines += prose(look.say(note), width, look, look.dim, indent=2, first=look.fold("· "))
    return lines


def level_rows(report: Report, quantizer: QuantizerReport, width: int, look: Look, chosen: int | None) -> list[Text]:
    """A heading and a line a level. chosen: place of the level in view."""
    levels = quantizer.levels
    bars = max(10, min(40, (width - 88) // 2))

    def column(metric: str, written: object, style: str = "") -> list[Text]:
        return [Text(look.fold(written(number_of(level.metrics, metric))), style) for level in levels]  # type: ignore[operator]

    marker = "▸" if look.unicode else ">"
    columns = [
        GridColumn(" ", [Text(marker if at == chosen and len(levels) > 1 else " ") for at in range(len(levels))]),
        GridColumn("state", [look.state(level_state(report, quantizer, level)) for level in levels], left=True),
        GridColumn("level", [Text(str(level.index), "bold") for level in levels], gives_way=1),
        GridColumn("K × D", [Text(look.fold(size_words(level))) for level in levels], gives_way=6),
        GridColumn("real use", column("usage.utilization", share, f"bold {look.real}".strip())),
        GridColumn(_needle_title(look), [_needles(level, bars, look) for level in levels], left=True),
        GridColumn("EMA says", column("ema.utilization", share, look.ema)),
        GridColumn("perplexity", [_perplexity(level, look) for level in levels], gives_way=4),
        GridColumn("entropy", column("usage.entropy_normalized", unit), gives_way=7),
        GridColumn("dead", column("usage.dead", count), gives_way=5),
        GridColumn(
            "most " + ("→" if look.unicode else "->") + " least used",
            [_bars(level, look) for level in levels],
            left=True,
            gives_way=8,
        ),
    ]
    return grid([column for column in columns if _known(column)], width, look)


def _known(column: GridColumn) -> bool:
    return column.title == "real use" or any(cell.plain.strip() not in ("", UNDEFINED, "-") for cell in column.cells)


def _needle_title(look: Look) -> str:
    return "█ real  ┃ EMA" if look.unicode else "# real  | EMA"


def _needles(level: LevelReport, width: int, look: Look) -> Text:
    return needles(number_of(level.metrics, "usage.utilization"), number_of(level.metrics, "ema.utilization"), width, look)


def _perplexity(level: LevelReport, look: Look) -> Text:
    value = number_of(level.metrics, "usage.perplexity")
    of = f" / {count(level.codes)}" if level.codes and value is not None else ""
    return Text(look.fold(short(value) + of))


def _bars(level: LevelReport, look: Look) -> Text:
    if level.counts is None:
        return Text("")
    return Text(usage_bars(level.counts.values(), codes_of(level), 24, look.unicode), look.real)


def _unmeasured(report: Report, width: int, look: Look) -> list[Text]:
    """What has no value, why, and the command that would give it one."""
    lines: list[Text] = []
    for how, same in groupby(missing(report), key=lambda one: one[2]):
        for names, why, _ in same:
            lines += prose(look.say(f"{names}: {why}"), width, look, look.dim, indent=2)
        lines += to_type(how, width, look)
    return [Text(), Text("not measured", look.title), *lines] if lines else []


def finding_rows(browsing: Browsing, width: int, look: Look) -> list[Text]:
    """A line a kind of finding: state, rule, where, the beginning of its message."""
    groups = alike(browsing.report.findings)
    if not groups:
        return [
            Text(
                look.fold(verdict_words(browsing.report)),
                look.state_style("healthy" if browsing.report.verdict == "healthy" else "unknown"),
            )
        ]
    rules = [f"{same[0].rule} {same[0].name}" for same in groups]
    room = max(map(len, rules))
    lines = []
    for same, rule in zip(groups, rules, strict=True):
        line = Text.assemble(look.state(same[0].severity, ""), " ", (look.say(f"{rule:<{room}}"), "bold"), "  ")
        line.append(look.cut(look.fold(place_words([one.where for one in same], look.say)), 24) + "  ", look.dim)
        lines.append(line.append_text(clipped(look.say(same[0].message, 1000), width - len(line), look)))
    return lines
