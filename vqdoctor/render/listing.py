"""Codebooks named and not measured, for a person or a program: plain lines, since drawing them must not outlast finding them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vqdoctor.model import Codebook, Listing, Quantizer
from vqdoctor.render.figures import count, plural, share, size
from vqdoctor.render.screen import Screen

SCHEMA = "vqdoctor.list/1"


def as_json(listings: Sequence[Listing]) -> str:
    """``vqdoctor.list/1``: every quantiser with its levels, under the names that a report gives them."""
    return json.dumps({"schema": SCHEMA, "files": [_file(one) for one in listings]}, indent=2) + "\n"


def _file(listing: Listing) -> dict[str, Any]:
    source = listing.source
    quantizers = [_quantizer(one) for one in listing.quantizers]
    return {"path": source.path, "kind": source.kind, "bytes": source.bytes, "quantizers": quantizers}


def _quantizer(one: Quantizer) -> dict[str, Any]:
    said = ("name", "layout", "evidence", "structure", "metric", "metric_basis", "confidence")
    return {name: getattr(one, name) for name in said} | {"levels": [_level(level) for level in one.levels]}


def _level(level: Codebook) -> dict[str, Any]:
    counted = {f"{role}_key": level.keys.get(role) for role in ("ema_count", "ema_sum")}
    return {"index": level.index, "key": level.key, "codes": level.codes, "dim": level.dim, "dtype": level.dtype} | counted


def as_text(listings: Sequence[Listing], screen: Screen) -> str:
    """A line a file, a line a quantiser, a line a codebook."""
    return "".join(f"{screen.fold(line)}\n" for one in listings for line in _lines(one, screen))


def _lines(listing: Listing, screen: Screen) -> list[str]:
    source = listing.source
    lines = [f"{screen.say(screen.path(source.path))}   {source.kind.replace('-', ' ')} · {size(source.bytes)}"]
    for one in listing.quantizers:
        lines += [f"  {screen.say(one.name)}   {_kind(one, screen)}", *_table(one.levels, screen)]
    return lines


def _kind(one: Quantizer, screen: Screen) -> str:
    levels = f", {plural(len(one.levels), 'level')}" if len(one.levels) > 1 else "" if one.levels else ", no stored book"
    words = [screen.say(one.layout), one.structure + levels, f"lookup {one.metric} ({one.metric_basis})"]
    return " · ".join([*words, f"confidence {share(one.confidence)}"])


def _table(levels: Sequence[Codebook], screen: Screen) -> list[str]:
    rows = [
        (f"[{level.index}]", f"{count(level.codes)} × {count(level.dim)}", screen.say(level.dtype), screen.say(level.key))
        for level in levels
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:3]
    return ["    " + "  ".join((*map(str.ljust, row, widths), row[3])) for row in rows]
