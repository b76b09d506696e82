"""IDs read by columns: what reading entry by entry says, of files that are right and of files that are wrong."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vqdoctor.errors import CorruptInput, InputError, SampleError
from vqdoctor.samples import id_cells, id_files, read_ids
from vqdoctor.samples.id_files import csv_items, parquet_items
from vqdoctor.samples.parquet import batches, open_table
from vqdoctor.samples.semantic_ids import _table
from vqdoctor.samples.tokens import Items, TokenTable, table_of

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as parquet  # noqa: E402 (only where pyarrow is)

Outcome = tuple[Any, ...]
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(read: Callable[[], TokenTable]) -> Outcome:
    """All that is told of a file."""
    try:
        table = read()
    except (InputError, SampleError) as error:
        return type(error), str(error)
    rows = table.read(0, table.n).tolist()
    return rows, table.width, table.shortest, table.letters, table.dialect, None if table.names is None else list(table.names)


def agree(items: Callable[[Path], Items], path: Path) -> Outcome:
    """What both ways of reading say."""
    by_columns = outcome(lambda: _table(path, lambda n: None))
    by_entries = outcome(lambda: table_of(replace(items(path), blocks=None)))
    assert by_columns == by_entries
    return by_columns


def blocks_of(items: Items) -> list[str]:
    """Kinds of the blocks that a file is read in."""
    return sorted({type(block).__name__ for block in items.blocks or ()})


# delimited text

FRAMES = ["{}", "<a_{}>", "{}.0", " {}", "[b-{}]", "c_{}", "d{}", "<level26_{}>", "{} ", "<|s_{}|>", "é{}", "{}x"]
PIECES = [
    *',;\t"\n\r\0 ',
    "\r\n",
    "\n\n",
    ",,",
    "-",
    "x",
    "1",
    "0000000000",
    ".0",
    '"a"',
    "é",
    "\ufeff",
    "\u2028",
    "nan",
    "5,5,5\n",
]


@st.composite
def delimited(draw: st.DrawFn) -> str:
    """A table like those that people write, with a few characters changed."""
    levels, rows = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    frames = [draw(st.sampled_from(FRAMES[:4] * 2 + FRAMES)) for _ in range(levels)]
    code = st.integers(0, 12) | st.integers(0, 10**10)
    lines = [[frame.format(draw(code)) for frame in frames] for _ in range(rows)]
    if draw(st.booleans()):
        for line in lines[draw(st.integers(0, rows)) :]:
            line[-1] = draw(st.sampled_from([line[-1], ""]))
    header = [f"c{level}" for level in range(levels)]
    if draw(st.booleans()):
        header = ["item_id", *header]
        lines = [
            [draw(st.sampled_from(["B", "é", "", "7", 'a "b"', "c, d", "\n", '"'])) + str(at), *line]
            for at, line in enumerate(lines)
        ]
    lines = [header, *lines] if draw(st.booleans()) else lines
    delimiter, ending = draw(st.sampled_from(",,,;\t")), draw(st.sampled_from(["\n", "\n", "\r\n"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(lines)
    text = written.getvalue().removesuffix(draw(st.sampled_from([ending, ""])))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 1)) :]
    return text


@quick
@given(delimited(), st.sampled_from([12, 40, 1 << 18]), st.sampled_from([b"", b"\xff", b"\xef\xbb\xbf"]))
@example("c0,c1\n1,2\n12345678901,2\n", 12, b"")
@example('"",""\nc5,c7\n0,1\n', 1 << 18, b"")  # an empty line is none
@example("c0,c1\n1,a1234567890\n2,a15\n", 1 << 18, b"")  # nine digits are a number, what stands before them is its mark
def test_tables_of_text_are_read_alike(tmp_path: Path, text: str, stretch: int, odd: bytes) -> None:
    written = text.encode()
    (tmp_path / "t.csv").write_bytes(written + odd if odd == b"\xff" else odd + written)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(id_cells, "STRETCH", stretch)
        agree(csv_items, tmp_path / "t.csv")


@pytest.mark.parametrize(
    "line",
    [
        "{0},{1},{2}",
        "B{0},{0},{1},{2}",
        "{0},{1},{2}\r",
        "é,<a_{0}>,<b_{1}>,<c_{2}>",
        "{0};{1};{2}",
        "x\t{0}\t{1}\t",
        "q, {0}, {1}",
    ],
)
def test_lines_that_are_alike_are_read_by_columns(tmp_path: Path, line: str, monkeypatch) -> None:
    monkeypatch.setattr(id_cells, "STRETCH", 64)
    (tmp_path / "t.csv").write_text("".join(line.format(row % 3, row % 7, row % 5) + "\n" for row in range(100)), newline="")
    assert blocks_of(csv_items(tmp_path / "t.csv")) == ["Grid"]
    assert len(agree(csv_items, tmp_path / "t.csv")[0]) == 100


def test_a_last_column_with_gaps_is_read_by_columns(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(id_cells, "STRETCH", 64)
    lines = "".join(f"B{row},{row // 2},{f'{row % 2}.0' if row % 20 < 10 else ''}\n" for row in range(100))
    (tmp_path / "t.csv").write_text("item_id,c0,c1\n" + lines)
    assert blocks_of(csv_items(tmp_path / "t.csv")) == ["Grid"]
    assert agree(csv_items, tmp_path / "t.csv")[1:3] == (2, 1)


@pytest.mark.parametrize("last", ['"1",2,3', "1,2", "1,2,3,4", " 1,2,3", "1,2,3\r5,6,7", ",,", "<a_1>,2,3", "1,2,3.0"])
def test_from_a_line_unlike_the_others_on_they_are_read_one_by_one(tmp_path: Path, last: str, monkeypatch) -> None:
    monkeypatch.setattr(id_cells, "STRETCH", 64)
    (tmp_path / "t.csv").write_text("".join(f"{row % 3},{row % 7},{row % 5}\n" for row in range(100)) + last + "\n", newline="")
    assert blocks_of(csv_items(tmp_path / "t.csv")) == ["Grid", "list"]
    agree(csv_items, tmp_path / "t.csv")


def test_the_first_bad_line_is_named(tmp_path: Path) -> None:
    rows = [f"B{row},{row % 7},{row % 5}" for row in range(50_000)]
    rows[40_000] = "B40000,3,x"
    (tmp_path / "t.csv").write_text("item_id,c0,c1\n" + "\n".join(rows))
    with pytest.raises(SampleError, match="line 40002 has no ID but"):
        read_ids(tmp_path / "t.csv")


# parquet

numbers = st.integers(0, 300) | st.sampled_from([-1, 10**9, 10**9 - 1])
wholes = numbers.map(float) | st.sampled_from([0.5, float("nan"), float("inf"), -0.0, 1e300])
strings = st.builds(str.format, st.sampled_from(["<a_{}>", "{}", "b_{}", "x", "<dedup_{}>"]), numbers)
LEAVES = [(pa.int16(), numbers), (pa.uint64(), numbers), (pa.int64(), numbers), (pa.float32(), wholes), (pa.float64(), wholes)]
OTHERS = [(pa.string(), strings), (pa.large_string(), strings), (pa.bool_(), st.booleans()), (pa.float16(), wholes)]


def fitting(values: st.SearchStrategy, kind: pa.DataType) -> st.SearchStrategy:
    """Values that this type holds."""

    def fits(value: Any) -> bool:
        try:
            pa.array([value], kind)
        except (pa.ArrowInvalid, OverflowError):
            return False
        return True

    return values.filter(fits)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """One column of lists, or one a level, mostly of small numbers, with gaps and odd values here and there."""
    rows, levels = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    odd = draw(st.booleans())

    def column(kind: pa.DataType, values: st.SearchStrategy) -> list[Any]:
        values = fitting(values, kind) if odd else fitting(st.integers(0, 9), kind) if values is numbers else fitting(values, kind)
        return [draw(values) for _ in range(rows)]

    columns: dict[str, pa.Array] = {}
    if draw(st.booleans()):
        kind, values = draw(st.sampled_from(LEAVES + OTHERS[: 4 if odd else 2]))
        flat = [column(kind, values) for _ in range(levels + 1)]
        lists: list[Any] = [list(row[: levels + draw(st.sampled_from([0, 0, 0, 1]))]) for row in zip(*flat, strict=True)]
        if odd and draw(st.booleans()):
            lists[draw(st.integers(0, rows - 1))] = draw(st.sampled_from([None, [], [None] * levels]))
        shape = draw(st.sampled_from([pa.list_(kind), pa.large_list(kind), pa.list_(kind, levels)]))
        lists = [None if row is None else row[:levels] for row in lists] if shape == pa.list_(kind, levels) else lists
        if shape == pa.list_(kind, levels):
            lists = [row if row is None or len(row) == levels else None for row in lists]
        columns[draw(st.sampled_from(["codes", "sid", "ints"]))] = pa.array(lists, shape)
    else:
        for level in range(levels):
            kind, values = draw(st.sampled_from(LEAVES[: 3 if level < levels - 1 and not odd else 5]))
            held = column(kind, values)
            if (odd or level == levels - 1) and draw(st.booleans()):
                held[draw(st.integers(0, rows - 1))] = None
            columns["abc"[level]] = pa.array(held, kind)
        if draw(st.booleans()):
            columns["dedup"] = pa.array(column(pa.int32(), numbers), pa.int32())
    if draw(st.booleans()):
        columns["item_id"] = pa.array(draw(st.sampled_from([[f"B{row}" for row in range(rows)], [None, *range(rows - 1)]])))
    return pa.table(columns)


@quick
@given(tables(), st.sampled_from([3, 1 << 14]), st.sampled_from([2, 1 << 20]))
def test_parquet_is_read_alike(tmp_path: Path, table: pa.Table, rows: int, group: int) -> None:
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(id_files, "ROWS", rows)
        agree(parquet_items, tmp_path / "t.parquet")


ROWS = [[row % 3, row % 7, row % 5] for row in range(100)]
TOKENS = [[f"<{mark}_{code}>" for mark, code in zip("abc", row, strict=True)] for row in ROWS]
PLAIN = {
    "ints": {"codes": pa.array(ROWS)},
    "fixed": {"codes": pa.array(ROWS, pa.list_(pa.uint8(), 3))},
    "floats": {"codes": pa.array(ROWS, pa.large_list(pa.float32()))},
    "tokens": {"codes": pa.array(TOKENS)},
    "uneven": {"codes": pa.array([row[: 3 - at % 2] for at, row in enumerate(ROWS)])},
    "levels": {name: pa.array(column) for name, column in zip("abc", zip(*ROWS, strict=True), strict=True)},
    "dedup": {"a": pa.array(range(100)), "b": pa.array(range(100)), "dedup": pa.array([0] * 100)},
    "gaps": {"c0": pa.array(range(100)), "c1": pa.array([None if row % 2 else float(row) for row in range(100)])},
    "nan": {"c0": pa.array(range(100)), "c1": pa.array([float("nan") if row % 2 else float(row) for row in range(100)])},
}


@pytest.mark.parametrize("name", PLAIN)
def test_tables_of_plain_columns_are_read_by_columns(tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.setattr(id_files, "ROWS", 30)
    parquet.write_table(pa.table(PLAIN[name]), tmp_path / "t.parquet")
    assert blocks_of(parquet_items(tmp_path / "t.parquet")) == ["IdBatch"]
    assert len(agree(parquet_items, tmp_path / "t.parquet")[0]) == 100


@pytest.mark.parametrize("odd", [[None, 1, 2], None, [], [1, 2, 3, 4, 5], [1, 2, -3]])
def test_a_batch_that_is_not_plain_is_read_or_refused_row_by_row(tmp_path: Path, odd: Any, monkeypatch) -> None:
    monkeypatch.setattr(id_files, "ROWS", 30)
    parquet.write_table(pa.table({"codes": pa.array([*ROWS, odd])}), tmp_path / "t.parquet")
    kind, words = agree(parquet_items, tmp_path / "t.parquet")
    assert kind is SampleError and ("line 101" in words or "item 100" in words or "has 5" in words)


def test_no_other_library_is_loaded_for_it(tmp_path: Path) -> None:
    import subprocess

    np.savetxt(tmp_path / "t.csv", np.array(ROWS), "%d", ",")
    parquet.write_table(pa.table(PLAIN["levels"]), tmp_path / "t.parquet")
    for name, unwanted in (("t.csv", "pyarrow"), ("t.parquet", "pandas")):
        code = f"import sys; from vqdoctor.samples import read_ids; read_ids({name!r}); sys.exit({unwanted!r} in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("column", ["item_id", "codes"])
def test_text_that_is_none_is_told(tmp_path: Path, column: str) -> None:
    buffers = [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"\xffb")]
    columns = {"a": pa.array([1, 2]), "b": pa.array([3, 4]), column: pa.Array.from_buffers(pa.string(), 2, buffers)}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(CorruptInput, match=r"cannot be decoded .*UTF8"):
        read_ids(tmp_path / "t.parquet")


def test_a_file_is_not_held_while_it_is_read(tmp_path: Path) -> None:
    """Also not as it is stored, which pyarrow would do unasked."""
    codes = np.random.default_rng(0).integers(0, 10**9, (1 << 20, 2), np.int32)
    parquet.write_table(pa.table([*codes.T], names=["a", "b"]), tmp_path / "t.parquet", row_group_size=1 << 17)
    before, held = pa.total_allocated_bytes(), []
    for batch in batches(open_table(tmp_path / "t.parquet"), "t", ["a", "b"], 1 << 14):
        held.append(pa.total_allocated_bytes() - before)
        del batch
    assert len(held) == 64 and max(held) < (tmp_path / "t.parquet").stat().st_size / 2
