"""k-means against scikit-learn's, and at its edges."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from vqdoctor import kmeans
from vqdoctor.kmeans import gathering, lloyd, seeding
from vqdoctor.nearest import assign


def mixture(n: int, width: int, true: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((true, width)) * 0.8
    return (centres[rng.integers(0, true, n)] + 0.5 * rng.standard_normal((n, width))).astype(np.float32)


def fit(rows: np.ndarray, k: int, seed: int = 0, **options: object) -> kmeans.Clusters:
    return kmeans.fit(rows, k, rng=np.random.default_rng(seed), assign=assign, **options)


@pytest.mark.parametrize(("n", "width", "k"), [(2000, 16, 64), (3000, 8, 20), (600, 4, 300)])
def test_inertia_is_that_of_scikit_learn(n: int, width: int, k: int) -> None:
    sklearn = pytest.importorskip("sklearn.cluster")
    rows = mixture(n, width, k)
    ours = np.mean([fit(rows, k, seed).inertia for seed in range(3)])
    theirs = np.mean([sklearn.KMeans(k, n_init=1, random_state=seed, max_iter=25).fit(rows).inertia_ for seed in range(3)])
    assert ours <= 1.01 * theirs


def test_inertia_and_labels_are_those_of_the_centres() -> None:
    rows = mixture(500, 5, 10) + 1000  # a common offset costs nothing
    found = fit(rows, 10)
    labels, squared = assign(rows, found.centres)
    assert found.inertia == pytest.approx(squared.sum(dtype=float), rel=1e-3)
    assert (labels == found.labels).mean() > 0.99


def test_it_is_deterministic_by_the_generator() -> None:
    rows = mixture(800, 6, 20)
    np.testing.assert_array_equal(fit(rows, 20, 3).centres, fit(rows, 20, 3).centres)
    assert (fit(rows, 20, 3).centres != fit(rows, 20, 4).centres).any()


def test_cosine_clusters_directions() -> None:
    rng = np.random.default_rng(0)
    axes = np.eye(4)[rng.integers(0, 4, 400)]
    rows = ((axes + 0.05 * rng.standard_normal((400, 4))) * rng.uniform(0.1, 50, (400, 1))).astype(np.float32)
    found = fit(rows, 4, metric="cosine")
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1, rtol=1e-5)
    assert sorted(found.centres.argmax(1)) == [0, 1, 2, 3]
    assert found.inertia < 10


def test_as_many_centres_as_rows_reproduce_them() -> None:
    rows = mixture(40, 3, 40)
    found = fit(rows, 40)
    assert found.inertia == pytest.approx(0, abs=1e-8)
    np.testing.assert_allclose(np.sort(found.centres, axis=0), np.sort(rows, axis=0), atol=1e-6)


def test_fewer_different_rows_than_centres_leave_no_nan() -> None:
    rows = np.repeat(mixture(3, 4, 3), 20, axis=0)
    found = fit(rows, 8)
    assert np.isfinite(found.centres).all()
    assert found.inertia == pytest.approx(0, abs=1e-8)
    assert fit(rows, 1).centres == pytest.approx(rows.mean(0, keepdims=True), rel=1e-5)


def test_seeds_come_from_a_subsample_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "MOST_SEEDED", 200)
    monkeypatch.setattr(kmeans, "SEEDED_A_CENTRE", 1)
    rows = mixture(3000, 4, 12)
    assert fit(rows, 12).inertia <= 1.2 * fit(rows, 12, 1).inertia


def nothing_listed(*_: object) -> None:
    """near_pairs that finds too many pairs."""


def test_listed_pairs_draw_the_seeds_of_the_textbook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seeds come out whether pairs are listed or all distances are worked out."""
    rows = mixture(900, 6, 40)
    rows[100:140] = rows[:40]  # copies: distances of zero
    monkeypatch.setattr(seeding, "MORE_TRIALS", 1)
    listed = seeding.draw_seeds(rows, 300, np.random.default_rng(0))
    monkeypatch.setattr(seeding, "near_pairs", nothing_listed)
    np.testing.assert_array_equal(listed, seeding.draw_seeds(rows, 300, np.random.default_rng(0)))
    assert len(set(listed.tolist())) == 300


def test_pairs_are_those_nearer_than_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "BLOCK", 7 * 200)  # several blocks, the last of them short
    rows = mixture(200, 5, 20)
    away = ((rows[:, None] - rows[None]) ** 2).sum(2)
    left = away[:, :12].min(axis=1)
    near = seeding.near_pairs(rows, (rows**2).sum(1), left)
    after = np.minimum(left, away).sum(axis=1)
    for _ in range(20):
        drawn = np.random.default_rng(1).integers(0, 200, 9)
        now = left.copy()
        best = near.step(drawn, now)
        assert after[best] == pytest.approx(after[drawn].min(), rel=1e-5)
        np.testing.assert_allclose(now, np.minimum(left, away[best]), rtol=1e-4, atol=1e-5)


def test_a_candidate_without_pairs_gains_nothing() -> None:
    near = seeding.Near(np.array([0, 2, 0]), np.array([1, 2], np.int32), np.array([0, 1], np.float32))
    left = np.array([1e-12, 3, 3], np.float32)
    assert near.step(np.array([0, 1, 2]), left) == 1
    assert left.tolist() == [np.float32(1e-12), 0, 1]
    assert near.step(np.array([2, 0]), left) in (0, 2)
    assert left.tolist() == [np.float32(1e-12), 0, 1]


def test_too_many_pairs_are_never_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "MOST_PAIRS", 10)
    rows = mixture(500, 4, 12)
    assert seeding.near_pairs(rows, (rows**2).sum(1), np.full(500, np.inf, np.float32)) is None
    assert len(fit(rows, 200).centres) == 200


@pytest.mark.parametrize("onto", [np.asarray, kmeans.unit])
@pytest.mark.parametrize("k", [30, 400])
def test_skipped_work_changes_nothing(monkeypatch: pytest.MonkeyPatch, onto: lloyd.Onto, k: int) -> None:
    rows = onto(mixture(900, 8, 60))
    start = lloyd.Placed(rows[:k], *assign(rows, rows[:k]))
    quick = lloyd.refine(rows, start, assign=assign, onto=onto, iterations=100, effort=lloyd.Effort())
    monkeypatch.setattr(lloyd, "WORTH_SPLITTING", -1)  # every row against every centre, every time
    plain = lloyd.refine(rows, start, assign=assign, onto=onto, iterations=100, effort=lloyd.Effort())
    np.testing.assert_array_equal(quick.labels, plain.labels)
    np.testing.assert_allclose(quick.centres, plain.centres, rtol=1e-6)
    assert quick.inertia == pytest.approx(plain.inertia, rel=1e-6)


def test_what_cannot_be_fitted_is_refused() -> None:
    rows = mixture(5, 2, 2)
    for k in (0, 6):
        with pytest.raises(ValueError, match="centres of 5 rows"):
            fit(rows, k)
    with pytest.raises(ValueError, match="dot"):
        fit(rows, 2, metric="dot")


def test_rows_in_parts_say_what_all_say_together() -> None:
    rows = mixture(3000, 8, 20)
    start = rows[:40].copy()
    start[7] = start[3]  # a copy: the first is chosen, so that one centre is empty
    labels, squared = assign(rows, start)
    cuts = [0, 5, 1000, 1001, 2999, 3000]
    parts = [gathering.gather(rows[a:b], labels[a:b], squared[a:b], 40) for a, b in itertools.pairwise(cuts)]
    whole = gathering.gather(rows, labels, squared, 40)
    for said in (functools.reduce(gathering.join, parts), functools.reduce(lambda b, a: gathering.join(a, b), parts[::-1])):
        np.testing.assert_array_equal(said.sizes, whole.sizes)
        np.testing.assert_allclose(said.sums, whole.sums)
        np.testing.assert_array_equal(said.distances, whole.distances)
        np.testing.assert_array_equal(said.far, whole.far)
    now = gathering.moved(whole, start)
    np.testing.assert_allclose(now, lloyd.means(rows, labels, squared, 40), rtol=1e-6)
    np.testing.assert_array_equal(now[7], rows[squared.argmax()])  # nobody chose it: it goes where it is needed most


def test_centres_refined_by_what_is_gathered_are_those_of_lloyd() -> None:
    rows = mixture(2000, 6, 15)

    def said_of(centres: np.ndarray) -> gathering.Gathered:
        found = [(part, *assign(part, centres)) for part in np.array_split(rows, 7)]
        return functools.reduce(gathering.join, (gathering.gather(*one, len(centres)) for one in found))

    centres, said = gathering.refine_gathered(rows[:30], said_of, onto=np.asarray, iterations=25)
    start = lloyd.Placed(rows[:30], *assign(rows, rows[:30]))
    plain = lloyd.refine(rows, start, assign=assign, onto=np.asarray, iterations=25, effort=lloyd.Effort())
    np.testing.assert_allclose(centres, plain.centres, rtol=1e-4, atol=1e-5)
    assert said.inertia == pytest.approx(plain.inertia, rel=1e-6)


def test_more_empty_centres_than_rows_far_from_theirs_wait_where_they_are() -> None:
    said = gathering.gather(np.ones((1, 2), np.float32), np.array([0]), np.zeros(1, np.float32), 4)
    now = gathering.moved(said, np.full((4, 2), 9, np.float32))
    assert now.tolist() == [[1, 1], [1, 1], [9, 9], [9, 9]]
