"""Run files as the real package writes them, whole and in pieces, spoilt, and watched in a folder."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wandb
from vqdoctor_wandb import RunFile

import vqdoctor
from vqdoctor.model import Event

STEPS = 400  # over several blocks


@pytest.fixture(scope="module")
def run_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = wandb.init(project="p", mode="offline", dir=folder, config={"lr": 0.1}, name="mine", settings={"silent": True})
    for step in range(STEPS):
        run.log(
            {"train/loss": 1 / (step + 1), "vq/perplexity": 100 - step % 9, "deep": {"er": step}, "word": "x" * 90}, step=step * 10
        )
    run.log({"bad": float("nan"), "flag": True}, step=STEPS * 10)
    run.finish()
    wandb.teardown()  # its writer is another process: now the file is whole
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return path


def found(data: bytes, cuts=()):
    reader, places = RunFile(), [0, *sorted(cuts), len(data)]
    parts = [data[start:end] for start, end in pairwise(places)]
    items = [item for part in parts for item in reader.feed(part)] + reader.finish()
    series: dict[str, list[list[float]]] = {}
    for points in items:
        if not isinstance(points, Event):
            columns = series.setdefault(points.key.name, [[], []])
            columns[0] += points.steps.tolist()
            columns[1] += points.values.tolist()
    return series, [item for item in items if isinstance(item, Event)], reader


def test_what_was_logged_is_read(run_file):
    series, events, reader = found(run_file.read_bytes())
    assert set(series) == {"train/loss", "vq/perplexity", "deep.er", "bad"}
    assert series["train/loss"] == [[10 * step for step in range(STEPS)], [1 / (step + 1) for step in range(STEPS)]]
    assert np.isnan(series["bad"][1]).all() and not reader.faults.counts
    assert [event.kind for event in events] == ["run", "end"]
    assert events[0].detail == {"run": "mine", "config": {"lr": 0.1}} and events[1].detail["reason"] == "finished"


def test_the_same_in_any_pieces(run_file):
    data, rng = run_file.read_bytes(), random.Random(0)
    whole = found(data)
    for _ in range(5):
        pieces = found(data, [rng.randrange(len(data)) for _ in range(40)])
        assert repr(pieces[:2]) == repr(whole[:2])
    assert found(data[:5000], range(5000))[0]["vq/perplexity"] == found(data[:5000])[0]["vq/perplexity"]


def test_a_spoilt_block_costs_that_block(run_file):
    data = bytearray(run_file.read_bytes())
    data[40_000] ^= 0xFF  # in the second block
    series, _, reader = found(bytes(data))
    assert reader.faults.counts["record"] == 1
    steps = series["vq/perplexity"][0]
    assert 0.4 * STEPS < len(steps) < STEPS and steps[-1] == (STEPS - 1) * 10


def test_survives_anything(run_file):
    data, rng = run_file.read_bytes(), random.Random(1)
    for _ in range(200):
        spoilt = bytearray(data[: rng.randrange(2000)])
        for _ in range(rng.randrange(9)):
            if spoilt:
                spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        found(bytes(spoilt + rng.randbytes(rng.randrange(300))))


def test_watch_reads_it_through_the_entry_point(run_file):
    by_reader = {run.reader: run for run in vqdoctor.watch_once(str(run_file.parents[2])).runs}  # beside its debug logs
    run = by_reader["wandb"]
    assert (run.reader, run.state, run.last_step) == ("wandb", "ended", (STEPS - 1) * 10)
    metrics = {series.key.name: series.meaning.metric for series in run.series}
    assert metrics["vq/perplexity"] == "usage.batch_perplexity"
