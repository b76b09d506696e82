"""Feature rows on their way down a quantiser under repair: each level is given what the levels above it leave over *now*.

Changing a level changes the residuals of all below it, so a repair goes from the top down and encodes again at each step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vqdoctor.layouts import lookup
from vqdoctor.model import Lookup, Quantizer, Stage, TensorSource
from vqdoctor.nearest import Searcher


class Descent:
    """Rows (n, lookup.width) float32, standing before one level of a quantiser; starts before the first.

    Levels must be asked for in ascending order, and `source` may only differ between calls in levels not yet passed.
    """

    def __init__(self, source: TensorSource, quantizer: Quantizer, rows: np.ndarray) -> None:
        whole = lookup(source, quantizer)
        entry = Searcher(whole)
        self._quantizer = quantizer
        self._metric, self._product, self._columns = whole.metric, whole.structure == "product", entry.columns
        self._left = entry.enter(rows)
        self._level = 0

    def inputs(self, source: TensorSource, level: int) -> np.ndarray:
        """What `level` looks up, (n, d) float32, after the levels above it as `source` has them."""
        while self._level < level:
            self._pass(source)
        given, stage = self._given(level), stage_of(source, self._quantizer, level)
        search = Searcher(self._alone(stage, given.shape[1]))
        return next(search.inputs(given, np.zeros((len(given), 1), np.int32)))

    def _given(self, level: int) -> np.ndarray:
        return self._left[:, slice(*self._columns[level])]

    def _pass(self, source: TensorSource) -> None:
        if not self._product:
            stage = stage_of(source, self._quantizer, self._level)
            found = Searcher(self._alone(stage, self._left.shape[1])).encode(self._left, reconstruct=True)
            self._left = self._left - found.reconstruction
        self._level += 1

    def _alone(self, stage: Stage, width: int) -> Lookup:
        return Lookup((stage,), "single", self._metric, width, normalise_residuals=self._quantizer.normalise_residuals)


def stage_of(source: TensorSource, quantizer: Quantizer, level: int) -> Stage:
    """One level as arrays, as `source` has it."""
    return lookup(source, replace(quantizer, levels=(quantizer.levels[level],))).stages[0]
