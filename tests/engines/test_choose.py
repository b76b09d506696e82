"""Engines by name."""

from __future__ import annotations

import pytest

from vqdoctor.engines import ENGINES, encode_rows, encoder_named, engine_named, known_engines, measure_rows
from vqdoctor.engines.choose import misfit
from vqdoctor.errors import UsageError


def test_the_local_engine_is_always_there():
    assert engine_named("local") is measure_rows
    assert measure_rows in known_engines()
    with pytest.raises(UsageError, match="local is always there"):
        engine_named("of nobody")


def test_what_cannot_be_called_is_no_engine():
    assert misfit(3) and not misfit(measure_rows)


def test_an_engine_that_only_counts_encodes_nothing(monkeypatch):
    assert encoder_named("local") is encode_rows
    monkeypatch.setitem(ENGINES, "counter", lambda rows, lookup: None)
    with pytest.raises(UsageError, match="the engine counter counts rows, but cannot hand out their codes"):
        encoder_named("counter")
