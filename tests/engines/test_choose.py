"""Engines by name, and an engine that searches in other processes: the same tally as here."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from vqdoctor.engines import engine_named, known_engines, measure_rows
from vqdoctor.engines.choose import misfit
from vqdoctor.errors import UsageError
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher
from vqdoctor.samples.features import FiniteRows


class Held(FiniteRows):
    def __init__(self, rows):
        super().__init__("held", len(rows), rows.shape[1], "float32")
        self._rows = rows

    def raw(self, size):
        for start in range(0, len(self._rows), 300):
            yield self._rows[start : start + 300]


def encode(lookup, block, temperature):
    return Searcher(lookup).encode(block, temperature=temperature)


def elsewhere(lookup, blocks, temperature):
    """All blocks at once, so that what is counted cannot rest on the order in which they are done."""
    blocks = list(blocks)
    with ProcessPoolExecutor(2) as pool:
        yield from zip(blocks, pool.map(encode, [lookup] * len(blocks), blocks, [temperature] * len(blocks)), strict=True)


def test_codes_found_elsewhere_give_the_same_tally():
    rng = np.random.default_rng(3)
    stages = tuple(Stage(rng.normal(size=(32, 6)).astype(np.float32)) for _ in range(2))
    lookup = Lookup(stages, "residual", "l2", 6)
    rows = rng.normal(size=(2000, 6)).astype(np.float32)
    rows[::131] = np.inf
    here = measure_rows(Held(rows), lookup, rng=np.random.default_rng(0), keep=200)
    there = measure_rows(Held(rows), lookup, rng=np.random.default_rng(0), keep=200, encoding=elsewhere)
    for one, other in zip(here.levels, there.levels, strict=True):
        assert np.array_equal(one.counts, other.counts) and one.residual == other.residual
    assert np.array_equal(here.ids.keys, there.ids.keys) and np.array_equal(here.ids.items, there.ids.items)
    assert np.array_equal(here.kept.numbers, there.kept.numbers) and np.array_equal(here.kept.distances, there.kept.distances)
    assert (here.n, here.dropped, here.dropped_rows) == (there.n, there.dropped, there.dropped_rows)


def test_the_local_engine_is_always_there():
    assert engine_named("local") is measure_rows
    assert measure_rows in known_engines()
    with pytest.raises(UsageError, match="local is always there"):
        engine_named("of nobody")


def test_what_cannot_be_called_is_no_engine():
    assert misfit(3) and not misfit(measure_rows)
