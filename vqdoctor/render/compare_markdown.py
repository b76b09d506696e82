"""A comparison as GitHub-flavoured Markdown, to paste into an issue or a pull request: what the text view says, in tables.

Told apart by what it holds: two checkpoints or logs, a folder as a time line, or where a rule began to fire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vqdoctor.render.compare_text import PAIRS, first_bad_words, looked_words, number_words, share_words, total_words
from vqdoctor.render.to_markdown import code, escape, table

Found = Mapping[str, Any]


def show_markdown(found: Found) -> str:
    """Headings and tables of a `vqdoctor.compare/1`."""
    blocks = _two(found) if "a" in found else _along(found) if "timeline" in found else _where(found)
    return "\n\n".join(blocks) + "\n"


def _two(found: Found) -> Iterator[str]:
    yield f"## {code(found['a'])} → {code(found['b'])}"
    yield f"verdict: {' → '.join(map(escape, found['verdicts']))}"
    for quantizer in found["quantizers"]:
        yield f"### {escape(quantizer['name'])}"
        changed = quantizer["levels_changed"]
        yield escape(quantizer["layout"]) + ("" if not changed else f" · levels: {changed[0]} → {changed[1]}")
        titles = ("level", "moved", "unchanged", "died", "revived", "told by", "movement", "norms", "also")
        yield table(titles, [_level(level) for level in quantizer["levels"]])
    for side, name in (("only_a", "the first"), ("only_b", "the second")):
        if found[side]:
            yield f"Only in {name}: " + ", ".join(map(code, found[side]))
    if changes := {name: one for name, one in found["metrics"].items() if one["delta"]}:
        yield "### Metrics"
        rows = [[code(name), *(number_words(one[key]) for key in ("a", "b", "delta"))] for name, one in changes.items()]
        yield table(("metric", "before", "after", "change"), rows)


def _level(level: Found) -> list[str]:
    ratio = level["norm_ratio"]
    also = [f"{words} {number_words(a)} → {number_words(b)}" for name, words in PAIRS.items() for a, b in [level[name]] if a != b]
    counts = [number_words(level[name]) for name in ("index", "moved", "frozen", "died", "revived", "basis", "movement")]
    return [*counts, "–" if ratio is None else f"× {ratio:.3g}", escape(" · ".join(also)) or "–"]


def _along(found: Found) -> Iterator[str]:
    yield f"## {code(found['folder'])}"
    rows = [
        [
            escape(one["verdict"]), code(Path(one["path"]).name), "–" if one["step"] is None else escape(one["step"]),
            *(share_words(one["metrics"].get(name)) for name in ("usage.utilization", "ema.utilization")),
            *(total_words(one["levels"], name) for name in ("moved", "frozen")), escape(", ".join(one["rules"])) or "–",
        ]
        for one in found["timeline"]
    ]  # fmt: skip
    yield table(("verdict", "checkpoint", "step", "real use", "EMA says", "moved", "frozen", "found"), rows)
    if words := first_bad_words(found):
        yield escape(words)


def _where(found: Found) -> Iterator[str]:
    yield f"## {code(found['folder'])}"
    yield escape(first_bad_words(found))
    yield escape(looked_words(found))
