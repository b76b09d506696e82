"""`vqdoctor repair` killed at random moments: the source is as it was, the target absent or the whole repaired file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app.repair import RepairRequest, RepairResult, repair
from vqdoctor.errors import UsageError
from vqdoctor.safe_write import PREFIX
from vqdoctor.treatment import TreatmentRequest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
REQUEST = RepairRequest(TreatmentRequest("kmeans"))
COMPANIONS = (".repair.json", ".undo.npz", ".id_map.json")

# An interpreter is started once; each trial forks a child that runs the command and dies in it. The first is let live.
DRIVER = """
import json, os, signal, sys, time
from vqdoctor.cli.entry import main

arguments, moments = json.loads(sys.argv[1])
sys.argv = ["vqdoctor", *arguments]


def child():
    process = os.fork()
    if not process:
        sys.stdout = sys.stderr = open(os.devnull, "w")
        try:
            main()
        finally:
            os._exit(0)
    return process


import vqdoctor.app.repair, vqdoctor.cli.repair, vqdoctor.cli.progress, vqdoctor.render.repair_text, vqdoctor.render.to_json
began = time.perf_counter()
os.waitpid(child(), 0)
whole = time.perf_counter() - began
print("ready", flush=True)
for moment in moments:
    sys.stdin.readline()
    process = child()
    time.sleep(moment * whole)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    print(os.WIFSIGNALED(status), flush=True)
"""


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A checkpoint of 8 MB, so that writing takes its share of the time, with features beside it."""
    torch.manual_seed(0)
    book = torch.randn(16, 4)
    book[2:] += 50
    path = tmp_path / "a.pt"
    torch.save({"quantize.embedding.weight": book, "decoder.weight": torch.randn(1 << 21)}, path)
    rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    np.save(tmp_path / "a.features.npy", rows)
    return path


def cleared(folder: Path) -> tuple[int, int]:
    """How many drafts a kill has left, and finished files beside the source; all are removed."""
    drafts = list(folder.glob(f"{PREFIX}*"))
    written = list(folder.glob("out.pt*"))
    for file in (*drafts, *written):
        file.unlink()
    return len(drafts), len(written)


def test_killed_at_random_moments(sick: Path) -> None:
    original, target = sick.read_bytes(), sick.with_name("out.pt")
    assert isinstance(repair(str(sick), str(target), REQUEST), RepairResult)
    whole = target.read_bytes()
    cleared(sick.parent)
    moments = np.random.default_rng(3).uniform(0.05, 1.1, 40).tolist()
    arguments = ["repair", str(sick), "--kmeans", "--quiet", "-o", str(target)]
    command = [sys.executable, "-c", DRIVER, json.dumps([arguments, moments])]
    found = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as driver:
        assert driver.stdout.readline() == "ready\n"
        assert target.read_bytes() == whole
        for _ in moments:
            cleared(sick.parent)
            driver.stdin.write("\n")
            driver.stdin.flush()
            driver.stdout.readline()
            assert sick.read_bytes() == original
            if target.exists():
                assert target.read_bytes() == whole
                assert target.with_name("out.pt.undo.npz").exists()
            if (note := target.with_name("out.pt.repair.json")).exists():
                assert json.loads(note.read_bytes())["target"]["path"] == str(target)
                assert target.exists()
            found.append((target.exists(), bool(list(sick.parent.glob(f"{PREFIX}*")))))
    assert len(set(found)) > 1


def test_the_next_run_names_what_a_killed_one_left(sick: Path) -> None:
    (sick.parent / f"{PREFIX}0123456789abcdef").write_bytes(b"half a copy")
    done = repair(str(sick), str(sick.with_name("out.pt")), REQUEST)
    assert isinstance(done, RepairResult)
    assert any(f"{PREFIX}0123456789abcdef" in warning for warning in done.note["warnings"])


def test_a_second_repair_to_the_same_name_leaves_the_first_undoable(sick: Path) -> None:
    out = sick.with_name("out.pt")
    repair(str(sick), str(out), REQUEST)
    before = {name: out.with_name(out.name + name).read_bytes() for name in ("", *COMPANIONS)}
    with pytest.raises(UsageError, match="exists already"):
        repair(str(sick), str(out), RepairRequest(TreatmentRequest("kmeans", seed=1)))
    assert {name: out.with_name(out.name + name).read_bytes() for name in ("", *COMPANIONS)} == before
