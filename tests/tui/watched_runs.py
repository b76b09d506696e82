"""Runs as `watch` would see them, made from log lines by a real store: two of three levels, one collapses, the other was tuned."""

from __future__ import annotations

import json
import math

import numpy as np

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.logs import Run
from vqdoctor.logs.tail import Chunk
from vqdoctor.model import Finding
from vqdoctor.model.report import Remedy

CODES = 64
NASTY = "[bold red]x[/] \x1b[2J\u202e"


def log(
    run: str, *, steps: int = 12_400, every: int = 200, collapse: int | None = 11_200, seed: int = 0, extra: str = "aux/[b]"
) -> bytes:
    """A log of ours: three levels, of which 1 collapses at step `collapse`, k-means at 3000, losses, collisions, an unknown key."""
    rng = np.random.default_rng(seed)
    rows: list[dict] = [
        {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.7e9, "run": run, "config": {"lr": 0.001 * (1 + seed), "epochs": 20}}
    ]
    for step in range(every, steps + 1, every):
        rise = 1 - math.exp(-step / 3000)
        for level in range(3):
            real = min(1.0, rise * (0.97, 0.8, 0.86)[level] + 0.01 * rng.normal())
            if level == 1 and collapse is not None and step > collapse - 2000:
                real *= max(0.2, 1 - (step - collapse + 2000) / 3000)
            used = max(1, round(real * CODES))
            perplexity = max(1.0, used * (0.9 - 0.1 * level))
            values = {
                "usage.used": used, "usage.utilization": used / CODES, "usage.perplexity": perplexity,
                "usage.dead": CODES - used,
                "usage.entropy_normalized": math.log2(perplexity) / 6, "ema.active": CODES - level,
                "ema.utilization": 1 - level / CODES,
                "ema.perplexity": perplexity + 3,
            }  # fmt: skip
            rows.append({"kind": "metrics", "step": step, "quantizer": "vq", "level": level, "values": values})
            if step % (5 * every) == 0:
                counts = [[code, 3] for code in range(used)]
                rows.append({"kind": "usage", "step": step, "quantizer": "vq", "level": level, "codes": CODES, "counts": counts})
        losses = {
            "loss": 2 / (1 + step / 800),
            "loss.commitment": 0.3,
            "loss.reconstruction": 1 / (1 + step / 900),
            "lr": 1e-3,
            extra: step % 7,
        }
        rows.append({"kind": "scalars", "step": step, "values": losses})
        if step == 3000:
            rows.append({"kind": "event", "step": step, "event": "kmeans-reinit", "detail": {"samples": 4096, "seconds": 1.5}})
    ids = {
        "collision.items": 3883,
        "collision.unique": 3359,
        "collision.rate": 0.135,
        "collision.max_group": 9,
        "collision.floor_excess": 8,
    }
    rows.append({"kind": "metrics", "step": steps, "quantizer": "vq", "level": 0, "values": ids})
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


COLLAPSE = Finding(
    "VQ501", "collapse-onset", "error", "vq[1]",
    "Level 1: perplexity has halved since its best; the step of the learning rate at 11 000 precedes it.",
    {"onset_step": 11_200, "span": [9_000, 12_400], "perplexity_before": 44.1, "perplexity_now": 9.6}, "certain",
    Remedy("Lower the learning rate first; then re-initialise the book from features.",
           "vqdoctor repair last.pt --kmeans --features last.features.npy -o repaired.pt"),
    "Run 200 steps from the checkpoint at 10 000 with the old rate.",
)  # fmt: skip
SKIPPED = Finding(
    "VQ502", "reinit-skipped", "warning", "vq", "A k-means re-initialisation was skipped: 3100 samples are fewer than 4096 codes.",
    {"onset_step": 8_000, "span": [8_000, 8_000]}, "certain", Remedy("Collect more samples before the re-initialisation."),
)  # fmt: skip


def run_view(
    data: bytes, name: str = "rq-tuned-7", state: str = "live", findings: tuple[Finding, ...] = (), version: int = 1, **more
) -> RunView:
    """The view of a run that has logged `data`."""
    run = Run(f"runs/{name}/log.jsonl")
    if data:
        run.take(Chunk(f"runs/{name}/log.jsonl", data, "new"))
        run.finish()
    series = tuple(run.series())
    steps = [step for one in series for step in (one.first_step, one.last_step) if step is not None]
    fields = {"total_steps": 20_000.0, "first_step": min(steps, default=None), "last_step": max(steps, default=None)} | more
    config = next((event.detail.get("config", {}) for event in run.events if event.kind == "run"), {})
    return RunView(
        name, run.path, run.reader, state, series, tuple(run.events), tuple(run.usage), findings, run.bins, config=config,
        version=version, **fields
    )  # fmt: skip


def two_runs() -> WatchView:
    """A run that collapses, newest, and one that does not."""
    sick = run_view(log("rq-tuned-7"), findings=(COLLAPSE, SKIPPED))
    return WatchView((sick, run_view(log("rq-base-3", collapse=None, seed=1), "rq-base-3", "ended")), 1)


class Given:
    """A watcher that gives the views it was given, then the last one for ever."""

    def __init__(self, *views: WatchView) -> None:
        self.views = list(views)
        self.polls = 0
        self.closed = False

    def poll(self) -> WatchView:
        self.polls += 1
        return self.views.pop(0) if len(self.views) > 1 else self.views[0]

    def close(self) -> None:
        self.closed = True
