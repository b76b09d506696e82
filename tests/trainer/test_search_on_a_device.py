"""The search of k-means by torch, on the host as the device, against the exact one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vqdoctor import kmeans
from vqdoctor.nearest import assign
from vqdoctor.trainer.quantizers import on_device
from vqdoctor.trainer.quantizers.on_device import assign_on, search_on

HOST = torch.device("cpu")


def mixture(n: int, k: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((k, width), dtype=np.float32)
    return codes[rng.integers(0, k, n)] + 0.5 * rng.standard_normal((n, width), dtype=np.float32), codes


@pytest.mark.parametrize("most", [1 << 24, 5000])  # all rows at once, or some dozens at a time
def test_the_same_centres_and_distances_as_on_the_host(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "SCORES", most)
    rows, codes = mixture(3000, 96, 24)
    labels, squared = assign_on(rows, codes, device=HOST)
    exact_labels, exact = assign(rows, codes)
    assert labels.dtype == np.int32
    assert (labels == exact_labels).all()
    np.testing.assert_allclose(squared, exact, rtol=1e-5)


def test_k_means_by_it_is_as_good() -> None:
    rows, _ = mixture(4000, 64, 16)
    searches = [assign, lambda rows, centres: assign_on(rows, centres, device=HOST)]
    host, device = (kmeans.fit(rows, 64, rng=np.random.default_rng(0), assign=search).inertia for search in searches)
    assert device == pytest.approx(host, rel=1e-3)


def test_rows_of_the_host_are_searched_exactly_and_others_where_they_are() -> None:
    assert search_on(HOST) is assign
    elsewhere = search_on(torch.device("cuda", 1))
    assert elsewhere.func is assign_on
    assert elsewhere.keywords == {"device": torch.device("cuda", 1)}
