"""Will revived codes live on? The family's own averaging, run for a while on rows the repair has not seen.

The encoder stands still (what if it does not: see `outlook`), codes, counts and sums move as they would in training. Rows are
assigned anew at a dozen moments; in between a step draws its hits from the shares found there, so that a long memory (γ = 0.99)
costs no thousand passes. What the training itself changes, above all the cause of the collapse if it is still there, is not in it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from vqdoctor.metrics import ema_life, threshold_feasibility
from vqdoctor.model import EmaFacts, laplace
from vqdoctor.nearest import assign
from vqdoctor.treatment.state import settled_total

REFRESHES = 12
MOST_ROWS = 16384
MOST_STEPS = 2000
DEFAULT_TOKENS = 1024.0
AVERAGED = frozenset({"laplace", "ratio", "cosine", "clamped"})


def steps_to_watch(decay: float) -> int:
    """Three memories of the average, 3·(1+γ)/(1−γ) steps (theory §7.3), at most 2000."""
    return min(MOST_STEPS, max(1, math.ceil(3 * (1 + decay) / max(1 - decay, 1e-9) - 1e-6)))


def tokens_per_step(counts: np.ndarray | None, ema: EmaFacts) -> float:
    """Rows in a step of training: in a steady state the running counts (K,) add up to it; 1024 where they don't tell."""
    total = None if counts is None else settled_total(counts[np.isfinite(counts)], ema)
    return total if total is not None and total >= 1 else DEFAULT_TOKENS


def simulate(
    codes: np.ndarray, counts: np.ndarray, revived: np.ndarray, rows: np.ndarray, ema: EmaFacts, *, metric: str, tokens: float,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """What becomes of `revived` codes within three memories of the running average.

    Args:
        codes: (K, D) effective, after the repair. counts: (K,) running counts after it. revived: (r,) codes.
        rows: (m, D) what the level looks up, not used in the repair. ema: the family's habits. tokens: rows in a step of training.

    Returns:
        {"rule", "threshold", "steps", "tokens", "revived", "alive", "die_again": codes, "first_death": step or None, "grace": steps
        a revived code without a hit stays, None for ever, "healthy_dead": codes not revived that fall under the threshold too,
        "feasible": can a uniform book stay above it}; threshold None where the family has no rule: then only hits are judged, by
        "without_hits". Where it has one that the file does not state, "supposed" says the same of its usual value, with "option",
        and "at_once" the codes that the first step replaces.
    """
    rows = rows if len(rows) <= MOST_ROWS else rows[rng.choice(len(rows), MOST_ROWS, replace=False)]
    decay = 0.99 if ema.decay is None else ema.decay
    steps = steps_to_watch(decay)
    known = ema.threshold is not None and ema.threshold > 0
    ruled = ema if known or ema.unstated is None else replace(ema, threshold=ema.unstated[1], threshold_unit="absolute")
    first_death, hits = _run(codes, counts.copy(), rows, ruled, metric, decay, tokens, steps, rng)
    result = {
        "rule": "none", "threshold": None, "steps": steps, "tokens": round(tokens), "revived": len(revived),
        "without_hits": revived[hits[revived] == 0].tolist(),
    }  # fmt: skip
    deaths = _deaths(ruled, counts, revived, first_death, steps, tokens)
    if known:
        return result | deaths
    result |= {"alive": len(revived) - len(result["without_hits"]), "die_again": [], "first_death": None, "grace": None}
    if ema.unstated is None:
        return result
    at_once = revived[first_death[revived] == 1].tolist()
    return result | {"supposed": {"option": ema.unstated[0], **deaths, "at_once": at_once}}


def _deaths(
    ema: EmaFacts, counts: np.ndarray, revived: np.ndarray, first_death: np.ndarray, steps: int, tokens: float
) -> dict[str, Any]:
    """What a threshold has done to `revived` codes and to the others; {} without one."""
    if not ema.threshold or ema.threshold <= 0:
        return {}
    decay, died = 0.99 if ema.decay is None else ema.decay, first_death[revived]
    uniform = ema.threshold_unit == "uniform"
    threshold = ema.threshold * (float(counts.mean()) if uniform else 1.0)
    healthy = np.ones(len(counts), bool)
    healthy[revived] = False
    return {
        "rule": f"count < {ema.threshold:g}{' × mean' if uniform else ''}",
        "threshold": threshold,
        "alive": int((died > steps).sum()),
        "die_again": revived[died <= steps].tolist(),
        "first_death": int(died.min()) if len(died) and died.min() <= steps else None,
        "grace": ema_life(float(counts[revived].min()), threshold, decay) if len(revived) else None,
        "healthy_dead": int((first_death[healthy] <= steps).sum()),
        "feasible": threshold_feasibility(tokens, len(counts), decay, threshold, relative=uniform)["feasible"],
    }


def _run(
    codes: np.ndarray, counts: np.ndarray, rows: np.ndarray, ema: EmaFacts, metric: str, decay: float, tokens: float, steps: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """First step at which each code (K,) is under the threshold, steps + 1 for never; and its hits over all refreshes."""
    size = len(codes)
    first_death, seen = np.full(size, steps + 1), np.zeros(size, np.int64)
    sums = codes * _divisor(counts, ema)[:, None]
    moves = ema.relation in AVERAGED
    every = max(1, -(-steps // REFRESHES))
    given = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) if metric == "cosine" else rows
    for step in range(1, steps + 1):
        if (step - 1) % every == 0:
            labels, _ = assign(rows, codes.astype(np.float32), metric)
            labels, kept = labels[labels >= 0], given[labels >= 0]
            found = np.bincount(labels, minlength=size)
            seen += found
            totals = np.stack([np.bincount(labels, weights=column, minlength=size) for column in kept.T], axis=1)
            means = totals / np.maximum(found, 1)[:, None]
            shares = found / max(found.sum(), 1)
        hits = rng.multinomial(round(tokens), shares) if shares.any() else np.zeros(size)
        counts = decay * counts + (1 - decay) * hits
        if moves:
            sums = decay * sums + (1 - decay) * hits[:, None] * means
            codes = sums / np.maximum(_divisor(counts, ema), 1e-30)[:, None]
            if ema.relation == "cosine":
                codes = codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)
        if ema.threshold and ema.threshold > 0:
            unit = counts.mean() if ema.threshold_unit == "uniform" else 1.0
            fallen = (counts < ema.threshold * unit) & (first_death > steps)
            first_death[fallen] = step
    return first_death, seen


def _divisor(counts: np.ndarray, ema: EmaFacts) -> np.ndarray:
    if ema.relation == "clamped":
        return np.maximum(counts, ema.eps)
    return counts if ema.relation == "ratio" else laplace(counts, ema.eps)
