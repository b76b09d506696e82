"""Means over batches: what a training loop's tracker would have logged on these rows.

Fed in whatever blocks the rows arrive; memory stays at one batch and one work block, whatever N. Pooled use is measured in `usage`.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.metrics.entropy import entropy_bits, normalized
from vqdoctor.model.report import MetricValue

_WORK = 1 << 19  # codes sorted at a time


class BatchMeans:
    """Running means of use, entropy and perplexity over batches of `batch` codes, in the order they come.

    A last partial batch is left out unless it is the only one.

    Args:
        codes: K. batch: rows in a batch.
    """

    def __init__(self, codes: int, batch: int = 1024) -> None:
        if batch < 1 or codes < 1:
            raise ValueError("batch and codes must be at least 1")
        self.codes = codes
        self.batch = batch
        self._complete = 0
        self._sums = np.zeros(3)  # used, bits, perplexity
        self._rest = np.zeros(0, np.promote_types(np.min_scalar_type(codes - 1), np.uint16))  # narrow: they are sorted

    def feed(self, codes: np.ndarray) -> None:
        """The next rows: (n,) integers in [0, K), any n; unassigned rows already dropped (see `usage.assigned`)."""
        codes = np.concatenate([self._rest, np.asarray(codes, self._rest.dtype)])
        whole = codes.size // self.batch * self.batch
        self._rest = codes[whole:].copy()
        step = max(1, _WORK // self.batch) * self.batch
        for start in range(0, whole, step):
            block = codes[start : min(start + step, whole)].reshape(-1, self.batch)
            self._complete += len(block)
            self._sums += _batch_sums(block)

    def add(self, counts: np.ndarray) -> None:
        """One complete batch that was counted elsewhere: (K,) hits; ignored if it has none."""
        bits = entropy_bits(counts)
        if bits is not None:
            self._complete += 1
            self._sums += (int((counts > 0).sum()), bits, 2.0**bits)

    @property
    def count(self) -> int:
        """Batches in the means: the complete ones, or 1 where there is only a partial one."""
        return self._complete or int(self._rest.size > 0)

    def metrics(self) -> dict[str, MetricValue]:
        """usage.batch_*: used, utilization, entropy_bits, entropy_normalized, perplexity; None before the first row."""
        sums = self._sums if self._complete or not self._rest.size else _batch_sums(self._rest[None])
        used, bits, perplexity = (float(total) / self.count if self.count else None for total in sums)
        return {
            "usage.batch_used": used,
            "usage.batch_utilization": None if used is None else used / self.codes,
            "usage.batch_entropy_bits": bits,
            "usage.batch_entropy_normalized": normalized(bits, self.codes),
            "usage.batch_perplexity": perplexity,
        }


def batch_statistics(codes: np.ndarray, size: int, batch: int = 1024) -> BatchMeans:
    """The means over batches of (n,) codes that are all at hand; arguments as `BatchMeans` and its `feed`."""
    means = BatchMeans(size, batch)
    means.feed(codes)
    return means


def _batch_sums(block: np.ndarray) -> np.ndarray:
    """Sums over the batches (B, batch): used codes, entropy in bits, perplexity, each from the run lengths of its sorted codes."""
    ordered = np.sort(block, axis=1)
    first = np.ones(ordered.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(first)
    hits = np.diff(starts, append=ordered.size)
    batch = block.shape[1]
    number = np.arange(batch + 1)
    weight = number * np.log2(np.maximum(number, 1))  # of each number of hits, looked up: a logarithm a hit costs more
    weighted = np.add.reduceat(weight[hits], np.searchsorted(starts, np.arange(0, ordered.size, batch)))
    bits = np.maximum(0.0, np.log2(batch) - weighted / batch)
    return np.array([starts.size, bits.sum(), np.exp2(bits).sum()])
