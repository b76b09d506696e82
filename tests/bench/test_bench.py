"""`make bench` around its measurements: what is kept, the closing table, slopes and their picture, a table that breaks off."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"


def loaded(path: Path):
    """A script as a module; its own imports are of its folder."""
    spec = spec_from_file_location(f"bench_{path.stem}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(str(FOLDER))
try:
    driver = loaded(FOLDER / "__main__.py")
    import closing
    import curves
    import measure
    import record
finally:
    sys.path[:] = [path for path in sys.path if path != str(FOLDER)]


def kept_by(tmp_path: Path, *figures: dict) -> list[dict]:
    file = tmp_path / "kept.jsonl"
    for each in figures:
        (record.record_limit if "limit" in each else record.record)(str(file), **each)
    return list(record.kept(file.read_text(encoding="utf-8").splitlines()))


def printed(results: list[dict]) -> str:
    out = io.StringIO()
    closing.show(results, Console(file=out, width=132))
    return out.getvalue()


FASTER = {"table": "ids", "work": "10⁷ × 4", "peer": "polars", "ratio": np.float64(0.25), "seconds": 0.012, "memory_mib": 40.2}
SLOWER = {"table": "ids", "work": "10⁷ × 4", "peer": "np.sort", "ratio": 0.9, "bar": 0.7, "cpu_ratio": 0.8}
HIGHER = {"table": "repair", "work": "kmeans", "peer": "fresh", "ratio": 1.0, "floor": 0.99}
IDLE = {"table": "watch", "work": "idle", "value": 0.5, "unit": "% of a core", "limit": 2}


def test_a_result_says_whether_its_bar_is_met(tmp_path):
    assert [result.get("met") for result in kept_by(tmp_path, FASTER, SLOWER, HIGHER, IDLE)] == [None, False, True, True]
    assert [result["kind"] for result in kept_by(tmp_path, FASTER)][-1] == "result"


def test_nothing_is_kept_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record.record(None, **SLOWER)
    assert not list(tmp_path.iterdir())


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0.01, 100), st.sampled_from(["bar", "floor"]))
def test_a_bar_is_the_most_and_a_floor_the_least(ratio, wanted, kind):
    assert record.is_met({"ratio": ratio, kind: wanted}) == (ratio <= wanted if kind == "bar" else ratio >= wanted)


def test_a_limit_of_nothing_is_judged_without_a_ratio(tmp_path):
    (missed,) = kept_by(tmp_path, {"table": "live", "work": "not found", "value": 0.1, "unit": "of the runs", "limit": 0})
    assert "ratio" not in missed and missed["met"] is False


def test_closing_table_has_a_row_a_work_and_a_column_a_peer(tmp_path):
    shown = printed(kept_by(tmp_path, FASTER, SLOWER, HIGHER, IDLE))
    row = next(line for line in shown.splitlines() if "10⁷ × 4" in line)
    assert row.split()[3:] == ["12", "ms,", "40", "MiB", "0.25", "0.9", "≤", "0.7", "✗"]
    assert "÷ polars" in shown and "CPU 0.8" in shown and "≥ 0.99 ✓" in shown
    assert "0.5 % of a core" in shown and "≤ 2 ✓" in shown
    assert "Bars: 2 of 3 kept." in shown
    assert "missed: ids, 10⁷ × 4: 0.9 of np.sort; of CPU 0.8, at most 0.7" in shown


def test_a_faster_and_worse_clustering_misses_its_bar(tmp_path):
    worse = {"inertia": 1.01, "inertia_bar": 1.002, "met": False}
    shown = printed(kept_by(tmp_path, {"table": "k-means", "work": "w", "peer": "p", "ratio": 0.05, "bar": 1 / 12} | worse))
    assert "0.05 ≤ 0.0833 ✗" in shown and "missed: k-means, w: 0.05 of p; inertia 1.0100 ≤ 1.002, at most 0.0833" in shown


def test_names_are_not_read_as_markup(tmp_path):
    shown = printed(kept_by(tmp_path, SLOWER | {"work": "[red]x[/red]", "peer": "[bold]y", "table": "[link]z"}))
    assert "[red]x[/red]" in shown and "[bold]y" in shown and "[link]z" in shown


def test_nothing_kept_is_said(tmp_path):
    assert printed([]).strip() == "No result has a bar."


@given(st.floats(-2, 3), st.floats(1e-6, 1e3), st.integers(2, 6), st.integers(2, 5000))
def test_slope_of_a_power_is_its_exponent(exponent, factor, number, first):
    sizes = [first * 2**at for at in range(number)]
    assert curves.slope(sizes, [factor * size**exponent for size in sizes]) == pytest.approx(exponent, abs=1e-6)


@given(st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=7))
def test_slope_is_that_of_least_squares(values):
    sizes = [2.0**at for at in range(len(values))]
    assert curves.slope(sizes, values) == pytest.approx(np.polyfit(np.log(sizes), np.log(values), 1)[0], abs=1e-7)


def curve(exponent: float, name: str = "nearest", unit: str = "s", expected: float = 1) -> curves.Curve:
    sizes = (1024, 2048, 4096, 8192)
    values = tuple(1e-6 * size**exponent for size in sizes)
    return curves.Curve(name, "N", sizes, values, unit, expected, curves.slope(sizes, values))


def test_picture_draws_every_point_and_linear_growth_at_45_degrees():
    picture = ElementTree.fromstring(curves.svg([curve(1), curve(0, name="<opening>", unit="MiB", expected=0)]))
    points = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(points) == 8
    (left, low), (right, high) = points[0], points[3]
    assert right - left == pytest.approx(low - high, abs=0.3) and right > left
    assert {y for _, y in points[4:]} == {points[4][1]}
    words = "".join(picture.itertext())
    assert "slope 1.00, expected at most linear" in words and "<opening> with N" in words


@pytest.mark.parametrize("exponent", [0, 1, 1.4])
def test_picture_stays_in_its_panel(exponent):
    frame = curves.framed(curve(exponent))
    for size, value in zip(curve(exponent).sizes, curve(exponent).values, strict=True):
        x, y = frame.at(size, value)
        assert curves.LEFT < x < curves.WIDTH - curves.RIGHT and curves.TOP < y < curves.HEIGHT - curves.BOTTOM


def test_sizes_are_written_short_where_that_loses_nothing():
    sizes = (8, 1024, 8192, 20_000, 16_000_000, 2500, 1001)
    assert [curves.compact(size) for size in sizes] == ["8", "1k", "8k", "20k", "16M", "2500", "1001"]


def test_picture_in_letters_names_every_curve():
    shown = curves.text([curve(1), curve(0.5, name="k-means"), curve(0, name="opening"), curve(1, name="IDs")])
    assert all(f"{name} with N" in shown for name in ("nearest", "k-means", "opening", "IDs"))
    assert "\x1b" not in shown


def test_runs_are_interleaved_and_compared_pair_by_pair():
    order: list[str] = []
    spent = measure.in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert "".join(order) == "ababab" and len(spent["a"]) == 2
    ours, theirs = [measure.Spent(2.0, 1.0), measure.Spent(9.0, 1.0), measure.Spent(4.0, 1.0)], [measure.Spent(1.0, 2.0)] * 3
    assert measure.ratios(ours, theirs) == {"ratio": 4.0, "cpu_ratio": 0.5}
    assert measure.median(ours) == (4.0, 1.0)


@pytest.mark.skipif(not measure.CLEAR.exists(), reason="the system does not tell")
def test_memory_of_a_run_is_what_it_takes_at_most():
    code = "import numpy, measure; print(measure.extra_mib(lambda: numpy.ones(64 << 17)))"  # a process that has let go of nothing
    path = os.pathsep.join([str(Path(measure.__file__).parent), os.environ.get("PYTHONPATH", "")])
    assert 48 < float(measure.in_child("-c", code, env=os.environ | {"PYTHONPATH": path})) < 96


def test_memory_is_not_known_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "CLEAR", tmp_path / "none" / "clear_refs")
    ran: list[int] = []
    assert measure.extra_mib(lambda: ran.append(1)) is None and ran == [1]


def test_every_table_is_a_script_that_keeps_its_results():
    for name in driver.TABLES:
        script = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert "command_line(" in script or "--quick" in script, name
        assert "command_line(" in script or "--json" in script, name


FAKES = {
    "good": """import json, sys
file = sys.argv[sys.argv.index("--json") + 1]
line = {"table": "good", "work": "w", "peer": "p", "ratio": 2.0, "bar": 1.0, "met": False, "options": sys.argv[1:-2]}
open(file, "a").write(json.dumps(line) + chr(10))
""",
    "bad": "raise SystemExit(3)",
    "lonely": "raise SystemExit('never started')",
}


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    for name, script in FAKES.items():
        (tmp_path / f"{name}.py").write_text(script)
    tables = {name: driver.Table(f"about {name}") for name in FAKES}
    tables["lonely"] = driver.Table("about lonely", needs=("no_such_module",))
    monkeypatch.setattr(driver, "TABLES", tables)
    monkeypatch.setattr(driver, "FOLDER", tmp_path)
    return tmp_path / "kept" / "results.jsonl"


def test_whole_run_goes_on_after_a_table_that_breaks_off(fakes, capfd):
    begun = int(time.time())
    assert driver.main(["--json", str(fakes)]) == 1
    out = capfd.readouterr().out
    assert "[2/3] bad: about bad" in out and "broke off with status 3" in out and "broke off: bad" in out
    assert "left out: needs no_such_module" in out and "Bars: 0 of 1 kept." in out
    header, *lines = [json.loads(line) for line in fakes.read_text(encoding="utf-8").splitlines()]
    assert header["schema"] == "vqdoctor.bench/1" and header["versions"]["numpy"] and header["cores"] and header["time"] >= begun
    assert [(line["table"], line["status"]) for line in lines if line.get("kind") == "table"] == [("good", 0), ("bad", 3)]
    assert [line["options"] for line in lines if "ratio" in line] == [["--quick"]]


def test_a_missed_bar_is_a_result_and_no_failure(fakes, capfd):
    assert driver.main(["good", "--json", str(fakes)]) == 0
    assert "missed: good, w: 2 of p, at most 1" in capfd.readouterr().out


def test_a_run_replaces_the_one_before_it(fakes):
    for _ in range(2):
        driver.main(["good", "--json", str(fakes)])
    assert fakes.read_text(encoding="utf-8").count("vqdoctor.bench/1") == 1


def test_a_missing_peer_is_named_with_what_installs_it():
    versions = dict.fromkeys(record.PACKAGES, "1.0") | {"faiss-cpu": None, "tensorboard": None}
    assert driver.missing_peers(versions) == "not installed, left out: faiss-cpu, tensorboard (pip install -e '.[bench,peers]')"
    assert driver.missing_peers(dict.fromkeys(record.PACKAGES, "1.0")) == ""


def test_unknown_table_is_an_error_that_lists_them():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "nearesd"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no table nearesd; there are opening" in done.stderr
