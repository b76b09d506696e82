"""Counting on disk: the same numbers as in memory, whatever the budget, and again after an interruption."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import IdTable, pieces
from vqdoctor.engines import spill as spill_module
from vqdoctor.engines.spill import SpillingIds
from vqdoctor.errors import UsageError

SIZES = [(256, 256, 256, 256), (4, 5), (1 << 16,) * 4, (300,) * 9]


def codes_of(sizes, n, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, n) for size in sizes], axis=1).astype(np.int32)
    codes[n // 2 :] = codes[rng.integers(0, max(1, n // 2), n - n // 2)]
    return codes


def fed(table, codes, step):
    for start in range(0, len(codes), step):
        table.add(codes[start : start + step])
    return table


@pytest.mark.parametrize("sizes", SIZES)
@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 9000), step=st.integers(1, 4000), budget=st.sampled_from([1, 20_000, 100_000, 1 << 30]))
def test_the_same_numbers_as_in_memory(sizes, n, step, budget):
    codes = codes_of(sizes, n)
    expected = fed(IdTable(sizes), codes, step).finish()
    found = fed(SpillingIds(sizes, budget_bytes=budget), codes, step).finish()
    assert np.array_equal(found.keys, expected.keys)
    assert np.array_equal(found.items, expected.items) and found.items.dtype == np.int64
    assert [(group.id, group.items) for group in found.largest()] == [(group.id, group.items) for group in expected.largest()]
    assert found.n == n


def test_goes_on_where_it_was_interrupted(tmp_path):
    codes, sizes = codes_of((1000, 1000), 20_000), (1000, 1000)
    folder = str(tmp_path / "spill")
    first = fed(SpillingIds(sizes, folder=folder, budget_bytes=1, source="a"), codes[:11_111], 700)
    del first
    with open(tmp_path / "spill" / "000.keys", "ab") as file:
        file.write(b"what was being written when the power went")
    again = SpillingIds(sizes, folder=folder, budget_bytes=1, source="a")
    assert 0 < again.resumed <= 11_111
    found, expected = fed(again, codes, 900).finish(), fed(IdTable(sizes), codes, 900).finish()
    assert np.array_equal(found.keys, expected.keys) and np.array_equal(found.items, expected.items)
    assert not (tmp_path / "spill").exists()


def test_goes_on_merging_where_it_was_interrupted(tmp_path, monkeypatch):
    codes, sizes = codes_of((1000, 1000), 20_000), (1000, 1000)
    folder = str(tmp_path / "spill")
    first = fed(SpillingIds(sizes, folder=folder, budget_bytes=1, source="a"), codes, 700)
    merged, done = pieces.Pieces.merged, []

    def killed(self, piece, most):
        if piece == 100:
            (self.folder / "keys").open("ab").write(b"what was being written when the power went")
            raise KeyboardInterrupt
        return merged(self, piece, most)

    monkeypatch.setattr(pieces.Pieces, "merged", killed)
    with pytest.raises(KeyboardInterrupt):
        first.finish()
    monkeypatch.setattr(pieces.Pieces, "merged", merged)
    again = SpillingIds(sizes, folder=folder, budget_bytes=1, source="a")
    assert again.resumed == 20_000
    found, expected = fed(again, codes, 900).finish(done.append, done.append), fed(IdTable(sizes), codes, 900).finish()
    assert np.array_equal(found.keys, expected.keys) and np.array_equal(found.items, expected.items)
    assert done[0] == sum(done[1:]) == 20_000 and done[1] > 1000  # to merge; merged before; merged now
    assert not (tmp_path / "spill").exists()


def test_nothing_is_added_to_what_was_being_merged(tmp_path, monkeypatch):
    folder, codes = str(tmp_path / "spill"), codes_of((1000, 1000), 9000)
    first = fed(SpillingIds((1000, 1000), folder=folder, budget_bytes=1, source="a"), codes, 700)
    monkeypatch.setattr(pieces.Pieces, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        first.finish()
    again = fed(SpillingIds((1000, 1000), folder=folder, budget_bytes=1, source="a"), codes, 700)
    with pytest.raises(UsageError, match="another file"):
        again.add(codes[:1])


@pytest.mark.parametrize("sizes", [(256,) * 4, (1 << 16,) * 4])
def test_memory_stays_within_the_budget_however_many_ids_there_are(sizes):
    budget, rng = 4 << 20, np.random.default_rng(0)

    def peak(n):
        tracemalloc.start()
        try:
            table = SpillingIds(sizes, budget_bytes=budget)
            for _ in range(n // 10_000):
                table.add(np.stack([rng.integers(0, size, 10_000, np.int32) for size in sizes], axis=1))
            found = table.finish()
            assert found.n == n and found.largest(members=0) is not None and len(found.keys) > 0.9 * n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(150_000), min(peak(500_000) for _ in range(2))  # what other threads of the process do counts too
    around = 1 << 20  # the codes themselves, the members, small change
    assert many < budget + around
    assert many < 1.1 * few + around


def test_keys_that_crowd_into_one_piece_are_merged_in_ranges(monkeypatch):
    """The first run says where pieces begin; later ones may lie beyond all of them."""
    rng = np.random.default_rng(0)
    codes = np.stack([np.r_[np.zeros(1500, int), rng.integers(200, 256, 60_000)], rng.integers(0, 256, 61_500)], axis=1)
    codes = np.c_[codes, rng.integers(0, 256, (61_500, 2))]
    parts = []
    combine = pieces.combine
    monkeypatch.setattr(pieces, "combine", lambda keys, counts: (parts.append(len(keys)), combine(keys, counts))[1])
    found, expected = (
        fed(SpillingIds((256,) * 4, budget_bytes=1), codes, 700).finish(),
        fed(IdTable((256,) * 4), codes, 700).finish(),
    )
    assert np.array_equal(found.keys, expected.keys) and np.array_equal(found.items, expected.items)
    assert sum(parts) >= len(expected.keys) and max(parts) <= 1024


def test_counts_beyond_what_a_file_holds_add_up(tmp_path):
    files = pieces.Pieces(tmp_path, np.dtype(np.uint32))
    files.append(np.array([3, 5, 9], np.uint32), np.array([1, 200_000, 65_535]))
    files.append(np.array([5, 9], np.uint32), np.array([65_536, 1]))
    found = [run for piece in range(pieces.PIECES) for run in files.merged(piece, 1000)]
    assert np.concatenate([keys for keys, _ in found]).tolist() == [3, 5, 9]
    assert np.concatenate([items for _, items in found]).tolist() == [1, 265_536, 65_536]


def test_members_are_named_of_what_was_spilled_too():
    codes = codes_of((1000, 1000), 9000)
    found, expected = (
        fed(SpillingIds((1000, 1000), budget_bytes=1), codes, 700).finish(),
        fed(IdTable((1000, 1000)), codes, 9000).finish(),
    )
    assert isinstance(found, spill_module.MappedIds) and found.largest() == expected.largest() and expected.largest()[0].rows


def test_a_folder_of_something_else_is_refused(tmp_path):
    fed(SpillingIds((100, 100), folder=str(tmp_path / "spill"), budget_bytes=1, source="a"), codes_of((100, 100), 5000), 500)
    with pytest.raises(UsageError, match="another file"):
        SpillingIds((100, 100), folder=str(tmp_path / "spill"), source="b")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        SpillingIds((100, 100), folder=str(tmp_path / "notes"))
    (tmp_path / "spill" / spill_module.MANIFEST).write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        SpillingIds((100, 100), folder=str(tmp_path / "spill"), source="a")


FORGED = {
    "items of no number": lambda noted: noted | {"items": "9"},
    "fewer items than none": lambda noted: noted | {"items": -1},
    "longer runs than there are": lambda noted: noted | {"lengths": [1 << 50] * pieces.PIECES},
    "items of no ID": lambda noted: noted | {"lengths": [0] * pieces.PIECES},
    "fewer items than IDs": lambda noted: noted | {"items": 1},
    "too few runs": lambda noted: noted | {"lengths": [0]},
    "more pieces merged than there are": lambda noted: noted | {"merged": 9999},
    "IDs merged of no piece": lambda noted: noted | {"distinct": 5},
    "all of them merged already": lambda noted: noted | {"merged": pieces.PIECES},
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_note_of_spilled_ids_is_refused(forged, tmp_path):
    folder = tmp_path / "spill"
    fed(SpillingIds((100, 100), folder=str(folder), budget_bytes=1, source="a"), codes_of((100, 100), 5000), 500)
    note = folder / spill_module.MANIFEST
    note.write_bytes(orjson.dumps(FORGED[forged](orjson.loads(note.read_bytes()))))
    before = {path: path.stat().st_size for path in folder.iterdir()}
    with pytest.raises(UsageError, match="damaged"):
        SpillingIds((100, 100), folder=str(folder), source="a")
    assert {path: path.stat().st_size for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["000.keys", "000.items", spill_module.MANIFEST, pieces.BOUNDS])
@pytest.mark.parametrize("linked", ["symbolic", "hard"])
def test_nothing_behind_a_link_is_cut(name, linked, tmp_path):
    folder, victim = tmp_path / "spill", tmp_path / "victim"
    fed(SpillingIds((100, 100), folder=str(folder), budget_bytes=1, source="a"), codes_of((100, 100), 5000), 500)
    victim.write_bytes((folder / name).read_bytes() + b"more")
    (folder / name).unlink()
    (os.symlink if linked == "symbolic" else os.link)(victim, folder / name)
    with pytest.raises(UsageError, match="damaged"):
        SpillingIds((100, 100), folder=str(folder), source="a")
    assert victim.read_bytes().endswith(b"more")


def test_counts_that_do_not_add_up_are_refused(tmp_path):
    folder = tmp_path / "spill"
    fed(SpillingIds((100, 100), folder=str(folder), budget_bytes=1, source="a"), codes_of((100, 100), 5000), 500)
    items = next(path for path in sorted(folder.glob("*.items")) if path.stat().st_size)
    items.write_bytes(b"\xff" * items.stat().st_size)
    with pytest.raises(UsageError, match="damaged"):
        SpillingIds((100, 100), folder=str(folder), source="a").finish()


@pytest.mark.parametrize("name", ["keys", "items"])
def test_nothing_behind_a_link_is_overwritten(name, tmp_path):
    folder, victim = tmp_path / "spill", tmp_path / "victim"
    victim.write_bytes(b"mine")
    table = SpillingIds((100, 100), folder=str(folder), budget_bytes=1, source="a")
    fed(table, codes_of((100, 100), 5000), 500)
    (folder / name).symlink_to(victim)
    with pytest.raises(UsageError):
        table.finish()
    assert victim.read_bytes() == b"mine"


def test_nothing_is_written_within_the_budget(monkeypatch):
    monkeypatch.setattr(spill_module.tempfile, "mkdtemp", lambda **_: pytest.fail("spilled"))
    fed(SpillingIds((100, 100)), codes_of((100, 100), 5000), 500).finish()


def test_a_full_disk_is_told(monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pieces, "own", full)  # what opens each of its files
    with pytest.raises(UsageError, match="No space left on device"):
        fed(SpillingIds((100, 100), folder=str(tmp_path / "spill"), budget_bytes=1), codes_of((100, 100), 5000), 500).finish()
