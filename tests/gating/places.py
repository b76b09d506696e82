"""Places and subjects to judge, built from counts as the use case builds them."""

from __future__ import annotations

import numpy as np

from vqdoctor.gating import Place, Subject
from vqdoctor.metrics import measure_usage
from vqdoctor.metrics.richness import richness_of


def level(counts, population=False, quantizer="q", index=0, **more):
    """A level on which codes were hit so often; `more`: further metrics, dots spelt as __."""
    counts = np.asarray(counts, dtype=np.int64)
    metrics = measure_usage(counts, population=population).metrics | {name.replace("__", "."): each for name, each in more.items()}
    return Place(quantizer, index, metrics, len(counts), int(counts.sum()), population, richness_of(counts))


def whole(quantizer="q", population=False, n=1000, **metrics):
    """A quantiser as a whole."""
    return Place(quantizer, None, {name.replace("__", "."): each for name, each in metrics.items()}, 64, n, population)


def stated(quantizer="q", index=0, **metrics):
    """What a log states."""
    return Place(quantizer, index, {name.replace("__", "."): each for name, each in metrics.items()}, stated=True)


def subject(*places, **more):
    return Subject("a.pt", more.pop("kind", "npz"), places, **more)


def even(codes, rows):
    """Counts of `rows` that fall on `codes` codes in turn."""
    return np.bincount(np.arange(rows) % codes, minlength=codes)
