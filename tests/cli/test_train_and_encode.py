"""`train` and `encode` as processes: a short run, its files, and IDs that can be read back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import environment, shell
from safetensors.numpy import save_file


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on digits."""
    folder = tmp_path_factory.mktemp("train")
    done = shell("train", "rq-tuned", "--epochs", "2", "--set", "eval_interval=1", "--out", "run", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "collision.rate" in done.stdout
    assert "vqdoctor inspect" in done.stdout
    return folder / "run"


def test_a_run_leaves_what_the_contract_says(run_folder: Path) -> None:
    for name in ("log.jsonl", "last.pt", "best.pt", "last.features.npy", "config.toml", "summary.json"):
        assert (run_folder / name).is_file(), name
    summary = json.loads((run_folder / "summary.json").read_text())
    assert {"recipe", "data", "seed", "seconds", "last", "best", "expected", "ok"} <= summary.keys()
    first = json.loads((run_folder / "log.jsonl").read_text().splitlines()[0])
    assert first["schema"] == "vqdoctor.log/1"


def test_inspect_finds_the_features_of_a_run_by_itself(run_folder: Path) -> None:
    done = shell("inspect", run_folder / "last.pt", "--format", "json", folder=run_folder)
    report = json.loads(done.stdout)
    assert report["sample"]["population"] is True
    assert len(report["quantizers"][0]["levels"]) == 3


def test_check_ends_in_1_where_the_figures_are_not_reached(tmp_path: Path) -> None:
    done = shell("train", "rq-tuned", "--epochs", "1", "--check", "--out", "run", folder=tmp_path)
    assert done.returncode == 1


def test_an_unknown_recipe_or_setting_names_the_nearest(tmp_path: Path) -> None:
    done = shell("train", "rq-tunde", folder=tmp_path)
    assert done.returncode == 2
    assert "rq-tuned" in done.stderr
    done = shell("train", "rq-tuned", "--set", "epoch=1", folder=tmp_path)
    assert done.returncode == 2
    assert "epochs" in done.stderr


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "vqdoctor", "train", "rq-tuned", "--out", "run"], env=environment(), cwd=tmp_path, text=True,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    log = tmp_path / "run" / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 3):
        time.sleep(0.05)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "--resume run" in said
    assert (tmp_path / "run" / "last.pt").is_file()


def test_encode_writes_one_id_a_row_that_reads_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    books = [rng.normal(size=(8, 4)).astype(np.float32) * 0.1**i for i in range(2)]
    save_file({f"rq.vq_layers.{i}.embedding.weight": book for i, book in enumerate(books)}, str(tmp_path / "rq.safetensors"))
    ids = rng.integers(0, 8, (100, 2))
    np.save(tmp_path / "f.npy", (books[0][ids[:, 0]] + 0.1 * books[1][ids[:, 1]]).astype(np.float32))
    done = shell("encode", "rq.safetensors", "--features", "f.npy", "-o", "x.index.json", "--dedup", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "x.index.json").read_text())
    assert len(written) == 100
    assert len({tuple(tokens) for tokens in written.values()}) == 100
    assert written["0"][0].startswith("<a_")
    assert written["0"][2].startswith("<dedup_")
    shell("encode", "rq.safetensors", "--features", "f.npy", "-o", "x.npy", folder=tmp_path)
    codes = np.load(tmp_path / "x.npy")
    assert [f"<a_{codes[0, 0]}>", f"<b_{codes[0, 1]}>"] == written["0"][:2]
    report = json.loads(shell("inspect", "x.index.json", "--sizes", "8,8", "--format", "json", folder=tmp_path).stdout)
    assert report["quantizers"][0]["metrics"]["collision.after_suffix"] == 0


def test_a_row_without_a_code_is_refused_by_number(tmp_path: Path) -> None:
    save_file({"quantize.embedding.weight": np.eye(4, dtype=np.float32)}, str(tmp_path / "vq.safetensors"))
    rows = np.ones((10, 4), np.float32)
    rows[7, 0] = np.nan
    np.save(tmp_path / "f.npy", rows)
    done = shell("encode", "vq.safetensors", "--features", "f.npy", "-o", "x.npy", folder=tmp_path)
    assert done.returncode == 2
    assert "7" in done.stderr
    assert not (tmp_path / "x.npy").exists()


def test_a_book_without_a_usable_code_is_not_blamed_on_the_rows(tmp_path: Path) -> None:
    save_file({"quantize.embedding.weight": np.full((4, 4), np.nan, np.float32)}, str(tmp_path / "vq.safetensors"))
    np.save(tmp_path / "f.npy", np.ones((10, 4), np.float32))
    done = shell("encode", "vq.safetensors", "--features", "f.npy", "-o", "x.npy", folder=tmp_path)
    assert done.returncode == 2
    assert "vq.safetensors: 10 rows find no code" in done.stderr


@pytest.mark.parametrize(
    ("out", "words"),
    [("x.txt", ".index.json, .npy or .parquet"), ("no/x.npy", "its folder no does not exist"), ("folder.npy", "it is a folder")],
)
def test_a_place_where_no_ids_can_be_written_is_refused_before_the_work(tmp_path: Path, out: str, words: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    done = shell("encode", "nowhere.pt", "--features", "f.npy", "-o", out, folder=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and "nowhere" not in done.stderr
