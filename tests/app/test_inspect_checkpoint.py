"""The main job, end to end: a checkpoint and rows whose answer is known."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from known_rows import rows_near
from safetensors.numpy import load_file, save_file

import vqdoctor
from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import MissingInput, NoQuantizerError, SampleError, UnsupportedInput, UsageError
from vqdoctor.model import Report
from vqdoctor.samples.id_writing import slices_of, write_ids


def one(path: Path, **options: object) -> Report:
    (report,) = inspect([str(path)], InspectRequest(**options))  # type: ignore[arg-type]
    return report


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}


def test_two_live_codes_under_full_ema_counts_are_told_as_collapse_and_illusion(
    ema_checkpoint: Path, book: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(2000) % 2))
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),))
    level = report.quantizers[0].levels[0]
    assert level.metrics["usage.used"] == 2
    assert level.metrics["ema.utilization"] == 1.0
    assert level.metrics["ema.inconsistent_rows"] == 0
    assert level.counts == {0: 1000, 1: 1000}
    assert {"VQ101", "VQ103"} <= rules(report)
    assert report.verdict == "sick"


def test_even_use_is_healthy_and_says_so_without_a_finding(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.random.default_rng(5).integers(0, 64, 20_000)))
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),))
    assert report.verdict == "healthy", [finding.message for finding in report.findings]
    assert report.quantizers[0].levels[0].metrics["usage.utilization"] == 1.0


def test_a_small_sample_is_insufficient_never_dead(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.random.default_rng(5).integers(0, 64, 80)))
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),))
    assert "VQ102" not in rules(report)
    assert report.quantizers[0].levels[0].metrics["usage.dead"] == 0
    assert report.verdict == "unknown"


def test_without_rows_the_report_says_what_is_missing_and_what_to_type(ema_checkpoint: Path) -> None:
    report = one(ema_checkpoint)
    assert report.verdict == "unknown"
    usage = next(one for one in report.unmeasured if one.metric.startswith("usage"))
    assert usage.how is not None
    assert "--features" in usage.how
    assert report.quantizers[0].levels[0].metrics["usage.utilization"] is None


def test_every_contract_metric_has_a_place_in_every_level(rq_checkpoint: Path) -> None:
    from vqdoctor.metrics import metrics

    report = one(rq_checkpoint)
    quantizer = report.quantizers[0]
    named = set(quantizer.metrics) | set(quantizer.levels[0].metrics)
    assert named == set(metrics())


def test_residual_levels_collide_and_gain(rq_checkpoint: Path, tmp_path: Path) -> None:
    books = [load_file(str(rq_checkpoint))[f"rq.vq_layers.{i}.embedding.weight"] for i in range(3)]
    rng = np.random.default_rng(8)
    ids = rng.integers(0, 16, (3000, 3))
    ids[:100] = ids[0]
    rows = sum(book[ids[:, i]] for i, book in enumerate(books))
    np.save(tmp_path / "f.npy", (rows + 1e-4 * rng.normal(size=rows.shape)).astype(np.float32))
    report = one(rq_checkpoint, features=((None, str(tmp_path / "f.npy")),), population=True)
    quantizer = report.quantizers[0]
    distinct = len({tuple(row) for row in ids.tolist()})
    assert quantizer.structure == "residual"
    assert quantizer.metrics["collision.items"] == 3000
    assert quantizer.metrics["collision.capacity"] == 16**3
    assert abs(quantizer.metrics["collision.unique"] - distinct) < 30  # a code of a level may lie near another's cell
    assert quantizer.groups[0].items >= 90
    assert all(gain > 3 for gain in quantizer.metrics["levels.gain_db"])
    assert report.sample is not None
    assert report.sample.population


def test_features_beside_the_checkpoint_are_used_and_named(ema_checkpoint: Path, book: np.ndarray) -> None:
    beside = ema_checkpoint.with_name("vq.features.npy")
    np.save(beside, rows_near(book, np.arange(640) % 64))
    report = one(ema_checkpoint)
    assert report.sample is not None
    assert report.sample.path == str(beside)
    assert "beside" in report.sample.origin


@pytest.mark.parametrize("fault", ["older", "hash", "width"])
def test_features_beside_that_do_not_belong_are_warned_of_and_not_used(ema_checkpoint: Path, book: np.ndarray, fault: str) -> None:
    beside = ema_checkpoint.with_name("vq.features.npy")
    np.save(beside, rows_near(book[:, :5] if fault == "width" else book, np.arange(640) % 64))
    if fault == "older":
        os.utime(beside, (1, 1))
    if fault == "hash":
        beside.with_suffix(".json").write_text(json.dumps({"checkpoint_sha256": "0" * 64}))
    report = one(ema_checkpoint)
    assert report.sample is None
    assert any("not used" in warning for warning in report.source.warnings)


def test_a_matching_hash_outweighs_the_times(ema_checkpoint: Path, book: np.ndarray) -> None:
    beside = ema_checkpoint.with_name("vq.features.npy")
    np.save(beside, rows_near(book, np.arange(640) % 64))
    os.utime(beside, (1, 1))
    digest = hashlib.sha256(ema_checkpoint.read_bytes()).hexdigest()
    beside.with_suffix(".json").write_text(json.dumps({"checkpoint_sha256": digest, "population": True}))
    report = one(ema_checkpoint)
    assert report.sample is not None
    assert report.sample.population


def test_given_features_of_another_width_are_refused_with_the_widths(ema_checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.zeros((10, 5), np.float32))
    with pytest.raises(SampleError, match=r"5 columns.*quantize takes 16"):
        one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),))


def test_features_that_fit_two_quantisers_need_a_name(tmp_path: Path, book: np.ndarray) -> None:
    path = tmp_path / "two.safetensors"
    save_file({"a.quantize.embedding.weight": book, "b.quantize.embedding.weight": book + 1}, str(path))
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(640) % 64))
    with pytest.raises(SampleError, match="NAME=FILE"):
        one(path, features=((None, str(tmp_path / "f.npy")),))
    report = one(path, features=(("b.quantize", str(tmp_path / "f.npy")),))
    used = {quantizer.name: quantizer.levels[0].metrics["usage.n"] for quantizer in report.quantizers}
    assert used == {"a.quantize": None, "b.quantize": 640}


def test_a_name_that_is_not_there_lists_those_that_are(ema_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="this file has quantize"):
        one(ema_checkpoint, quantizer="nowhere")


def test_codes_alone_measure_use_but_not_distortion(ema_checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.arange(6400) % 64)
    report = one(ema_checkpoint, codes=str(tmp_path / "c.npy"))
    metrics = report.quantizers[0].levels[0].metrics
    assert metrics["usage.used"] == 64
    assert metrics["distortion.mse"] is None
    assert report.sample is not None
    assert report.sample.kind == "codes"


def test_the_models_own_codes_are_compared_with_the_nearest(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    hits = np.arange(640) % 64
    np.save(tmp_path / "f.npy", rows_near(book, hits))
    own = hits.copy()
    own[:64] = (own[:64] + 1) % 64
    np.save(tmp_path / "c.npy", own)
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),), codes=str(tmp_path / "c.npy"))
    assert report.quantizers[0].levels[0].metrics["match.agreement"] == pytest.approx(0.9)


def test_fit_compares_with_k_means_on_rows_it_did_not_see(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(scale=4, size=(8, 6))
    rows = (centres[rng.integers(0, 8, 6000)] + 0.1 * rng.normal(size=(6000, 6))).astype(np.float32)
    path = tmp_path / "poor.safetensors"
    save_file({"quantize.embedding.weight": (centres + 1.0).astype(np.float32)}, str(path))
    np.save(tmp_path / "f.npy", rows)
    report = one(path, features=((None, str(tmp_path / "f.npy")),), fit=True)
    ratio = report.quantizers[0].levels[0].metrics["distortion.kmeans_ratio"]
    assert isinstance(ratio, float)
    assert ratio > 20
    assert "VQ208" in rules(report)


def test_temperature_adds_soft_use(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(2000) % 2))
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),), temperature=1e6)
    metrics = report.quantizers[0].levels[0].metrics
    assert metrics["usage.soft_perplexity"] == pytest.approx(64, rel=1e-2)
    assert metrics["usage.perplexity"] == pytest.approx(2)


def test_what_the_user_states_replaces_the_familys_habits(ema_checkpoint: Path) -> None:
    strict = one(ema_checkpoint, ema_threshold=1.0).quantizers[0].levels[0].metrics
    assert strict["ema.threshold"] == 1.0
    assert strict["ema.active"] == 2


def test_details_have_one_entry_a_code(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", rows_near(book, np.arange(2000) % 2))
    report = one(ema_checkpoint, features=((None, str(tmp_path / "f.npy")),), details=True)
    details = report.quantizers[0].levels[0].facts["details"]
    assert {"code", "count", "share", "ema_count", "norm", "nearest", "nearest_distance", "verdict"} <= set(details)
    assert {len(column) for column in details.values()} == {64}


def test_an_assumed_metric_that_decides_the_verdict_is_said(tmp_path: Path) -> None:
    """By L2 the long codes win nothing; by direction every code is used evenly."""
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(32, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.where(np.arange(32) < 16, 1.0, 60.0)[:, None]
    path = tmp_path / "mine.npz"
    np.savez(path, **{"my_quantizer.codebook": (directions * lengths).astype(np.float32)})
    rows = directions[rng.integers(0, 32, 5000)] + 0.02 * rng.normal(size=(5000, 8))
    np.save(tmp_path / "f.npy", rows.astype(np.float32))
    report = one(path, features=((None, str(tmp_path / "f.npy")),))
    assert report.quantizers[0].metric_basis == "assumed"
    assert report.verdict == "unknown"
    assert any("--metric" in (one.how or "") for one in report.unmeasured)
    assert one(path, features=((None, str(tmp_path / "f.npy")),), metric="l2").verdict == "at-risk"


def test_no_quantiser_names_the_likeliest_tensors_and_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "lm.safetensors"
    save_file(
        {"model.embed_tokens.weight": np.ones((64, 8), np.float32), "model.head.weight": np.ones((8, 8), np.float32)}, str(path)
    )
    with pytest.raises(NoQuantizerError, match="--select"):
        one(path)
    report = one(path, select=r"head\.weight$", axis="dk")
    assert report.quantizers[0].layout == "selected"


def test_a_folder_stands_for_its_checkpoints_newest_last(ema_checkpoint: Path, rq_checkpoint: Path) -> None:
    os.utime(ema_checkpoint, (1, 1))
    reports = inspect([str(ema_checkpoint.parent)])
    assert [Path(report.source.path).name for report in reports] == ["vq.safetensors", "rq.safetensors"]


def test_a_folder_without_checkpoints_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="no checkpoint"):
        inspect([str(tmp_path)])
    with pytest.raises(MissingInput):
        inspect([str(tmp_path / "nowhere.pt")])


def test_an_optimiser_that_never_moved_a_row_is_evidence(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    book = torch.nn.Embedding(32, 8)
    optimiser = torch.optim.AdamW(book.parameters(), lr=1e-3)
    for _ in range(3):
        book(torch.arange(10)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    path = tmp_path / "c.pt"
    torch.save({"state_dict": {"quantize.embedding.weight": book.weight.detach()}, "optimizer": optimiser.state_dict()}, path)
    level = one(path).quantizers[0].levels[0]
    assert level.facts["optimizer.untouched"] == 22


def test_the_python_face_gives_the_same_values(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    import vqdoctor

    np.save(tmp_path / "f.npy", rows_near(book, np.arange(20_000) % 2, noise=1.0))
    report = vqdoctor.inspect(str(ema_checkpoint), features=str(tmp_path / "f.npy"))
    assert report.verdict == "sick"
    done = vqdoctor.repair(str(ema_checkpoint), str(tmp_path / "f.npy"), out=str(tmp_path / "out.safetensors"))
    assert (
        vqdoctor.inspect(str(tmp_path / "out.safetensors"), features=str(tmp_path / "f.npy"))
        .quantizers[0]
        .levels[0]
        .metrics["usage.used"]
        == 64
    ), done
    assert vqdoctor.compare(str(ema_checkpoint), str(tmp_path / "out.safetensors"))["quantizers"][0]["levels"][0]["moved"] == 64
    assert vqdoctor.encode(str(ema_checkpoint), features=str(tmp_path / "f.npy")).unique == 2


@pytest.mark.parametrize(("codes", "metric"), [(np.nan, None), (0.0, None), (0.0, "cosine")])
def test_a_book_too_broken_for_any_row_is_still_reported(codes: float, metric: str | None, tmp_path: Path) -> None:
    save_file({"quantizer.embedding.weight": np.full((8, 4), codes, np.float32)}, str(tmp_path / "vq.safetensors"))
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    asked = InspectRequest(features=((None, str(tmp_path / "f.npy")),), metric=metric)
    (report,) = inspect([str(tmp_path / "vq.safetensors")], asked)
    assert report.verdict == "sick"
    assert {"VQ201", "VQ303"} & {finding.rule for finding in report.findings}
    assert report.sample is not None
    if np.isnan(codes) or metric == "cosine":
        assert (report.sample.n, report.sample.dropped) == (0, 100)
        assert any(entry.metric == "usage.*" and "no row finds a code" in entry.why for entry in report.unmeasured)


def test_rows_that_are_all_broken_are_refused(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.full_like(book, np.nan))
    with pytest.raises(SampleError, match="none of its rows could be used"):
        vqdoctor.inspect(str(ema_checkpoint), features=str(tmp_path / "f.npy"))


def test_features_on_their_side_are_told_so(ema_checkpoint: Path, book: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.repeat(book, 3, axis=0).T)
    with pytest.raises(SampleError, match="save the transpose"):
        vqdoctor.inspect(str(ema_checkpoint), features=str(tmp_path / "f.npy"))


@pytest.mark.parametrize("option", ["features", "codes"])
def test_a_text_instead_of_an_array_is_told_what_to_save(ema_checkpoint: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "f.csv").write_text("0.5,1.5\n0.25,2.5\n")
    with pytest.raises(UnsupportedInput, match=rf"a text, in which no {option} were found. Save the array: numpy.save"):
        vqdoctor.inspect(str(ema_checkpoint), **{option: str(tmp_path / "f.csv")})


@pytest.mark.parametrize("dedup", [False, True])
@pytest.mark.parametrize("ending", [".index.json", ".npy", ".parquet"])
def test_codes_may_be_what_encode_wrote(rq_checkpoint: Path, tmp_path: Path, ending: str, dedup: bool) -> None:
    rng = np.random.default_rng(0)
    levels = vqdoctor.inspect(str(rq_checkpoint)).quantizers[0].levels
    np.save(tmp_path / "f.npy", rng.normal(size=(500, levels[0].dim)).astype(np.float32))
    encoded = vqdoctor.encode(str(rq_checkpoint), features=str(tmp_path / "f.npy"), dedup=dedup and ending != ".npy")
    write_ids(str(tmp_path / f"ids{ending}"), 500, slices_of(encoded.table), encoded.marks)
    report = vqdoctor.inspect(str(rq_checkpoint), features=str(tmp_path / "f.npy"), codes=str(tmp_path / f"ids{ending}"))
    assert [level.metrics["match.agreement"] for level in report.quantizers[0].levels] == [1.0] * len(levels)
    alone = vqdoctor.inspect(str(rq_checkpoint), codes=str(tmp_path / f"ids{ending}"))
    assert alone.sample.kind == "codes" and alone.quantizers[0].levels[0].metrics["usage.n"] == 500


@pytest.mark.parametrize("stem", ["quantizer.vq.layers.0._codebook.", "vq._codebook."])
def test_a_flag_that_was_lost_is_a_time_bomb(stem: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    book, counts = rng.normal(size=(16, 4)).astype(np.float32), np.full(16, 9, np.float32)
    tensors = {"cluster_size": counts, "embed": book, "embed_avg": book * 9}
    stacked = {f"{stem}{name}": value[None] if stem.startswith("vq") else value for name, value in tensors.items()}
    save_file(stacked, str(tmp_path / "a.safetensors"))
    (found,) = (finding for finding in one(tmp_path / "a.safetensors").findings if finding.rule == "VQ303")
    assert (found.severity, found.confidence) == ("warning", "likely") and "flag is missing" in found.message


@pytest.mark.parametrize("shape", [lambda given: given, torch.from_numpy, lambda given: given.tolist()])
def test_the_python_face_takes_what_is_in_memory(ema_checkpoint: Path, book: np.ndarray, shape: Callable) -> None:
    rows = rows_near(book, np.arange(600) % len(book))
    encoded = vqdoctor.encode(str(ema_checkpoint), features=shape(rows))
    codes = encoded.codes.astype(np.int64)
    for given in (codes, codes[:, 0]):
        alone = vqdoctor.inspect(str(ema_checkpoint), codes=shape(given))
        assert alone.sample.path == "codes in memory" and alone.quantizers[0].levels[0].metrics["usage.used"] == len(book)
    both = vqdoctor.inspect(str(ema_checkpoint), features=shape(rows), codes=shape(codes))
    assert both.quantizers[0].levels[0].metrics["match.agreement"] == 1.0


def test_codes_in_memory_are_whole_numbers(ema_checkpoint: Path) -> None:
    for wrong in (np.zeros((2, 2, 2)), object(), [["a"]], []):
        with pytest.raises(UsageError, match="codes are the name of a file, or whole numbers"):
            vqdoctor.inspect(str(ema_checkpoint), codes=wrong)
    with pytest.raises(SampleError, match="which is no code"):
        vqdoctor.inspect(str(ema_checkpoint), codes=np.array([0.5, 1.0]))
