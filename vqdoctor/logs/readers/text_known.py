"""Lines of particular programs that the general rules cannot read: events, headings, numbers without a sign before them.

Sources: sparse-SDF VQ-VAE and RQ-VAE semantic IDs (Chinese lines), VQFR, MiniOneRec and LC-Rec, T2M-GPT, BEiT v2, IBQ, LAPA,
LlamaGen.
Each row of `LINES` begins with a word that must be on the line, because most lines have none of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from vqdoctor.logs.numbers import NUMBER, PLAIN

_REESTIMATE = r"\[K-means 重估计\]\s{0,4}"
_FILE = r"(?P<file>\S{1,400})"
LINES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (word, re.compile(pattern), kind)
    for word, pattern, kind in (
        ("重估计", _REESTIMATE + r"已启用(?:\D{0,20}(?P<interval>\d{1,12})\D{0,20}(?P<reservoir>\d{1,12}))?", "kmeans-enabled"),
        ("重估计", _REESTIMATE + r"开始(?:\D{0,20}(?P<samples>\d{1,12})\D{0,20}(?P<codes>\d{1,12}))?", "kmeans-begin"),
        ("重估计", _REESTIMATE + r"完成", "kmeans-reinit"),
        (
            "重估计",
            _REESTIMATE + r"跳过[：:]?(?P<reason>[^(（\d]{0,80})(?:[(（]?\s?(?P<samples>\d{1,12})\s?<\s?(?P<codes>\d{1,12}))?",
            "skipped",
        ),
        ("初始化码本", r"k-means初始化码本", "kmeans-begin"),
        ("初始化完成", r"码本初始化完成", "kmeans-reinit"),
        ("reestimation", r"begin reestimation", "kmeans-begin"),
        ("reestimation", r"end reestimation", "kmeans-reinit"),
        ("reestimation", r"Skipping reestimation, (?P<reason>too few samples)", "skipped"),
        ("Replaced", r"Replaced (?P<codes>\d{1,12}) codebooks", "dead-reset"),
        ("Saving", r"Saving (?:current|best)[\w ]{0,20}: " + _FILE, "checkpoint"),
        ("av", r"[Ss]av(?:ed|ing) (?:checkpoint|model|state)[\w ]{0,20}(?: to|:) " + _FILE, "checkpoint"),
        ("Done!", r"(?:^|\] {1,4})Done!$", "end"),
        ("Traceback", r"^Traceback \(most recent call last\)", "failed"),
    )
)

_SCOPES = (("最后一轮模型统计", "last"), ("最佳模型统计", "best"), ("Final Result ->", "last"))
_TITLES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
"""Titles of tables of numbers, alone on a line."""
LONGEST_TITLE = max(map(len, _TITLES))
_WORD = re.compile(r"(?<![\w/])(train|valid|val|test|eval)(?:ing|idation|ation|uating|uation|e)?(?![\w/=:])", re.IGNORECASE)
_PARTS = {"train": "train", "valid": "validation", "val": "validation", "test": "test", "eval": "validation"}

_SPEAKER = re.compile(r"\((Generator|Discriminator)\) ")
_QUOTED = re.compile(r"'[^']*'")
_SETTING = re.compile(rf"[(,]\s?(\w{{1,80}})=({NUMBER}|True|False|None)(?=[,)])")

_ABOUT = re.compile(r"(?:^|[;|\]-] {1,4})(?:level|quantizer|codebook|book|rvq|vq)[ _#]{0,2}(\d{1,3}) ?: ", re.IGNORECASE)
_OF_CODES = re.compile(r"codes?(?![a-z])|perplexity|ppl|码元|码本")
_BARE = re.compile(rf"(?:^|; ?)(Best Loss|Best Collision Rate|Collision Rate|utilization)\s{{1,4}}({NUMBER})$")
_DOTTED = re.compile(rf"\b(Commit|PPL|Recons|lr(?= 0\.))\.?\s{{1,8}}({NUMBER})(?=\s|$)")
_LEVEL = re.compile(r"(?:^|[;\s])(?:Level |L)(\d{1,4}): (unique(?: codes)?)\s?=\s?(\d{1,12})")
_ROW = re.compile(rf"([\w./@-]{{1,120}})\s{{1,80}}│\s{{0,20}}({NUMBER})\s{{0,20}}│\s{{0,20}}{NUMBER}")  # DAC: key │ value │ mean
_NEVER = re.compile(rf"STAT:\s{{1,4}}(\d{{1,12}}) (tokens) \({PLAIN}%\) (never are used in this codebook)")


@dataclass(frozen=True, slots=True)
class Known:
    """A number of a line that only its program writes so."""

    name: str
    value: float
    level: int | None = None
    scope: str | None = None


def event_of(text: str) -> tuple[str, dict[str, Any]] | None:
    """Kind and detail of the event that a line tells, None where it tells none."""
    for word, pattern, kind in LINES:
        if word in text and (found := pattern.search(text)) is not None:
            told = {key: value.strip() for key, value in found.groupdict().items() if value and value.strip()}
            return kind, {key: int(value) if value.isdecimal() else value for key, value in told.items()}
    return None


def heading_of(text: str) -> str | None:
    """The scope that a heading opens: "last", "best", or a part of the data."""
    title = _TITLES.get(text.lower()) if len(text) <= LONGEST_TITLE else None
    return title or next((scope for words, scope in _SCOPES if words in text), None)


def speaker_of(text: str) -> str | None:
    """Who speaks on a line that its program prints before it has counted the step, as LlamaGen does: the next line tells it."""
    found = _SPEAKER.search(text) if "ator) " in text else None
    return found[1] if found else None


def level_of(text: str) -> tuple[int | None, str]:
    """The level that a line is about by its first words, as it counts them, and the line without them."""
    found = _ABOUT.search(text)
    return (None, text) if found is None else (int(found[1]), text[: found.start()] + "; " + text[found.end() :])


def tells_size(name: str) -> bool:
    """Whether so many of so many, under this name, are codes of a book."""
    return _OF_CODES.search(name.lower()) is not None


def settings_of(text: str) -> dict[str, float | bool | None] | None:
    """Numbers and switches of the arguments that a program prints at its start (``Namespace(…)``); None on any other line."""
    begin = text.find("Namespace(")
    if begin < 0:
        return None
    bare = _QUOTED.sub("", text[begin:])
    words: dict[str, bool | None] = {"True": True, "False": False, "None": None}
    return {
        found[1]: words[found[2]] if found[2] in words else int(found[2]) if found[2].isdecimal() else float(found[2])
        for found in _SETTING.finditer(bare)
    }


def part_of(text: str) -> str | None:
    """Of which part of the data a line speaks, from what is left of it once names and numbers are out."""
    found = _WORD.search(text)
    return _PARTS[found[1].lower()] if found else None


def numbers_of(text: str) -> list[Known]:
    """The numbers of a line that have no `=` or `:` of their own, or whose level stands before the colon."""
    if (found := _LEVEL.search(text)) is not None:
        return [Known(found[2], float(found[3]), level=int(found[1]))]
    if (found := _BARE.search(text)) is not None:
        return [Known(found[1], float(found[2]), scope="best" if found[1].startswith("Best") else None)]
    if "│" in text and (found := _ROW.fullmatch(text)) is not None:
        return [Known(found[1], float(found[2]))]
    if (found := _NEVER.search(text)) is not None:
        return [Known(f"{found[2]} {found[3]}", float(found[1]))]
    return [Known(found[1], float(found[2])) for found in _DOTTED.finditer(text)]
