"""IDs as files: written a stretch at a time, the bytes are those of writing all at once, and nothing is there before all is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.errors import UsageError
from vqdoctor.samples import id_writing, read_ids
from vqdoctor.samples.id_writing import level_marks, slices_of, write_ids

RNG = np.random.default_rng(0)


def at_once(table: np.ndarray, marks: tuple[str, ...], ending: str) -> bytes:
    """The file in the plainest way."""
    if ending == ".index.json":
        lines = [f'"{row}": [{", ".join(f"{chr(34)}<{m}_{c}>{chr(34)}" for m, c in zip(marks, codes, strict=True))}]'
                 for row, codes in enumerate(table.tolist())]  # fmt: skip
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    file = io.BytesIO()
    if ending == ".npy":
        np.save(file, table.astype(np.int32))
    else:
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table({mark: column.astype(np.int32) for mark, column in zip(marks, table.T, strict=True)}), file)
    return file.getvalue()


@pytest.mark.parametrize("ending", [".index.json", ".npy", ".parquet"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (16, 3), (17, 3), (100, 28)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_the_bytes_are_those_of_writing_all_at_once(
    tmp_path: Path, ending: str, shape: tuple[int, int], dtype: type, monkeypatch
) -> None:
    monkeypatch.setattr(id_writing, "ROWS", 8)
    table, marks, told = RNG.integers(0, 200, shape).astype(dtype), level_marks(shape[1]), list[int]()
    write_ids(str(tmp_path / f"a{ending}"), len(table), slices_of(table), marks, seen=told.append)
    assert (tmp_path / f"a{ending}").read_bytes() == at_once(table, marks, ending)
    assert sum(told) == len(table) and [path.name for path in tmp_path.iterdir()] == [f"a{ending}"]


def test_row_groups_are_as_pyarrow_cuts_them(tmp_path: Path) -> None:
    table = RNG.integers(0, 9, (id_writing.GROUP + 5, 1), np.int32)
    write_ids(str(tmp_path / "a.parquet"), len(table), slices_of(table), ("a",))
    assert (tmp_path / "a.parquet").read_bytes() == at_once(table, ("a",), ".parquet")


@pytest.mark.parametrize("ending", [".index.json", ".npy", ".parquet"])
def test_nothing_half_written_is_ever_there(tmp_path: Path, ending: str, monkeypatch) -> None:
    monkeypatch.setattr(id_writing, "ROWS", 8)
    monkeypatch.setattr(id_writing, "GROUP", 8)
    path = tmp_path / f"a{ending}"
    path.write_text("old")
    table = RNG.integers(0, 9, (40, 2))

    def failing(size: int):
        for at, block in enumerate(slices_of(table)(size)):
            assert path.read_text() == "old"
            if at == 3:
                raise KeyboardInterrupt
            yield block

    with pytest.raises(KeyboardInterrupt):
        write_ids(str(path), len(table), failing, ("a", "b"))
    assert path.read_text() == "old" and [each.name for each in tmp_path.iterdir()] == [path.name]
    write_ids(str(path), len(table), slices_of(table), ("a", "b"))
    assert read_ids(path, suffix=False).codes.tolist() == table.tolist()


@pytest.mark.parametrize(("name", "words"), [("a.csv", "not .csv"), ("a", "not without an ending"), ("a.parquet", "needs pyarrow")])
def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str, words: str, monkeypatch) -> None:
    monkeypatch.setattr(id_writing, "find_spec", lambda name: None)
    untouched: Callable[[int], list[np.ndarray]] = sys.exit  # type: ignore[assignment]
    with pytest.raises(UsageError, match=words):
        write_ids(str(tmp_path / name), 1, untouched, ("a",))
