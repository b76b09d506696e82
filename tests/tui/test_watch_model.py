"""What the watch screen makes of a run: vital signs, charts, windows, the order of findings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from watched_runs import CODES, COLLAPSE, SKIPPED, log, run_view, two_runs

from vqdoctor.app.watching.view import WatchView
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.render.vital_signs import is_about, levels, place_of
from vqdoctor.tui import board, lists
from vqdoctor.tui.themes import LOOKS
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_state import WatchState, found, matches

LOOK = LOOKS["default"]


@pytest.fixture(scope="module")
def model():
    model = Model()
    model.take(two_runs())
    return model


def lines(rows, extra=""):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_levels_readings_and_codes(model):
    run = model.view.runs[0]
    found = model.levels(run)
    assert [level.name for level in found] == ["0", "1", "2"] and {level.codes for level in found} == {CODES}
    assert found[1].findings[0] is COLLAPSE and SKIPPED in found[0].findings, "a finding of the whole quantiser is of each level"
    state = WatchState()
    assert model.value(run.path, found[2].readings["ema"], state) == 1 - 2 / CODES
    assert model.value(run.path, found[1].readings["real"], state) < model.value(
        run.path, found[1].readings["real"], replace(state, cursor=9000.0)
    )


def test_other_peoples_names_find_their_place():
    rows = [{"step": i, "train/commit_loss": 0.1, "train/perplexity": 90.0, "codebook_usage": 0.4, "mystery": i} for i in range(5)]
    [level] = levels(run_view(lines(rows)))
    assert level.name == "codebook" and set(level.readings) >= {"real", "perplexity"}
    used = [{"step": i, "vq/usage.used": 0, "usage.used": 16 * (i + 1), "usage.utilization": (i + 1) / 4} for i in range(4)]
    assert levels(run_view(lines(used)))[0].codes == 64, "the ratio of a number to the same as a share"
    assert levels(run_view(b"")) == ()


def test_where_a_finding_is():
    assert place_of(COLLAPSE) == ("vq", 1) and place_of(SKIPPED) is None
    places = [("vq", 0), ("vq", 1), ("other", 1)]
    assert [place for place in places if is_about(COLLAPSE, place, places)] == [("vq", 1)]
    nowhere = replace(COLLAPSE, where="")
    assert is_about(nowhere, ("vq", 0), places[:1]) and not is_about(nowhere, ("vq", 0), places)


def test_charts_come_in_the_order_of_the_doctor_and_unknown_keys_are_shown(model):
    plans = model.plans(WatchState(), LOOK)
    names = [plan.name for plan in plans]
    assert names[:7] == ["use", "perplexity", "entropy", "loss", "collisions", "dead", "lr"]
    unknown = next(plan for plan in plans if plan.name == "aux/[b]")
    assert unknown.note == "unknown key, not judged"
    perplexity = plans[1]
    assert perplexity.references == ((64.0, "ceiling 64"),) and perplexity.high == 64
    drawn = {line.reading.series.key for plan in plans for line in plan.lines}
    run = model.view.runs[0]
    assert drawn >= {one.key for one in run.series if one.meaning.level in (None, 1) and one.meaning.metric != "usage.used"}


def test_a_chart_takes_level_cursor_window_and_baseline(model):
    base = model.view.runs[1].path
    state = WatchState(baseline=base, cursor=11_200.0)
    chart = model.chart(model.plans(state, LOOK)[0], state, 60)
    assert chart.onset == 11_200, "of the gravest finding of the level"
    assert [curve.name for curve in chart.curves] == ["base", "EMA", "real"]
    assert all(len(steps) <= 2 * 60 + 8 for curve in chart.curves for steps, _ in curve.pieces)
    assert chart.curves[-1].at == pytest.approx(model.value(model.view.runs[0].path, model.level(state).readings["real"], state))
    zoomed = replace(state, span=1000.0)
    assert model.window(zoomed) == (10_700.0, 11_700.0)
    assert model.window(replace(zoomed, cursor=None)) == (11_400.0, 12_400.0)
    assert model.window(WatchState(span=1e9)) == (200.0, 12_400.0)


def test_smoothing_keeps_the_raw_values_behind(model):
    state = WatchState(half_life=1000)
    chart = model.chart(model.plans(state, LOOK)[0], state, 60)
    real = [curve for curve in chart.curves if curve.name == "real"]
    assert [curve.line for curve in real] == ["faint", "solid"]
    raw, smooth = ([value for _, values in curve.pieces for value in values] for curve in real)
    assert max(raw) - min(raw) > max(smooth) - min(smooth)


def test_findings_gravest_first_then_seen_and_filtered(model):
    view = model.view
    assert [one.finding.rule for one in found(view, WatchState())] == ["VQ501", "VQ502"]
    seen = WatchState(acknowledged=frozenset({found(view, WatchState())[0].known}))
    assert [one.finding.rule for one in found(view, seen)] == ["VQ502", "VQ501"]
    assert [one.finding.rule for one in found(view, WatchState(filter="reinit"))] == ["VQ502"]
    assert "✗ 1" not in board.header(model, seen, LOOK, 120).plain and "! 1" in board.header(model, seen, LOOK, 120).plain


@pytest.mark.parametrize(
    ("query", "kept"),
    [("", "abc"), ("LOSS", "ab"), ("loss -val", "a"), ("rate|train", "ac"), ("-", ""), ("a|", "abc"), ("loss rate", "")],
)
def test_the_filter(query, kept):
    words = {"a": "train/loss", "b": "val/loss", "c": "collision.rate"}
    assert "".join(name for name, word in words.items() if matches(query, word)) == kept


def test_comparing_says_differences_and_settings(model):
    base = model.view.runs[1].path
    rows = [line.plain for line in board.vitals(model, WatchState(baseline=base, compare=True), LOOK, 118)]
    assert any("Δ real -6" in row and "points" in row and "perplexity" in row for row in rows)
    rows = [line.plain for line in lists.run_lines(model, WatchState(baseline=base), LOOK, 100)]
    assert any("lr: 0.001" in row and "baseline 0.002" in row for row in rows)
    assert any("pin another run" in line.plain for line in board.vitals(model, WatchState(compare=True), LOOK, 118))


def test_the_tail_of_the_log_ends_at_the_cursor(model):
    run = model.view.runs[0]
    rows = [line.plain for line in lists.log_lines(run, WatchState(), LOOK, 120)]
    assert rows[-1].strip().startswith("12\u202f400") and "loss=" in " ".join(rows)
    earlier = [line.plain for line in lists.log_lines(run, WatchState(cursor=3000.0), LOOK, 120)]
    assert earlier[-1].strip().startswith("3\u202f000") and "kmeans-reinit" in earlier[-1] and "samples=4\u202f096" in earlier[-1]


def test_runs_that_are_gone_are_forgotten():
    model = Model()
    model.take(two_runs())
    for state in (WatchState(), WatchState(half_life=10)):
        model.chart(model.plans(state, LOOK)[0], state, 50)
    model.take(WatchView((), 2, ("runs/",)))
    assert not model._thinned and not model._levels
    assert model.plans(WatchState(), LOOK) == [] and model.window(WatchState()) == (0.0, 1.0)
    assert "waiting for runs/" in board.header(model, WatchState(), LOOK, 80).plain


def test_a_run_that_is_behind_paused_or_silent_says_so():
    model = Model()
    run = run_view(log("x", steps=2000), state="stalled", silence=190.0, behind=3_400_000)
    model.take(WatchView((run,), 1))
    words = board.header(model, WatchState(filter="loss", faults=True), LOOK, 160, "paused +40 steps").plain
    for part in ("‖ stalled", "+3.4 MB behind", "silent 3 min", "filter: loss", "faults only", "paused +40 steps", "2\u202f000"):
        assert part in words


def test_smoothing_changes_curves_and_no_figure(model):
    run, smooth = model.view.runs[0], WatchState(half_life=1000)
    for level in model.levels(run):
        for reading in level.readings.values():
            assert model.value(run.path, reading, smooth) == model.value(run.path, reading, WatchState())
    curve = model.chart(model.plans(smooth, LOOK)[0], smooth, 60).curves[-1]
    assert curve.at != model.value(run.path, model.level(smooth).readings["real"], smooth)


def test_the_line_of_the_run_has_collisions_and_loss(model):
    (line,) = board.ids_line(model, WatchState(), LOOK, 120)
    assert line.plain.replace("\u202f", " ").replace("\xa0", " ") == (
        "IDs  unique 3 359 of 3 883   collisions 13.5 % (floor 0.2 %)   loss 0.121   largest group 9"
    )
    (line,) = board.ids_line(model, WatchState(cursor=3000.0), LOOK, 120)
    assert line.plain.startswith("IDs  not measured up to this step   loss 0.42")
    other = Model()
    other.take(WatchView((run_view(b'{"step": 1, "loss": 2.5}\n'),), 1))
    (line,) = board.ids_line(other, WatchState(), LOOK, 120)
    assert line.plain == "run  loss 2.50"


def test_perplexity_from_entropies_is_drawn_and_smoothed_as_such(tmp_path):
    head = {"schema": "vqdoctor.log/1", "kind": "run", "run": "r", "config": {"codes": 64}}
    values = [{"usage.batch_entropy_bits": 5 - i % 2} for i in range(9)]
    rows = [{"kind": "metrics", "step": i, "level": 0, "quantizer": "vq", "values": each} for i, each in enumerate(values)]
    (tmp_path / "log.jsonl").write_bytes(lines([head, *rows]))
    asked, state = Model(), WatchState()
    asked.take(Watcher([tmp_path / "log.jsonl"], clock=lambda: 1e9).finish())
    [plan] = [plan for plan in asked.plans(state, LOOK) if plan.name == "perplexity"]
    [curve] = asked.chart(plan, state, 80).curves
    assert set(np.concatenate([values for _, values in curve.pieces])) == {16.0, 32.0} and curve.at == 32.0
    assert "2^H" in asked.chart(plan, state, 80).note
    [level] = asked.levels(asked.view.runs[0])
    assert asked.value(asked.view.runs[0].path, level.readings["perplexity"], replace(state, cursor=1.0)) == 16.0
    assert set(asked.history(asked.view.runs[0].path, level.readings["perplexity"], 80, state)) == {16.0, 32.0}
