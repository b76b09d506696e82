"""A fixture that fails a test where a codebook is sick, and a marker that says what it asks.

    @pytest.mark.vqdoctor(min={"usage.utilization": 0.9})
    def test_the_tokenizer_is_fit_to_ship(assert_healthy):
        assert_healthy("tokenizer.pt", features="val_latents.npy")

What is asked is what `vqdoctor.gate` is asked, which judges; this only carries it to pytest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from vqdoctor.model.gate import GateResult

__all__ = ["AssertHealthy", "assert_healthy"]

MARKER = "vqdoctor(**gate): what `assert_healthy` asks here, arguments of vqdoctor.gate; a call's own override them"
Rows = str | os.PathLike[str] | Mapping[str, str]


class AssertHealthy(Protocol):
    """What the fixture gives."""

    def __call__(self, *paths: str | os.PathLike[str], features: Rows | None = None, **gate: Any) -> GateResult:
        """Fail the test unless the checkpoints, semantic-ID files or logs at `paths` pass the gate.

        Args:
            features: a file of rows (N, D) to judge real use by, or {quantiser: file}. gate: further arguments of `vqdoctor.gate`
                (min, max, rules, preset, inconclusive, …); nothing asked for: the recommended preset.

        Returns:
            the `GateResult`, for more to be asserted of it.

        Raises:
            vqdoctor.VqdoctorError: a file cannot be read, or a name is not known.
        """
        ...


def pytest_configure(config: pytest.Config) -> None:
    """The marker is a known one, under --strict-markers too."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def assert_healthy(request: pytest.FixtureRequest) -> AssertHealthy:
    """Call it with a checkpoint: `assert_healthy("tokenizer.pt", features="latents.npy", min={"usage.utilization": 0.9})`."""
    marked: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("vqdoctor"))):  # the nearest last
        if mark.args:
            raise pytest.UsageError("the marker vqdoctor takes keywords only, as vqdoctor.gate does: min={…}, preset='strict'")
        marked |= mark.kwargs

    def check(*paths: str | os.PathLike[str], features: Rows | None = None, **gate: Any) -> GateResult:
        __tracebackhide__ = True
        import vqdoctor
        from vqdoctor.errors import GateFailure

        asked = marked | gate | ({} if features is None else {"features": _plain(features)})
        result = vqdoctor.gate(*map(os.fspath, paths), **asked)
        try:
            return result.raise_for_failure()
        except GateFailure as failure:
            pytest.fail(str(failure), pytrace=False)

    return check


def _plain(features: Rows) -> str | Mapping[str, str]:
    return features if isinstance(features, Mapping) else os.fspath(features)
