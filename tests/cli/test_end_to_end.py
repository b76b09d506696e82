"""The installed command as a process: exit codes, streams, and files that do not want to be read."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save_file

from vqdoctor.render.to_json import schema


def vqdoctor(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "vqdoctor", *map(str, arguments)], capture_output=True, timeout=120,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "vq.safetensors"
    book = np.random.default_rng(0).normal(scale=3, size=(32, 8)).astype(np.float32)
    save_file({"quantize.embedding.weight": book}, str(path))
    np.save(tmp_path / "one.npy", np.repeat(book[:1], 500, axis=0))
    return path


def test_looking_ends_in_0_whatever_is_found(checkpoint: Path) -> None:
    done = vqdoctor("inspect", checkpoint, "--features", checkpoint.with_name("one.npy"))
    assert done.returncode == 0, done.stderr
    assert b"VQ101" in done.stdout


def test_fail_on_ends_in_1(checkpoint: Path) -> None:
    assert vqdoctor("inspect", checkpoint, "--features", checkpoint.with_name("one.npy"), "--fail-on", "error").returncode == 1


def test_json_is_alone_on_standard_output_and_fits_its_schema(checkpoint: Path) -> None:
    done = vqdoctor("inspect", checkpoint, "--features", checkpoint.with_name("one.npy"), "--format", "json")
    report = json.loads(done.stdout)
    jsonschema.validate(report, schema())
    assert report["quantizers"][0]["levels"][0]["counts"] == {"0": 500}
    assert report["verdict"] == "sick"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n", b"git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", b"web page"),
        (b"", b"empty"),
        (b"PK\x03\x04" + b"\0" * 60, b"cut"),
    ],
)
def test_what_is_no_checkpoint_ends_in_2_with_what_it_is(tmp_path: Path, content: bytes, says: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    done = vqdoctor("inspect", path)
    assert done.returncode == 2
    assert done.stdout == b""
    assert says in done.stderr.lower()
    assert b"model.pt" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_missing_file_ends_in_2() -> None:
    done = vqdoctor("inspect", "nowhere.pt")
    assert done.returncode == 2
    assert b"nowhere.pt" in done.stderr


def test_no_quantiser_ends_in_3_and_says_what_to_type(tmp_path: Path) -> None:
    save_file({"head.weight": np.ones((16, 4), np.float32)}, str(tmp_path / "lm.safetensors"))
    done = vqdoctor("inspect", tmp_path / "lm.safetensors")
    assert done.returncode == 3
    assert b"--select" in done.stderr


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_a_payload_is_named_and_never_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": {"quantize.embedding.weight": torch.randn(16, 4)}, "x": Payload()}, path, pickle_module=pickle)
    done = subprocess.run(
        [sys.executable, "-m", "vqdoctor", "inspect", str(path)], cwd=tmp_path, capture_output=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0
    assert not (tmp_path / "pwned").exists()
    assert b"system" in done.stdout + done.stderr


def test_a_name_from_the_file_cannot_drive_the_terminal(tmp_path: Path) -> None:
    name = "evil\x1b]0;owned\x07[red]\u202e.quantize.embedding.weight"
    save_file({name: np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)}, str(tmp_path / "x.safetensors"))
    done = vqdoctor("inspect", tmp_path / "x.safetensors", NO_COLOR="1")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout and b"\x07" not in done.stdout
    assert "\u202e".encode() not in done.stdout
    assert b"\\x1b" in done.stdout


def test_one_run_feeds_every_consumer(checkpoint: Path, tmp_path: Path) -> None:
    done = vqdoctor("inspect", checkpoint, "--report", f"json={tmp_path / 'r.json'}", "-o", f"markdown={tmp_path / 'r.md'}")
    assert done.returncode == 0
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "vqdoctor.report/1"
    assert (tmp_path / "r.md").read_text().startswith("#")


def test_details_and_plot(checkpoint: Path, tmp_path: Path) -> None:
    done = vqdoctor(
        "inspect", checkpoint, "--features", checkpoint.with_name("one.npy"), "--plot", "--details", tmp_path / "codes.csv"
    )
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "codes.csv").read_text().splitlines()
    assert len(rows) == 33
    assert rows[0].startswith("path,quantizer,level")


def test_several_sources_become_one_document(checkpoint: Path) -> None:
    document = json.loads(vqdoctor("inspect", checkpoint, checkpoint, "--format", "json").stdout)
    assert document["schema"] == "vqdoctor.reports/1"
    assert len(document["reports"]) == 2
