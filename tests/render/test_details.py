"""The details table: one row a code in three formats, and no cell that a spreadsheet would run."""

import csv
import io
import json
from dataclasses import replace

import pytest
from nasty_reports import healthy, hostile, sick

from vqdoctor.errors import UsageError, printable
from vqdoctor.render.details import cell, code_columns, details_encoder


def detailed(report, **columns):
    levels = tuple(replace(level, facts={"details": columns}) for level in report.quantizers[0].levels)
    return replace(report, quantizers=(replace(report.quantizers[0], levels=levels),))


REPORT_PAIR = (
    detailed(hostile(), code=[0, 1, 2], count=[50, 0, 0], norm=[1.5, float("nan"), None], verdict=["live", "=1+1", "-x"]),
    detailed(healthy(), code=[0, 1], count=[7, 9], nearest=[1, 0]),
)


def test_levels_are_joined_and_missing_columns_are_undefined():
    columns = code_columns(REPORT_PAIR)
    assert list(columns) == ["path", "quantizer", "level", "code", "count", "norm", "verdict", "nearest"]
    assert {len(values) for values in columns.values()} == {3 + 3 * 2}
    assert columns["level"] == [0, 0, 0, 0, 0, 1, 1, 2, 2]
    assert columns["norm"][:4] == [1.5, None, None, None]
    assert columns["nearest"][:4] == [None, None, None, 1]


def test_csv_disarms_formulas_and_leaves_numbers_bare():
    data = details_encoder("out.CSV")(code_columns(REPORT_PAIR)).decode()
    rows = list(csv.DictReader(io.StringIO(data)))
    assert len(rows) == 9
    assert [row["verdict"] for row in rows[:3]] == ["live", "'=1+1", "'-x"]
    assert rows[0]["norm"] == "1.5" and rows[1]["norm"] == ""
    assert data.endswith("\r\n")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\0x"])
def test_every_formula_start_is_disarmed(text):
    assert cell(text) == "'" + printable(text)
    assert cell(-1.5) == -1.5 and cell(None) == "" and cell("a=b") == "a=b"


def test_json_is_rows_and_parquet_reads_back():
    columns = code_columns(REPORT_PAIR)
    rows = json.loads(details_encoder("a.json")(columns))
    assert rows[0]["count"] == 50 and rows[1]["norm"] is None and rows[0]["quantizer"] == hostile().quantizers[0].name
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(details_encoder("a.parquet")(columns)))
    assert table.column("count").to_pylist() == columns["count"]


def test_other_suffixes_are_refused_and_nothing_to_tell_is_an_empty_table():
    with pytest.raises(UsageError, match="csv"):
        details_encoder("details.xlsx")
    assert details_encoder("a.csv")(code_columns([sick()])) == b"path,quantizer,level\r\n"


def test_a_cell_of_a_csv_drives_no_terminal():
    assert cell("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
