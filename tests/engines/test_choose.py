"""Engines by name."""

from __future__ import annotations

import pytest

from vqdoctor.engines import engine_named, known_engines, measure_rows
from vqdoctor.engines.choose import misfit
from vqdoctor.errors import UsageError


def test_the_local_engine_is_always_there():
    assert engine_named("local") is measure_rows
    assert measure_rows in known_engines()
    with pytest.raises(UsageError, match="local is always there"):
        engine_named("of nobody")


def test_what_cannot_be_called_is_no_engine():
    assert misfit(3) and not misfit(measure_rows)
