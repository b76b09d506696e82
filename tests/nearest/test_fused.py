"""When searches are compiled, and that what comes out does not depend on it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher, fused, searcher
from vqdoctor.nearest.fused import Packed, Scans, Starter, best_scores
from vqdoctor.nearest.tiles import Desk


@pytest.fixture
def in_python() -> Scans:
    return Scans(lambda scan: scan)


@pytest.mark.parametrize("shape", [(300, 5, 9), (65, 4, 4), (1, 1, 1), (7, 2, 9), (70, 33, 130), (20, 68, 131), (300, 69, 3)])
@pytest.mark.parametrize("by", ["in_python", "compiled"])
def test_best_and_next_best_of_a_row(shape, by, request) -> None:
    count, width, size = shape
    rng = np.random.default_rng(0)
    rows, codes = rng.standard_normal((count, width), np.float32), rng.standard_normal((size, width), np.float32)
    bias, offset = rng.standard_normal(size).astype(np.float32), rng.standard_normal(width).astype(np.float32)
    found = best_scores(request.getfixturevalue(by), rows[:40], Packed.of(codes, bias, offset), Desk())
    moved = rows[:40].astype(np.float64) - offset
    scores = moved @ codes.T.astype(np.float64) + bias
    assert (found.found == scores.argmax(1)).all()
    np.testing.assert_allclose(found.energy, (moved**2).sum(1), rtol=1e-5)
    np.testing.assert_allclose(found.score, scores.max(1), rtol=1e-4, atol=1e-5)
    scores[np.arange(len(scores)), scores.argmax(1)] = -np.inf
    np.testing.assert_allclose(found.second, scores.max(1), rtol=1e-4, atol=1e-5)


def test_rows_that_lie_anyhow(scanned_by) -> None:
    """Read-only, every other column, at an odd address: the same codes."""
    rng = np.random.default_rng(0)
    codes, rows = rng.standard_normal((50, 8), np.float32), rng.standard_normal((200, 8), np.float32)
    search = Searcher(Lookup((Stage(codes),), "single", "l2", 8))
    expected = search.encode(rows).codes
    fixed, spread = rows.copy(), np.repeat(rows, 2, axis=1)[:, ::2]
    fixed.flags.writeable = False
    odd = np.frombuffer(b"\0" + rows.tobytes(), np.uint8)[1:].view(np.float32).reshape(rows.shape)
    for same in (fixed, spread, odd):
        assert (search.encode(same).codes == expected).all()


def test_a_scan_is_compiled_once_for_a_kind_of_table() -> None:
    made = []
    scans = Scans(lambda scan: made.append(scan) or scan)
    tables = {width: Packed.of(np.zeros((5, width), np.float32), 0, None) for width in (1, 2, 3, 8, 64, 65, 512)}
    of = {width: scans.of(table) for width, table in tables.items()}
    assert len(made) == len(set(made)) == 4
    assert of[1] is of[2] is not of[3] is not of[8] is of[64] is not of[65] is of[512]


def test_it_starts_when_enough_was_asked_for(monkeypatch, in_python) -> None:
    started = []
    monkeypatch.setattr(fused, "numba_scans", lambda: started.append(1) or in_python)
    starter = Starter()
    scores = int(fused.WORTH / 2 / (8 + fused.COMPARED)) + 1
    assert starter(scores, 8) is None
    assert not started
    assert [starter(scores, 8), starter(1, 8)] == [in_python, in_python]
    assert started == [1]


def test_without_numba_numpy_does_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    starter = Starter()
    assert starter(int(fused.WORTH), 8) is None
    monkeypatch.setattr(searcher, "compiled_for", starter)
    assert Searcher(Lookup((Stage(np.eye(3, dtype=np.float32)),), "single", "l2", 3)).encode(np.eye(3, dtype=np.float32)).codes[
        :, 0
    ].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "trouble", [RuntimeError("cannot cache function: no locator available"), OSError(28, "No space left on device")]
)
def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch, trouble) -> None:
    numba = pytest.importorskip("numba")

    def njit(*_, cache=False, **__):
        if cache:
            raise trouble
        return lambda scan: scan

    monkeypatch.setattr(numba, "njit", njit)
    table = Packed.of(np.eye(2, dtype=np.float32), 0, None)
    assert best_scores(fused.numba_scans(), np.eye(2, dtype=np.float32), table, Desk()).found.tolist() == [0, 1]
