"""Means over batches: what a training loop's tracker would have logged on these rows.

Fed in whatever blocks the rows arrive; memory stays at one batch and one work block, whatever N. Pooled use is measured in `usage`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vqdoctor.metrics.entropy import entropy_bits, normalized
from vqdoctor.model.report import MetricValue

_WORK = 1 << 19  # codes sorted at a time


@dataclass(frozen=True, slots=True)
class BatchRun:
    """What consecutive rows of a stream leave behind: the ends that belong to batches begun before and going on after them.

    Attributes:
        head: codes that complete the batch begun before. complete: batches within. sums: (3,) over them, used, bits, perplexity.
        rest: codes of the batch that is still open at the end. A run that ends in its head has no more than that.
    """

    head: np.ndarray
    complete: int
    sums: np.ndarray
    rest: np.ndarray


def batch_run(codes: np.ndarray, batch: int, missing: int = 0) -> BatchRun:
    """A run of codes (n,). missing: how many codes the batch that was begun before it still lacks."""
    codes = np.asarray(codes)
    head, codes = codes[:missing], codes[missing:]
    complete = codes.size // batch
    sums = np.zeros(3)
    step = max(1, _WORK // batch)
    for start in range(0, complete, step):
        part = codes[start * batch : min(start + step, complete) * batch]
        sums += _batch_sums(part.reshape(-1, batch))
    return BatchRun(head.copy(), complete, sums, codes[complete * batch :].copy())


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

    @property
    def missing(self) -> int:
        """Codes that the batch which is open now still lacks; 0 where none is open."""
        return self.batch - self._rest.size if self._rest.size else 0

    def feed(self, codes: np.ndarray) -> None:
        """The next rows: (n,) integers in [0, K), any n; unassigned rows already dropped (see `usage.assigned`)."""
        self.extend(batch_run(np.asarray(codes, self._rest.dtype), self.batch, self.missing))

    def extend(self, run: BatchRun) -> None:
        """The next rows, counted elsewhere by :func:`batch_run` with what is `missing` here."""
        if self._rest.size or run.head.size:
            self._rest = np.concatenate([self._rest, run.head])
            if self._rest.size < self.batch:
                return
            self._complete += 1
            self._sums += _batch_sums(self._rest[None])
        self._complete += run.complete
        self._sums += run.sums
        self._rest = run.rest

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
