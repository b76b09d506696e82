"""What `repair` says to a user who asks for what does not go: which file, what is wrong, what to do; nothing is written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import shell
from safetensors.numpy import save_file


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A folder with a.npz, whose codes are far from all rows but two, and these rows beside it."""
    rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    np.save(tmp_path / "a.features.npy", rows)
    rows[2:16] += 60
    np.savez(tmp_path / "a.npz", **{"quantize.embedding.weight": rows[:16]})
    return tmp_path


def refused(folder: Path, *arguments: str) -> str:
    """What is said on standard error, on one line; nothing is written and nothing said on standard output."""
    before = sorted(path.name for path in folder.iterdir())
    done = shell("repair", *arguments, folder=folder)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert sorted(path.name for path in folder.iterdir()) == before
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seed", "-1"), "-1 is not in the range"),
        (("--threshold", "nan"), "'nan' is not a finite number"),
        (("--threshold", "inf"), "'inf' is not a finite number"),
        (("--threshold-count", "inf"), "'inf' is not a finite number"),
        (("--quantizer", "b"), "a.npz: there is no quantiser b"),
        (("--features", "b=a.features.npy"), "a.npz: there is no quantiser b"),
        (("--features", "a.features.npy", "--features", "a.features.npy"), "a.features.npy: quantize has rows already"),
    ],
)
def test_an_option_that_does_not_go_is_refused(arguments: tuple[str, ...], words: str, sick: Path) -> None:
    assert words in refused(sick, "a.npz", "--kmeans", *arguments, "-o", "out.npz")


def test_rows_beside_the_checkpoint_that_are_not_used_are_not_called_missing(sick: Path) -> None:
    os.utime(sick / "a.features.npy", (time.time() - 9e4,) * 2)
    told = refused(sick, "a.npz", "--kmeans", "-o", "out.npz")
    assert "a.features.npy is not used: it is older than the checkpoint" in told and "there are none" not in told
    assert "--features" in told
    done = shell("repair", "a.npz", "--auto", "-o", "out.npz", folder=sick)
    told = " ".join(done.stdout.split())
    assert done.returncode == 0 and "Nothing to repair" in told
    assert "a.features.npy is not used" in told and "only what the file itself says was judged" in told


def test_a_finding_that_prescribes_what_needs_rows_is_named(tmp_path: Path) -> None:
    book = np.random.default_rng(0).uniform(-1 / 64, 1 / 64, size=(64, 8)).astype(np.float32)
    book[:40] = np.random.default_rng(1).normal(size=(40, 8))
    save_file({"quantize.embedding.weight": book}, str(tmp_path / "a.safetensors"))
    report = json.loads(shell("inspect", "a.safetensors", "--format", "json", folder=tmp_path).stdout)
    assert [one["rule"] for one in report["findings"] if one["remedy"]["command"]] == ["VQ204"]
    told = refused(tmp_path, "a.safetensors", "--auto", "-o", "out.safetensors")
    assert "--reset-dead of quantize: VQ204 untouched-codes: it needs encoder outputs, and there are none" in told


def test_semantic_ids_are_told_for_what_they_are(sick: Path) -> None:
    name = "ids.index.json"
    (sick / name).write_text(json.dumps({str(i): [f"<a_{i}>", f"<b_{i % 3}>"] for i in range(20)}))
    told = refused(sick, name, "--auto", "-o", "out.npz")
    assert f"{name}: semantic IDs" in told and "holds no semantic IDs" not in told
    for command in (("encode", name, "--features", "a.features.npy", "-o", "codes.npy"), ("compare", name, "a.npz")):
        done = shell(*command, folder=sick)
        assert done.returncode == 2 and f"{name}: semantic IDs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "-"), "does not go to standard output"),
        (("-o", "back.npz", "--kmeans"), "leave --kmeans away"),
        (("-o", "back.npz", "--auto"), "leave --auto away"),
        (("-o", "back.npz", "--dry-run"), "leave --dry-run away"),
        (("-o", "back.npz", "--in-place"), "leave --in-place away"),
        (("-o", "back.npz", "--tui"), "leave --tui away"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_undo_does_one_thing(arguments: tuple[str, ...], words: str, sick: Path) -> None:
    assert shell("repair", "a.npz", "--kmeans", "-o", "out.npz", folder=sick).returncode == 0
    assert words in refused(sick, "--undo", "out.npz.repair.json", *arguments)


@pytest.mark.parametrize(
    ("out", "odd"),
    [("out.npz", False), ("out", False), ("out.v2", False), ("out.pt", True), ("out.safetensors", True)],
)
def test_a_copy_under_the_name_of_another_kind_of_file_is_said(out: str, odd: bool, sick: Path) -> None:
    done = shell("repair", "a.npz", "--kmeans", "-o", out, folder=sick)
    assert done.returncode == 0, done.stderr
    said = f"{out} is named {Path(out).suffix}; its format is that of its source, npz."
    assert (said in " ".join(done.stdout.split())) == odd == ("is named" in done.stdout)


def test_a_flag_that_is_set_is_said(tmp_path: Path) -> None:
    book, place = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32), "quantizer.layers.0."
    state = {"codebook": book, "ema_count": np.full(16, 8, np.float32), "ema_sum": book * 8, "initialised": np.array(0, np.uint8)}
    save_file({f"{place}{name}": array for name, array in state.items()}, str(tmp_path / "a.safetensors"))
    done = shell("repair", "a.safetensors", "--freeze-init", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "quantizer[0] freeze-init: the initialised flag is set" in " ".join(done.stdout.split())
    again = shell("repair", "out.safetensors", "--freeze-init", "-o", "more.safetensors", folder=tmp_path)
    assert "quantizer[0] freeze-init: the flag is set already" in " ".join(again.stdout.split())
