"""The shape of a codebook, from the file alone: broken, empty, repeated and untouched rows, and how many dimensions it fills.

Sources: effective rank, Roy & Vetterli 2007; participation ratio of the centred covariance spectrum; near-duplicates as in
`neighbours`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vqdoctor.metrics.initialisation import looks_initial, untouched_rows
from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.neighbours import Closeness, Neighbours, Share, in_turn, near_duplicates, nearest_others, searchable
from vqdoctor.metrics.rows import earlier_twin, median, row_blocks, row_norms, zero_rows
from vqdoctor.model.quantizer import Initialisation
from vqdoctor.model.report import MetricValue

ROWS_SHOWN = 1000
"""Row numbers kept in facts."""

UNKNOWN = Initialisation("unknown")
PARALLEL_COSINE = 0.999
PARALLEL_WORK = 4096**2 * (256 + 32)  # a second search, for a fact that only completes the picture
OVERSIZED = 100.0  # times the median norm: what an EMA update does to a row without hits
NO_DIRECTION = 1e-12  # a norm below this has none (cosine lookup)


def measure_geometry(
    codes: np.ndarray,
    *,
    metric: str = "l2",
    initialisation: Initialisation = UNKNOWN,
    dtype: str = "float32",
    share: Share = in_turn,
) -> Measured:
    """Everything that the codes alone say.

    Args:
        codes: (K, D) float, the effective codes. metric: of the lookup; with "cosine" closeness is that of directions.
        initialisation: how a fresh book of this family and shape looks. dtype: the type the codes are stored in.
        share: who does the search for neighbours, the one long loop.

    Returns:
        all geometry.*.
        facts: "nonfinite_rows", "zero_rows", "duplicate_rows" with "duplicate_of" (the earlier row), "untouched_rows",
        "oversized_rows" (norm over 100 × the median of those not 0): the first 1000 row numbers each; "untouched_why";
        "looks_initial" (bool or None); "near_duplicate_groups" the 20 largest; "closeness" the typical nearest distance and the
        link length; "neighbours_skipped" why there are no
        neighbours; per code, (K,): "norm", "nearest", "nearest_distance" (−1 and NaN where there is none).
    """
    norms = row_norms(codes)
    finite = np.flatnonzero(~np.isnan(norms))
    twins = earlier_twin(codes)
    repeated = np.flatnonzero((twins != np.arange(len(codes))) & ~np.isnan(norms))
    empty = zero_rows(norms)
    untouched = untouched_rows(codes, initialisation, dtype)
    plain, centred = _spectra(codes, finite)
    metrics: dict[str, MetricValue] = {
        "geometry.nonfinite_rows": len(codes) - len(finite),
        "geometry.zero_rows": int(empty.sum()),
        "geometry.duplicate_rows": len(repeated),
        "geometry.untouched_rows": None if untouched.rows is None else len(untouched.rows),
        **_norm_metrics(norms[finite]),
        "geometry.effective_rank": effective_rank(plain),
        "geometry.participation_ratio": participation_ratio(centred),
    }
    facts: dict[str, Any] = {
        "nonfinite_rows": _shown(np.flatnonzero(np.isnan(norms))),
        "zero_rows": _shown(np.flatnonzero(empty)),
        "duplicate_rows": _shown(repeated),
        "duplicate_of": _shown(twins[repeated]),
        "untouched_rows": [] if untouched.rows is None else _shown(untouched.rows),
        "untouched_why": untouched.why,
        "looks_initial": looks_initial(codes, initialisation),
        "oversized_rows": _shown(_oversized(norms)),
        "norm": norms,
    }
    closeness, evidence = _closeness(codes, norms, twins, metric, share)
    return Measured(metrics | closeness, facts | evidence)


def effective_rank(eigenvalues: np.ndarray) -> float | None:
    """exp of the entropy of the singular values, from the eigenvalues (D,) of EᵀE; None for an all-zero matrix."""
    singular = np.sqrt(eigenvalues[eigenvalues > 0])
    if not singular.size:
        return None
    shares = singular / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(eigenvalues: np.ndarray) -> float | None:
    """(Σλ)²/Σλ² of the eigenvalues (D,) of a covariance: how many dimensions share the variance; None where there is none."""
    total = float(eigenvalues.sum())
    return total**2 / float((eigenvalues**2).sum()) if total > 0 else None


def participation_by_use(codes: np.ndarray, hits: np.ndarray) -> float | None:
    """The participation ratio of codes (K, D) weighted by their hits (K,): that of the quantised rows themselves.

    It compares with that of the rows, which is by row as well; unweighted, a few far-out codes that hardly any row uses decide it.
    None where nothing was hit or the codes hit are all the same.
    """
    used = hits > 0
    if not used.any():
        return None
    weights = (hits[used] / hits[used].sum())[:, None]
    rows = codes[used].astype(np.float64)
    centred = (rows - (weights * rows).sum(axis=0)) * np.sqrt(weights)
    return participation_ratio(spectrum(centred.T @ centred if rows.shape[1] <= len(rows) else centred @ centred.T))


def spectrum(gram: np.ndarray) -> np.ndarray:
    """Eigenvalues of a (D, D) Gram or covariance matrix, those below rounding (D·2⁻⁵² of the largest) set to 0."""
    values = np.linalg.eigvalsh(gram)
    return np.where(values > len(gram) * np.finfo(np.float64).eps * max(values[-1], 0), values, 0)


def _spectra(codes: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of EᵀE and of the centred (E−μ)ᵀ(E−μ) over the finite rows, in units of the largest entry."""
    count, width = len(finite), codes.shape[1]
    if not count:
        return np.zeros(1), np.zeros(1)
    rows = _taken(codes, finite)
    unit = max(float(rows.max()), -float(rows.min())) or 1.0
    mean = rows.mean(axis=0, dtype=np.float64) / unit
    if count < width:  # few codes: their K×K products have the same eigenvalues
        plain = rows / np.float64(unit)
        return spectrum(plain @ plain.T), spectrum((plain - mean) @ (plain - mean).T)
    centred = np.zeros((width, width))
    for block in row_blocks(count, width):
        part = rows[block] / np.float64(unit) - mean
        centred += part.T @ part
    return spectrum(centred + count * np.outer(mean, mean)), spectrum(centred)


def _norm_metrics(norms: np.ndarray) -> dict[str, MetricValue]:
    low, middle, high = (float(norms.min()), median(norms), float(norms.max())) if norms.size else (None, None, None)
    return {"geometry.norm_min": low, "geometry.norm_median": middle, "geometry.norm_max": high}


def _oversized(norms: np.ndarray) -> np.ndarray:
    sized = norms[norms > 0]
    return np.flatnonzero(norms > OVERSIZED * median(sized)) if sized.size else np.zeros(0, dtype=np.int64)


def _closeness(
    codes: np.ndarray, norms: np.ndarray, twins: np.ndarray, metric: str, share: Share
) -> tuple[dict[str, MetricValue], dict[str, Any]]:
    """Near-duplicates and nearest codes among the valid rows: finite, and with a direction where the lookup is by cosine."""
    valid = np.flatnonzero(norms > NO_DIRECTION if metric == "cosine" else ~np.isnan(norms))
    names = ("geometry.near_duplicate_rows", "geometry.distinct", "geometry.parallel_rows")
    if not searchable(len(valid), codes.shape[1]):
        why = f"{len(valid)} codes × {codes.shape[1]}: comparing all pairs would take minutes"
        return dict.fromkeys(names), {"neighbours_skipped": why}
    rows, twin = _taken(codes, valid), np.searchsorted(valid, twins[valid])
    if metric == "cosine":
        rows = (rows / norms[valid, None]).astype(codes.dtype)
        twin = earlier_twin(rows)
    nearest, close = _neighbourhood(rows, twin, share)
    index, distance = np.full(len(codes), -1), np.full(len(codes), np.nan)
    index[valid] = np.where(nearest.nearest < 0, -1, valid[nearest.nearest])
    distance[valid] = nearest.distance
    parallel = _parallel_rows(rows, nearest, metric, share)
    return dict(zip(names, (len(valid) - close.components, close.components, parallel), strict=True)), {
        "nearest": index,
        "nearest_distance": distance,
        "closeness": {"scale": close.scale, "link": close.link},
        "near_duplicate_groups": _largest_groups(valid, close.labels),
    }


def _neighbourhood(rows: np.ndarray, twin: np.ndarray, share: Share) -> tuple[Neighbours, Closeness]:
    """Nearest other row and group of each of (m, D) rows; bit-equal copies (`twin`: the first of them) are searched once."""
    first = np.flatnonzero(twin == np.arange(len(rows)))
    copies = np.flatnonzero(twin != np.arange(len(rows)))
    distinct = _taken(rows, first)
    found = nearest_others(distinct, share)
    index, distance = twin.copy(), np.zeros(len(rows))
    index[first] = np.where(found.nearest < 0, -1, first[found.nearest])
    distance[first] = found.distance
    index[twin[copies[::-1]]] = copies[::-1]  # reversed: of several copies the first is written last and stays
    distance[twin[copies]] = 0
    close = near_duplicates(distinct, Neighbours(index[first], distance[first]))
    return Neighbours(index, distance), close._replace(labels=close.labels[np.searchsorted(first, twin)])


def _largest_groups(valid: np.ndarray, labels: np.ndarray, most: int = 20) -> list[list[int]]:
    """Row numbers of the largest groups of two or more, at most ROWS_SHOWN each."""
    sizes = np.bincount(labels)
    largest = np.argsort(-sizes, kind="stable")[: min(most, int((sizes > 1).sum()))]
    return [_shown(valid[labels == group]) for group in largest]


def _parallel_rows(rows: np.ndarray, nearest: Neighbours, metric: str, share: Share) -> int | None:
    """Rows with a neighbour of cosine over 0.999; None in one dimension and where the search would be long."""
    if rows.shape[1] < 2:
        return None
    distance = nearest.distance
    if metric != "cosine":
        if len(rows) ** 2 * (rows.shape[1] + 32) > PARALLEL_WORK:
            return None
        norms = row_norms(rows)
        directed = norms > 0
        distance = nearest_others(rows[directed] / norms[directed, None], share).distance
    return int((distance**2 / 2 < 1 - PARALLEL_COSINE).sum())


def _taken(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows, without a copy where they are all of them."""
    return codes if len(rows) == len(codes) else codes[rows]


def _shown(rows: np.ndarray) -> list[int]:
    return rows[:ROWS_SHOWN].tolist()
