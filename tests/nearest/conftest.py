"""Every test of the search is run twice: as numpy scans the scores, and as the compiled scan does."""

from __future__ import annotations

import pytest

from vqdoctor.nearest import fused, searcher


@pytest.fixture(scope="session")
def compiled() -> fused.Scans | None:
    pytest.importorskip("numba")
    return fused.numba_scans()


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def scanned_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    scans = request.getfixturevalue("compiled") if request.param == "numba" else None
    monkeypatch.setattr(searcher, "compiled_for", lambda scores, width: scans)
    return request.param
