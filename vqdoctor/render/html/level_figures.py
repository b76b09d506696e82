"""Pictures of what the levels of a quantiser do together: the bits that each adds, and how the prefixes of the IDs narrow."""

from __future__ import annotations

import math

from vqdoctor.diagnosis.case import finite
from vqdoctor.model.report import QuantizerReport
from vqdoctor.render.figures import count, plural, short
from vqdoctor.render.html.figures import TOP, WIDTH, at, svg, text
from vqdoctor.render.html.markup import Markup, el, say
from vqdoctor.render.words import codes_of

ROW = 26  # height of a bar with its gap
START, ROOM = 62, 170  # where bars begin, and what stays free for the words behind them


def bits_figure(mark: str, quantizer: QuantizerReport) -> Markup | None:
    """Bits that each level adds given those before it, within the bits that its codes could carry; None where not measured."""
    bits = quantizer.metrics.get("levels.conditional_entropy_bits")
    if not isinstance(bits, list) or len(bits) != len(quantizer.levels) or any(finite(each) is None for each in bits):
        return None
    could = [math.log2(max(1, codes_of(level))) for level in quantizer.levels]
    gains = quantizer.metrics.get("levels.gain_db")
    told = [f"{short(each)} of {short(most)} bits" for each, most in zip(bits, could, strict=True)]
    if isinstance(gains, list) and len(gains) == len(bits):
        told = [
            f"{words}, {short(gain)} dB" if finite(gain) is not None else words for words, gain in zip(told, gains, strict=True)
        ]
    scale = (WIDTH - START - ROOM) / (max(could) or 1.0)
    parts = []
    for i, (words, each, most) in enumerate(zip(told, bits, could, strict=True)):
        y = TOP + i * ROW
        parts.append(text(0, y + 13, f"level {quantizer.levels[i].index}"))
        parts.append(_bar(START, y, most * scale, "could"))
        parts.append(_bar(START, y, max(0.0, each or 0.0) * scale, "bar"))
        parts.append(text(START + 6 + most * scale, y + 13, words))
    title = f"Bits that each level of {say(quantizer.name)} adds"
    return svg(mark, TOP + ROW * len(bits) + 4, title, f"{title}: {'; '.join(told)}.", *parts)


def prefix_figure(mark: str, quantizer: QuantizerReport) -> Markup | None:
    """How many distinct prefixes each depth of the IDs has: the hourglass, where it narrows."""
    nodes = (quantizer.prefixes or {}).get("nodes")
    if not isinstance(nodes, list) or len(nodes) < 2 or not all(isinstance(n, int) and n > 0 for n in nodes):
        return None
    scale = (WIDTH - START - ROOM) / max(math.log10(n) for n in nodes) if max(nodes) > 1 else 0.0
    parts = []
    for depth, n in enumerate(nodes, 1):
        y, wide = TOP + (depth - 1) * ROW, max(2.0, math.log10(n) * scale)
        parts.append(text(0, y + 13, f"first {depth}"))
        parts.append(_bar(START, y, wide, "bar"))
        parts.append(text(START + 6 + wide, y + 13, f"{count(n)} prefixes"))
    words = ", ".join(f"{count(n)} with {plural(depth, 'token')}" for depth, n in enumerate(nodes, 1))
    title = f"Distinct prefixes of the IDs of {say(quantizer.name)}, log scale"
    return svg(mark, TOP + ROW * len(nodes) + 4, title, f"Distinct prefixes: {words}.", *parts)


def _bar(x: float, y: float, wide: float, class_: str) -> Markup:
    return el("rect", x=at(x), y=at(y), width=at(wide), height=ROW - 8, class_=class_)
