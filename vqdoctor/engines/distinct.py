"""How many different rows a stream has, by their hashes."""

from __future__ import annotations

import numpy as np

from vqdoctor.samples.spool import Spool

DISTINCT_LIMIT = 1 << 22  # different rows counted, at most (32 MiB of hashes, set aside)
_BUCKETS = 16  # by their highest bits: so many of the hashes are in memory at a time
_FEWEST = 1 << 22  # hashes looked through for repeats, at least


class DistinctRows:
    """Counts different rows by a 64-bit hash, up to a limit: ten million rows collide by chance once in 370,000 tries."""

    def __init__(self, limit: int = DISTINCT_LIMIT) -> None:
        self._limit = limit
        self._hashes: Spool | None = Spool(np.dtype(np.uint64))
        self._different = 0  # of those hashes, when they were last looked through

    def add(self, rows: np.ndarray) -> None:
        """The next rows, (n, D) float32."""
        if self.counting:
            self.add_hashes(row_hashes(rows))

    @property
    def counting(self) -> bool:
        """False once there were more than the limit."""
        return self._hashes is not None

    def add_hashes(self, hashes: np.ndarray) -> None:
        """The next rows by their hashes (n,), from :func:`row_hashes`."""
        if self._hashes is None:
            return
        self._hashes.append(np.unique(hashes))
        if len(self._hashes) >= max(_FEWEST, 2 * self._different):
            self._sort_out()

    def finish(self) -> int | None:
        """How many there were; None beyond the limit."""
        self._sort_out()
        return None if self._hashes is None else len(self._hashes)

    def _sort_out(self) -> None:
        """Leaves one of each hash; none where they are too many."""
        if self._hashes is None:
            return
        kept = Spool(np.dtype(np.uint64))
        for bucket in range(_BUCKETS):
            mine = [block[block >> np.uint64(60) == bucket] for block in self._hashes.blocks()]
            kept.append(np.unique(np.concatenate([np.zeros(0, np.uint64), *mine])))
        self._different = len(kept)
        self._hashes = kept if len(kept) <= self._limit else None


def row_hashes(rows: np.ndarray) -> np.ndarray:
    """64-bit hashes (n,) of the bits of (n, D) float32 rows, 0.0 and −0.0 alike: multilinear, over well-mixed coefficients."""
    bits = (rows + np.float32(0)).view(np.uint32)
    bits ^= bits >> np.uint32(16)  # floats often end in zeros, which a product would keep
    coefficients = _mixed(np.arange(1, rows.shape[1] + 1, dtype=np.uint64))
    return _mixed(np.einsum("ij,j->i", bits, coefficients, dtype=np.uint64, casting="same_kind"))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit numbers that spreads every bit."""
    with np.errstate(over="ignore"):
        numbers = numbers * np.uint64(0x9E3779B97F4A7C15)
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
