"""A process that is killed while it writes: the original is untouched, the target absent, old and whole, or new and whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vqdoctor.checkpoint import STEPS, compare_files, write_copy

# Forks a child for each trial: an interpreter is started once, and every child dies at its own moment.
DRIVER = """
import json, os, random, signal, sys, time
import numpy as np
from vqdoctor.checkpoint import write_copy

source, target, options, trials = json.loads(sys.argv[1])
values = [np.full((512, 64), value) for value in (3.0, 4.0)]


def write(trial, step):
    for turn in range(10**6 if step is None else 1):
        write_copy(source, target, {"book": values[(trial + turn) % 2]}, step=hook(step), **options)


def hook(step):
    def die(name):
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)
    return die


for trial, moment in enumerate(trials):
    child = os.fork()
    if not child:
        try:
            write(trial, moment if isinstance(moment, str) else None)
        finally:
            os._exit(0)
    if not isinstance(moment, str):
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(json.dumps([moment, os.WIFSIGNALED(status)]), flush=True)
    sys.stdin.readline()
"""


def trials(source, target, moments, **options):
    """Runs one after the other; yields (moment, whether it was killed) while the next one waits."""
    arguments = json.dumps([str(source), str(target), options, moments])
    command = [sys.executable, "-c", DRIVER, arguments]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as driver:
        for _ in moments:
            yield json.loads(driver.stdout.readline())
            driver.stdin.write("\n")
            driver.stdin.flush()


@pytest.fixture
def whole(tmp_path):
    """(original of 1 MB, the two copies that a trial may write)"""
    torch.save({"book": torch.zeros(512, 64), "rest": torch.randn(1 << 18)}, tmp_path / "a.pt")
    copies = []
    for value in (3.0, 4.0):
        write_copy(str(tmp_path / "a.pt"), str(tmp_path / "copy"), {"book": np.full((512, 64), value)}, overwrite=True)
        copies.append((tmp_path / "copy").read_bytes())
    (tmp_path / "copy").unlink()
    return tmp_path / "a.pt", copies


def drafts_removed(folder):
    drafts = list(folder.glob(".vqd-*"))
    for draft in drafts:
        draft.unlink()
    return len(drafts)


@pytest.mark.parametrize("exists", [False, True])
def test_killed_at_each_step(whole, exists):
    original, copies = whole
    raw, target = original.read_bytes(), original.with_name("out.pt")
    moments = [step for step in STEPS if step not in ("shard", "kept")]
    for turn, (step, killed) in enumerate(trials(original, target, moments, overwrite=exists)):
        assert killed
        assert original.read_bytes() == raw
        assert os.path.lexists(target) == ((exists and turn > 0) or step == "published")
        if step == "published":
            assert target.read_bytes() == copies[turn % 2]
        elif exists and turn > 0:
            assert target.read_bytes() == b"old"
        assert drafts_removed(original.parent) == (step != "published")
        if exists:
            target.write_bytes(b"old")


def test_killed_at_each_step_in_place(whole):
    original, copies = whole
    raw, backup = original.read_bytes(), original.with_name("a.pt.bak")
    moments = [step for step in STEPS if step != "shard"]
    for turn, (step, killed) in enumerate(trials(original, original, moments, in_place=True)):
        assert killed
        assert original.read_bytes() == (copies[turn % 2] if step == "published" else raw)
        if step in ("kept", "published"):
            assert backup.read_bytes() == raw
        assert drafts_removed(original.parent) == (step != "published")


def test_killed_a_hundred_times_at_random_moments(whole):
    original, copies = whole
    raw, target = original.read_bytes(), original.with_name("out.pt")
    moments = np.random.default_rng(7).uniform(0.001, 0.06, 100).tolist()
    left = written = 0
    for _, killed in trials(original, target, moments, overwrite=True):
        assert killed
        assert original.read_bytes() == raw
        written += target.exists()
        assert not target.exists() or target.read_bytes() in copies
        left += drafts_removed(original.parent)
    assert left and written  # kills fell before and after renames
    compare_files(str(original), str(target), {"book"})
