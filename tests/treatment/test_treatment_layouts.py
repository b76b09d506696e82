"""Over every layout: plan by k-means, write the arrays, open them again: codes and state are the promised ones."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from synthetic import FakeSource, Specimen

from vqdoctor.errors import UsageError
from vqdoctor.layouts import LAYOUTS, codes, copies, find_quantizers
from vqdoctor.model import Quantizer
from vqdoctor.treatment import Plan, TreatmentRequest, plan, verify

FOLDER = Path(__file__).parents[1] / "layouts"
MODULES = sorted(path.stem for path in FOLDER.glob("specimens_*.py"))
SPECIMENS: list[Specimen] = [one for module in MODULES for one in importlib.import_module(module).SPECIMENS]


def repairable(quantizer: Quantizer) -> bool:
    return bool(quantizer.levels) and quantizer.searchable is None and quantizer.metric != "dot"


def written(specimen: Specimen, made: Plan) -> FakeSource:
    """The specimen as a file that holds the plan's changes; tied tensors stay tied, and all else is as it was."""
    after = specimen.source()
    copied: dict[int, np.ndarray] = {}
    for name, array in after.arrays.items():
        after.arrays[name] = copied.setdefault(id(array), np.array(array))
    for name, values in made.changes.items():
        after.arrays[name][...] = values
    return after


def rows_for(quantizer: Quantizer, seed: int = 0) -> np.ndarray:
    n = 40 * max(level.codes for level in quantizer.levels)
    return np.random.default_rng(seed).standard_normal((min(n, 2000), quantizer.width)).astype(np.float32)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=[one.id for one in SPECIMENS])
def test_kmeans_gives_the_promised_codes_and_state(specimen: Specimen) -> None:
    source = specimen.source()
    for quantizer in find_quantizers(source):
        if not repairable(quantizer):
            continue
        features = rows_for(quantizer)
        made = plan(source, quantizer, features, TreatmentRequest("kmeans"))
        after = written(specimen, made)
        assert verify(source, after, made, features) == []
        assert find_quantizers(after)
        for copy in copies(quantizer):
            for level in copy.levels:
                book = codes(after, level, eps=copy.ema.eps if copy.ema else 1e-5)
                assert np.isfinite(book).all()
                assert len(np.unique(book, axis=0)) == level.codes
        if quantizer.metric != "cosine" and quantizer.structure == "single":
            assert made.levels[0].after["distortion.mse"] < made.levels[0].before["distortion.mse"]
        for name, undo in made.undo.items():
            np.testing.assert_array_equal(undo.restored(after.arrays[name]), source.arrays[name])


def test_most_layouts_have_a_repairable_book() -> None:
    repaired = {one.layout for specimen in SPECIMENS for one in find_quantizers(specimen.source()) if repairable(one)}
    assert len(repaired) > 0.7 * len(LAYOUTS)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=[one.id for one in SPECIMENS])
def test_what_cannot_be_treated_by_features_says_why(specimen: Specimen) -> None:
    source = specimen.source()
    for quantizer in find_quantizers(source):
        if repairable(quantizer):
            continue
        width = quantizer.width or 4
        with pytest.raises(UsageError):
            plan(source, quantizer, np.ones((100, width), np.float32), TreatmentRequest("kmeans"))
