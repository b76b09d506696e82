"""`vqdoctor gate` as a shell runs it: exit status for whatever happens, files, formats, settings, real data."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path
from unittest import mock

import jsonschema
import numpy as np
import pytest

from vqdoctor.cli.entry import run
from vqdoctor.render.gate_json import schema

ROOT = Path(__file__).parents[2]
SAMPLES, DATA = ROOT / "sample_checkpoints", ROOT / "tests" / "data"
SICK, HEALTHY = ("collapsed-rq", "ema-illusion", "hourglass"), ("healthy-vq", "revived-by-kmeans")


SHAPING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_STEP_SUMMARY")


def shell(*arguments, folder=ROOT):
    """In a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in SHAPING}
    return subprocess.run(
        [sys.executable, "-m", "vqdoctor", "gate", *map(str, arguments)], capture_output=True, text=True, encoding="utf-8",
        cwd=folder, env=environment | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}, timeout=120,
    )  # fmt: skip


def gate(*arguments, folder=ROOT, **more):
    """As `shell`, without the price of a process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    environment = {name: value for name, value in os.environ.items() if name not in SHAPING} | more
    handler = signal.getsignal(signal.SIGTERM)
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(["gate", *map(str, arguments)])
    signal.signal(signal.SIGTERM, handler)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))
    return subprocess.CompletedProcess(arguments, code, *texts)


def judged(*arguments, **more):
    done = gate(*arguments, "--format", "json", **more)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, schema())
    assert found["stops"] == (done.returncode == 1)
    return found


@pytest.fixture
def book(tmp_path):
    """A codebook of 64 codes of which its features use 40, on fewer rows than 3 a code."""
    rng = np.random.default_rng(0)
    codes = rng.normal(scale=3.0, size=(64, 8)).astype(np.float32)
    np.savez(tmp_path / "book.npz", codebook_0=codes)
    np.save(tmp_path / "few.npy", codes[np.arange(100) % 40])
    np.save(tmp_path / "many.npy", codes[np.arange(6400) % 40])
    return tmp_path / "book.npz"


@pytest.mark.parametrize("name", SICK)
def test_every_sick_sample_fails_the_recommended_preset(name):
    found = judged(SAMPLES / f"{name}.pt")
    assert found["verdict"] == "fail" and found["presets"] == ["recommended"]


@pytest.mark.parametrize("name", HEALTHY)
def test_every_healthy_sample_passes_it(name):
    found = judged(SAMPLES / f"{name}.pt")
    assert found["verdict"] == "pass" and {check["status"] for check in found["checks"]} == {"pass"}


def test_the_text_leads_with_the_verdict_and_both_numbers():
    done = gate("sample_checkpoints/ema-illusion.pt", "--min", "usage.utilization=0.9")
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.splitlines()[0] == " ✗ FAIL   usage.utilization 0.00391 < 0.90 at quantizer[0]"
    passing = gate("sample_checkpoints/healthy-vq.pt", "--min", "usage.utilization=0.9", "--rule", "VQ103=error")
    assert passing.returncode == 0 and passing.stdout.startswith(" ✓ PASS   usage.utilization 1.00 ≥ 0.90 at quantizer[0]\n")


def test_a_shell_sees_the_exit_status(tmp_path, book):
    np.savez(tmp_path / "plain.npz", bias=np.zeros(3, np.float32))
    sick, healthy = "sample_checkpoints/ema-illusion.pt", "sample_checkpoints/healthy-vq.pt"
    for arguments, code in (((healthy,), 0), ((sick,), 1), (("nowhere.pt",), 2), ((tmp_path / "plain.npz",), 3)):
        done = shell(*arguments)
        assert done.returncode == code and (done.stdout == "") == (code > 1) and "Traceback" not in done.stderr


def test_nothing_asked_for_is_said_and_usage_without_features_is_not_gated(book):
    done = gate(book)
    assert done.returncode == 0
    assert "preset recommended, since nothing was asked for" in done.stdout
    assert "not gated" in done.stdout and "usage.* (VQ101, VQ102, VQ104)" in done.stdout and "--features" in done.stdout


def test_a_threshold_on_what_was_not_measured_fails_closed(book):
    (check,) = judged(book, "--min", "usage.utilization=0.1")["checks"]
    assert check["status"] == "fail" and check["value"] is None and "no features given" in check["reason"]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        (("--features", "few.npy", "--min", "usage.utilization=0.6"), "pass", 0),
        (("--features", "few.npy", "--min", "usage.utilization=0.9"), "inconclusive", 1),
        (("--features", "few.npy", "--min", "usage.utilization=0.9", "--inconclusive", "pass"), "inconclusive", 0),
        (("--features", "few.npy", "--min", "usage.utilization=0.9", "--fail-on", "never"), "inconclusive", 0),
        (("--features", "few.npy", "--population", "--min", "usage.utilization=0.9"), "fail", 1),
        (("--features", "many.npy", "--min", "usage.utilization=0.9"), "fail", 1),
        (("--features", "many.npy", "--min", "usage.utilization=0.9", "--fail-on", "never"), "fail", 0),
    ],
)
def test_evidence_decides(book, more, status, code):
    done = gate(book, *more, "--format", "json", folder=book.parent)
    found = json.loads(done.stdout)
    assert (found["verdict"], done.returncode) == (status, code)
    assert [check["needed_n"] for check in found["checks"]] == [192 if status == "inconclusive" else None]


def test_an_inconclusive_gate_may_warn(book):
    done = gate(book, "--features", book.parent / "few.npy", "--min", "usage.utilization=0.9", "--inconclusive", "warn")
    assert done.returncode == 0 and "warning: the gate is inconclusive: 1 of 1 check inconclusive" in done.stderr
    quiet = gate(book, "--features", book.parent / "few.npy", "--min", "usage.utilization=0.9", "--inconclusive", "warn", "--quiet")
    assert quiet.returncode == 0 and quiet.stderr == ""


def test_too_few_rows_leave_the_rules_on_use_open(book):
    found = judged(book, "--features", book.parent / "few.npy")
    assert found["verdict"] == "inconclusive"
    open_checks = [check for check in found["checks"] if check["status"] == "inconclusive"]
    assert "VQ101" in {check["rule"] for check in open_checks} and {check["needed_n"] for check in open_checks} == {192}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Name a checkpoint"),
        (("nowhere.pt",), 2, "no such file"),
        (("sample_checkpoints/healthy-vq.pt", "--min", "usage.utilisation=0.9"), 2, "Did you mean 'usage.utilization'?"),
        (("sample_checkpoints/healthy-vq.pt", "--rule", "VQ13=error"), 2, "VQ103"),
        (("sample_checkpoints/healthy-vq.pt", "--preset", "strikt"), 2, "strict"),
        (("sample_checkpoints/healthy-vq.pt", "--at", "first"), 2, "window:N"),
        (("sample_checkpoints/healthy-vq.pt", "--max-drop", "usage.used=3"), 2, "--baseline FILE"),
        (("sample_checkpoints/healthy-vq.pt", "--shrink-baseline"), 2, "--baseline FILE"),
        (("sample_checkpoints/healthy-vq.pt", "--baseline", "nowhere.toml"), 2, "--write-baseline"),
        (("sample_checkpoints/healthy-vq.pt", "--baseline", "README.md"), 2, "not a baseline"),
        (("sample_checkpoints/healthy-vq.pt", "--features", "sample_checkpoints/hourglass.features.npy"), 2, "columns"),
        (("sample_checkpoints/healthy-vq.pt", "-o", "json=sample_checkpoints/healthy-vq.pt"), 2, "this is an input"),
        (("sample_checkpoints/healthy-vq.pt", "--write-baseline", "sample_checkpoints/healthy-vq.pt"), 2, "this is an input"),
        (("pyproject.toml",), 2, "pyproject.toml"),
        (("--self-test", "--format", "markdown"), 2, "text or JSON"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(arguments, code, words):
    done = gate(*arguments)
    assert done.returncode == code and words in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_no_quantizer_is_exit_3_and_a_broken_file_in_a_folder_is_not_passed_over(tmp_path, book):
    np.savez(tmp_path / "plain.npz", bias=np.zeros(3, np.float32))
    assert gate(tmp_path / "plain.npz").returncode == 3
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "good.npz").write_bytes(book.read_bytes())
    (folder / "optimizer.npz").write_bytes((tmp_path / "plain.npz").read_bytes())
    done = gate(folder)
    assert done.returncode == 0 and "left out" in done.stderr  # it holds no codebook: said
    whole = (SAMPLES / "healthy-vq.pt").read_bytes()
    (folder / "half.pt").write_bytes(whole[: len(whole) // 2] + whole[-2000:])
    done = gate(folder)
    assert done.returncode == 2 and "half.pt" in done.stderr  # it might be the sick one


def test_several_sources_are_one_verdict():
    found = judged(SAMPLES / "healthy-vq.pt", SAMPLES / "ema-illusion.pt", "--min", "usage.utilization=0.9")
    assert found["verdict"] == "fail"
    statuses = {Path(check["source"]).name: check["status"] for check in found["checks"]}
    assert statuses == {"healthy-vq.pt": "pass", "ema-illusion.pt": "fail"}
    folder = judged(SAMPLES, "--min", "usage.utilization=0.9")
    assert len({check["source"] for check in folder["checks"]}) == 5


# logs


def log(folder, *points, name="log.jsonl"):
    lines = [{"schema": "vqdoctor.log/1", "kind": "run", "time": 0, "run": "r", "config": {}}]
    lines += [
        {"kind": "metrics", "step": step, "time": 0, "quantizer": "vq", "level": level, "values": values}
        for step, (level, values) in enumerate(points)
    ]
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("at", "value", "status"),
    [("last", 0.5, "fail"), ("best", 0.95, "pass"), ("window:2", 0.7, "fail"), ("window:9", 0.85, "pass")],
)
def test_points_of_a_log(tmp_path, at, value, status):
    path = log(tmp_path, *((0, {"usage.batch_utilization": use}) for use in (0.95, 0.95, 0.95, 0.9, 0.5)))
    (check,) = judged(path, "--min", "usage.batch_utilization=0.8", "--at", at)["checks"]
    assert (check["value"], check["status"], check["n"], check["where"]) == (pytest.approx(value), status, None, "vq[0]")


def test_the_best_of_what_should_be_small_is_the_least(tmp_path):
    path = log(tmp_path, *((0, {"collision.rate": rate}) for rate in (0.3, 0.02, 0.2)))
    (check,) = judged(path, "--max", "collision.rate=0.05", "--at", "best")["checks"]
    assert (check["value"], check["where"]) == (0.02, "vq")


def test_stated_values_may_be_required_to_come_with_rows(tmp_path):
    path = log(tmp_path, (0, {"usage.utilization": 0.95}))
    assert judged(path, "--min", "usage.utilization=0.9")["verdict"] == "pass"
    assert judged(path, "--min", "usage.utilization=0.9", "--require-n")["verdict"] == "inconclusive"


def test_a_folder_of_logs_is_gated_run_by_run(tmp_path):
    log(tmp_path, (0, {"usage.utilization": 0.95}), name="a.jsonl")
    log(tmp_path, (0, {"usage.utilization": 0.2}), name="b.jsonl")
    found = judged(tmp_path, "--min", "usage.utilization=0.9")
    assert {Path(check["source"]).name: check["status"] for check in found["checks"]} == {"a.jsonl": "pass", "b.jsonl": "fail"}


def test_the_rate_that_follows_from_what_a_log_counts_is_gated(tmp_path):
    path = tmp_path / "rqvae.log"
    path.write_text("  - 物品总数: 3883\n  - 唯一SID数量: 3359\n  - 冲突物品数: 524\n", encoding="utf-8")
    (check,) = judged(path, "--max", "collision.rate=0.2")["checks"]
    assert (check["status"], check["value"]) == ("pass", pytest.approx(524 / 3883))
    assert judged(path, "--rule", "VQ401=error")["verdict"] == "fail"


def test_a_log_is_judged_with_what_the_run_said_of_itself(tmp_path):
    """As a watch judges it: without the number of codes a collapse from the start shows in no curve."""
    rows = [{"schema": "vqdoctor.log/1", "kind": "run", "time": 0, "run": "r", "config": {"codes": 512}}]
    rows += [
        {"kind": "metrics", "step": step, "quantizer": "q", "level": 0, "values": {"usage.batch_perplexity": 1.9}}
        for step in range(20)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "VQ501" in {check["rule"] for check in judged(path)["checks"] if check["status"] == "fail"}


def test_a_log_without_codebooks_settles_nothing_and_fails_what_is_asked():
    path = DATA / "logs" / "genrec_trainer_log_part.jsonl"
    found = judged(path)
    assert found["verdict"] == "inconclusive" and found["checks"] == [] and found["ungated"]
    (check,) = judged(path, "--max", "collision.rate=0.5")["checks"]
    assert check["status"] == "fail" and "the log does not state it" in check["reason"]
    (check,) = judged(path, "--rule", "VQ101=error")["checks"]
    assert check["status"] == "fail" and "this is a log" in check["reason"]


# other people's files


def test_semantic_ids(tmp_path):
    path = DATA / "minionerec_industrial_part.index.json"
    found = judged(path, "--sizes", "256,256,256", "--preset", "semantic-ids")
    by_name = {check.get("metric") or check["rule"]: check for check in found["checks"]}
    assert by_name["collision.rate"]["n"] == 274 and by_name["collision.rate"]["status"] == "fail"  # the part of it that collides
    unsized = judged(path, "--min", "usage.utilization=0.1")
    assert "--sizes" in unsized["checks"][0]["reason"]


def test_a_pickled_module():
    found = judged(DATA / "aktasumitt_latent_model.pth")
    assert found["verdict"] == "pass" and "VQ201" in {check["rule"] for check in found["checks"]}


# baselines


def test_baselines_from_the_first_run_to_a_better_one(tmp_path):
    sick, known = SAMPLES / "hourglass.pt", tmp_path / "known.toml"
    asked = ("--preset", "recommended", "--max", "collision.rate=0.1")
    assert gate(sick, *asked).returncode == 1
    assert gate(sick, *asked, "--write-baseline", known).returncode == 0
    first = known.read_text(encoding="utf-8")
    assert '"quantizer collision.rate" = 0.847412109375\n' in first and '"quantizer[1] VQ404" = "error"\n' in first
    found = judged(sick, *asked, "--baseline", known)
    assert found["verdict"] == "pass" and any(check["known"] == 0.847412109375 for check in found["checks"])
    assert judged(SAMPLES / "collapsed-rq.pt", *asked, "--baseline", known)["verdict"] == "fail"
    assert known.read_text(encoding="utf-8") == first  # a gate writes nothing unless told
    assert judged(sick, "--baseline", known, "--max-drop", "collision.rate=1%")["verdict"] == "pass"
    assert gate(SAMPLES / "healthy-vq.pt", "--baseline", known, "--shrink-baseline").returncode == 0
    shrunk = known.read_text(encoding="utf-8")
    assert "VQ104" not in shrunk and "VQ404" in shrunk  # one codebook: the hourglass was not looked for


def test_what_nobody_asked_for_is_there_to_be_compared_with_and_excuses_nothing(tmp_path):
    well, known = SAMPLES / "healthy-vq.pt", tmp_path / "known.toml"
    assert gate(well, "--write-baseline", known).returncode == 0
    for drop in ("usage.utilization=2%", "usage.perplexity=0.02", "distortion.mse=1%"):
        assert judged(well, "--baseline", known, "--max-drop", drop)["verdict"] == "pass"
    sick, ill = SAMPLES / "ema-illusion.pt", tmp_path / "ill.toml"
    assert judged(sick, "--baseline", known, "--max-drop", "usage.utilization=2%")["verdict"] == "fail"
    assert gate(sick, "--rule", "VQ201=error", "--write-baseline", ill).returncode == 0
    assert judged(sick, "--baseline", ill, "--min", "usage.utilization=0.9")["verdict"] == "fail"


# settings


def test_settings_hold_below_their_folder_and_options_override(tmp_path, book):
    (tmp_path / "pyproject.toml").write_text('[tool.vqdoctor.gate]\n"usage.utilization" = { min = 0.9 }\ninconclusive = "pass"\n')
    inner = tmp_path / "sub"
    inner.mkdir()
    features = book.parent / "few.npy"
    found = judged(book, "--features", features, folder=inner)
    assert found["verdict"] == "inconclusive" and not found["stops"]
    assert found["checks"][0]["origin"] == f"{tmp_path / 'pyproject.toml'}:2" and len(found["checks"]) == 1
    assert judged(book, "--features", features, "--min", "usage.utilization=0.5", folder=inner)["verdict"] == "pass"
    shown = gate("--show-config", folder=inner)
    assert shown.returncode == 0 and f"{tmp_path / 'pyproject.toml'}:3" in shown.stdout
    assert gate("--validate-config", folder=inner).returncode == 0
    (inner / "vqdoctor.toml").write_text("[gate]\nVQ20 = 'error'\n")
    done = gate("--validate-config", folder=inner)
    assert done.returncode == 2 and "vqdoctor.toml:2: gate.VQ20: " in done.stderr and "Did you mean 'VQ20" in done.stderr
    assert gate(book, folder=inner).returncode == 2


# formats


def test_one_run_feeds_every_consumer(tmp_path):
    names = {"json": "j.json", "jsonl": "l.jsonl", "markdown": "m.md", "html": "h.html", "github": "g.txt", "junit": "u.xml",
             "sarif": "s.sarif", "bench": "b.json"}  # fmt: skip
    reports = [part for form, name in names.items() for part in ("-o", f"{form}={tmp_path / name}")]
    summary = tmp_path / "summary.md"
    done = gate(
        "sample_checkpoints/ema-illusion.pt", "--rule", "VQ103=error", "--min", "usage.utilization=0.9", *reports,
        GITHUB_STEP_SUMMARY=str(summary),
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout.startswith(" ✗ FAIL")
    written = {form: (tmp_path / name).read_text(encoding="utf-8") for form, name in names.items()}
    jsonschema.validate(json.loads(written["json"]), schema())
    suites = Xml.fromstring(written["junit"])
    assert suites.get("failures") == "2"  # the threshold and the rule; what nobody asked about fails nothing
    assert written["github"].count("::error ") == 2
    sarif = json.loads(written["sarif"])["runs"][0]["results"]
    assert sorted(each["ruleId"] for each in sarif if each["level"] == "error") == ["VQ103", "gate"]
    assert "usage.utilization" in written["markdown"] and "Gate" in written["html"] and json.loads(written["bench"])
    assert "usage.utilization" in summary.read_text(encoding="utf-8")


def test_what_the_baseline_accepts_fails_no_test_case(tmp_path):
    known = tmp_path / "known.toml"
    assert gate("sample_checkpoints/hourglass.pt", "--write-baseline", known).returncode == 0
    done = gate("sample_checkpoints/hourglass.pt", "--baseline", known, "--format", "junit")
    assert done.returncode == 0 and Xml.fromstring(done.stdout).get("failures") == "0"


def test_gating_a_file_loads_no_torch_and_no_log_readers(book):
    code = (
        "import sys\nfrom vqdoctor.cli import main\n"
        f"sys.argv = ['vqdoctor', 'gate', {str(book)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'textual', 'vqdoctor.logs', 'vqdoctor.trainer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_gate_tests_itself_on_what_it_is_asked():
    done = gate("--self-test", "--min", "usage.utilization=0.1", "--max", "geometry.norm_max=1e9")
    assert done.returncode == 1 and "1 of 2 gates seen to fail" in done.stdout
    found = json.loads(gate("--self-test", "--rule", "VQ201=error", "--format", "json").stdout)
    assert found["shown"] and found["gates"][0]["fails_on"] == ["not-finite"]


def test_rules_of_logs_judge_logs():
    sick = judged(SAMPLES / "ema-illusion.log.jsonl")
    assert sick["verdict"] == "fail" and {"VQ103", "VQ501"} <= {each["rule"] for each in sick["checks"] if each["status"] == "fail"}
    assert judged(SAMPLES / "healthy-vq.log.jsonl")["verdict"] == "pass"
    assert judged(SAMPLES / "healthy-vq.log.jsonl", "--rule", "VQ103=error")["verdict"] == "pass"
    (check,) = judged(SAMPLES / "healthy-vq.pt", "--rule", "VQ501=error")["checks"]
    assert check["status"] == "fail" and "it judges logs" in check["reason"]


def test_a_rule_that_a_log_gives_nothing_to_judge_by_fails_closed(tmp_path):
    (check,) = judged(log(tmp_path, (0, {"usage.utilization": 0.95})), "--rule", "VQ103=error")["checks"]
    assert check["status"] == "fail" and "cannot be judged" in check["reason"]
