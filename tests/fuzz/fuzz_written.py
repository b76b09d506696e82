"""What vqdoctor writes itself and reads again later: by then anybody may have changed it.

Baselines of gates, notes and old values of repairs, recordings and states of a watch, runs of IDs on disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import orjson
from fuzz_base import FOLDER, JSON_WORDS, VALID, Parser, folder, written

from vqdoctor.app import repair
from vqdoctor.app.repair_companions import restored
from vqdoctor.app.watching.recording import Replay
from vqdoctor.checkpoint import open_source
from vqdoctor.cli.watch_state import kept_changes
from vqdoctor.engines import pieces, spill
from vqdoctor.engines.ids import Packing
from vqdoctor.engines.pieces import BOUNDS, COUNT
from vqdoctor.engines.spill import MANIFEST, SCHEMA, SpillingIds
from vqdoctor.gating import parse_baseline
from vqdoctor.model.gate import Check

BASELINE = (
    b'schema = "vqdoctor.baseline/1"\n"quantizer.vq[1] usage.utilization" = 0.42\n"quantizer.vq[1] VQ102" = "warning"\n',
)  # fmt: skip
DIGEST = hashlib.sha256(VALID["safetensors"]).hexdigest()
NOTE = orjson.dumps({
    "schema": "vqdoctor.repair/1", "source": {"path": "a.pt", "sha256": DIGEST}, "target": {"path": "b.pt", "sha256": DIGEST},
    "levels": [{"index": 0, "rows_changed": [1]}], "undo": "b.pt.undo.npz",
})  # fmt: skip
RECORDING = b"".join(
    orjson.dumps(row) + b"\n"
    for row in (
        {"schema": "vqdoctor.recording/1", "time": 1.7e9},
        {"at": 0.5, "kind": "log", "path": "a.jsonl", "start": "new", "data": "eyJzdGVwIjogMSwgImxvc3MiOiAwLjV9Cg=="},
        {"at": 0.5, "kind": "state", "run": "a.jsonl", "state": "live"},
        {"at": 1.5, "kind": "found", "run": "a", "found": [{"event": "usage", "step": 1, "time": None, "detail": {"level": 0}}]},
        {"at": 2.5, "kind": "found", "run": "a", "found": [
            {"name": "ema.active", "quantizer": "vq", "level": 0, "scope": None, "steps": [1.0], "values": [3.0], "times": [None]}]},
    )
)  # fmt: skip
STATE = b'{"schema":"vqdoctor.watch-state/1","runs":{"a.jsonl":{"events":{"00ff":1},"findings":{"VQ101 vq[0]":["error"]}}}}'
SPILL = orjson.dumps(
    {
        "schema": SCHEMA, "source": "a", "sizes": [4, 4], "pieces": 2, "items": 3, "lengths": [1, 0],
        "merged": 0, "distinct": 0, "merged_items": 0,
    }
)  # fmt: skip


def parse_baseline_file(data: bytes) -> None:
    """Also every way of asking it."""
    held = parse_baseline(data, "baseline.toml", several=False)
    for check in CHECKS:
        held.value(check)
        held.accepts(check)
    held.shrunk(CHECKS, ["VQ102"])


CHECKS = (
    Check("a.pt", "quantizer.vq[1]", metric="usage.utilization", op="min", threshold=0.5, value=0.4, status="fail"),
    Check("a.pt", "quantizer.vq[1]", rule="VQ102", status="fail", level="warning"),
)


def parse_note(data: bytes) -> None:
    """The note, with everything else in order."""
    folder("repaired")
    for name, content in (("b.pt", VALID["safetensors"]), ("b.pt.undo.npz", OLD)):
        if not (FOLDER / "repaired" / name).exists():
            written(content, f"repaired/{name}")
    path = written(data, "repaired/b.pt.repair.json")
    target = FOLDER / "repaired" / "restored.pt"
    target.unlink(missing_ok=True)
    repair.undo(str(path), str(target))


def parse_undo(data: bytes) -> None:
    """The old values, put back into the repaired file."""
    with open_source(str(written(_archive(data), "old.npz"))) as old:
        restored(old, REPAIRED)


REPAIRED = open_source(str(written(VALID["safetensors"], "repaired.safetensors")))


def _archive(data: bytes) -> bytes:
    """Members cut from the input, since no mutation keeps a zip's checksums."""
    file, at = io.BytesIO(), 0
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(9):
            if at < len(data):
                size = int.from_bytes(data[at : at + 2], "little")
                archive.writestr(f"{i // 3}.{('name', 'elements', 'values')[i % 3]}.npy", data[at + 2 : at + 2 + size])
                at += 2 + size
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def undo_of(name: bytes, elements: np.ndarray, values: np.ndarray) -> bytes:
    """What `parse_undo` takes for the old values of one tensor."""
    members = map(_npy, (np.frombuffer(name, np.uint8), elements, values))
    return b"".join(len(member).to_bytes(2, "little") + member for member in members)


UNDO = undo_of(b"a", np.array([0]), np.array([0.0], np.float32))
OLD = _archive(UNDO)
UNDO_TWO = UNDO + undo_of(b"b", np.array([0, 2]), np.array([0, 0], np.int8))


def parse_recording(data: bytes) -> None:
    """All of it at once, then what the views ask for."""
    replay = Replay(str(written(data, "recording")), float("inf"), lambda: 0.0, {})
    try:
        assert replay.behind >= 0
        replay.finish()
        for run in replay.runs():
            str([run.series(), run.usage, run.notes, replay.condition(run)])
    finally:
        replay.close()


def parse_state(data: bytes) -> None:
    kept_changes(str(written(data, "state.json")))


KEY = Packing([4, 4]).dtype.itemsize
SPILLED = {
    MANIFEST: SPILL, BOUNDS: bytes(KEY), "000.keys": bytes(KEY), "000.items": np.array([3], COUNT).tobytes(), "001.keys": b"",
    "001.items": b"",
}  # fmt: skip


def spilled(part: str) -> Callable[[bytes], None]:
    """The folder of an interrupted count, one of whose files is the input, and what the count comes to."""

    @patch.object(pieces, "PIECES", 2)
    @patch.object(spill, "PIECES", 2)  # few files: an execution costs what is on disk
    def parse(data: bytes) -> None:
        place = str(folder("spilled"))
        for name, content in SPILLED.items():
            path = f"{place}/{name}"
            if name == part or not os.path.exists(path) or os.path.getsize(path) != len(content):  # used up, or cut
                with open(path, "wb") as file:
                    file.write(data if name == part else content)
        SpillingIds([4, 4], folder=place, source="a").finish()

    return parse


WRITTEN = (
    Parser("baseline", parse_baseline_file, BASELINE, (b'"', b"'''", b"inf", b"nan", b"[", b".", b"9" * 400, b"error", b"schema", b"=", b"\n")),
    Parser("repair-note", parse_note, (NOTE,), (*JSON_WORDS, b'"sha256"', DIGEST.encode(), b'"target"', b'"source"')),
    Parser("repair-undo", parse_undo, (UNDO, UNDO_TWO), (_npy(np.array([9])), _npy(np.array([0, 1])), b"'<i8'", b"'|u1'", b"'<f4'", b"(1,)")),
    Parser("recording", parse_recording, (RECORDING,), (*JSON_WORDS, b'"data"', b'"at"', b'"found"', b'"kind"', b'"steps"', b"\n")),
    Parser("watch-state", parse_state, (STATE,), JSON_WORDS),
    Parser("spill-manifest", spilled(MANIFEST), (SPILL,), (*JSON_WORDS, b'"items"', b'"lengths"', b'"merged"', b'"distinct"')),
    Parser("spill-bounds", spilled(BOUNDS), (SPILLED[BOUNDS],), (b"\xff" * 4, bytes(4))),
    Parser("spill-keys", spilled("000.keys"), (bytes(4), b"\1\0\0\0", bytes(8))),
)  # fmt: skip
