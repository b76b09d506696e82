"""Settings by name: what is accepted, and what a typing error is told."""

from __future__ import annotations

import pytest

from vqdoctor.diagnosis import parse_overrides, rule_named
from vqdoctor.errors import UsageError


def test_thresholds_and_severities_by_id_or_name():
    settings = {"vq103": {"warn": 0.2, "error": 1}, "poor-fit": {"severity": "off"}, "VQ401": "error"}
    assert parse_overrides(settings) == {
        "VQ103": {"warn": 0.2, "error": 1},
        "VQ208": {"severity": "off"},
        "VQ401": {"severity": "error"},
    }


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"VQ1O3": {}}, "'VQ103'"),
        ({"ema-ilusion": {}}, "'ema-illusion'"),
        ({"VQ103": {"warning": 0.2}}, "'warn'"),
        ({"VQ103": {"warn": "high"}}, "tool.vqdoctor.rules.VQ103.warn"),
        ({"VQ103": {"warn": True}}, "no number"),
        ({"VQ103": {"warn": float("nan")}}, "no number"),
        ({"VQ103": {"severity": "eror"}}, "'error'"),
        ({"VQ103": "fatal"}, "off, info, warning, error"),
        ({"VQ103": 3}, "no severity"),
        ({"VQ103": {"severity": ["error"]}}, "no severity"),
        ({"nothing like it\x1b": {}}, "\\x1b"),
    ],
)
def test_a_wrong_name_or_value_is_refused_with_the_nearest(settings, told):
    with pytest.raises(UsageError) as refused:
        parse_overrides(settings)
    assert told in str(refused.value) and "\x1b" not in str(refused.value)


def test_rules_are_found_by_id_or_name():
    assert rule_named("vq303") is rule_named("uninitialised")
