"""The benchmark's array: three keys a row, numbers only, names that stay the same and are told apart."""

import json
import math

import pytest
from nasty_reports import REPORTS, healthy, sick

from vqdoctor.render import Screen, renderer


def rows(*reports):
    return json.loads(renderer("bench").render(reports, Screen()))


@pytest.mark.parametrize("name", REPORTS)
def test_rows_hold_finite_numbers_and_unique_names(name):
    found = rows(REPORTS[name]())
    assert all(list(row) == ["name", "unit", "value"] and isinstance(row["name"], str) and row["unit"] for row in found)
    assert all(isinstance(row["value"], int | float) and math.isfinite(row["value"]) for row in found)
    assert len({row["name"] for row in found}) == len(found)


def test_units_are_the_registrys_and_undefined_metrics_are_left_out():
    found = {row["name"]: row for row in rows(sick())}
    assert found["runs/vqgan_epoch1.pt quantize[0] usage.used"] == {
        "name": "runs/vqgan_epoch1.pt quantize[0] usage.used",
        "unit": "codes",
        "value": 2,
    }
    assert not any(name.endswith("distortion.snr_db") for name in found)


def test_a_list_is_a_row_a_level_without_its_gaps():
    gains = [row["value"] for row in rows(healthy()) if "levels.gain_db" in row["name"]]
    assert gains == [3.1, 1.2]
