"""A watch to draw: three levels of which one collapses, IDs, a run beside it, and names that would drive a terminal."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.view import WatchView
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.model import Finding
from vqdoctor.model.report import Remedy

NOW = 1_800_000_000.0
EVIL = "evil\x1b[2J\u202e<b>[red]name"

CURE = Remedy("Rule out first: a learning rate that rose, a loss term that dominates.", "vqdoctor explain VQ501")
ONSET = Finding(
    "VQ501", "collapse-onset", "error", "quantizer[1]", "Perplexity halved since its best, from step 1 000 on.",
    {"onset_step": 1000.0, "span": [200.0, 2000.0]}, "certain", CURE, "repeat without the step",
)  # fmt: skip
SKIPPED = Finding(
    "VQ502", "reinit-skipped", "warning", "", f"3100 samples are too few for 4096 codes in {EVIL}.", {"onset_step": 800.0}
)


def lines(collapses: bool) -> list[dict]:
    """A run of 2000 steps, a point every 20."""
    config = {"run": {"total_steps": 4000}, "quantizer": {"codes": [64], "levels": 3}}
    rows = [{"schema": "vqdoctor.log/1", "kind": "run", "time": NOW, "run": "r", "config": config}]
    for step in range(20, 2001, 20):
        rows.append({"kind": "scalars", "step": step, "time": NOW, "values": {"loss": 1 / step, "lr": 1e-3, EVIL: step / 7}})
        for level in range(3):
            use = 0.9 if level != 1 or not collapses or step < 1000 else max(0.05, 0.9 - (step - 1000) / 1000)
            values = {
                "usage.batch_utilization": use, "usage.batch_perplexity": 64 * use * 0.7, "ema.utilization": 1.0,
                "usage.batch_entropy_normalized": 1 + math.log(use * 0.7) / math.log(64),
            }  # fmt: skip
            rows.append({"kind": "metrics", "step": step, "time": NOW, "quantizer": "quantizer", "level": level, "values": values})
    rows.append({"kind": "event", "step": 800, "time": NOW, "event": "skipped", "detail": {"samples": 3100, "why": EVIL}})
    collisions = {"collision.unique": 3359, "collision.items": 3883, "collision.rate": 524 / 3883, "collision.max_group": 9}
    rows.append({"kind": "metrics", "step": 2000, "time": NOW, "quantizer": "quantizer", "values": collisions})
    return rows


def watched(folder) -> WatchView:
    """The view, with findings as the live rules make them."""
    for age, (name, collapses) in enumerate({"rq-sick": True, f"rq-{EVIL.replace('/', '')}": False}.items()):
        path = folder / name / "log.jsonl"
        path.parent.mkdir()
        path.write_text("".join(json.dumps(row) + "\n" for row in lines(collapses)))
        os.utime(path, (NOW - 3 - age, NOW - 3 - age))
    view = Watcher([folder], WatchRequest(checkpoints=False), clock=lambda: NOW).finish()
    runs = [replace(run, path=os.path.relpath(run.path, folder)) for run in view.runs]
    judged = (replace(runs[0], findings=(ONSET, SKIPPED)), replace(runs[1], findings=()))
    return replace(view, runs=judged, missing=(f"late-{EVIL}.jsonl",))
