"""Breaths get k-means out of optima that Lloyd's iterations cannot leave."""

from __future__ import annotations

import numpy as np
import pytest

from vqdoctor import kmeans
from vqdoctor.kmeans import breathing, lloyd
from vqdoctor.nearest import assign


def crowded(n: int = 1200, width: int = 12, seed: int = 0) -> np.ndarray:
    """Most rows in a crowd, a tenth far out: seeds drawn by distance go to the few."""
    rng = np.random.default_rng(seed)
    far = rng.random(n) < 0.1
    return (rng.standard_normal((n, width)) * np.where(far, 4, 1)[:, None]).astype(np.float32)


def placed(rows: np.ndarray, centres: np.ndarray) -> lloyd.Placed:
    return lloyd.Placed(centres, *assign(rows, centres))


def breathe(rows: np.ndarray, start: lloyd.Placed, seed: int = 0) -> lloyd.Placed:
    rng, effort = np.random.default_rng(seed), lloyd.Effort()
    search = lloyd.counted(assign, effort)
    return breathing.breathe(rows, start, rng=rng, assign=search, onto=np.asarray, effort=effort)


def test_one_fit_beats_the_best_of_ten_of_scikit_learn() -> None:
    sklearn, limits = pytest.importorskip("sklearn.cluster"), pytest.importorskip("threadpoolctl")
    rows = crowded(600, 4)
    with limits.threadpool_limits(1):
        theirs = sklearn.KMeans(200, n_init=10, random_state=0).fit(rows).inertia_
    ours = [kmeans.fit(rows, 200, rng=np.random.default_rng(seed), assign=assign).inertia for seed in range(3)]
    assert max(ours) < theirs


def test_a_centre_of_two_clusters_and_two_of_one_change_places() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [100, 0], [0, 100]], np.float32)
    rows = (np.repeat(middles, 40, axis=0) + rng.standard_normal((120, 2))).astype(np.float32)
    poor = placed(rows, np.array([[-1, 0], [1, 0], [50, 50]], np.float32))  # two share a cluster, one has two
    stuck = lloyd.refine(rows, poor, assign=assign, onto=np.asarray, iterations=100, effort=lloyd.Effort())
    assert stuck.inertia > 100_000
    assert breathe(rows, poor).inertia < 500


@pytest.mark.parametrize("count", [1, 7, 20])
def test_a_breath_keeps_every_row_at_its_nearest_centre(count: int) -> None:
    rows = crowded(400, 5)
    start = placed(rows, rows[:20])
    full = breathing.inhaled(rows, start, count, rng=np.random.default_rng(0), assign=assign, onto=np.asarray)
    fewer = breathing.exhaled(rows, full, count, assign=assign)
    for now, size in ((full, 20 + count), (fewer, 20)):
        assert now.centres.shape == (size, 5)
        labels, squared = assign(rows, now.centres)
        np.testing.assert_allclose(now.squared, squared, rtol=1e-5, atol=1e-5)
        assert (now.labels == labels).mean() > 0.99


def test_of_two_neighbours_one_stays() -> None:
    rows = np.array([[0], [0.1], [10], [10.1], [50]], np.float32)
    gone = breathing.dispensable(placed(rows, rows.copy()), 2)
    assert sorted(np.sort(gone) // 2) == [0, 1]  # one of each pair


def test_no_centre_is_its_own_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breathing, "PAIRS", 60)  # three at a time
    centres = crowded(20, 3)
    away = ((centres[:, None] - centres[None]) ** 2).sum(2) + np.diag(np.full(20, np.inf))
    nearest, squared = breathing.neighbours(centres)
    np.testing.assert_array_equal(nearest, away.argmin(1))
    np.testing.assert_allclose(squared, away.min(1), rtol=1e-4)


def test_where_no_effort_is_free_there_is_one_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(lloyd, "FREE", 0)
    exhaled = breathing.exhaled
    monkeypatch.setattr(breathing, "exhaled", lambda *given, **named: taken.append(given[2]) or exhaled(*given, **named))
    rows = crowded(640, 4)
    before = placed(rows, rows[:10])
    assert breathe(rows, before).inertia < before.inertia
    assert taken == [5]
    taken.clear()
    breathe(rows, placed(rows, rows[:320]))
    assert taken == [20]  # of two rows each there is little to divide


def test_small_gains_are_worth_a_step_as_long_as_effort_is_free() -> None:
    effort = lloyd.Effort()
    assert not effort.suffices(1e-9, 1.0)
    assert effort.suffices(0.0, 1.0)
    effort.add(lloyd.FREE, np.zeros((1, 1)))
    assert effort.suffices(1e-9, 1.0)
    assert not effort.suffices(0.1, 1.0)
