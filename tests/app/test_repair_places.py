"""Where a repair writes: places refused before anybody waits, two repairs at once, a disk full at the end, undo by strange rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app import repair as use_case
from vqdoctor.app.repair import RepairRequest, RepairResult, repair, undo
from vqdoctor.errors import MissingInput, SampleError, UsageError
from vqdoctor.safe_write import alone_beside, write_atomically
from vqdoctor.treatment import TreatmentRequest

KMEANS = RepairRequest(TreatmentRequest("kmeans"))


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


class Watched:
    """A progress that notes what was begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def start(self, what: str, total: int | None) -> None:
        self.begun.append(what)

    def advance(self, n: int) -> None: ...

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("a.npz", "the checkpoint itself"),
        ("taken.npz", "exists already"),
        ("no/such/out.npz", "does not exist"),
        ("dir", "a folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_planned(place: str, says: str, sick: Path) -> None:
    (sick.parent / "taken.npz").write_bytes(b"somebody's")
    (sick.parent / "dir").mkdir()
    before, progress = files(sick.parent), Watched()
    with pytest.raises(UsageError, match=says):
        repair(str(sick), str(sick.parent / place), KMEANS, progress=progress)
    assert progress.begun == []
    assert files(sick.parent) == before


def test_a_second_repair_waits_and_leaves_the_first_ones_old_rows(sick: Path) -> None:
    """Both have planned; whoever comes second finds the name taken and may not touch what undoes the first."""
    out, planned, errors = str(sick.with_name("out.npz")), threading.Event(), list[BaseException]()

    def second() -> None:
        def confirm(_: object) -> bool:
            planned.set()
            return True

        try:
            repair(str(sick), out, RepairRequest(TreatmentRequest("kmeans", seed=1)), confirm=confirm)
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=second)
    with alone_beside(out):
        thread.start()
        assert planned.wait(30)
        thread.join(0.2)
        assert thread.is_alive()
        assert not Path(f"{out}.undo.npz").exists()
        Path(out).write_bytes(b"the first one's copy")
        Path(f"{out}.undo.npz").write_bytes(b"the first one's rows")
    thread.join(30)
    (error,) = errors
    assert "exists already" in str(error)
    assert Path(f"{out}.undo.npz").read_bytes() == b"the first one's rows"


def failing(name: str) -> Callable[[str, bytes], None]:
    """`write_atomically` on a disk that is full when the file of that ending comes."""

    def write(path: str, data: bytes) -> None:
        if path.endswith(name):
            raise UsageError("cannot be written: no space left on device.", where=path, hint="Name another place.")
        write_atomically(path, data)

    return write


@pytest.mark.parametrize("name", [".repair.json", ".id_map.json"])
def test_no_copy_stays_without_its_note(name: str, sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(sick.parent)
    monkeypatch.setattr(use_case, "write_atomically", failing(name))
    with pytest.raises(UsageError, match="no space left"):
        repair(str(sick), str(sick.with_name("out.npz")), KMEANS)
    assert files(sick.parent) == before


def test_in_place_the_repaired_file_and_its_old_rows_stay_without_a_note(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = sick.read_bytes()
    monkeypatch.setattr(use_case, "write_atomically", failing(".repair.json"))
    with pytest.raises(UsageError, match="itself is repaired and proven"):
        repair(str(sick), str(sick), KMEANS, in_place=True, backup=False)
    assert sick.read_bytes() != original
    assert Path(f"{sick}.undo.npz").exists()


def test_rows_that_are_refused_are_named(sick: Path) -> None:
    few = sick.with_name("few.npy")
    np.save(few, np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    for method in ("kmeans", "reset-dead"):
        with pytest.raises(SampleError) as refused:
            repair(str(sick), str(sick.with_name("out.npz")), RepairRequest(TreatmentRequest(method), ((None, str(few)),)))
        assert str(refused.value).startswith(f"{few}: ")


def stored(side: Path, **others: np.ndarray) -> None:
    """The rows that undo a repair, some of them others."""
    with np.load(side) as kept:
        arrays = dict(kept)
    np.savez(side, **(arrays | others))


@pytest.mark.parametrize(
    "others",
    [
        {"0.elements": np.array([1 << 40])},
        {"0.elements": np.array([-1])},
        {"0.elements": np.array([0.5])},
        {"0.values": np.zeros(3, np.float32)},
        {"0.name": np.frombuffer(b"\xff\xfe", np.uint8)},
        {"0.name": np.frombuffer(b"other.weight", np.uint8)},
    ],
    ids=str,
)
def test_old_rows_that_are_another_repairs_are_refused(others: dict, sick: Path) -> None:
    out = sick.with_name("out.npz")
    done = repair(str(sick), str(out), KMEANS)
    assert isinstance(done, RepairResult)
    note, side, restored = Path(f"{out}.repair.json"), Path(f"{out}.undo.npz"), sick.with_name("restored.npz")
    if "0.elements" in others:
        others = {"0.values": np.zeros(1, np.float32), **others}
    stored(side, **others)
    with pytest.raises(UsageError, match="not the file that this repair left"):
        undo(str(note), str(restored))
    note.write_bytes(note.read_bytes().replace(b'"undo_sha256"', b'"unbound"'))  # as notes were once
    with pytest.raises(UsageError, match=r"do not fit it|does not hold|is not what a repair leaves"):
        undo(str(note), str(restored))
    assert not restored.exists()


def test_a_note_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such file"):
        undo(str(tmp_path / "out.npz.repair.json"), str(tmp_path / "restored.npz"))
