"""`repair` and `compare` as processes: a plan, a proven copy, the way back, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import shell

import vqdoctor
from vqdoctor.diagnosis import RULES

ROOT = Path(__file__).parents[2]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """The bundled collapsed RQ with its features, in a folder of its own."""
    for file in (ROOT / "sample_checkpoints").glob("collapsed-rq.*"):
        shutil.copy2(file, tmp_path / file.name)
    return tmp_path / "collapsed-rq.pt"


def test_a_dry_run_shows_the_plan_and_writes_nothing(sick: Path) -> None:
    before = sorted(path.name for path in sick.parent.iterdir())
    done = shell("repair", sick.name, "--kmeans", "--dry-run", "--format", "json", folder=sick.parent)
    plan = json.loads(done.stdout)
    assert plan["schema"] == "vqdoctor.repair/1"
    assert plan["target"] is None
    assert plan["source"]["sha256"] == sha256(sick)
    assert plan["levels"][0]["after"]["usage.utilization"] > 0.9
    assert sorted(path.name for path in sick.parent.iterdir()) == before


def test_a_collapsed_book_comes_with_how_to_train_on(sick: Path) -> None:
    plan = json.loads(shell("repair", sick.name, "--kmeans", "--dry-run", "--format", "json", folder=sick.parent).stdout)
    assert plan["training_on"] == {"learning_rate_factor": 0.3, "decay": 0.9, "replace_below": 0.05}
    told = " ".join(shell("repair", sick.name, "--kmeans", "--dry-run", folder=sick.parent).stdout.split())
    assert "set the learning rate to 0.3 × what it was, the decay of the running means to 0.9" in told
    assert "codes under 0.05 × the mean count, until the loss has settled" in told


def test_a_repair_is_written_proven_and_taken_back_bit_for_bit(sick: Path) -> None:
    original = sha256(sick)
    done = shell("repair", sick.name, "--kmeans", "-o", "out.pt", folder=sick.parent)
    assert done.returncode == 0, done.stderr
    assert sha256(sick) == original
    note = json.loads((sick.parent / "out.pt.repair.json").read_text())
    assert note["source"]["sha256"] == original
    assert note["target"]["sha256"] == sha256(sick.parent / "out.pt")
    assert Path(sick.parent / note["id_map"]).is_file()
    report = json.loads(
        shell("inspect", "out.pt", "--features", "collapsed-rq.features.npy", "--format", "json", folder=sick.parent).stdout
    )
    assert all(level["metrics"]["usage.utilization"] > 0.9 for level in report["quantizers"][0]["levels"])
    assert all(level["metrics"]["ema.inconsistent_rows"] in (0, None) for level in report["quantizers"][0]["levels"])
    undone = shell("repair", "--undo", "out.pt.repair.json", "-o", "back.pt", folder=sick.parent)
    assert undone.returncode == 0, undone.stderr
    assert sha256(sick.parent / "back.pt") == original


def test_a_repaired_checkpoint_opens_wherever_its_source_opened(sick: Path) -> None:
    torch = pytest.importorskip("torch")
    shell("repair", sick.name, "--kmeans", "-o", "out.pt", folder=sick.parent)
    before, after = (torch.load(sick.parent / name, weights_only=True) for name in (sick.name, "out.pt"))
    assert before.keys() == after.keys()
    changed = {name for name, value in before["model"].items() if not torch.equal(value, after["model"][name])}
    assert changed
    assert all(name.startswith("quantizer.") for name in changed)


def test_undo_refuses_a_file_that_has_changed(sick: Path) -> None:
    shell("repair", sick.name, "--kmeans", "-o", "out.pt", folder=sick.parent)
    with (sick.parent / "out.pt").open("ab") as file:
        file.write(b"x")
    done = shell("repair", "--undo", "out.pt.repair.json", "-o", "back.pt", folder=sick.parent)
    assert done.returncode == 2
    assert "changed" in done.stderr
    assert not (sick.parent / "back.pt").exists()


def test_in_place_keeps_the_original(sick: Path) -> None:
    original = sha256(sick)
    done = shell("repair", sick.name, "--kmeans", "--in-place", folder=sick.parent)
    assert done.returncode == 0, done.stderr
    assert sha256(sick.with_name(sick.name + ".bak")) == original
    assert sha256(sick) != original


def test_nothing_to_repair_ends_in_0_without_a_file(tmp_path: Path) -> None:
    healthy = ROOT / "sample_checkpoints" / "healthy-vq.pt"
    done = shell("repair", healthy, "--sync-ema", "-o", "out.pt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing to repair" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert "Nothing to repair" in shell("repair", healthy, "--auto", "-o", "out.pt", folder=tmp_path).stdout


def test_auto_leaves_out_what_would_make_it_worse(tmp_path: Path) -> None:
    """More even k-means codes serve the hourglass' few far rows worse than its own do, although one of these is lost."""
    sample = torch.load(ROOT / "sample_checkpoints" / "hourglass.pt", weights_only=False)
    codes, sums, counts = (sample["model"][f"quantizer.layers.2.{name}"] for name in ("codebook", "ema_sum", "ema_count"))
    for table in (codes, sums):
        table[counts.argmin()] *= 1000
    torch.save(sample, tmp_path / "a.pt")
    features = ROOT / "sample_checkpoints" / "hourglass.features.npy"
    done = shell("repair", "a.pt", "--features", features, "--auto", "-o", "out.pt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "VQ206 scale-mismatch: prescribed, and left out: on rows held out the error grows" in told
    assert "Nothing to repair: no file was written." in told
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_auto_says_which_finding_prescribes_what(sick: Path) -> None:
    done = shell("repair", sick.name, "--auto", "-o", "out.pt", folder=sick.parent)
    assert done.returncode == 0, done.stderr
    assert "VQ101" in done.stdout
    assert (sick.parent / "out.pt").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kmeans",), "-o OUT"),
        (("-o", "x.pt"), "Name one thing to do"),
        (("--kmeans", "--split", "-o", "x.pt"), "Name one thing to do"),
        (("--kmeans", "-o", "collapsed-rq.pt"), "itself"),
        (("--kmeans", "--features", "nowhere.npy", "-o", "x.pt"), "nowhere.npy"),
        (("--sync-ema", "--only-dead", "-o", "x.pt"), "--only-dead"),
        (("--kmeans", "--level", "9", "-o", "x.pt"), "no level 9"),
    ],
)
def test_what_is_refused_says_what_to_do(sick: Path, arguments: tuple[str, ...], says: str) -> None:
    original = sha256(sick)
    done = shell("repair", sick.name, *arguments, folder=sick.parent)
    assert done.returncode == 2
    assert says in done.stderr
    assert sha256(sick) == original
    assert not (sick.parent / "x.pt").exists()


def test_features_without_a_finite_row_are_refused_by_name(sick: Path) -> None:
    nothing = sick.parent / "nothing.npy"
    np.save(nothing, np.full((300, 16), np.nan, np.float32))
    done = shell("repair", sick.name, "--kmeans", "--features", nothing.name, "-o", "out.pt", folder=sick.parent)
    assert done.returncode == 2 and "nothing.npy: no row of the features is finite" in done.stderr
    assert not (sick.parent / "out.pt").exists()


def test_no_features_anywhere_says_how_to_capture_them(sick: Path) -> None:
    for beside in sick.parent.glob("*.features.*"):
        beside.unlink()
    done = shell("repair", sick.name, "--kmeans", "-o", "x.pt", folder=sick.parent)
    assert done.returncode == 2
    assert "vqdoctor.capture" in done.stderr


def test_compare_tells_moved_and_frozen_rows(sick: Path) -> None:
    shell("repair", sick.name, "--kmeans", "--level", "1", "-o", "out.pt", folder=sick.parent)
    found = json.loads(shell("compare", sick.name, "out.pt", "--format", "json", folder=sick.parent).stdout)
    levels = found["quantizers"][0]["levels"]
    assert found["schema"] == "vqdoctor.compare/1"
    assert [level["moved"] for level in levels] == [0, 32, 0]
    assert [level["frozen"] for level in levels] == [32, 0, 32]


def test_a_script_stops_where_the_later_checkpoint_is_sick(sick: Path) -> None:
    healthy = str(ROOT / "sample_checkpoints" / "healthy-vq.pt")
    for later, level, status in (
        (sick.name, "never", 0), (sick.name, "info", 1), (sick.name, "warning", 1), (sick.name, "error", 1),
        (healthy, "warning", 0),
    ):  # fmt: skip
        done = shell("compare", sick.name, later, "--fail-on", level, "--quiet", folder=sick.parent)
        assert (done.returncode, done.stderr) == (status, "")
    for rule, status in (("VQ101", 1), ("VQ304", 0)):
        done = shell("compare", ".", "--first-bad", rule, "--fail-on", "error", folder=sick.parent)
        assert done.returncode == status, done.stderr
    assert shell("compare", ".", "--fail-on", "error", folder=sick.parent).returncode == 1


def test_a_comparison_judges_by_the_settings_that_inspect_has(sick: Path) -> None:
    folder = sick.parent
    named = ("compare", sick.name, sick.name, "--format", "json")
    assert json.loads(shell(*named, folder=folder).stdout)["verdicts"] == ["sick", "sick"]
    (folder / "vqdoctor.toml").write_text("[rules]\n" + "".join(f"{rule.id} = 'off'\n" for rule in RULES))
    assert json.loads(shell(*named, folder=folder).stdout)["gravest"] == [None, None]
    for more in ([], ["--scan"]):
        line = shell("compare", ".", "--first-bad", "VQ101", *more, "--format", "json", folder=folder)
        assert json.loads(line.stdout)["first_bad"] is None
    (folder / "vqdoctor.toml").write_text("[rules]\nVQ101 = { wran = 1 }\n")
    done = shell(*named, folder=folder)
    assert done.returncode == 2 and "vqdoctor.toml:2" in done.stderr


def test_first_bad_finds_where_a_rule_begins_to_fire(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    book = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    for i in range(6):
        rows = book.copy()
        if i >= 4:
            rows[3] = np.nan
        save_file({"quantize.embedding.weight": rows}, str(tmp_path / f"epoch{i}.safetensors"))
        os.utime(tmp_path / f"epoch{i}.safetensors", (1000 + i, 1000 + i))
    for more in ([], ["--scan"]):
        found = json.loads(shell("compare", ".", "--first-bad", "VQ201", *more, "--format", "json", folder=tmp_path).stdout)
        assert found["first_bad"]["path"].endswith("epoch4.safetensors")
    shown = shell("compare", ".", folder=tmp_path).stdout
    assert shown.count("epoch") == 6 + 1 and "the first sick one is ./epoch4.safetensors" in shown


def test_python_takes_rows_as_they_are_and_only_plans_without_a_place(sick: Path) -> None:
    rows = np.load(sick.parent / "collapsed-rq.features.npy")
    planned = vqdoctor.repair(str(sick), rows, method="kmeans")
    assert not planned.empty and planned.features == "rows in memory"
    done = vqdoctor.repair(str(sick), rows, method="kmeans", out=str(sick.parent / "out.pt"))
    assert done.note["target"]["sha256"] == sha256(sick.parent / "out.pt")
    named = vqdoctor.repair(str(sick), {"quantizer": rows}, method="kmeans")
    assert {name: array.tobytes() for name, array in named.changes.items()} == {
        name: array.tobytes() for name, array in planned.changes.items()
    }


def test_a_checkpoint_does_not_go_to_standard_output(sick: Path) -> None:
    before = sorted(path.name for path in sick.parent.iterdir())
    done = shell("repair", sick.name, "--kmeans", "-o", "-", folder=sick.parent)
    assert done.returncode == 2 and "Name a file" in done.stderr
    assert sorted(path.name for path in sick.parent.iterdir()) == before


def test_a_comparison_goes_to_files_as_well_and_never_onto_its_input(sick: Path) -> None:
    shutil.copy2(ROOT / "sample_checkpoints" / "collapsed-rq.pt", sick.parent / "b.pt")
    done = shell("compare", sick.name, "b.pt", "-o", "json=c.json", "--report", "text=c.txt", folder=sick.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads((sick.parent / "c.json").read_text())["schema"] == "vqdoctor.compare/1"
    assert "unchanged" in (sick.parent / "c.txt").read_text()
    lines, block = (
        shell("compare", sick.name, "b.pt", "--format", form, folder=sick.parent).stdout for form in ("jsonl", "markdown")
    )
    assert json.loads(lines) == json.loads((sick.parent / "c.json").read_text()) and lines.count("\n") == 1
    assert block.startswith(f"## `{sick.name}` → `b.pt`\n\nverdict: ")
    dashed = shell("compare", sick.name, "b.pt", "-o", "json=-", folder=sick.parent)
    assert json.loads(dashed.stdout)["gravest"] == ["error", "error"]
    assert json.loads(dashed.stdout) == json.loads((sick.parent / "c.json").read_text())
    for target, words in (("json=b.pt", "must not replace it"), ("html=c.html", "vqdoctor inspect has the other formats")):
        refused = shell("compare", sick.name, "b.pt", "-o", target, folder=sick.parent)
        assert refused.returncode == 2
        assert words in " ".join(refused.stderr.split())


def test_codes_that_died_are_told_by_real_use_where_rows_were_seen(tmp_path: Path) -> None:
    """The running counts call every code of both active."""
    before, after = (str(ROOT / "sample_checkpoints" / f"{name}.pt") for name in ("revived-by-kmeans", "ema-illusion"))
    (level,) = json.loads(shell("compare", before, after, "--format", "json").stdout)["quantizers"][0]["levels"]
    (used,) = (vqdoctor.inspect(path).quantizers[0].levels[0].counts for path in (before,))
    (left,) = vqdoctor.inspect(after).quantizers[0].levels[0].counts
    died = sorted(code for code, count in used.items() if count and code != left)
    assert (level["basis"], level["died"], level["died_rows"]) == ("real use", len(died), died)
    assert level["revived"] == 0
    for path in (before, after):
        shutil.copy2(path, tmp_path)
    (level,) = json.loads(shell("compare", Path(before).name, Path(after).name, "--format", "json", folder=tmp_path).stdout)[
        "quantizers"
    ][0]["levels"]
    assert (level["basis"], level["died"]) == ("running counts", 0)


def test_a_comparison_for_a_pull_request_and_on_one_line(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    rows = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    for i, name in enumerate(("a|b.safetensors", "c.safetensors")):
        rows[i] = np.nan if i else 1.0
        save_file({"quantize.embedding.weight": rows}, str(tmp_path / name))
        os.utime(tmp_path / name, (1000 + i, 1000 + i))
    for arguments in (("a|b.safetensors", "c.safetensors"), (".",), (".", "--first-bad", "VQ201")):
        lines = shell("compare", *arguments, "--format", "jsonl", folder=tmp_path).stdout.splitlines()
        (found,) = map(json.loads, lines)
        assert found == json.loads(shell("compare", *arguments, "--format", "json", folder=tmp_path).stdout)
        told = shell("compare", *arguments, "--format", "markdown", folder=tmp_path).stdout
        assert told.startswith("## `") and "None" not in told
        rows_of_tables = [line for line in told.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows_of_tables} <= ({9, 10, 5} if arguments != (".",) else {9})
    assert found["first_bad"]["path"].endswith("c.safetensors")
    along = json.loads(shell("compare", ".", "--format", "json", folder=tmp_path).stdout)
    assert along["rule"] is None and along["first_bad"] == found["first_bad"]  # the first that is sick
    assert "the first sick one is" in shell("compare", ".", folder=tmp_path).stdout


def test_two_logs_are_compared_by_where_their_curves_ended():
    logs = [ROOT / "sample_checkpoints" / f"{name}.log.jsonl" for name in ("healthy-vq", "ema-illusion")]
    found = json.loads(shell("compare", *logs, "--format", "json").stdout)
    assert found["schema"] == "vqdoctor.compare/1"
    assert found["verdicts"] == ["unknown", "sick"]
    use = found["metrics"]["quantizer[0]:usage.utilization"]
    assert use["delta"] == use["b"] - use["a"] < -0.9
    assert found == vqdoctor.compare(*map(str, logs))
    assert "quantizer[0]:usage.utilization" in shell("compare", *logs).stdout


def test_a_log_is_not_compared_with_a_checkpoint():
    run = shell("compare", ROOT / "sample_checkpoints" / "healthy-vq.log.jsonl", ROOT / "sample_checkpoints" / "healthy-vq.pt")
    assert run.returncode == 2 and "is a log, the other is none" in run.stderr


def test_undoing_what_is_not_there_says_that_it_is_not_there(tmp_path: Path) -> None:
    done = shell("repair", "--undo", "nope.pt", "-o", "restored.pt", folder=tmp_path)
    assert done.returncode == 2 and "nope.pt: there is no such file" in done.stderr and "repair.json" in done.stderr
