"""Feature readers: the same rows however they are stored and blocked, and a clear sentence for what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vqdoctor.errors import CorruptInput, InputError, MissingInput, SampleError, UnsupportedInput
from vqdoctor.model import TensorSpec
from vqdoctor.samples import open_rows

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class ArraySource:
    """An opened container, as `checkpoint` would hand it over."""

    arrays: Mapping[str, np.ndarray]
    path: str = "latents.pt"
    kind: str = "torch-zip"
    bytes: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)
    tree: Any = None
    warnings: tuple[str, ...] = ()

    @property
    def specs(self) -> dict[str, TensorSpec]:
        return {
            name: TensorSpec(name, name, "", array.shape, str(array.dtype), name, 0, tuple(array.strides))
            for name, array in self.arrays.items()
        }

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        return self.arrays[name][start:stop]

    def close(self) -> None:
        """Nothing to give back."""


def saved(folder: Path, array: np.ndarray, name: str = "f.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def all_rows(path: Path, size: int = 7, **options: Any) -> np.ndarray:
    rows = open_rows(path, **options)
    blocks = list(rows.blocks(size))
    assert all(0 < len(block) <= size and block.dtype == np.float32 for block in blocks)
    return np.concatenate(blocks) if blocks else np.empty((0, rows.width), np.float32)


@FEW
@given(
    n=st.integers(1, 40),
    width=st.integers(1, 6),
    size=st.integers(1, 50),
    kind=st.sampled_from(["f2", "f4", ">f4", "f8", "i4", "u1"]),
)
def test_the_same_rows_however_blocked_and_stored(tmp_path: Path, n: int, width: int, size: int, kind: str) -> None:
    array = np.random.default_rng(n).integers(0, 99, (n, width)).astype(kind)
    for order in "CF":
        path = saved(tmp_path, np.asarray(array, order=order))
        np.testing.assert_array_equal(all_rows(path, size), array.astype(np.float32))
    table = pyarrow.table({"id": list(range(n)), "emb": [row.tolist() for row in array.astype("f4").astype("f8")]})
    parquet.write_table(table, tmp_path / "f.parquet", row_group_size=5)
    np.testing.assert_array_equal(all_rows(tmp_path / "f.parquet", size), array.astype(np.float32))
    wide = pyarrow.table({f"d{column}": array[:, column].astype("f8") for column in range(width)})
    parquet.write_table(wide, tmp_path / "w.parquet")
    np.testing.assert_array_equal(all_rows(tmp_path / "w.parquet", size), array.astype(np.float32))


@FEW
@given(cuts=st.lists(st.integers(0, 30), max_size=3), size=st.integers(1, 9), seed=st.integers(0, 99))
def test_shards_and_bad_rows_are_counted_the_same_way(tmp_path_factory: Any, cuts: list[int], size: int, seed: int) -> None:
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(seed)
    array = rng.standard_normal((31, 3))
    bad = np.flatnonzero(rng.random(31) < 0.2)
    array[bad, rng.integers(0, 3, len(bad))] = rng.choice([np.nan, np.inf, 1e300], len(bad))
    parts = [part for part in np.split(array, sorted(cuts)) if len(part)]
    for number, part in enumerate(parts):
        saved(folder, part, f"shard_{number + 8}.npy")  # 8, 9, 10, 11: not the order of their letters
    rows = open_rows(folder)
    found = np.concatenate([np.empty((0, 3), np.float32), *rows.blocks(size)])
    np.testing.assert_array_equal(found, np.delete(array, bad, 0).astype(np.float32))
    assert (rows.n, rows.dropped, rows.dropped_rows) == (31, len(bad), bad.tolist())
    list(rows.blocks(5))
    assert rows.dropped == len(bad)  # a second pass counts afresh


def test_sequences_become_rows(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    np.testing.assert_array_equal(all_rows(saved(tmp_path, array), 4), array.reshape(6, 4).astype(np.float32))


def test_containers_are_opened_by_the_callers_reader(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    source = ArraySource({"labels": np.arange(3), "z": array})
    np.testing.assert_array_equal(all_rows(tmp_path / "x.pt", open_source=lambda path: source), array)
    several = ArraySource({"a": array, "b": array + 1})
    np.testing.assert_array_equal(all_rows(tmp_path / "x.pt", open_source=lambda path: several, name="b"), array + 1)
    with pytest.raises(SampleError, match=r"several of its arrays fit: a \(3, 2\) float32; b"):
        open_rows(tmp_path / "x.pt", open_source=lambda path: several)
    with pytest.raises(SampleError, match="no such array"):
        open_rows(tmp_path / "x.pt", open_source=lambda path: several, name="c")
    with pytest.raises(SampleError, match="none of its arrays fits"):
        open_rows(tmp_path / "x.pt", open_source=lambda path: ArraySource({"n": np.arange(3)}))


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(5), SampleError, "features are rows"),
        (np.zeros((2, 3, 4, 5)), SampleError, "which axis is the feature is not clear"),
        (np.zeros((0, 3)), SampleError, "holds no rows"),
        (np.zeros((3, 0)), SampleError, "holds no rows"),
        (np.zeros((2, 2), complex), UnsupportedInput, "real numbers"),
        (np.zeros((2, 2), bool), UnsupportedInput, "real numbers"),
        (np.array([["a", "b"]]), UnsupportedInput, "not numbers"),
        (np.array([[{}]], dtype=object), UnsupportedInput, "pickled Python objects"),
        (np.zeros((2, 2), "V2"), UnsupportedInput, "bfloat16"),
    ],
)
def test_what_is_no_table_of_features_is_named(tmp_path: Path, array: np.ndarray, error: type[Exception], words: str) -> None:
    np.save(tmp_path / "f.npy", array, allow_pickle=True)
    with pytest.raises(error, match=words) as caught:
        open_rows(tmp_path / "f.npy")
    assert "f.npy" in str(caught.value)


def test_broken_files_are_said_to_be(tmp_path: Path) -> None:
    path = saved(tmp_path, np.zeros((100, 8), np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(CorruptInput, match="cut off: its header promises 3200 bytes of values, 3199 are there"):
        open_rows(path)
    for junk in (b"", b"\x93NUMPY", whole[:40], b"version https://git-lfs.github.com/spec/v1\n", b"\x93NUMPY\x09\x00" + whole[8:]):
        path.write_bytes(junk)
        with pytest.raises(CorruptInput, match=r"\.npy"):
            open_rows(path)
    huge = whole.replace(b"(100, 8)", b"(10000000000000000000, 8)").replace(b" " * 18 + b"\n", b"\n")
    path.write_bytes(huge)
    with pytest.raises(CorruptInput):
        open_rows(path)
    (tmp_path / "f.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(CorruptInput, match="not a readable parquet"):
        open_rows(tmp_path / "f.parquet")
    with pytest.raises(MissingInput, match="no such file"):
        open_rows(tmp_path / "none.npy")
    with pytest.raises(SampleError, match="no feature files"):
        (tmp_path / "empty").mkdir()
        open_rows(tmp_path / "empty")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_a_file_escapes_as_another_error(tmp_path: Path, data: st.DataObject) -> None:
    path = saved(tmp_path, np.zeros((4, 3), np.float32))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    try:
        list(open_rows(path).blocks(2))
    except (InputError, SampleError) as error:
        assert "\n" not in str(error)


def test_shards_of_two_widths_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, np.zeros((2, 3)), "a.npy")
    saved(tmp_path, np.zeros((2, 4)), "b.npy")
    with pytest.raises(SampleError, match=r"b\.npy: has 4 columns, a\.npy has 3"):
        open_rows(tmp_path)


def test_ragged_lists_and_missing_ones(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    parquet.write_table(pyarrow.table({"x": [[1.0, 2.0], None, [3.0, None], [4.0, 5.0]]}), path)
    rows = open_rows(path)
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks(2))), [[1, 2], [4, 5]])
    assert rows.dropped_rows == [1, 2]
    parquet.write_table(pyarrow.table({"x": [[1.0, 2.0], [1.0], [3.0, 1.0]]}), path)
    with pytest.raises(SampleError, match="row 1 has 1 values, the rows before it 2"):
        list(open_rows(path).blocks(2))
    parquet.write_table(pyarrow.table({"x": ["a"], "n": [1]}), path)
    with pytest.raises(SampleError, match="no column holds features"):
        open_rows(path)
    parquet.write_table(pyarrow.table({"a": [[1.0]], "b": [[1.0]]}), path)
    with pytest.raises(SampleError, match="several columns hold lists"):
        open_rows(path)
    assert open_rows(path, name="b").width == 1


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnsupportedInput, match=r"pip install 'vqdoctor\[tables\]'"):
        open_rows(tmp_path / "f.parquet")


def test_a_url_is_told_from_a_missing_file():
    with pytest.raises(MissingInput, match="Behind URLs only checkpoints, features and codes are opened"):
        open_rows("s3://bucket/latents.npy")
