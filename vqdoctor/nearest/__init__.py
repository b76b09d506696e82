"""Nearest code: the hot path of every measurement, repair and k-means, exact, in numpy alone or compiled where numba is installed.

A row is scored against all codes by one matrix product, in tiles small enough that the scores are still in the cache when the best
of each row is taken (`scan`), or while they are in a register (`fused`; Johnson, Douze, Jégou 2017 do the same on a GPU). What
float32 cannot decide is decided in float64, so a code is the nearest one, not nearly, and does not depend on how rows were split
into blocks or on who scanned them. The room knows arrays, never files.

`assign` rows against one codebook · `encode` and `Searcher` rows through a whole quantiser.
"""

from vqdoctor.nearest.book import Book
from vqdoctor.nearest.searcher import Encoded, Searcher, assign, encode

__all__ = ["Book", "Encoded", "Searcher", "assign", "encode"]
