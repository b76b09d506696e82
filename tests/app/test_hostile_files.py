"""Files made to harm, through the use cases: what is written, shown and kept of their names and values."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app.compare import time_line
from vqdoctor.app.inspect import InspectRequest, inspect
from vqdoctor.app.repair import RepairRequest, repair, undo
from vqdoctor.app.sources import expand
from vqdoctor.errors import LimitExceeded, MissingInput, UnsupportedInput, UsageError
from vqdoctor.json_text import dumped, loaded
from vqdoctor.render.compare_text import show_time_line
from vqdoctor.render.screen import Screen
from vqdoctor.small_files import read_small
from vqdoctor.treatment import TreatmentRequest

NAME = "\x1b]0;title\x07\x1b[2J \udce4 \u202e [/] ::error:: <script>"


def checkpoint(path: Path, name: str = f"{NAME}.codebook", *, broken: bool = True, **metadata: str) -> Path:
    book = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    if broken:
        book[3] = np.nan
    entry = {"dtype": "F32", "shape": [16, 4], "data_offsets": [0, book.nbytes]}
    header = json.dumps({"__metadata__": metadata, name: entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + book.tobytes())
    return path


def test_a_repair_of_names_that_are_no_text_is_written_noted_and_undone(tmp_path):
    sick = checkpoint(tmp_path / "a.safetensors")
    out, back = str(tmp_path / "b.safetensors"), tmp_path / "c.safetensors"
    repair(str(sick), out, RepairRequest(TreatmentRequest("sanitize")))
    assert loaded(Path(f"{out}.repair.json").read_bytes())["levels"][0]["quantizer"] == NAME
    undo(f"{out}.repair.json", str(back))
    assert back.read_bytes() == sick.read_bytes()


def test_a_step_that_is_no_number_cannot_act_on_a_terminal(tmp_path):
    for name in ("a", "b"):
        checkpoint(tmp_path / f"{name}.safetensors", epoch="\x1b[2J\x1b]0;x\x07", broken=name == "b")
    shown = show_time_line(time_line(str(tmp_path)), Screen())
    assert "a.safetensors" in shown and all(line.isprintable() for line in shown.splitlines())


def test_rows_that_no_code_is_nearest_to_are_told(tmp_path):
    sick = checkpoint(tmp_path / "a.safetensors", "vq.codebook")
    rows = np.zeros((64, 4), np.float32)  # which have no direction
    rows[32:] = 1
    np.save(tmp_path / "rows.npy", rows)
    [report] = inspect([str(sick)], InspectRequest(features=((None, str(tmp_path / "rows.npy")),), metric="cosine"))
    assert report.quantizers[0].levels[0].metrics["usage.n"] == 32


def test_a_folder_with_links_to_nowhere_and_around_holds_no_checkpoint(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(UnsupportedInput, match="holds no checkpoint"):
        expand([str(tmp_path)])


def test_what_comes_of_next_to_nothing_is_not_expanded(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, codebook=np.zeros((25 << 16, 16), np.float32))
    assert path.stat().st_size < 1 << 18
    with pytest.raises(LimitExceeded, match="expansion"):
        inspect([str(path)])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_small_file_is_a_file(make, tmp_path):
    make(tmp_path / "a")
    with pytest.raises(MissingInput, match="it is a"):
        read_small(tmp_path / "a", 10, "a note")


def test_a_small_file_is_small(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 2048)
    assert len(read_small(tmp_path / "a", 2048, "a note")) == 2048
    with pytest.raises(LimitExceeded, match="a note over 1 KiB is not read"):
        read_small(tmp_path / "a", 1024, "a note")
    with pytest.raises(MissingInput, match="no such file"):
        read_small(tmp_path / "b", 1024, "a note")


@pytest.mark.parametrize("value", [{"\udce4\x1b": [1, None, "\ud800"]}, {"a": np.arange(3)}, {1: float("inf")}])
def test_what_was_written_is_read_again(value):
    again = loaded(dumped(value))
    assert json.loads(json.dumps(again)) == again and list(map(str, value)) == list(again)


def test_json_that_never_ends_is_none():
    with pytest.raises(ValueError):
        loaded(b"[" * 100_000)


def test_a_note_of_a_repair_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.repair.json")
    with pytest.raises((UsageError, MissingInput)):
        undo(str(tmp_path / "a.repair.json"), str(tmp_path / "out"))
