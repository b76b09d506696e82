"""`--tui` on the command line: a terminal or one clear line; on a terminal the same exit status as without."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

VQDOCTOR = [sys.executable, "-m", "vqdoctor"]


def write_book(folder: Path) -> Path:
    """A book with a NaN row: an error by the file alone."""
    book = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    book[3] = np.nan
    np.savez(folder / "books.npz", codebook_0=book)
    return folder / "books.npz"


@pytest.mark.parametrize("command", ["inspect", "repair"])
def test_without_a_terminal_it_says_so_at_once(command: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [*VQDOCTOR, command, str(write_book(tmp_path)), "--tui"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 2 and run.stdout == ""
    assert (
        run.stderr
        == "vqdoctor: error: --tui needs a terminal to draw on and to read keys from; there is none here. Leave --tui away.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "--tui", "--plot"], "leave --plot and --format away"),
        (["inspect", "--tui", "--format", "json"], "leave --plot and --format away"),
        (["repair", "--tui", "--kmeans"], "leave --kmeans away"),
        (["repair", "--tui", "-o", "x.npz"], "leave --out away"),
    ],
)
def test_what_goes_not_beside_it_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    command, *options = arguments
    run = subprocess.run(
        [*VQDOCTOR, command, str(write_book(tmp_path)), *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 2 and words in run.stderr


def on_a_terminal(arguments: list[str], keys: bytes, until: bytes) -> tuple[int, bytes]:
    """Exit status and output of a run on a terminal of its own; `keys` are typed once `until` has been drawn."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [*VQDOCTOR, *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    drawn, typed, end = b"", False, time.monotonic() + 90
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                drawn += os.read(terminal, 1 << 16)
            except OSError:  # it has gone
                break
        if not typed and until in drawn:
            os.write(terminal, keys)
            typed = True
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), drawn


def test_on_a_terminal_it_opens_and_leaves_with_the_exit_status_of_the_contract(tmp_path: Path) -> None:
    book, report = str(write_book(tmp_path)), tmp_path / "r.json"
    status, drawn = on_a_terminal(["inspect", book, "--tui", "--fail-on", "error", "-o", f"json={report}"], b"q", b"VQ201")
    assert status == 1 and b"VQ201" in drawn
    assert b'"verdict":' in report.read_bytes()
    assert on_a_terminal(["inspect", book, "--tui"], b"\x03", b"VQ201")[0] == 130
    status, drawn = on_a_terminal(["inspect", str(tmp_path / "nope.pt"), "--tui"], b"", b"never")
    assert status == 2 and b"there is no such file" in drawn
