"""What is trained on: built-in data with known answers, and files with their bad rows left out and counted."""

import numpy as np
import pytest

from vqdoctor.errors import MissingInput, SampleError, UsageError, VqdoctorError
from vqdoctor.trainer import data
from vqdoctor.trainer.loop import train
from vqdoctor.trainer.settings import Config, DataSettings


def _load(**settings) -> data.Dataset:
    return data.load(DataSettings(**settings))


def test_bad_rows_are_left_out_counted_and_listed(tmp_path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6))
    rows[7, 2], rows[30, 0], rows[31] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "a.npz", rows=rows)
    for name in ("a.npy", "a.npz"):
        found = _load(data=str(tmp_path / name))
        assert (found.dropped, found.dropped_rows, found.rows.shape) == (3, (7, 30, 31), (47, 6))
        assert found.rows.dtype == np.float32
        assert np.isfinite(found.rows).all()


def test_parquet(tmp_path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    parquet.write_table(arrow.table({"embedding": list(rows)}), tmp_path / "a.parquet")
    np.testing.assert_array_equal(_load(data=str(tmp_path / "a.parquet")).rows, rows)


def test_the_first_rows_and_unit_length() -> None:
    found = _load(data="digits", rows=10, normalize_input=True)
    np.testing.assert_allclose(np.linalg.norm(found.rows, axis=1), 1, rtol=1e-5)
    assert len(found.rows) == 10


@pytest.mark.parametrize(("name", "shape"), [("digits", (1797, 64)), ("photographs", (8480, 192)), ("crops", (1950, 3, 32, 32))])
def test_built_in_data(name: str, shape: tuple[int, ...]) -> None:
    found = _load(data=name)
    assert found.rows.shape == shape
    assert 0 <= found.rows.min() < found.rows.max() <= 1


def test_a_patch_is_a_square_of_its_photograph() -> None:
    image = np.arange(2 * 16 * 16 * 3, dtype=np.float32)[: 16 * 16 * 3].reshape(16, 16, 3)
    patches = data._patches(image, 8, 8)
    np.testing.assert_array_equal(patches[1], image[:8, 8:])
    np.testing.assert_array_equal(patches[2], image[8:, :8])


def test_a_mixture_knows_its_answer_and_its_floor() -> None:
    found = data.mixture(centres=8, rows=8000, width=6, spread=0.3)
    assert found.answer is not None
    assert found.floor is not None
    own = np.stack([found.rows[found.answer == i].mean(0) for i in range(8)])[found.answer]
    assert float(((found.rows - own) ** 2).sum(1).mean()) == pytest.approx(found.floor, rel=0.03)
    assert np.bincount(found.answer).tolist() == [1000] * 8


def test_what_cannot_be_used_says_why(tmp_path) -> None:
    with pytest.raises(MissingInput, match="digits"):
        _load(data=str(tmp_path / "none.npy"))
    np.save(tmp_path / "nan.npy", np.full((5, 3), np.nan))
    with pytest.raises(UsageError, match="finite"):
        _load(data=str(tmp_path / "nan.npy"))
    np.save(tmp_path / "flat.npy", np.zeros(5))
    with pytest.raises(SampleError):
        _load(data=str(tmp_path / "flat.npy"))
    (tmp_path / "odd.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(VqdoctorError):
        _load(data=str(tmp_path / "odd.npy"))


def test_rows_that_differ_by_rounding_are_counted_as_alike() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert data.alike(rows) == 0
    again = np.concatenate([rows, rows[:7], rows[:3] + np.float32(1e-6)])
    assert len(again) - len(np.unique(again, axis=0)) >= 7
    assert data.alike(again) == 10
    assert data.alike(np.ones((4, 3), np.float32)) == 3


def test_what_the_data_forces_is_said(tmp_path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    np.save(tmp_path / "a.npy", np.concatenate([rows, rows[:6]]))
    config = Config().but(data=str(tmp_path / "a.npy"), epochs=1, batch_size=32, codes=(8,), code_dim=4, select="collision.rate")
    summary = train(config, out=tmp_path / "run", clock=lambda: 0.0)
    assert any(note.startswith("6 of 66 rows equal another") and "(6 of them exactly)" in note for note in summary.notes)
