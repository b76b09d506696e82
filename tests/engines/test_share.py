"""A sample counted in parts: however it is cut, and wherever the parts are counted, the whole is the same."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import Share, count_part, join, measure_rows, nothing
from vqdoctor.engines.share import Drawn, draw, kept_rows
from vqdoctor.errors import CorruptInput, MissingInput, SampleError
from vqdoctor.metrics.batches import BatchMeans, batch_run
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher
from vqdoctor.samples import ArrayRows, Part, StoredArray, open_rows, parts
from vqdoctor.samples.features import FiniteRows

WIDTH, KEEP = 5, 60


def held(rows: np.ndarray) -> ArrayRows:
    return ArrayRows(StoredArray("held", "", rows.shape, "float32", lambda start, stop: rows[start:stop]))


def residual(seed: int = 0) -> Lookup:
    rng = np.random.default_rng(seed)
    return Lookup(tuple(Stage(rng.normal(size=(12, WIDTH)).astype(np.float32)) for _ in range(2)), "residual", "l2", WIDTH)


def rows_with_gaps(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, WIDTH)).astype(np.float32)
    rows[rng.random(n) < 0.1] = np.nan
    rows[rng.random(n) < 0.05] = 1e25  # finite, and yet without a nearest code
    return rows


def share_of(rows: np.ndarray, first: int, drawn: Drawn) -> Share:
    return count_part(Part("held", first, len(rows), held=rows), Searcher(residual()), drawn.within(first, len(rows))).share


def same(one: Share, other: Share) -> None:
    assert (one.rows, one.n, one.dropped) == (other.rows, other.n, other.dropped)
    np.testing.assert_array_equal(one.left_out, other.left_out)
    for a, b in zip(one.counts, other.counts, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(one.residuals, other.residuals)
    if one.n:
        np.testing.assert_allclose(one.moments.mean, other.moments.mean, rtol=1e-9)
        np.testing.assert_allclose(one.moments.variance, other.moments.variance, rtol=1e-9, atol=1e-12)
    if one.kept or other.kept:
        a, b = kept_rows(one, KEEP), kept_rows(other, KEEP)
        for name in ("numbers", "rows", "codes", "distances"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 300), st.data())
def test_the_shares_of_any_parts_make_that_of_the_whole(seed: int, n: int, data: st.DataObject) -> None:
    rows = rows_with_gaps(seed, n)
    drawn = draw(n, KEEP, np.random.default_rng(seed))
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=6)))
    shares = [share_of(rows[a:b], a, drawn) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    whole = share_of(rows, 0, drawn)
    same(reduce(join, shares), whole)
    same(reduce(lambda later, earlier: join(earlier, later), shares[::-1]), whole)  # from the other end: it is associative
    same(join(nothing([12, 12]), whole), whole)
    same(pickle.loads(pickle.dumps(whole)), whole)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=80), st.integers(1, 9), st.lists(st.integers(0, 20), max_size=8))
def test_batches_counted_by_run_are_those_of_the_stream(codes: list[int], batch: int, lengths: list[int]) -> None:
    whole, runs = BatchMeans(5, batch), BatchMeans(5, batch)
    whole.feed(np.array(codes, np.int64))
    left = np.array(codes, np.uint8)
    for length in [*lengths, len(codes)]:
        runs.extend(batch_run(left[:length], batch, runs.missing))
        left = left[length:]
    assert runs.count == whole.count
    assert runs.metrics() == pytest.approx(whole.metrics())
    assert runs.metrics()["usage.batch_used"] == whole.metrics()["usage.batch_used"]  # whole numbers: no rounding


def files(tmp_path: Path, rows: np.ndarray) -> dict[str, Path]:
    """The same rows in every form that is cut differently."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np.save(tmp_path / "one.npy", rows)
    np.savez(tmp_path / "array.npz", features=rows)
    np.save(tmp_path / "turned.npy", np.asfortranarray(rows))
    np.save(tmp_path / "frames.npy", rows.reshape(-1, 10, WIDTH))
    table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), WIDTH)})
    pq.write_table(table, tmp_path / "groups.parquet", row_group_size=170)
    for folder, steps in (("shards", 3), ("crumbs", 40)):
        (tmp_path / folder).mkdir()
        for i, shard in enumerate(np.array_split(rows, steps)):
            np.save(tmp_path / folder / f"{i}.npy", shard)
    return {path.name: path for path in tmp_path.iterdir()}


def opened(path: Path) -> FiniteRows:
    from vqdoctor.checkpoint import open_source

    return open_rows(path, open_source=open_source)


def count_elsewhere(part: Part, drawn: Drawn) -> tuple[Share, np.ndarray]:
    from vqdoctor.checkpoint import open_source

    found = count_part(part, Searcher(residual()), drawn, open_source=open_source)
    return found.share, found.codes


def test_parts_of_files_are_read_by_whoever_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_with_gaps(3, 1000)
    drawn = draw(len(rows), KEEP, np.random.default_rng(0))
    whole = share_of(rows, 0, drawn)
    found = files(tmp_path, rows)
    monkeypatch.chdir(tmp_path)  # who counts stands elsewhere
    work = {name: [*opened(Path(name)).parts(200)] for name in found}
    assert {name: len(each) for name, each in work.items()} == {
        "one.npy": 5, "array.npz": 1, "turned.npy": 5, "frames.npy": 5, "groups.parquet": 6, "shards": 6, "crumbs": 5,
    }  # fmt: skip
    with ProcessPoolExecutor(2, initializer=partial(os.chdir, "/")) as pool:
        for name, each in work.items():
            assert all(len(pickle.dumps(part)) < 3000 for part in each), name  # a description, not the rows
            pieces = [drawn.within(part.first, part.rows) for part in each]
            same(reduce(join, (share for share, _ in pool.map(count_elsewhere, each, pieces))), whole)


def test_the_local_tally_does_not_depend_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_with_gaps(5, 1000)
    monkeypatch.setattr(parts, "PART_ROWS", 170)
    tallies = [
        measure_rows(opened(path), residual(), rng=np.random.default_rng(0), batch=64, keep=KEEP)
        for path in files(tmp_path, rows).values()
    ]
    for tally in tallies[1:]:
        assert (tally.n, tally.dropped_rows, tally.groups) == (tallies[0].n, tallies[0].dropped_rows, tallies[0].groups)
        assert (tally.distinct_rows, tally.levels[0].batches.count) == (tallies[0].distinct_rows, tallies[0].n // 64)
        assert [level.counts.tolist() for level in tally.levels] == [level.counts.tolist() for level in tallies[0].levels]
        np.testing.assert_array_equal(tally.kept.numbers, tallies[0].kept.numbers)
        np.testing.assert_array_equal(tally.ids.items, tallies[0].ids.items)


def test_bad_rows_do_not_cost_kept_ones() -> None:
    rows = rows_with_gaps(1, 3000)
    drawn = draw(3000, KEEP, np.random.default_rng(0))
    kept = kept_rows(share_of(rows, 0, drawn), KEEP)
    assert len(kept.numbers) == KEEP and (np.diff(kept.numbers) > 0).all()
    np.testing.assert_array_equal(rows[kept.numbers], kept.rows)


def test_kept_rows_are_a_uniform_sample() -> None:
    """Each of 50 rows is kept as often as every other, whatever part it is in."""
    rng, hits = np.random.default_rng(0), np.zeros(50)
    for _ in range(2000):
        drawn = draw(50, 10, rng)
        hits[drawn.numbers[np.argsort(drawn.ranks)[:10]]] += 1
    assert abs(hits - 400).max() < 5 * np.sqrt(400 * 0.8)


def test_many_bad_rows_in_a_part_leave_the_numbers_of_the_others_right(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_with_gaps(2, 400)
    monkeypatch.setattr("vqdoctor.engines.share.MOST_LISTED", 5)
    tally = measure_rows(held(rows), residual(), rng=np.random.default_rng(0))
    assert len(tally.dropped_rows) == 5 < tally.dropped
    assert all(not group.rows for group in tally.groups)  # who they are is not known any more
    np.testing.assert_array_equal(rows[tally.kept.numbers], tally.kept.rows)


def test_a_file_that_is_not_what_it_was_is_one_clear_error(tmp_path: Path) -> None:
    rows = np.zeros((300, WIDTH), np.float32)
    np.save(tmp_path / "f.npy", rows)
    work = [pickle.loads(pickle.dumps(part)) for part in open_rows(tmp_path / "f.npy").parts(100)]
    nothing = Drawn(np.zeros(0, np.int64), np.zeros(0, np.int64))
    np.save(tmp_path / "f.npy", rows[:250])
    with pytest.raises(CorruptInput, match=r"f\.npy: holds other rows than when it was first opened"):
        count_part(work[2], Searcher(residual()), nothing)
    np.save(tmp_path / "f.npy", rows[:, :3])
    with pytest.raises(SampleError, match=r"f\.npy: has rows of 3 columns, the quantiser takes 5"):
        count_part(work[0], Searcher(residual()), nothing)
    (tmp_path / "f.npy").unlink()
    with pytest.raises(MissingInput, match=r"f\.npy: no such file"):
        count_part(work[0], Searcher(residual()), nothing)


def test_parts_grow_with_the_sample_so_that_there_are_never_too_many() -> None:
    assert parts.part_rows(10) == parts.part_rows(None) == parts.PART_ROWS
    assert -(-(10**10) // parts.part_rows(10**10)) <= parts.MOST_PARTS
