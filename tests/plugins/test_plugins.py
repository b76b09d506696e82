"""Installed packages that add to vqdoctor: found without import, loaded when asked for, told and left out where they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.errors import UsageError
from vqdoctor.plugins import SEAMS, Plugin, PluginError, load, load_named

ROOT = Path(__file__).parents[2]
GOOD = """
from vqdoctor.layouts.family import Family
LAYOUT = Family(name="stranger", about="a stranger's", book=r"(?P<name>odd)\\.place")
class Raises:
    name, about = "raises", "raises at work"
    def match(self, state):
        raise RuntimeError("\\x1b[2J boom")
RAISES = Raises()
NOTHING = 3
from vqdoctor.diagnosis import Rule
def check(case, limits):
    yield RULE.finding(case.name, "error", "A stranger found it.")
RULE = Rule("XX001", "strange-book", "From a package.", "geometry", check, page="What it means.")
TAKEN = Rule("VQ103", "strange-too", "An id that is taken.", "geometry", check, page="x")
"""

READER = """
import numpy as np
from vqdoctor.logs import Faults, Gatherer
from vqdoctor.model import SeriesKey
class Odd:
    name, by_lines, held = "odd", False, 0
    def __init__(self):
        self.faults = Faults()
    @classmethod
    def claims(cls, name, head):
        return head.startswith(b"ODD")
    @classmethod
    def owns(cls, name):
        return name.endswith(".odd")
    def feed(self, data):
        if b"boom" in data:
            raise RuntimeError("\\x1b[2J boom")
        if b"lie" in data:
            return [3]
        gather = Gatherer()
        for row, line in enumerate(data.splitlines()[1:]):
            gather.one(SeriesKey("usage.utilization"), row, float(row), float(line))
        return gather.take()
    def finish(self):
        return []
class Shut(Odd):
    name = "shut"
    @classmethod
    def claims(cls, name, head):
        raise KeyError(name)
class Odder(Odd):
    @classmethod
    def owns(cls, name):
        raise ZeroDivisionError(name)
NOTHING = Odd()
"""


def bring(folder: Path, name: str = "stranger", module: str = GOOD, seam: str = "layouts", **brought: str) -> Path:
    """A folder of an import path with an installed package in it, whose entry points of one seam are `brought`."""
    site = folder / "site"
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    points = "".join(f"{key} = {value}\n" for key, value in brought.items())
    (metadata / "entry_points.txt").write_text(f"[vqdoctor.{seam}]\n{points}", encoding="utf-8")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (site / f"{name}.py").write_text(module, encoding="utf-8")
    return site


def vqdoctor(*arguments: object, site: Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(site)])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1", "VQDOCTOR_PLUGINS": ""} | more
    return subprocess.run(
        [sys.executable, "-m", "vqdoctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=60,
    )


def checkpoint(folder: Path) -> Path:
    np.savez(folder / "odd.npz", **{"odd.place": np.random.default_rng(0).normal(size=(16, 4)).astype("f4")})
    return folder / "odd.npz"


def listed(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {one["name"]: one for one in json.loads(run.stdout)["plugins"] if one["origin"] != "built in"}


def test_a_layout_of_a_package_takes_part_and_is_listed(tmp_path):
    site = bring(tmp_path, stranger="stranger:LAYOUT")
    run = vqdoctor("inspect", checkpoint(tmp_path), "--format", "json", site=site)
    assert json.loads(run.stdout)["quantizers"][0]["layout"] == "stranger", run.stderr
    found = listed(vqdoctor("plugins", "--format", "json", site=site))["stranger"]
    assert (found["seam"], found["origin"], found["version"], found["state"]) == ("layouts", "stranger", "1.0", "ok")


ELSEWHERE = """
import sys
from vqdoctor.engines import measure_rows
def engine(rows, lookup, **options):
    sys.stderr.write(f"counted elsewhere: {rows.n} rows\\n")
    return measure_rows(rows, lookup, **options)
"""


@pytest.mark.parametrize("command", ["inspect", "gate"])
def test_an_engine_of_a_package_counts_for_whoever_names_it(tmp_path, command):
    site = bring(tmp_path, module=ELSEWHERE, seam="engines", afar="stranger:engine")
    sample = ROOT / "sample_checkpoints" / "healthy-vq.pt"
    asked = vqdoctor(command, sample, "--format", "json", "--engine", "afar", site=site)
    plain = vqdoctor(command, sample, "--format", "json", site=site)
    assert "counted elsewhere" in asked.stderr and "counted elsewhere" not in plain.stderr
    assert json.loads(asked.stdout) == json.loads(plain.stdout)
    none = vqdoctor(command, sample, "--engine", "far", site=site)
    assert none.returncode == 2 and "Installed: afar. local is always there." in none.stderr
    unused = vqdoctor("inspect", checkpoint(tmp_path), "--select", "odd", "--axis", "kd", "--engine", "afar", site=site)
    assert "--engine was not used: it needs --features" in unused.stdout + unused.stderr


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("stranger:MISSING", "AttributeError"),
        ("nowhere:LAYOUT", "ModuleNotFoundError"),
        ("stranger:NOTHING", "is no layout"),
        ("stranger:RAISES", "boom"),
    ],
)
def test_a_broken_one_is_told_and_costs_nothing_else(tmp_path, value, why):
    site = bring(tmp_path, bad=value, good="stranger:LAYOUT")
    run = vqdoctor("inspect", checkpoint(tmp_path), "--format", "json", site=site)
    assert run.returncode == 0
    assert json.loads(run.stdout)["quantizers"][0]["layout"] == "stranger"
    assert "left out: plugin stranger 1.0 (layout 'bad')" in run.stderr and why in run.stderr
    assert "\x1b" not in run.stderr and "Traceback" not in run.stderr


def test_a_rule_of_a_package_judges_is_explained_gated_and_configured(tmp_path):
    site = bring(tmp_path, seam="rules", strange="stranger:RULE")
    path = checkpoint(tmp_path)
    assert "XX001" in {
        one["rule"] for one in json.loads(vqdoctor("inspect", path, "--format", "json", site=site).stdout)["findings"]
    }
    assert "What it means." in vqdoctor("explain", "strange-book", site=site).stdout
    assert vqdoctor("gate", path, "--rule", "XX001=error", site=site).returncode == 1
    (tmp_path / "vqdoctor.toml").write_text('[rules]\nXX001 = "off"\n')
    assert "XX001" not in vqdoctor("inspect", path, site=site, cwd=tmp_path).stdout


def test_a_rule_takes_no_id_that_is_taken(tmp_path):
    site = bring(tmp_path, seam="rules", strange="stranger:TAKEN")
    run = vqdoctor("plugins", "rules", site=site)
    assert run.returncode == 1 and "taken by VQ103 ema-illusion" in " ".join(run.stdout.split())


def odd_logs(folder: Path, **logs: str) -> Path:
    (folder / "runs").mkdir()
    for name, text in logs.items():
        (folder / "runs" / f"{name}.odd").write_text(text)
    (folder / "runs" / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    return folder / "runs"


def watched(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr
    return {Path(one["path"]).name: one for one in json.loads(run.stdout)["runs"]}


def test_a_reader_of_a_package_reads_the_files_it_owns_and_is_listed(tmp_path):
    site = bring(tmp_path, module=READER, seam="log_readers", odd="stranger:Odd")
    runs = odd_logs(tmp_path, good="ODD\n0.5\n0.25\n")
    found = watched(vqdoctor("watch", runs, "--once", "--format", "json", site=site))
    assert set(found) == {"good.odd", "log.jsonl"} and found["good.odd"]["reader"] == "odd"
    assert listed(vqdoctor("plugins", "--format", "json", site=site))["odd"]["state"] == "ok"
    assert set(watched(vqdoctor("watch", runs, "--once", "--format", "json", site=site, VQDOCTOR_PLUGINS="none"))) == {"log.jsonl"}
    assert vqdoctor("gate", runs / "good.odd", "--min", "usage.utilization=0.9", site=site).returncode == 1


@pytest.mark.parametrize(
    ("value", "text", "why"),
    [
        ("stranger:Odd", "ODD\nboom\n", "boom"),
        ("stranger:Odd", "ODD\nlie\n", "TypeError"),
        ("stranger:Shut", "ODD\n1\n", "KeyError"),
        ("stranger:Odder", "ODD\n1\n", "ZeroDivisionError"),
        ("stranger:NOTHING", "ODD\n1\n", "is no log reader"),
        ("nowhere:Odd", "ODD\n1\n", "ModuleNotFoundError"),
    ],
)
def test_a_reader_that_fails_is_told_and_the_watch_goes_on(tmp_path, value, text, why):
    site = bring(tmp_path, module=READER, seam="log_readers", odd=value)
    runs = odd_logs(tmp_path, bad=text)
    run = vqdoctor("watch", runs, "--once", "--format", "json", site=site)
    assert watched(run)["log.jsonl"]["series"]["loss"]["n"] == 1
    assert run.stderr.count("left out: plugin stranger 1.0 (log reader 'odd')") == 1 and why in run.stderr
    assert "\x1b" not in run.stderr


def test_the_list_says_which_is_broken_and_ends_in_one(tmp_path):
    site = bring(tmp_path, bad="nowhere:LAYOUT", good="stranger:LAYOUT")
    run = vqdoctor("plugins", site=site)
    assert run.returncode == 1
    assert "✗ broken" in run.stdout and "nowhere" in run.stdout


@pytest.mark.parametrize(("switch", "states"), [("none", ["off", "off"]), ("good", ["off", "ok"]), ("stranger", ["ok", "ok"])])
def test_the_switch_leaves_plugins_out(tmp_path, switch, states):
    site = bring(tmp_path, also="stranger:LAYOUT", good="stranger:LAYOUT")
    found = listed(vqdoctor("plugins", "--format", "json", site=site, VQDOCTOR_PLUGINS=switch))
    assert [found["also"]["state"], found["good"]["state"]] == states


def test_the_working_directory_brings_no_plugin(tmp_path):
    site = bring(tmp_path, stranger="stranger:LAYOUT")
    assert not listed(vqdoctor("plugins", "--format", "json", site=site, cwd=site))


def test_naming_them_imports_none(tmp_path):
    site = bring(tmp_path, module="raise SystemExit('imported')", stranger="stranger:LAYOUT")
    code = "from vqdoctor.plugins import installed; print([one.name for one in installed()])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    )
    assert run.stdout.strip() == "['stranger']", run.stderr


def test_asking_for_one_that_is_not_there_names_what_is():
    with pytest.raises(UsageError, match="no plugin 'x' for engines"):
        load_named("engines", "x", lambda found: None)


def test_one_that_leaves_while_it_is_imported_is_broken_and_no_more(tmp_path, monkeypatch):
    (tmp_path / "leaver_of_tests.py").write_text("raise SystemExit(0)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="SystemExit"):
        load(Plugin("rules", "leaver", "leaver_of_tests:X", "leaver", "1"))


def test_every_seam_of_the_contract_is_there():
    assert set(SEAMS) == {"layouts", "log_readers", "rules", "engines"}


def test_a_package_whose_entry_points_cannot_be_read_is_listed(tmp_path):
    site = bring(tmp_path, good="stranger:LAYOUT")
    (site / "odd-2.0.dist-info").mkdir()
    (site / "odd-2.0.dist-info" / "entry_points.txt").write_bytes(b"[vqdoctor.rules]\nno equals sign\n")
    for arguments in (["plugins"], ["plugins", "rules"]):
        run = vqdoctor(*arguments, site=site)
        assert run.returncode == 1
        assert "✗ broken" in run.stdout and "odd-2.0" in run.stdout and "cannot be read" in run.stdout
    found = listed(vqdoctor("plugins", "--format", "json", site=site))
    assert found["entry_points.txt"]["state"] == "broken" and found["good"]["state"] == "ok"
    quiet = vqdoctor("plugins", site=site, VQDOCTOR_PLUGINS="none")  # what the message says to do
    assert quiet.returncode == 0 and "odd-2.0" not in quiet.stdout + quiet.stderr


@pytest.mark.parametrize("points", [b"[vqdoctor.rules]\nno equals sign\n", b"\xff\xfe[vqdoctor.rules]\nx = y\n"])
def test_entry_points_that_cannot_be_read_cost_nobody_the_others(points, tmp_path):
    for name, text in (("broken-1.0", points), ("good-1.0", b"[vqdoctor.rules]\nfine = nowhere:RULE\n")):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "entry_points.txt").write_bytes(text)
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[:-4]}\nVersion: 1.0\n")
    code = "from vqdoctor import plugins as p; print([one.name for one in p.installed()], *map(str, p.broken().values()))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "'fine'" in ran.stdout and "plugin broken-1.0.dist-info (entry point 'entry_points.txt'): cannot be read" in ran.stdout
