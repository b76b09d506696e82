"""Semantic-ID files through the same use case."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import vqdoctor
from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import SampleError
from vqdoctor.model import Report
from vqdoctor.samples.id_writing import DEDUP, level_marks, slices_of, write_ids


def write(path: Path, ids: list[list[int]]) -> Path:
    letters = "abcdef"
    path.write_text(json.dumps({str(i): [f"<{letters[j]}_{code}>" for j, code in enumerate(row)] for i, row in enumerate(ids)}))
    return path


def one(path: Path, **options: object) -> Report:
    (report,) = inspect([str(path)], InspectRequest(**options))  # type: ignore[arg-type]
    return report


def test_collisions_are_counted_by_the_contracts_names(tmp_path: Path) -> None:
    path = write(tmp_path / "x.index.json", [[1, 2], [1, 2], [1, 2], [1, 3], [1, 3], [2, 1], [2, 2], [0, 0]])
    report = one(path, sizes=(4, 4))
    metrics = report.quantizers[0].metrics
    expected = {
        "items": 8,
        "unique": 5,
        "excess": 3,
        "rate": 0.375,
        "conflict_items": 5,
        "conflict_rate": 0.625,
        "max_group": 3,
        "capacity": 16,
    }
    assert {name: metrics[f"collision.{name}"] for name in expected} == expected
    assert report.quantizers[0].groups[0].members == ("0", "1", "2")
    assert report.sample is not None
    assert report.sample.population


def test_without_sizes_nothing_that_needs_k_is_guessed(tmp_path: Path) -> None:
    report = one(write(tmp_path / "x.index.json", [[0, 2], [1, 2], [1, 2]]))
    level = report.quantizers[0].levels[0]
    assert level.metrics["usage.utilization"] is None
    assert level.metrics["usage.used"] == 2
    assert report.quantizers[0].metrics["collision.capacity"] is None
    assert any("--sizes" in (one.how or "") for one in report.unmeasured)


def test_a_dedup_token_hides_no_collision(tmp_path: Path) -> None:
    ids = [[0, 0, 0], [0, 0, 1], [1, 1, 0], [2, 1, 0], [2, 1, 1], [2, 1, 2]]
    metrics = one(write(tmp_path / "x.index.json", ids), sizes=(4, 4)).quantizers[0].metrics
    assert metrics["collision.excess"] == 3
    assert metrics["collision.after_suffix"] == 0
    levels = one(write(tmp_path / "y.index.json", ids), suffix=False).quantizers[0].levels
    assert len(levels) == 3


def test_sizes_can_come_from_the_checkpoint_that_wrote_them(tmp_path: Path, rq_checkpoint: Path) -> None:
    path = write(tmp_path / "x.index.json", np.random.default_rng(0).integers(0, 16, (500, 3)).tolist())
    report = one(path, checkpoint=str(rq_checkpoint))
    assert [level.codes for level in report.quantizers[0].levels] == [16, 16, 16]


def test_a_code_beyond_its_size_names_row_and_level(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="row 1 has code 9 at level 1"):
        one(write(tmp_path / "x.index.json", [[0, 0], [0, 9]]), sizes=(4, 4))


def test_translation_gives_each_tools_number(tmp_path: Path) -> None:
    path = write(tmp_path / "x.index.json", [[0, 0]] * 6 + [[1, 1]] * 2 + [[2, 2], [3, 3]])
    rows = {(row["tool"], row["name"]): row["value"] for row in one(path, sizes=(4, 4), translate=True).quantizers[0].translations}
    assert rows["LC-Rec", "collision_rate"] == pytest.approx(0.6)
    assert rows["SIDInspector", "full_collision_rate"] == pytest.approx(0.8)
    assert rows["MiniOneRec", "Unique Semantic Paths"] == 8


def test_ids_of_one_code_collide_too(tmp_path: Path) -> None:
    path = tmp_path / "one.npy"
    np.save(path, np.array([[0], [0], [1], [2]]))
    metrics = one(path, sizes=(4,)).quantizers[0].metrics
    assert metrics["collision.excess"] == 1
    assert metrics["collision.capacity"] == 4


@pytest.mark.parametrize("ending", [".index.json", ".parquet"])
@pytest.mark.parametrize("levels", [1, 3, 30])
def test_what_encode_wrote_is_read_whole(tmp_path: Path, levels: int, ending: str) -> None:
    """Also beyond the letters of a few levels, and where no ID is there twice, so that every rank is 0."""
    codes = np.random.default_rng(0).permutation(64)[:50, None] * np.ones((1, levels), int) % 61
    for rows, left in ((np.unique(codes, axis=0), 0), (np.repeat(codes, 2, axis=0), 0)):
        seen: Counter[tuple[int, ...]] = Counter()
        ranks = [seen.update([row]) or seen[row] - 1 for row in map(tuple, rows.tolist())]
        write_ids(str(tmp_path / f"a{ending}"), len(rows), slices_of(np.column_stack([rows, ranks])), (*level_marks(levels), DEDUP))
        found = vqdoctor.inspect(str(tmp_path / f"a{ending}"), sizes=(64,) * levels).quantizers[0]
        assert len(found.levels) == levels and found.metrics["collision.after_suffix"] == left
        assert found.metrics["collision.unique"] == len(np.unique(rows, axis=0))
