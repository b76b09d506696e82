"""Folders with more in them than checkpoints, and options that a source has no use for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import CorruptInput, MissingInput, NoQuantizerError, UnsupportedInput, UsageError, VqdoctorError
from vqdoctor.model import Report


def one(path: Path, **options: object) -> Report:
    (report,) = inspect([str(path)], InspectRequest(**options))  # type: ignore[arg-type]
    return report


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    path = tmp_path / "ids.csv"
    path.write_text("0,1\n1,0\n1,1\n")
    return path


def bystander(folder: Path) -> Path:
    """What a trainer leaves beside its checkpoints: tensors, none of them a codebook."""
    path = folder / "head.safetensors"
    save_file({"fc.weight": np.zeros((10, 4), np.float32), "fc.bias": np.zeros(10, np.float32)}, str(path))
    return path


def test_a_folder_is_reported_without_what_holds_no_quantiser(ema_checkpoint: Path) -> None:
    bystander(ema_checkpoint.parent)
    (ema_checkpoint.parent / "half.safetensors").write_bytes(ema_checkpoint.read_bytes()[:2000])
    told: list[VqdoctorError] = []
    reports = inspect([str(ema_checkpoint.parent)], left_out=told.append)
    assert [report.source.path for report in reports] == [str(ema_checkpoint)]
    assert {Path(str(error.where)).name for error in told} == {"head.safetensors", "half.safetensors"}


def test_a_cut_off_checkpoint_of_a_folder_is_told(ema_checkpoint: Path) -> None:
    folder = ema_checkpoint.parent
    (folder / "late.ckpt").write_bytes(b"PK\x03\x04" + bytes(3000))
    (folder / "notes.txt").write_text("not a checkpoint, and not named like one\n")
    told: list[VqdoctorError] = []
    assert len(inspect([str(folder)], left_out=told.append)) == 1
    assert [Path(str(error.where)).name for error in told] == ["late.ckpt"]
    ema_checkpoint.unlink()
    with pytest.raises(CorruptInput, match="cut off"):
        inspect([str(folder)])


def test_a_folder_on_the_way_that_is_closed_to_us_is_no_missing_file(ema_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("vqdoctor.app.sources.os.lstat", closed)
    with pytest.raises(MissingInput, match=r"cannot be reached \(Permission denied\)\. Check the permissions"):
        inspect([str(ema_checkpoint)])


def test_a_file_that_was_named_must_hold_a_quantiser(ema_checkpoint: Path) -> None:
    with pytest.raises(NoQuantizerError, match="head"):
        inspect([str(ema_checkpoint), str(bystander(ema_checkpoint.parent))])


def test_a_folder_without_any_quantiser_is_an_error(tmp_path: Path) -> None:
    bystander(tmp_path)
    with pytest.raises(NoQuantizerError, match="2 tensors"):
        inspect([str(tmp_path)])


def test_the_folder_below_that_holds_checkpoints_is_named(tmp_path: Path) -> None:
    (tmp_path / "vqvae").mkdir()
    bystander(tmp_path / "vqvae")
    with pytest.raises(UnsupportedInput, match="vqvae"):
        inspect([str(tmp_path)])


def test_how_a_distributed_checkpoint_becomes_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(b"\x80\x05")
    (tmp_path / "__0_0.distcp").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnsupportedInput, match=r"dcp_to_torch \S+ model\.pt"):
        inspect([str(tmp_path)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sizes": (4,)}, "--sizes"),
        ({"suffix": False}, None),
        ({"fit": True}, "--fit"),
        ({"engine": "local"}, None),
        ({"temperature": 1.0}, "--temperature"),
        ({"translate": True}, "--translate"),
        ({"ema_decay": 0.9}, None),
    ],
)
def test_an_option_without_a_use_is_told(ema_checkpoint: Path, options: dict, said: str | None) -> None:
    warnings = one(ema_checkpoint, **options).source.warnings
    assert [said] == [warning.split()[0] for warning in warnings] if said else warnings == ()


def test_counts_that_the_file_lacks_are_told(rq_checkpoint: Path) -> None:
    assert one(rq_checkpoint, ema_threshold=1.0).source.warnings == (
        "--ema-threshold was not used: the file holds no running counts.",
    )


def test_ids_have_no_use_for_features(ids: Path) -> None:
    warnings = one(ids, features=((None, "f.npy"),), metric="l2").source.warnings
    assert [warning.split()[0] for warning in warnings] == ["--features", "--metric"]


def test_an_axis_without_a_selection_is_refused(ema_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="--select"):
        one(ema_checkpoint, axis="kd")


def test_a_lone_array_may_be_features(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 8)))
    assert any("--features" in note for note in one(tmp_path / "x.npy").quantizers[0].notes)


def test_a_file_of_a_folder_that_holds_no_ids_after_all_is_left_out(ema_checkpoint: Path) -> None:
    np.save(ema_checkpoint.parent / "labels.npy", np.array([3, -100, 2]))
    told: list[VqdoctorError] = []
    reports = inspect([str(ema_checkpoint.parent)], left_out=told.append)
    assert [report.source.path for report in reports] == [str(ema_checkpoint)]
    assert [error.what for error in told] == ["row 1 holds a negative code"]
