"""`repair --auto`: the next remedy where the first serves rows held out worse; the project's settings; the options given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import shell
from safetensors.numpy import load_file, save_file

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
FEATURES = SAMPLES / "hourglass.features.npy"


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """The bundled hourglass whose last level has lost five codes: a scale mismatch that k-means makes worse, and dead codes."""
    sample = torch.load(SAMPLES / "hourglass.pt", weights_only=False)
    codes, sums, counts = (sample["model"][f"quantizer.layers.2.{name}"] for name in ("codebook", "ema_sum", "ema_count"))
    for table in (codes, sums):
        table[counts.argsort()[:5]] *= 1000
    torch.save(sample, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def beside(folder: Path, name: str) -> str:
    """A bundled sample with its features in `folder`."""
    for file in SAMPLES.glob(f"{name}.*"):
        shutil.copy2(file, folder / file.name)
    return f"{name}.pt"


def plan_of(folder: Path, *arguments: object) -> dict:
    done = shell("repair", *arguments, "--auto", "--dry-run", "--format", "json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_k_means_serves_worse_the_next_remedy_is_previewed_and_done(lost: Path) -> None:
    done = shell("repair", "a.pt", "--features", FEATURES, "--auto", "-o", "out.pt", folder=lost.parent)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "--kmeans of quantizer: VQ206 scale-mismatch: prescribed, and left out: on rows held out the error grows" in told
    assert "--reset-dead of quantizer: VQ102 dead-codes, since --kmeans was left out" in told
    note = json.loads((lost.parent / "out.pt.repair.json").read_text())
    level = note["levels"][2]
    assert note["method"] == "reset-dead" and len(level["rows_changed"]) == 5
    assert level["after"]["distortion.mse"] < level["before"]["distortion.mse"]
    assert note["steps"] == ["--reset-dead of quantizer: VQ102 dead-codes, since --kmeans was left out"]
    assert any("left out" in warning for warning in note["warnings"])


def test_what_auto_does_is_what_its_treatment_does_by_the_same_seed(lost: Path) -> None:
    copies = {}
    for name, options in {
        "auto": ("--auto", "--seed", "3"), "again": ("--auto", "--seed", "3"), "named": ("--reset-dead", "--seed", "3"),
        "other": ("--auto", "--seed", "4"),
    }.items():  # fmt: skip
        done = shell("repair", "a.pt", "--features", FEATURES, *options, "-o", f"{name}.pt", folder=lost.parent)
        assert done.returncode == 0, done.stderr
        copies[name] = (lost.parent / f"{name}.pt").read_bytes()
    assert copies["auto"] == copies["again"] == copies["named"] != copies["other"]


@pytest.mark.parametrize("place", ["vqdoctor.toml", "../pyproject.toml"])
def test_auto_judges_by_the_settings_that_inspect_has(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    name = beside(folder, "hourglass")
    assert plan_of(folder, name)["warnings"] == []
    (folder / place).write_text("[tool.vqdoctor.rules]\nVQ405 = { warn = 9.0 }\n")
    report = json.loads(shell("inspect", name, "--format", "json", folder=folder).stdout)
    (found,) = (one for one in report["findings"] if one["rule"] == "VQ405")
    assert found["severity"] == "warning" and "--kmeans" in found["remedy"]["command"]
    (warning,) = (one for one in plan_of(folder, name)["warnings"] if "prescribed" in one)
    assert warning.startswith("--kmeans of quantizer: VQ405 idle-level: prescribed, and left out")


def test_what_the_project_does_not_mind_is_not_treated(tmp_path: Path) -> None:
    name = beside(tmp_path, "collapsed-rq")
    assert plan_of(tmp_path, name)["method"] == "kmeans"
    off = "".join(f"{rule} = 'off'\n" for rule in ("VQ101", "VQ102", "VQ204", "VQ206", "VQ207", "VQ401", "VQ405"))
    (tmp_path / "vqdoctor.toml").write_text(f"[rules]\n{off}")
    done = shell("repair", name, "--auto", "-o", "out.pt", folder=tmp_path)
    assert done.returncode == 0 and "Nothing to repair" in done.stdout, done.stderr


def test_settings_that_cannot_be_read_stop_auto_alone(tmp_path: Path) -> None:
    name = beside(tmp_path, "collapsed-rq")
    (tmp_path / "vqdoctor.toml").write_text("[rules]\nVQ401 = { wran = 1 }\n")
    done = shell("repair", name, "--auto", "-o", "out.pt", folder=tmp_path)
    assert done.returncode == 2 and "vqdoctor.toml:2" in done.stderr and not (tmp_path / "out.pt").exists()
    assert shell("repair", name, "--sync-ema", "--dry-run", folder=tmp_path).returncode == 0  # it is judged by nobody


def two_broken_books(folder: Path) -> None:
    """Residual levels of one quantiser beside another, each with a row of zeros."""
    rng = np.random.default_rng(0)
    names = ("a.vq_layers.0.embedding.weight", "a.vq_layers.1.embedding.weight", "b.vq_layers.0.embedding.weight")
    books = {name: rng.normal(size=(16, 4)).astype(np.float32) for name in names}
    for book in books.values():
        book[3] = np.nan
    save_file(books, str(folder / "two.safetensors"))


@pytest.mark.parametrize(
    ("options", "treated"),
    [
        ((), {"a.vq_layers": [[3], [3]], "b.vq_layers": [[3]]}),
        (("--quantizer", "b.vq_layers"), {"b.vq_layers": [[3]]}),
        (("--level", "0"), {"a.vq_layers": [[3], []], "b.vq_layers": [[3]]}),
    ],
    ids=["all", "quantizer", "level"],
)
def test_auto_treats_what_it_is_told_to_look_at(options: tuple[str, ...], treated: dict, tmp_path: Path) -> None:
    two_broken_books(tmp_path)
    before = load_file(tmp_path / "two.safetensors")
    done = shell("repair", "two.safetensors", *options, "--auto", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    note = json.loads((tmp_path / "out.safetensors.repair.json").read_text())
    found: dict[str, list] = {}
    for level in note["levels"]:
        found.setdefault(level["quantizer"], []).append(level["rows_changed"])
    assert found == treated
    after = load_file(tmp_path / "out.safetensors")
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert changed == {f"{name}.{i}.embedding.weight" for name, rows in treated.items() for i, one in enumerate(rows) if one}


def test_a_level_that_is_not_there_is_no_level_that_is_well(tmp_path: Path) -> None:
    done = shell("repair", SAMPLES / "healthy-vq.pt", "--auto", "--level", "7", "-o", tmp_path / "out.pt")
    assert done.returncode == 2 and "healthy-vq.pt: has no level 7" in done.stderr


def test_a_level_that_nothing_is_wrong_with_is_left_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    books = [rng.normal(size=(16, 4)).astype(np.float32) for _ in range(2)]
    books[0][3] = np.nan
    save_file({f"a.vq_layers.{i}.embedding.weight": book for i, book in enumerate(books)}, str(tmp_path / "a.safetensors"))
    done = shell("repair", "a.safetensors", "--level", "1", "--auto", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0 and "Nothing to repair" in done.stdout, done.stderr


def nearest(book: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The nearest code of each row; rows of NaN are nobody's."""
    squared = np.square(rows[:, None, :].astype(np.float64) - book[None]).sum(axis=2)
    return np.where(np.isnan(squared), np.inf, squared).argmin(axis=1)


def test_after_several_treatments_ids_are_told_from_the_checkpoint_that_was_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    book, rows = rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(2000, 4)).astype(np.float32)
    book[8:] += 60
    book[3] = np.nan
    save_file({"quantize.embedding.weight": book}, str(tmp_path / "a.safetensors"))
    np.save(tmp_path / "a.features.npy", rows)
    done = shell("repair", "a.safetensors", "--auto", "-o", "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    note = json.loads((tmp_path / "out.safetensors.repair.json").read_text())
    assert note["method"] == "sanitize+kmeans"
    (told,) = json.loads((tmp_path / "out.safetensors.id_map.json").read_text())["levels"]
    old, new = nearest(book, rows), nearest(load_file(tmp_path / "out.safetensors")["quantize.embedding.weight"], rows)
    known = [code for code in range(16) if (old == code).any()]
    counts = {code: np.bincount(new[old == code], minlength=16) for code in known}
    assert [told["new_of_old"][code] == -1 for code in range(16)] == [code not in known for code in range(16)]
    assert all(counts[code][told["new_of_old"][code]] == counts[code].max() for code in known)
    assert note["ids_changed"] == pytest.approx((old != new).mean(), abs=0.05)  # of the half that judges
    (said,) = (warning for warning in note["warnings"] if "get other IDs" in warning)
    assert said.startswith(f"{100 * note['ids_changed']:.1f} % of the rows held out")
