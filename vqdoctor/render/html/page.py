"""The whole page: one file without network, script or style from anywhere else, which its content security policy also says.

Everything is there without JavaScript; the script adds sorting, searching, copying, and the choice of light or dark.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files

from vqdoctor.model.gate import GateResult
from vqdoctor.model.report import Report
from vqdoctor.render.figures import UNDEFINED, count, share, span
from vqdoctor.render.html.codebooks import ema_section, ids_section, levels_section, use_section
from vqdoctor.render.html.codes import codes_section
from vqdoctor.render.html.findings import findings_section
from vqdoctor.render.html.markup import Markup, data, el, join, raw, say
from vqdoctor.render.html.measured import again, measured_section, unmeasured_section
from vqdoctor.render.html.sheet import Sheet, badge
from vqdoctor.render.html.tables import Cell, table
from vqdoctor.render.html.verdict import gate_section, verdict_band, vital_signs
from vqdoctor.render.screen import STATES, Screen
from vqdoctor.render.to_json import report_object
from vqdoctor.render.words import file_name, number_of, tally

IN_FULL = 8  # reports that get all sections; of more, every code would make the page too heavy to open
EMBEDDED = 400_000  # characters of the report as data
CONTENTS = {
    "findings": "Findings", "levels": "Codebooks", "use": "Use", "ids": "IDs", "ema": "EMA", "codes": "Codes",
    "unmeasured": "Not measured", "measured": "How measured",
}  # fmt: skip


def render(reports: Sequence[Report], screen: Screen, gate: GateResult | None = None) -> str:
    """A page for `reports`; a single one is told at full width, several are listed first and told one after the other."""
    style, script = asset("report.css"), asset("report.js")
    title = say(file_name(reports[0])) if len(reports) == 1 else f"{len(reports)} checkpoints"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("title", f"{_word(reports)}: {title} · vqdoctor"),
        el("style", raw(style)),
    )
    told = data([_slim(report) for report in reports])
    embedded = el("script", told, type="application/json", id="report-data") if len(told) <= EMBEDDED else ""
    sections = sheet_sections(Sheet(reports[0])) if len(reports) == 1 else {}
    top, main = _top(sections, gate, bool(embedded)), _main(reports, sections, gate)
    body = el("body", top, main, _foot(reports), embedded, el("script", raw(script)))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return files("vqdoctor.render.html").joinpath(name).read_text("utf-8")


def policy(style: str, script: str) -> str:
    """Only the page's own style and script, by their hash; no network, frame, form, or base address."""
    style_hash, script_hash = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _word(reports: Sequence[Report]) -> str:
    return STATES[reports[0].verdict].word if len(reports) == 1 else "report"


def _slim(report: Report) -> object:
    """The report as data, without what the page already draws."""
    quantizers = tuple(
        replace(quantizer, map=None, levels=tuple(replace(level, counts=None) for level in quantizer.levels))
        for quantizer in report.quantizers
    )
    return report_object(replace(report, quantizers=quantizers))


def _top(sections: Mapping[str, object], gate: GateResult | None, embedded: bool) -> Markup:
    """The bar above: what this is, where to go, and the page's own buttons."""
    mark = el("span", "vqdoctor", class_="mark")
    links = [el("a", CONTENTS[name], href=f"#r0-{name}") for name in CONTENTS if sections.get(name)]
    links = [el("a", "Gate", href="#gate"), *links] if gate is not None else links
    data_button = el("button", "JSON", type="button", id="save", title="Save this report as JSON", hidden=True)
    theme = el("button", "Dark", type="button", id="theme", aria_pressed="false", hidden=True)
    nav = el("nav", *links, aria_label="Sections") if links else ""
    skip = el("a", "Skip to the report", href="#main", class_="skip")
    return el("header", skip, mark, nav, el("span", data_button if embedded else "", theme, class_="buttons"))


def _main(reports: Sequence[Report], sections: Mapping[str, object], gate: GateResult | None) -> Markup:
    checks = gate_section(gate, 2) if gate is not None else ""
    if len(reports) == 1:
        sheet = Sheet(reports[0])
        return el("main", verdict_band(sheet), checks, vital_signs(sheet), *sections.values(), id="main")
    told = [_told(Sheet(report, 2, f"r{i}"), len(reports) <= IN_FULL) for i, report in enumerate(reports)]
    return el("main", el("h1", f"{count(len(reports))} checkpoints"), checks, _overview(reports), *told, id="main")


def _told(sheet: Sheet, in_full: bool) -> Markup:
    """One of several reports."""
    sections = sheet_sections(sheet).values() if in_full else [findings_section(sheet)]
    return el("article", verdict_band(sheet), vital_signs(sheet), *sections, class_="report", id=sheet.mark)


def sheet_sections(sheet: Sheet) -> dict[str, Markup | str]:
    """The sections of a report by name, in reading order; "" for one that has nothing to say."""
    return {
        "findings": findings_section(sheet),
        "levels": levels_section(sheet),
        "use": use_section(sheet),
        "ids": ids_section(sheet),
        "ema": ema_section(sheet),
        "codes": codes_section(sheet),
        "unmeasured": unmeasured_section(sheet),
        "measured": measured_section(sheet),
        "again": again(sheet),
    }


def _overview(reports: Sequence[Report]) -> Markup:
    """A row a source."""
    titles = ("verdict", "file", "real use", "EMA says", "found")
    return table("Verdicts", titles, [_overview_row(i, report) for i, report in enumerate(reports)], lead=1)


def _overview_row(i: int, report: Report) -> list[Cell]:
    metrics = [level.metrics for quantizer in report.quantizers for level in quantizer.levels]
    return [
        Cell(badge(report.verdict), number=False),
        Cell(el("a", say(file_name(report)), href=f"#r{i}"), number=False),
        *(Cell(span((number_of(each, name) for each in metrics), share)) for name in ("usage.utilization", "ema.utilization")),
        Cell(tally(report.findings) or UNDEFINED, number=False),
    ]


def _foot(reports: Sequence[Report]) -> Markup:
    version = next((each.version for each in reports if each.version), "")
    return el("footer", el("p", join(["vqdoctor", say(version)], " "), " · one file, nothing is loaded from anywhere"))
