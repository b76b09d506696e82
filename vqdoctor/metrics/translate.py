"""What other tools would print for the same counts and IDs, so that a number in a paper or a log can be set beside ours.

Each tool's own definition is followed, traps included; the note says what differs. Definitions read in the tools' sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vqdoctor.metrics.entropy import entropy_bits, gini, normalized
from vqdoctor.metrics.richness import rarefied

LLAMAGEN_WINDOW = 65536
VAR_SHARE = 0.08
MOSHI_SHARE = 0.1
DAC_BITS = 10

Row = dict[str, Any]


def translate_level(counts: np.ndarray, *, level: int = 0, batch_used: float | None = None) -> list[Row]:
    """Rows for one codebook.

    Args:
        counts: (K,) integers, hits over the sample. level: its index. batch_used: usage.batch_used, for the tools that average
        batches.

    Returns:
        dicts with "tool", "name", "level", "value" (None where undefined), "formula", "note".
    """
    counts = np.asarray(counts)
    n, size = int(counts.sum()), counts.size
    bits = entropy_bits(counts)
    used = int((counts > 0).sum())

    def row(tool: str, name: str, value: float | None, formula: str, note: str) -> Row:
        return {"tool": tool, "name": name, "level": level, "value": value if n else None, "formula": formula, "note": note}

    return [
        row("LlamaGen", "codebook_usage", _llamagen(counts), "distinct of the last 65,536 indices / K", _llamagen_note(n)),
        row(
            "VAR", "usages", 100 * _share_above(counts, VAR_SHARE), "percent of codes with hits ≥ 0.08 × the mean",
            "VAR takes it from running counts, per scale",
        ),
        row("Moshi", "rvq_entropy", normalized(bits, size), "H / ln K", "Moshi takes it from running counts"),
        row(
            "Moshi", "rvq_expired", 1 - _share_above(counts, MOSHI_SHARE), "share of codes with hits < 0.1 × the mean",
            "Moshi takes it from running counts; these codes are then replaced",
        ),
        row("DAC", "entropy", bits, "H in bits", "compute_entropy.py reads only the first item of each batch"),
        row(
            "GRID", "layer_coverages", None if batch_used is None else batch_used / size, "distinct codes of a batch / K",
            "the mean over batches: never more than batch / K",
        ),
        row("GRID", "id_entropy", None if bits is None else bits * math.log(2), "H in nats", "GRID takes it within a batch"),
        row("MiniOneRec", "unique codes", used, "distinct codes", "a number without K"),
        row("SIDInspector", "entropy", bits, "H in bits", "over the codes that occur; K does not enter"),
        row(
            "SIDInspector", "gini", gini(counts[counts > 0]), "Gini over the codes that occur",
            "dead codes are invisible to it: usage.gini counts all K",
        ),
    ]  # fmt: skip


def translate_quantizer(
    level_counts: Sequence[np.ndarray], collisions: Mapping[str, Any], facts: Mapping[str, Any], prefix_shared: Sequence[float] = ()
) -> list[Row]:
    """Rows for a quantiser as a whole.

    Args:
        level_counts: counts (K_l,) of each level. collisions, facts: of `measure_collisions`; empty where there are no IDs.
        prefix_shared: facts["prefixes"]["shared"] of `measure_levels`.

    Returns:
        as `translate_level`, with "level" None.
    """
    rows: list[tuple[str, str, float | None, str, str]] = [
        ("DAC", "effective percentage", _dac(level_counts), "Σ H bits / (10 · levels)", "10 bits, that is K = 1024, is written in")
    ]
    items, unique = collisions.get("collision.items"), collisions.get("collision.unique")
    if items:
        rate, groups = collisions["collision.rate"], facts["groups"]
        rows += [
            ("LC-Rec", "collision_rate", rate, "(N − distinct IDs) / N", "collision.rate"),
            ("LC-Rec", "Max number of conflicts", collisions["collision.max_group"], "largest group", "collision.max_group"),
            ("MiniOneRec", "collision_rate", rate, "1 − distinct IDs / N", "collision.rate"),
            (
                "MiniOneRec", "Unique Semantic Paths", items - groups, "N − groups of shared IDs",
                f"as generate_indices_plus.py prints it; the distinct IDs are {unique}",
            ),
            ("GRID", "frac_unique_ids", unique / items, "distinct IDs / N", "GRID takes it within a batch; here over all items"),
            (
                "SIDInspector", "full_collision_rate", collisions["collision.conflict_rate"], "items in groups of two or more / N",
                "collision.conflict_rate: higher than LC-Rec's rate for the same IDs",
            ),
        ]  # fmt: skip
        rows += [
            ("SIDInspector", f"prefix_collision_rate@{depth}", share, f"items that share a prefix of length {depth} / N", "")
            for depth, share in enumerate(prefix_shared, start=1)
        ]
    keys = ("tool", "name", "value", "formula", "note")
    return [{"level": None, **dict(zip(keys, row, strict=True))} for row in rows]


def _share_above(counts: np.ndarray, share: float) -> float:
    return float((counts >= share * counts.mean()).mean())


def _llamagen(counts: np.ndarray) -> float | None:
    """Distinct codes in 65,536 of the counted rows, on average; an unfilled window holds zeros and counts code 0 as used."""
    n, size = int(counts.sum()), counts.size
    if n >= LLAMAGEN_WINDOW:
        return rarefied(counts, LLAMAGEN_WINDOW) / size
    return (int((counts > 0).sum()) + int(counts[0] == 0)) / size


def _llamagen_note(n: int) -> str:
    if n < LLAMAGEN_WINDOW:
        return f"its window starts as zeros: with {n} rows code 0 counts as used"
    return "the mean over windows drawn from this sample; LlamaGen keeps one window a rank"


def _dac(level_counts: Sequence[np.ndarray]) -> float | None:
    bits = [entropy_bits(counts) for counts in level_counts]
    known = [value for value in bits if value is not None]
    return sum(known) / (DAC_BITS * len(bits)) if known and len(known) == len(bits) else None
