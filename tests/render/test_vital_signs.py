"""One choice of vital signs for every face: which series, how many codes, whose findings, and that all faces tell the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vqdoctor.app.watching.view import WatchView
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.model import Finding
from vqdoctor.render import Screen, watch_lines, watch_text
from vqdoctor.render.vital_signs import chosen, id_signs, is_about, levels
from vqdoctor.render.watch_words import level_state, unused_words

SAMPLES = sorted((Path(__file__).parents[2] / "sample_checkpoints").glob("*.log.jsonl"))
HEAD = {"schema": "vqdoctor.log/1", "kind": "run", "run": "r"}


@pytest.fixture
def run_of(tmp_path):
    """Lines of a log as the run that a watch sees."""

    def made(*rows, config=None):
        head = [] if config is None else [HEAD | {"config": config}]
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in [*head, *rows]))
        return Watcher([path], clock=lambda: 1e9).finish().runs[0]

    return made


def metrics(step, values, level=0, quantizer="vq"):
    place = {} if level is None else {"quantizer": quantizer, "level": level}
    return {"kind": "metrics", "step": step, "values": values} | place


def plain(text):
    return text.replace("\u202f", " ").replace("\u00a0", " ")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_frame_and_dashboard_tell_the_same_of_each_level(path):
    board, themes, model, state = (
        pytest.importorskip(f"vqdoctor.tui.{name}") for name in ("board", "themes", "watch_model", "watch_state")
    )
    view = Watcher([path], clock=lambda: 1e10).finish()
    asked = model.Model()
    asked.take(view)
    screen = [plain(line.plain).split() for line in board.vitals(asked, state.WatchState(), themes.LOOKS["default"], 200)]
    frame = [plain(line).split() for line in watch_text.render(view, Screen(width=200)).splitlines()]
    found = levels(view.runs[0])
    assert found
    for level in found:
        [drawn] = [row for row in screen if row[0] == level.name]
        [told] = [row for row in frame if row[:1] == [level.name] and "▕" in row[1]]
        words = plain(level_state(level, 0)[1]).split()
        assert told[-len(words) :] == words and drawn[-len(words) + ("step" in words) :] == [w for w in words if w != "step"]
        figures = [row[2 : row.index("✗" if "✗" in row else "✓")] for row in (drawn, told)]
        assert [each for each in figures[0] if each[0].isdigit()] == [each for each in figures[1] if each[0].isdigit()]
    assert any(row[:1] == ["IDs"] for row in screen) == any(row[:1] == ["IDs:"] for row in frame) == (len(found) > 1)


def test_whole_samples_come_before_batches_and_counts_are_shares_once_k_is_known(run_of):
    rows = [metrics(step, {"usage.used": 16, "usage.batch_utilization": 0.1, "ema.active": 60}) for step in (1, 2, 3)]
    [level] = levels(run_of(*rows, config={"quantizer": {"codes": [64], "levels": 1}}))
    assert level.codes == 64
    assert (level.last("real"), level.last("batch"), level.last("ema")) == (0.25, 0.1, 60 / 64)
    [level] = levels(run_of(*rows, config={}))
    assert level.codes is None and level.last("real") == 0.1 and level.word("real") == "batch" and level.last("ema") is None


def test_k_is_told_by_counts_of_use_by_the_configuration_or_by_a_ratio_of_one_step(run_of):
    use = {"kind": "usage", "step": 4, "quantizer": "vq", "level": 0, "codes": 32, "counts": [[0, 1]]}
    both = {"usage.used": 8, "usage.utilization": 0.125}
    assert levels(run_of(metrics(1, both), use, config={"num_embeddings": 16}))[0].codes == 32
    assert levels(run_of(metrics(1, both), config={"model": {"num_embeddings": 16}}))[0].codes == 16
    assert levels(run_of(metrics(1, both), config={}))[0].codes == 64
    later = metrics(9, {"usage.used": 16})
    assert levels(run_of(metrics(1, both), later, config={}))[0].codes is None


def test_what_is_not_quite_what_its_column_says_is_named(run_of):
    [level] = levels(run_of(metrics(1, {"ema.perplexity": 50, "ema.utilization": 1.0, "usage.rare_or_dead": 3}), config={}))
    assert level.word("perplexity") == "EMA" and level.word("ema") == "" and level.word("dead") == "rare or dead"
    assert level_state(level, 0) == ("unknown", "real use not logged")
    assert unused_words(level, {"dead": 3.0, "unseen": None}) == ("3", "rare or dead")
    assert unused_words(level, {"dead": 3.0, "unseen": 9.0}) == ("9", "unseen")
    [level] = levels(run_of(metrics(1, {"usage.batch_perplexity": 50, "usage.utilization": 0.9}), config={}))
    assert level.word("perplexity") == "batch" and level.word("real") == ""
    assert level_state(level, 0)[0] == "healthy" and level_state(level, 4096)[0] == "unknown", "not read to its end"


def test_figures_without_a_level_belong_to_the_only_one(run_of):
    whole = metrics(1, {"usage.perplexity": 20}, level=None)
    [level] = levels(run_of(metrics(1, {"usage.utilization": 0.5}), whole, config={}))
    assert level.name == "vq" and level.last("perplexity") == 20
    two = levels(run_of(metrics(1, {"usage.utilization": 0.5}), metrics(1, {"usage.utilization": 0.4}, 1), whole, config={}))
    assert [level.name for level in two] == ["vq[0]", "vq[1]", "codebook"]


def test_a_collapse_of_a_book_without_a_name_is_its_state(run_of):
    run = run_of(*({"step": step, "codebook_usage": 0.4, "perplexity": 90.0} for step in range(5)))
    collapse = Finding("VQ501", "collapse-onset", "error", "codebook", "It fell.", {"onset_step": 3.0})
    text = plain(watch_text.render(WatchView((replace(run, findings=(collapse,)),)), Screen(width=120)))
    assert "✗ collapse-onset since step 3" in text and "no finding" not in text


@pytest.mark.parametrize(
    ("where", "places", "about"),
    [
        ("vq[1]", [("vq", 0), ("vq", 1), ("b", 1)], [("vq", 1)]),
        ("vq[1] (validation)", [("vq", 0), ("vq", 1)], [("vq", 1)]),
        ("[0]", [("vq", 0), ("vq", 1)], [("vq", 0)]),
        ("vq", [("vq", 0), ("vq", 1), ("b", 0)], [("vq", 0), ("vq", 1)]),
        ("vq (validation)", [("vq", 0), ("b", 0)], [("vq", 0)]),
        ("codebook", [("vq", 0), ("vq", 1), ("", None)], [("", None)]),
        ("codebook[1]", [("", 0), ("", 1)], [("", 1)]),
        (r"v\x1b[0]", [("v\x1b", 0), ("w", 0)], [("v\x1b", 0)]),
        ("loss.commitment", [("vq", 0)], [("vq", 0)]),
        ("loss.commitment", [("vq", 0), ("vq", 1)], []),
    ],
)
def test_whose_a_finding_is(where, places, about):
    finding = Finding("VQ501", "collapse-onset", "error", where, "It fell.")
    assert [place for place in places if is_about(finding, place, places)] == about


def test_codes_of_one_book_are_no_ids_unless_the_log_speaks_of_ids(run_of):
    counted = {"collision.rate": 0.99, "collision.items": 100, "collision.unique": 1}
    use = {"usage.utilization": 0.5}
    alone, pair = {"quantizer": {"levels": 1}}, {"quantizer": {"levels": 2}}
    book = run_of(metrics(1, use), metrics(1, counted, level=None), config=alone)
    assert id_signs(book) == {}
    told = watch_text.render(WatchView((book,)), Screen()) + watch_lines.last_text(book, Screen())
    assert "IDs" not in told and "collisions" not in told
    assert id_signs(run_of(metrics(1, use), metrics(1, use, 1), metrics(1, counted, level=None), config=pair))
    assert id_signs(run_of({"step": 1, "collision_rate": 0.2}))["rate"].last == 0.2


def test_of_the_same_thing_the_first_part_of_the_data_that_goes_on(run_of):
    rows = [{"step": step, "train/loss": 1.0, "val/loss": 2.0} for step in range(5)]
    run = run_of(*rows)
    assert chosen(run.series, ("loss",)).meaning.scope in (None, "train")
    assert chosen(run.series, ("usage.used",)) is None


def test_perplexity_is_two_to_the_entropy_where_a_log_has_only_that_and_says_so(run_of):
    rows = [metrics(step, {"usage.batch_entropy_bits": bits, "ema.entropy_bits": 6}) for step, bits in ((1, 5), (2, 3), (3, 4))]
    run = run_of(*rows, config={"codes": 64})
    [level] = levels(run)
    assert (level.last("perplexity"), level.last("ema perplexity")) == (16.0, 64.0)
    assert level.word("perplexity") == "batch 2^H" and level.word("ema perplexity") == "2^H"
    assert level.last("entropy") == pytest.approx(4 / 6)  # the same figure as a share of log2 K
    frame = plain(watch_text.render(WatchView((run,)), Screen(width=160)))
    assert "16.0 batch 2^H / 64" in frame and "of a mean over batches a lower bound" in frame
    assert "perplexity 16.0 (2^H)" in plain(watch_lines.sign_words(run))


def test_a_share_of_the_highest_entropy_tells_perplexity_once_k_is_known(run_of):
    rows = [metrics(step, {"usage.entropy_normalized": 0.5}) for step in (1, 2, 3)]
    [level] = levels(run_of(*rows, config={"codes": 64}))
    assert level.last("perplexity") == pytest.approx(8.0) and level.word("perplexity") == "2^H"
    [level] = levels(run_of(*rows, config={}))
    assert level.last("perplexity") is None and level.last("entropy") == 0.5


def test_a_stated_perplexity_comes_before_one_of_entropies(run_of):
    rows = [metrics(step, {"usage.entropy_bits": 5, "usage.batch_perplexity": 20, "ema.entropy_bits": 6}) for step in (1, 2)]
    [level] = levels(run_of(*rows, config={}))
    assert (level.last("perplexity"), level.word("perplexity")) == (20.0, "batch")
    assert level.last("ema perplexity") == 64.0


@pytest.mark.parametrize("bits", [-1, 1e300, 65])
def test_what_is_no_entropy_in_bits_tells_no_perplexity(run_of, bits):
    [level] = levels(run_of(metrics(1, {"usage.entropy_bits": bits}), metrics(2, {"usage.entropy_bits": 3}), config={}))
    assert level.last("perplexity") is None


def test_entropies_of_running_counts_alone_are_no_real_use(run_of):
    [level] = levels(run_of(metrics(1, {"ema.entropy_bits": 6}), config={"codes": 64}))
    assert (level.last("perplexity"), level.word("perplexity")) == (64.0, "EMA 2^H")
    assert level_state(level, 0) == ("unknown", "real use not logged")
