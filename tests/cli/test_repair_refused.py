"""What was asked for and cannot be done is refused with 2; that nothing is left to do, or that part of it is done, ends in 0."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import shell
from safetensors.numpy import load_file, save_file

CODES, DIM = 16, 4


def level(index: int, flag: int | None = 0) -> dict[str, np.ndarray]:
    """A sound level of the bundled trainer; flag: its initialised flag, None: it has none."""
    rng = np.random.default_rng(index)
    book, counts = rng.normal(size=(CODES, DIM)).astype(np.float32), np.full(CODES, 8, np.float32)
    place = f"quantizer.layers.{index}."
    tensors = {f"{place}codebook": book, f"{place}ema_count": counts, f"{place}ema_sum": book * 8}
    return tensors if flag is None else tensors | {f"{place}initialised": np.array(flag, np.uint8)}


def written(folder: Path, *levels: dict[str, np.ndarray]) -> Path:
    tensors = {name: array for one in levels for name, array in one.items()}
    save_file(tensors, str(folder / "vq.safetensors"))
    return folder / "vq.safetensors"


def broken(one: dict[str, np.ndarray], value: float, rows: int = 1) -> dict[str, np.ndarray]:
    (book,) = (array for name, array in one.items() if name.endswith("codebook"))
    book[3 : 3 + rows] = value
    return one


def only_the_source_is_left(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["vq.safetensors"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0], ids=["nan", "inf", "zero"])
def test_the_flag_of_a_broken_book_is_not_set_and_that_is_a_refusal(value: float, tmp_path: Path) -> None:
    before = written(tmp_path, broken(level(0), value, rows=2)).read_bytes()
    done = shell("repair", "vq.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    told = " ".join(done.stderr.split())
    assert "vq.safetensors: --freeze-init cannot be done: quantizer[0]: 2 of 16 rows are zero or not finite" in told
    assert "--sanitize" in told
    assert only_the_source_is_left(tmp_path) and (tmp_path / "vq.safetensors").read_bytes() == before


@pytest.mark.parametrize("arguments", [("--dry-run",), ("--dry-run", "--format", "json"), ("--in-place",)], ids=" ".join)
def test_a_refusal_is_one_however_it_is_asked_for(arguments: tuple[str, ...], tmp_path: Path) -> None:
    written(tmp_path, broken(level(0), np.nan))
    done = shell("repair", "vq.safetensors", "--freeze-init", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "1 of 16 rows" in done.stderr
    assert only_the_source_is_left(tmp_path)


def test_a_flag_that_is_set_leaves_nothing_to_do(tmp_path: Path) -> None:
    written(tmp_path, level(0, flag=1))
    done = shell("repair", "vq.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the flag is set already" in done.stdout and "Nothing to repair" in done.stdout
    assert only_the_source_is_left(tmp_path)


def test_a_flag_that_the_file_has_not_cannot_be_set(tmp_path: Path) -> None:
    written(tmp_path, level(0, flag=None))
    done = shell("repair", "vq.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 2
    assert "the file has no initialised flag: where training begins with k-means" in " ".join(done.stderr.split())


def test_of_several_books_those_that_can_be_frozen_are(tmp_path: Path) -> None:
    source = load_file(written(tmp_path, level(0), broken(level(1), np.nan)))
    done = shell("repair", "vq.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "quantizer[1] freeze-init: 1 of 16 rows are zero or not finite" in " ".join(done.stdout.split())
    out = load_file(tmp_path / "out.safetensors")
    changed = [name for name, array in source.items() if out[name].tobytes() != array.tobytes()]
    assert changed == ["quantizer.layers.0.initialised"] and out[changed[0]] == 1


def test_a_book_that_cannot_be_frozen_is_refused_beside_one_that_needs_nothing(tmp_path: Path) -> None:
    written(tmp_path, level(0, flag=1), broken(level(1), np.nan))
    done = shell("repair", "vq.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 2 and "quantizer[1]: 1 of 16 rows" in " ".join(done.stderr.split())
    asked = shell("repair", "vq.safetensors", "--freeze-init", "--level", "0", "-o", "out.safetensors", folder=tmp_path)
    assert asked.returncode == 0 and "Nothing to repair" in asked.stdout


def test_sums_that_are_not_there_leave_nothing_to_do(tmp_path: Path) -> None:
    book = np.random.default_rng(0).normal(size=(CODES, DIM)).astype(np.float32)
    save_file({"quantize.embedding.weight": book}, str(tmp_path / "vq.safetensors"))
    done = shell("repair", "vq.safetensors", "--sync-ema", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "keeps no running sums" in done.stdout and "Nothing to repair" in done.stdout
    assert only_the_source_is_left(tmp_path)


def test_sums_of_a_book_that_was_never_started_agree_with_it(tmp_path: Path) -> None:
    written(tmp_path, {name: np.zeros_like(array) for name, array in level(0).items()})
    done = shell("repair", "vq.safetensors", "--sync-ema", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 of 16 rows" in done.stdout and "codes and sums agree" in done.stdout and "Nothing to repair" in done.stdout


@pytest.mark.parametrize("arguments", [("--sanitize",), ("--sync-ema", "--level", "9")], ids=" ".join)
def test_a_refusal_names_the_file(arguments: tuple[str, ...], tmp_path: Path) -> None:
    written(tmp_path, {name: np.zeros_like(array) for name, array in level(0).items()})
    done = shell("repair", "vq.safetensors", *arguments, "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("vqdoctor: error: vq.safetensors: ")


def test_sums_of_broken_rows_are_refused_and_said_not_to_agree(tmp_path: Path) -> None:
    written(tmp_path, broken(level(0), np.nan, rows=2))
    done = shell("repair", "vq.safetensors", "--sync-ema", "-o", "out.safetensors", folder=tmp_path)
    told = " ".join(done.stderr.split())
    assert done.returncode == 2 and "2 of 16 rows are not finite: --sanitize mends them first" in told
    assert "codes and sums agree" not in told


@pytest.mark.parametrize("method", ["--sanitize", "--sync-ema"])
def test_codes_that_a_network_makes_have_no_book_to_mend(method: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    transform = {f"code_transform.{i}.{name}": shape for i in (0, 2) for name, shape in (("weight", (DIM, DIM)), ("bias", (DIM,)))}
    shapes = {"frozen_codebook": (CODES, DIM)} | transform
    save_file({f"q.{name}": rng.normal(size=of).astype(np.float32) for name, of in shapes.items()}, tmp_path / "vq.safetensors")
    done = shell("repair", "vq.safetensors", method, "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 2 and "come out of a network" in done.stderr


def test_what_auto_finds_nothing_for_is_no_refusal(tmp_path: Path) -> None:
    """An all-zero book: nobody asked for a treatment by name, and none helps."""
    zero = {name: np.zeros_like(array) for name, array in level(0).items()}
    written(tmp_path, zero)
    done = shell("repair", "vq.safetensors", "--auto", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing to repair" in done.stdout and only_the_source_is_left(tmp_path)


def test_auto_mends_the_rows_and_then_sets_the_flag(tmp_path: Path) -> None:
    written(tmp_path, broken(level(0), np.nan))
    asked = json.loads(shell("repair", "vq.safetensors", "--auto", "--dry-run", "--format", "json", folder=tmp_path).stdout)
    assert asked["method"] == "sanitize+freeze-init"
