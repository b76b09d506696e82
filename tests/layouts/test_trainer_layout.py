"""What the bundled trainer writes beside its weights decides what its counts mean."""

import pytest
from specimens_trainer import SPECIMENS
from synthetic import FakeSource

from vqdoctor.layouts import find_quantizers

SAID = {
    "metric": "cosine", "decay": 0.85, "start_mass": 1.0, "threshold": 0.1, "threshold_unit": "uniform", "init": "uniform",
    "revival": "undone", "centroid_sum": "bare", "kmeans": True,
}  # fmt: skip


def _found(specimen, tree):
    source = FakeSource(specimen.tensors)
    source.tree = tree
    return find_quantizers(source)[0]


def test_the_files_own_words_are_taken_as_stated() -> None:
    found = _found(SPECIMENS[0], {"vqdoctor": {"quantizer": SAID}})
    assert (found.metric, found.metric_basis, found.emits, found.kmeans_start) == ("cosine", "stated", "normalised", True)
    assert found.ema is not None
    assert (found.ema.decay, found.ema.threshold, found.ema.threshold_unit, found.ema.revival) == (0.85, 0.1, "uniform", "undone")
    assert (found.ema.relation, found.ema.start_mass, found.ema.centroid_start, found.ema.basis) == ("laplace", 1.0, True, "stated")
    assert found.levels[0].initialisation.bound == 1 / 16
    assert "VQ305" in found.defects


def test_a_gradient_book_has_counts_that_its_codes_do_not_follow_from() -> None:
    found = _found(SPECIMENS[2], {"vqdoctor": {"quantizer": SAID}})
    assert found.ema is not None
    assert found.ema.relation == "none"
    assert found.levels[0].ema_sum is None


@pytest.mark.parametrize(
    "tree", [None, [], {"vqdoctor": 3}, {"vqdoctor": {"quantizer": {"metric": 7, "decay": "much", "init": []}}}]
)
def test_odd_words_are_not_believed(tree) -> None:
    found = _found(SPECIMENS[0], tree)
    assert (found.metric, found.metric_basis) == ("l2", "assumed")
