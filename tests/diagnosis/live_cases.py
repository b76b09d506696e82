"""Runs to judge: a healthy one to start from, and for each live rule one that fires it beside one that just does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vqdoctor.diagnosis import LiveRun
from vqdoctor.model import Event, Meaning, Series, SeriesKey

K, STEPS = 256, np.arange(10, 1010, 10.0)  # a hundred points


def series(name, values, steps=None, scalar=False, level=0, scope=None, **changes):
    """A curve of our own name, of codebook q[0] unless it is a training term."""
    values = np.asarray(values, float)
    steps = STEPS[: len(values)] if steps is None else np.asarray(steps, float)
    quantizer, level = (None, None) if scalar else ("q", level)
    meaning = Meaning(scalar=name, scope=scope) if scalar else Meaning(name, quantizer=quantizer, level=level, scope=scope)
    some = len(values) > 0
    known = Series(
        SeriesKey(name, quantizer, level, scope), meaning, steps, values, np.empty(0),
        np.array([0, *(np.flatnonzero(np.diff(steps) < 0) + 1)] if some else [], np.int64), len(values),
        first=float(values[0]) if some else None, last=float(values[-1]) if some else None,
        first_step=float(steps[0]) if some else None, last_step=float(steps[-1]) if some else None,
    )  # fmt: skip
    return replace(known, **changes)


def run(*curves, **changes):
    """A run named q of these curves."""
    known = {"name": "q", "path": "logs/log.jsonl", "state": "ended", "series": curves, "config": {"codebook_size": K}}
    return LiveRun(**known | changes)


def noisy(level, count=100, sd=0.05, seed=0):
    """Perplexities about exp(level) nats."""
    return np.exp(level + np.random.default_rng(seed).normal(scale=sd, size=count))


def perplexity(*parts, **changes):
    """Parts of (nats from, nats to, points) with a little noise, as usage.perplexity."""
    nats = np.concatenate([np.linspace(first, last, count) for first, last, count in parts])
    return series("usage.perplexity", np.exp(nats + np.random.default_rng(0).normal(scale=0.03, size=len(nats))), **changes)


def loss(values, name="loss", **changes):
    return series(name, values, scalar=True, **changes)


def ids(name, values, **changes):
    """A curve of what is counted over all IDs."""
    return series(f"collision.{name}", values, level=None, **changes)


def events(kind, steps, **detail):
    return tuple(Event(kind, float(step), {"level": 0, **detail}) for step in steps)


def healthy():
    """Everything that a log may tell of a sound run: use that settles, a loss that falls, digests that change, re-estimations."""
    falling = np.linspace(2, 1, 100)
    return run(
        perplexity((4.0, 5.0, 20), (5.0, 4.9, 80)),
        series("usage.utilization", np.full(100, 0.97)), series("ema.utilization", np.ones(100)),
        loss(falling), loss(np.linspace(0.2, 0.9, 100), "loss.commitment"), loss(falling, "loss.reconstruction"),
        events=(
            *events("kmeans-reinit", [200, 400, 600], codes=K, samples=9000),
            *(Event("digest", step, {"level": 0, "rank": rank, "hash": f"{step}"}) for step in (100.0, 900.0) for rank in (0, 1)),
            *events("expanded", [700], codes_before=K // 2, codes=K, utilization=0.8),
            Event("end", 1000.0),
        ),
        config={"codebook_size": K, "reinit_interval": 200},
    )  # fmt: skip


HALF = np.concatenate([np.full(50, 1.0), np.full(50, 3.0)])
SAW = ((5.0, 5.0, 10), (4.9, 2.6, 15))
OWN_RANKS = [Event("digest", 50.0, {"level": 0, "rank": rank, "hash": digest}) for rank, digest in enumerate(("aa", "bb"))]

LIVE = {
    "VQ103": (
        run(series("usage.utilization", np.full(20, 0.02)), series("ema.utilization", np.ones(20))),
        run(series("usage.utilization", np.full(20, 0.02)), series("ema.utilization", np.ones(20)), series("usage.n", [767] * 20)),
    ),
    "VQ401": (
        run(ids("items", np.full(9, 3883.0)), ids("excess", np.linspace(3881, 524, 9))),
        run(ids("items", np.full(9, 3883.0)), ids("excess", np.linspace(3881, 150, 9))),
    ),
    "VQ501": (run(perplexity((5.0, 5.0, 60), (5.0, 2.0, 30))), run(perplexity((5.0, 5.0, 60), (5.0, 4.6, 30)))),
    "VQ502": (
        run(loss(np.ones(9)), events=events("skipped", [40], samples=5000, codes=8192, reason="too few")),
        run(loss(np.ones(9)), events=events("skipped", [40], action="expansion", reason="only 3 % of the codes are used")),
    ),
    "VQ503": (run(perplexity(*SAW, *SAW, *SAW)), run(perplexity(*SAW, (5.0, 4.8, 60)))),
    "VQ504": (run(loss(np.ones(9), nonfinite=1), events=(Event("non-finite", 95.0, {"series": "loss"}),)), run(loss(np.ones(9)))),
    "VQ505": (
        run(loss(HALF * np.repeat([0.1, 1.0], 50), "loss.commitment"), loss(HALF, "loss.reconstruction")),
        run(loss(HALF * np.repeat([0.1, 1.0], 50), "loss.commitment"), loss(np.linspace(2, 1, 100), "loss.reconstruction")),
    ),
    "VQ506": (
        run(series("usage.utilization", np.full(9, 0.02)), events=events("expanded", [85], codes_before=K, codes=2 * K)),
        run(series("usage.utilization", np.full(9, 0.51)), events=events("expanded", [85], codes_before=K, codes=2 * K)),
    ),
    "VQ507": (
        run(loss(np.ones(9)), state="stalled", silence=61.0, usual_gap=2.0),
        run(loss(np.ones(9)), state="live", silence=61.0, usual_gap=30.0),
    ),
    "VQ508": (
        run(loss(np.ones(100)), config={"reinit": {"reinit_interval": 600}}),
        run(loss(np.ones(100)), config={"reinit": {"reinit_interval": 700}}),
    ),
    "VQ509": (
        run(loss(np.ones(100) + np.arange(100) // 10), events=events("kmeans-reinit", range(100, 600, 100))),
        run(loss(np.linspace(2, 1, 100)), events=events("kmeans-reinit", range(100, 600, 100))),
    ),
    "VQ510": (run(loss(np.ones(9)), events=(*OWN_RANKS,)), run(loss(np.ones(9)), events=(OWN_RANKS[0], replace(OWN_RANKS[1],
    step=60.0)))),
    "VQ511": (
        run(loss(np.linspace(2, 1, 100)), events=events("digest", range(100, 600, 100), rank=0, hash="aa")),
        run(loss(np.linspace(2, 1, 100)), events=events("digest", range(100, 500, 100), rank=0, hash="aa")),
    ),
}  # fmt: skip
