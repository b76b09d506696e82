"""Assigned codes, and the features that lie beside a checkpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.errors import SampleError
from vqdoctor.samples import find_sidecar, read_codes
from vqdoctor.samples.sidecar import write_sidecar


@pytest.mark.parametrize("kind", ["i1", "u2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(12,), (6, 2)])
def test_codes_of_any_whole_type(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    codes = np.arange(12).reshape(shape)
    if not kind.startswith("u"):
        codes[0] = -1
    np.save(tmp_path / "c.npy", codes.astype(kind))
    table = read_codes(tmp_path / "c.npy")
    assert (table.n, table.levels) == (shape[0], 1 if len(shape) == 1 else 2)
    found = np.concatenate(list(table.blocks(5)))
    np.testing.assert_array_equal(found, codes.reshape(len(codes), -1))
    assert found.dtype == np.int64


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300])
def test_a_float_that_is_no_code_is_named_by_row(tmp_path: Path, value: float) -> None:
    codes = np.zeros((9, 2))
    codes[7, 1] = value
    np.save(tmp_path / "c.npy", codes)
    with pytest.raises(SampleError, match=r"row 7 holds .*, which is no code"):
        list(read_codes(tmp_path / "c.npy").blocks(4))


def test_what_holds_no_codes_is_said(tmp_path: Path) -> None:
    for array, words in [(np.zeros((2, 3, 4), int), "codes are"), (np.zeros((0, 2), int), "no codes"), (np.zeros(3, bool), "bool")]:
        np.save(tmp_path / "c.npy", array)
        with pytest.raises(SampleError, match=words):
            read_codes(tmp_path / "c.npy")


def beside(folder: Path, facts: object | None = None, age: float = 0) -> Path:
    checkpoint = folder / "last.pt"
    checkpoint.write_bytes(b"weights")
    np.save(folder / "last.features.npy", np.zeros((2, 2)))
    if facts is not None:
        (folder / "last.features.json").write_text(facts if isinstance(facts, str) else json.dumps(facts))
    now = checkpoint.stat().st_mtime
    os.utime(folder / "last.features.npy", (now - age, now - age))
    return checkpoint


def test_a_sidecar_that_fits_is_found(tmp_path: Path) -> None:
    found = find_sidecar(beside(tmp_path))
    assert found is not None
    assert found.path.endswith("last.features.npy")
    assert found.objections == ()
    assert find_sidecar(tmp_path / "other.pt") is None


def test_an_older_one_or_one_of_another_checkpoint_is_objected_to(tmp_path: Path) -> None:
    assert find_sidecar(beside(tmp_path, age=60)).objections == ("it is older than the checkpoint",)
    facts = {"checkpoint_sha256": "aa", "population": True}
    same = find_sidecar(beside(tmp_path, facts, age=60), lambda: "aa")
    assert same.objections == ()  # the hash outweighs the clock
    assert same.facts["population"] is True
    assert "another checkpoint" in find_sidecar(beside(tmp_path, facts), lambda: "bb").objections[0]


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "\udcff"])
def test_a_broken_note_is_an_objection_not_a_crash(tmp_path: Path, text: str) -> None:
    checkpoint = beside(tmp_path)
    (tmp_path / "last.features.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "cannot be read" in find_sidecar(checkpoint).objections[0]


def test_the_checkpoint_is_hashed_only_if_a_hash_is_stated(tmp_path: Path) -> None:
    def never() -> str:
        raise AssertionError("hashed without need")

    assert find_sidecar(beside(tmp_path, {"module": "vq"}), never).objections == ()


@pytest.mark.parametrize("name", ["checkpoint_sha256", "checkpoint_hash", "sha256"])
def test_a_note_written_by_hand_may_call_the_hash_what_it_likes(tmp_path, name):
    (tmp_path / "a.pt").write_bytes(b"weights")
    np.save(tmp_path / "a.features.npy", np.zeros((3, 2)))
    (tmp_path / "a.features.json").write_text(json.dumps({name: "AB" * 32}))
    assert find_sidecar(tmp_path / "a.pt", lambda: "ab" * 32).objections == ()
    assert "another checkpoint" in find_sidecar(tmp_path / "a.pt", lambda: "cd" * 32).objections[0]


@pytest.mark.parametrize("ending", ["features.npy", "codes.npy", "features.json"])
def test_a_planted_link_is_replaced_and_not_followed(ending, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / f"model.{ending}").symlink_to(victim)
    write_sidecar(tmp_path / "model", np.ones((2, 3), np.float32), {}, codes=np.zeros(2, int))
    assert victim.read_bytes() == b"mine" and not (tmp_path / f"model.{ending}").is_symlink()
