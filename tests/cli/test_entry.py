"""From the shell and back: help that starts fast, one line for every error, and the contract's exit statuses."""

import os
import re
import resource
import signal
import subprocess
import sys
import time

import pytest
from command_line import ROOT, environment, report, shell, stand_in

from vqdoctor.cli.entry import COMMANDS, run
from vqdoctor.errors import CorruptInput, NoQuantizerError, SampleError, UsageError

HEAVY = (
    "numpy",
    "rich",
    "torch",
    "sklearn",
    "textual",
    "scipy",
    "plotext",
    "pyarrow",
    "importlib.metadata",
    "vqdoctor.app",
    "vqdoctor.model",
)

SLEEP = "print('ready', file=sys.stderr, flush=True); time.sleep(30)"
FAKE = """
import sys, time, types
module = types.ModuleType("vqdoctor.app.inspect")
def inspect(paths, request, progress, left_out):
    {body}
module.inspect = inspect
sys.modules["vqdoctor.app.inspect"] = module
from vqdoctor.cli import main
main()
"""


def failing(monkeypatch, error):
    def inspect(paths, request, progress, left_out):
        raise error

    stand_in(monkeypatch, inspect)
    return run(["inspect", "a.pt"])


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["inspect", "--help"], ["explain", "--help"]])
def test_help_shows_three_examples_before_any_option(arguments):
    done = shell(*arguments)
    assert done.returncode == 0 and done.stderr == ""
    examples = done.stdout[done.stdout.index("Examples:") : done.stdout.index("\n  -h, --help")]
    assert len(re.findall(r"^  vqdoctor ", examples, re.MULTILINE)) >= 3
    assert done.stdout.index("Examples:") < done.stdout.index("--help")


def test_help_lists_every_command_and_imports_nothing_heavy():
    script = f"import sys; from vqdoctor.cli.entry import run; run(['--help']); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = shell(script=script)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_costs_little_more_than_python_itself():
    def cpu(*arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment(), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = min(cpu("-c", "pass") for _ in range(3))
    assert min(cpu("-m", "vqdoctor", "--help") for _ in range(3)) - bare <= 0.100


def test_every_command_of_the_table_loads():
    for name in COMMANDS:
        assert shell(name, "--help").stdout.startswith(f"Usage: vqdoctor {name}")


def test_version():
    assert re.fullmatch(r"vqdoctor \d+\.\d+\.\d+\S*\n", shell("--version").stdout)


def test_nothing_asked_for_is_the_help_and_2():
    done = shell()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: vqdoctor") and "\n  inspect " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspcet"], "Did you mean 'inspect'?"),
        (["inspect"], "Missing argument 'PATH...'"),
        (["inspect", "a.pt", "--formt", "json"], "--format"),
        (["inspect", "a.pt", "--format", "yaml"], "'yaml'"),
        (["inspect", "a.pt", "--sizes", "256,x"], "whole numbers"),
        (["inspect", "a.pt", "--batch", "0"], "--batch"),
        (["inspect", "a.pt", "--temperature", "nan"], "finite"),
        (["inspect", "a.pt", "--ema-threshold", "inf"], "finite"),
        (["inspect", "no/such/file.pt"], "no/such/file.pt"),
        (["inspect", "a.pt", "-o", "report.json"], "FORMAT=PATH"),
        (["inspect", "a.pt", "\x1b[2J\nforged", "--nope"], "--nope"),
        (["explain", "VQ1003"], "VQ103"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments, words):
    done = shell(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("vqdoctor: error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr and "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("a"), 2),
        (CorruptInput("cut off\x1b[2J", where="a\x1b.pt", hint="Copy it again."), 2),
        (SampleError("a"), 2),
        (NoQuantizerError("a"), 3),
        (OSError(13, "Permission denied", "x\n.pt"), 2),
        (MemoryError(), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_end_in_one_line_and_their_status(monkeypatch, capsys, error, status):
    assert failing(monkeypatch, error) == status
    out, err = capsys.readouterr()
    lines = err.strip("\n").split("\n")
    assert out == "" and len(lines) == 1 and lines[0].startswith("vqdoctor: ")
    assert "\x1b" not in err and "Traceback" not in err


def test_our_bug_leaves_a_report_without_values(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SECRET", "hunter2")
    assert failing(monkeypatch, ZeroDivisionError("\x1b[2J" + "7" * 5000)) == 4
    err = capsys.readouterr().err
    (written,) = tmp_path.iterdir()
    text = written.read_text()
    assert err.count("\n") == 1 and str(written) in err and "Traceback" not in err and "\x1b" not in err
    assert (
        "ZeroDivisionError" in text and "in failing" not in text.split("ZeroDivisionError")[0] and "vqdoctor inspect a.pt" in text
    )
    assert "hunter2" not in text and "\x1b" not in text and len(text) < 5000


def test_a_list_of_what_to_type_keeps_its_lines(monkeypatch, capsys):
    assert failing(monkeypatch, NoQuantizerError("holds none.\n  a\x1b --select 'a'", where="x\ny.pt")) == 3
    assert capsys.readouterr().err == "vqdoctor: error: x\\ny.pt: holds none.\n  a\\x1b --select 'a'\n"


def test_a_bug_with_nowhere_to_write_is_still_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert failing(monkeypatch, ValueError("odd")) == 4
    assert "ValueError: odd" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch, capsys):
    def inspect(paths, request, progress, left_out):
        raise CorruptInput("odd\x1b")

    stand_in(monkeypatch, inspect)
    assert run(["inspect", "a.pt", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err and "\x1b" not in err and err.rstrip().endswith("vqdoctor: error: odd\\x1b.")


def test_sigterm_ends_in_143_and_cleans_up(tmp_path):
    mark = tmp_path / "cleaned"
    body = (
        f"try:\n        print('ready', file=sys.stderr, flush=True); time.sleep(30)\n    finally: open({str(mark)!r}, 'w').close()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE.format(body=body), "inspect", "a.pt"], stderr=subprocess.PIPE, env=environment(), text=True
    )
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert mark.exists() and process.stderr.read() == ""
    process.stderr.close()


def test_ctrl_c_ends_in_130():
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE.format(body=SLEEP), "inspect", "a.pt"], stderr=subprocess.PIPE, env=environment(), text=True
    )
    assert process.stderr.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


EARLY = """
import os, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupting())
from vqdoctor.cli import main
main()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_starts_leaves_no_traceback(number, status):
    done = shell("explain", script=EARLY.format(number=int(number)))
    assert (done.returncode, done.stderr) == (status, "")


def test_a_background_job_does_not_hear_ctrl_c():
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + EARLY.format(number=int(signal.SIGINT))
    assert shell("explain", script=ignoring).returncode == 0


COMMANDS_ANYWHERE = (
    ("inspect", "sample_checkpoints/healthy-vq.pt"),
    ("gate", "sample_checkpoints/healthy-vq.pt"),
    ("watch", "--once", "sample_checkpoints/healthy-vq.log.jsonl"),
    ("explain", "VQ103"),
    ("plugins",),
)


@pytest.mark.parametrize("command", COMMANDS_ANYWHERE, ids=lambda command: command[0])
def test_absolute_paths_lead_somewhere_from_a_folder_that_is_gone(tmp_path, command):
    leaving = f"import os; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r})\nfrom vqdoctor.cli import main; main()"
    done = shell(*(str(ROOT / part) if "/" in part else part for part in command), script=leaving)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_report_beside_a_folder_that_is_gone_is_refused(tmp_path):
    leaving = f"import os; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r})\nfrom vqdoctor.cli import main; main()"
    done = shell("inspect", ROOT / "sample_checkpoints/healthy-vq.pt", "-o", "json=r.json", script=leaving)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["explain"], ["--help"], ["explain", "VQ103"]])
def test_a_reader_that_leaves_costs_neither_noise_nor_status(arguments):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "vqdoctor", *arguments], stdout=write, stderr=subprocess.PIPE, env=environment(), timeout=60
    )
    os.close(write)
    assert process.returncode == 0 and process.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vqdoctor", "explain"], stdout=full, stderr=subprocess.PIPE, env=environment(), text=True
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "standard output: No space left on device. Free some space" in done.stderr


def test_another_encoding_gets_ascii():
    done = shell("explain", "usage.entropy_bits", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and done.stdout.isascii() and "sum" in done.stdout


def test_run_returns_what_the_command_found(monkeypatch):
    stand_in(monkeypatch, lambda paths, request, progress, left_out: [report("error")])
    assert run(["inspect", "a.pt", "--fail-on", "warning"]) == 1
