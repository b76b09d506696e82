"""Sick codebooks with a known answer: features of a gaussian mixture, a book of which most codes are far from all of them."""

from __future__ import annotations

import numpy as np
from synthetic import FakeSource, smoothed

from vqdoctor.kmeans import fit
from vqdoctor.layouts import find_quantizers
from vqdoctor.model import Quantizer
from vqdoctor.nearest import assign


def mixture(n: int, width: int, clusters: int, seed: int = 0, spread: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 3 * rng.standard_normal((clusters, width))
    return (centres[rng.integers(0, clusters, n)] + spread * rng.standard_normal((n, width))).astype(np.float32)


def collapsed(rows: np.ndarray, codes: int, live: int, seed: int = 1) -> np.ndarray:
    """A book (codes, D): the first `live` codes share the rows among themselves, the others lie far outside."""
    rng = np.random.default_rng(seed)
    book = 80 + rng.standard_normal((codes, rows.shape[1])).astype(np.float32)
    book[:live] = fit(rows, live, rng=rng, assign=assign).centres
    return book


def trainer_level(
    book: np.ndarray, live: int, tokens: float = 1024.0, prefix: str = "quantizer.layers.0."
) -> dict[str, np.ndarray]:
    """State of the bundled trainer's layout: running counts of the live codes add up to `tokens`."""
    counts = np.full(len(book), 1e-6, np.float32)
    counts[:live] = tokens / live
    return {
        f"{prefix}codebook": book,
        f"{prefix}ema_count": counts,
        f"{prefix}ema_sum": (book * smoothed(counts)[:, None]).astype(np.float32),
        f"{prefix}initialised": np.array(1, np.uint8),
    }


def told(threshold: float | None = None, unit: str = "absolute", decay: float = 0.99, **more: object) -> dict[str, object]:
    """What the trainer's files state beside the weights."""
    said = {
        "metric": "l2",
        "decay": decay,
        "start_mass": 1.0,
        "threshold": threshold,
        "threshold_unit": unit,
        "revival": "consistent",
    }
    return {"vqdoctor": {"quantizer": said | more}}


def opened(tensors: dict, tree: object = None, **options) -> tuple[FakeSource, Quantizer]:
    source = FakeSource(tensors, **options)
    source.tree = tree
    (quantizer,) = find_quantizers(source)
    return source, quantizer


def one_sick(codes: int = 32, live: int = 4, width: int = 6, n: int = 6000, clusters: int = 60, **options):
    """(source, quantizer, features) of one collapsed book."""
    rows = mixture(n, width, clusters)
    source, quantizer = opened(trainer_level(collapsed(rows, codes, live), live), told(**options))
    return source, quantizer, rows
