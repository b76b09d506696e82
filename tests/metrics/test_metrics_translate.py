"""Other tools' numbers for the same counts and IDs."""

import math

import numpy as np
import pytest

from vqdoctor.metrics import measure_collisions, measure_levels, translate_level, translate_quantizer


def by_name(rows):
    return {(row["tool"], row["name"]): row["value"] for row in rows}


def test_one_level():
    counts = np.array([0, 60, 30, 9, 1, 0, 0, 0])
    said = by_name(translate_level(counts, batch_used=2.0))
    assert said["LlamaGen", "codebook_usage"] == 5 / 8  # four used, and code 0 that fills the window
    assert said["VAR", "usages"] == pytest.approx(100 * 4 / 8)
    assert said["Moshi", "rvq_expired"] == pytest.approx(5 / 8)
    assert said["GRID", "layer_coverages"] == 0.25
    assert said["GRID", "id_entropy"] == pytest.approx(said["SIDInspector", "entropy"] * math.log(2))
    assert said["SIDInspector", "gini"] < 0.6
    assert said["MiniOneRec", "unique codes"] == 4
    assert {row["level"] for row in translate_level(counts, level=3)} == {3}


def test_a_window_of_many_rows_is_rarefied():
    counts = np.full(65536, 4)
    assert by_name(translate_level(counts))["LlamaGen", "codebook_usage"] == pytest.approx(0.6838, abs=1e-3)
    full = np.zeros(4, dtype=int)
    full[1] = 65536
    assert by_name(translate_level(full))["LlamaGen", "codebook_usage"] == 0.25


def test_no_rows_no_values():
    assert {row["value"] for row in translate_level(np.zeros(4, dtype=int))} == {None}
    assert by_name(translate_quantizer([np.zeros(4, dtype=int)], {}, {})) == {("DAC", "effective percentage"): None}


def test_ids():
    ids, items = np.array([[0, 1], [0, 2], [1, 0], [2, 0]]), np.array([6, 2, 1, 1])
    collisions = measure_collisions(items)
    tree = measure_levels(ids, items).facts["prefixes"]
    rows = translate_quantizer([np.array([8, 1, 1]), np.array([2, 6, 2])], collisions.metrics, collisions.facts, tree["shared"])
    said = by_name(rows)
    assert said["LC-Rec", "collision_rate"] == said["MiniOneRec", "collision_rate"] == 0.6
    assert said["LC-Rec", "Max number of conflicts"] == 6
    assert said["MiniOneRec", "Unique Semantic Paths"] == 8
    assert said["GRID", "frac_unique_ids"] == 0.4
    assert said["SIDInspector", "full_collision_rate"] == said["SIDInspector", "prefix_collision_rate@2"] == 0.8
    assert said["SIDInspector", "prefix_collision_rate@1"] == 0.8
    assert 0 < said["DAC", "effective percentage"] < 0.2
    assert all(set(row) == {"tool", "name", "level", "value", "formula", "note"} for row in rows)
