"""Whatever has no number is accounted for: one entry a metric or family, under names that exist."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from known_rows import rows_near

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.metrics import METRICS
from vqdoctor.model import Report

NAMES = {page.name for page in METRICS}


def covered(report: Report) -> set[str]:
    """The metrics that the entries speak of."""
    told: set[str] = set()
    for entry in report.unmeasured:
        named = {
            name for name in NAMES if name == entry.metric or (entry.metric.endswith(".*") and name.startswith(entry.metric[:-1]))
        }
        assert named, entry.metric
        told |= named
    return told


def undefined(report: Report) -> set[str]:
    """The metrics without a value somewhere."""
    groups = [quantizer.metrics for quantizer in report.quantizers]
    groups += [level.metrics for quantizer in report.quantizers for level in quantizer.levels]
    return {name for metrics in groups for name, value in metrics.items() if value is None}


def check(path: Path, **options: object) -> Report:
    (report,) = inspect([str(path)], InspectRequest(**options))  # type: ignore[arg-type]
    assert undefined(report) <= covered(report)
    return report


def test_a_checkpoint_alone(ema_checkpoint: Path, rq_checkpoint: Path) -> None:
    check(ema_checkpoint)
    together = {entry.metric: entry for entry in check(rq_checkpoint).unmeasured}
    assert together["collision.*"].how and "--features" in together["collision.*"].how


def test_with_features(ema_checkpoint: Path, rq_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(400) % 64))
    check(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),))
    np.save(tmp_path / "g.npy", np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32))
    check(rq_checkpoint, features=((None, str(tmp_path / "g.npy")),))


def test_a_fit_without_rows_enough_says_how_many(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(400) % 64))
    report = check(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),), fit=True)
    (why,) = (entry.why for entry in report.unmeasured if entry.metric == "distortion.kmeans_ratio")
    codes = report.quantizers[0].levels[0].codes
    assert why == f"{39 * codes + 1000:,} rows are needed to fit {codes} codes fairly, 400 were kept"
    np.save(
        tmp_path / "f.npy", rows_near(book, np.arange(39 * codes + 1000) % codes)
    )  # less than twice as many as are learned from
    check(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),), fit=True)


def test_with_codes(rq_checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.random.default_rng(0).integers(0, 16, size=(300, 3)))
    check(rq_checkpoint, codes=str(tmp_path / "c.npy"))


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("sized", [False, True])
def test_semantic_ids(levels: int, sized: bool, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 16, size=(200, levels))
    path = tmp_path / "x.index.json"
    path.write_text(json.dumps({str(i): [f"<{'abc'[at]}_{code}>" for at, code in enumerate(row)] for i, row in enumerate(rows)}))
    check(path, sizes=(16,) * levels if sized else None)
