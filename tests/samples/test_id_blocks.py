"""Semantic IDs read in blocks: the same decisions, values and messages wherever a block ends."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vqdoctor.engines import distinct_ids
from vqdoctor.errors import SampleError, UsageError
from vqdoctor.samples import dedup, id_cells, id_files, names, read_ids, tokens
from vqdoctor.samples.names import Names
from vqdoctor.samples.spool import Spool


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(dedup, "BLOCK", 3)
    monkeypatch.setattr(tokens, "_CHUNK", 3)
    monkeypatch.setattr(tokens, "_HELD_BYTES", 50)
    monkeypatch.setattr(id_cells, "STRETCH", 12)
    monkeypatch.setattr(id_files, "ROWS", 3)
    monkeypatch.setattr(names, "_STRIDE", 3)
    monkeypatch.setattr(names, "_HELD_BYTES", 20)


def numbers_groups(table: list[list[int]]) -> bool:
    """The contract's words, item by item."""
    groups = defaultdict(list)
    for *prefix, last in table:
        groups[tuple(prefix)].append(last)
    constant = len({last for *_, last in table}) == 1
    return not constant and any(all(sorted(g) == list(range(b, b + len(g))) for g in groups.values()) for b in (0, 1))


def numbered(prefixes: list[list[int]], first: int) -> list[list[int]]:
    """`prefixes` with the last token that a writer would add."""
    seen: dict[tuple[int, ...], int] = defaultdict(lambda: first)
    table = []
    for prefix in prefixes:
        table.append([*prefix, seen[tuple(prefix)]])
        seen[tuple(prefix)] += 1
    return table


pairs = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs, st.sampled_from([None, 0, 1]), st.randoms(), st.booleans())
@example([[0, 2], [0, 3]], None, Random(0), False)  # numbered, but neither from 0 nor from 1
def test_the_suffix_is_what_the_contract_says(tmp_path: Path, rows, first, random, on_disk) -> None:
    table = rows if first is None else numbered(rows, first)
    random.shuffle(table)
    np.save(tmp_path / "x.npy", np.array(table))
    ids = read_ids(tmp_path / "x.npy", **({"distinct": distinct_ids} if on_disk else {}))
    assert (ids.suffix is not None) == numbers_groups(table)
    whole = np.array(table)[:, : ids.levels]
    assert np.array_equal(ids.codes, whole - ids.base)
    assert ids.highest == tuple(ids.codes.max(axis=0).tolist())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs, st.randoms())
def test_an_extra_token_on_those_that_share(tmp_path: Path, rows, random) -> None:
    """Only colliding items have it, or the item that has it without need is named."""
    often = [rows.count(row) for row in rows]
    table = [[*row, at] if many > 1 else row for at, (row, many) in enumerate(zip(rows, often, strict=True))]
    (tmp_path / "x.json").write_text(json.dumps({f"i{at}": row for at, row in enumerate(table)}))
    ids = read_ids(tmp_path / "x.json", distinct=distinct_ids)
    assert ids.codes.shape == (len(rows), 2) or not ids.ragged
    alone = [at for at, many in enumerate(often) if many == 1]
    if alone and max(often) > 1 and len(alone) > 1:
        table[alone[0]] = [*table[alone[0]], 0]
        (tmp_path / "x.json").write_text(json.dumps({f"i{at}": row for at, row in enumerate(table)}))
        with pytest.raises(SampleError, match=f"item i{alone[0]} has the extra token though"):
            read_ids(tmp_path / "x.json", distinct=distinct_ids)


@given(st.lists(st.text(max_size=5), max_size=20))
def test_names_come_back(given) -> None:
    kept = Names()
    for at, name in enumerate(given):
        kept.append(name)
        assert kept[at] == name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert [kept[at] for at in range(len(kept))] == list(kept)


def test_a_full_disk_is_told(monkeypatch) -> None:
    kept = Spool(np.dtype(np.int32))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept._file, "write", full)
    with pytest.raises(UsageError, match=r"No space left on device\. .*TMPDIR"):
        kept.append(np.arange(3))


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=9), st.integers(1, 30))
def test_what_is_set_aside_comes_back(parts, held) -> None:
    kept = Spool(np.dtype(np.uint16), held)
    for part in parts:
        kept.append(np.array(part, np.uint16))
        kept.read(0, 1)
    flat = [value for part in parts for value in part]
    assert (len(kept), [int(value) for block in kept.blocks() for value in block]) == (len(flat), flat)
    assert kept.read(1, 3).tolist() == flat[1:3]


def test_names_are_forgotten_where_there_are_too_many(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x.csv").write_text("item,c0,c1\n" + "".join(f"B{row},{row % 7},{row % 3}\n" for row in range(30)))
    assert read_ids(tmp_path / "x.csv").name(29) == "B29"
    monkeypatch.setattr(names, "MOST_NAMED", 10)
    assert read_ids(tmp_path / "x.csv").name(29) == "29"
    (tmp_path / "x.csv").write_text((tmp_path / "x.csv").read_text() + "Bx,1,nothing\n")
    with pytest.raises(SampleError, match="line 32"):
        read_ids(tmp_path / "x.csv")


def test_a_length_or_a_mark_that_changes_late_is_named(tmp_path: Path) -> None:
    rows = [["<a_1>", "<b_2>"]] * 10
    for last, words in (
        (["<a_1>", "<b_2>", "<c_1>", "<d_1>"], "item 0 has 2 tokens, item 10 has 4"),
        ([], "item 10 has an empty ID"),
        (["<a_1>", "<c_2>"], 'item 10 has a "c" token in place 2, item 0 a "b" one'),
    ):
        (tmp_path / "x.json").write_text(json.dumps([*rows, last]))
        with pytest.raises(SampleError, match=words):
            read_ids(tmp_path / "x.json")


def test_how_far_reading_is_gets_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("".join(f"{row % 7},{row % 3}\n" for row in range(10)))
    told: list[int] = []
    assert read_ids(tmp_path / "x.csv", seen=told.append).n == 10
    assert (sum(told), max(told)) == (20, 3)
