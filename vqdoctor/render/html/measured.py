"""How it was measured, what was not, and every number: for whoever has to believe the page."""

from __future__ import annotations

from vqdoctor.model.report import QuantizerReport
from vqdoctor.render.figures import count, scalar
from vqdoctor.render.html.markup import Markup, el, join, say
from vqdoctor.render.html.sheet import Sheet, command
from vqdoctor.render.html.tables import Cell, metric_table, table
from vqdoctor.render.words import inspect_command, kind_words, missing, sample_words, translations


def measured_section(sheet: Sheet) -> Markup:
    """The file, the rows, how each quantiser was recognised, and all of its metrics."""
    source, sample = sheet.report.source, sheet.report.sample
    facts = {
        "file": say(source.path),
        "bytes": count(source.bytes),
        "SHA-256": source.sha256 or "not computed",
        "rows": sample_words(sheet.report, say),
        "batch of usage.batch_*": f"{count(sample.batch)} rows" if sample else None,
        "in the file": " · ".join(f"{say(key)} {scalar(value, say)}" for key, value in list(source.info.items())[:40]) or None,
        "made by": f"vqdoctor {sheet.report.version}" if sheet.report.version else None,
    }
    pairs = [el("div", el("dt", name), el("dd", value)) for name, value in facts.items() if value is not None]
    books = [_quantizer(quantizer) for quantizer in sheet.report.quantizers]
    return sheet.section("measured", "How it was measured", el("dl", *pairs, class_="evidence"), *books)


def _quantizer(quantizer: QuantizerReport) -> Markup:
    told = el("p", el("strong", say(quantizer.name)), ": ", kind_words(quantizer, say), ". Found by: ", say(quantizer.evidence))
    numbers = metric_table(quantizer)
    folded = el("details", el("summary", f"All metrics of {say(quantizer.name)}"), numbers) if numbers else ""
    return join([told, folded, _translations(quantizer)])


def _translations(quantizer: QuantizerReport) -> Markup | str:
    """What other programs would print for the same codes."""
    rows = translations(quantizer)
    if not rows:
        return ""
    titles = [say(title) for title in rows[0]]
    cells = [[Cell(scalar(row.get(title), say), number=False) for title in rows[0]] for row in rows]
    told = table(f"{say(quantizer.name)} in others’ words", titles, cells)
    return el("details", el("summary", "In the words of other tools"), told)


def unmeasured_section(sheet: Sheet) -> Markup | str:
    """What has no value, why, and the command that would give it one."""
    if not sheet.report.unmeasured:
        return ""
    items = [
        el("li", el("code", say(names)), ": ", say(why), command(say(how)) if how else "")
        for names, why, how in missing(sheet.report)
    ]
    return sheet.section("unmeasured", "Not measured", el("ul", *items, class_="unmeasured"))


def again(sheet: Sheet) -> Markup:
    """The command that makes this report anew."""
    return el("p", "To see it in a terminal: ", el("code", say(inspect_command(sheet.report))), class_="more")
