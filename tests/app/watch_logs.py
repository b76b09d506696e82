"""Logs and clocks for the tests of the watch."""

from __future__ import annotations

import json
import time


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def own_log(steps, *, start=1, ended=False, values=None, **config):
    """Lines of `vqdoctor.log/1`: a point each step, the run's head if it starts at 1."""
    head = {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.0, "run": "r", "config": {"total_steps": 1000} | config}
    rows = [head] if start == 1 else []
    for step in range(start, start + steps):
        told = values or {"usage.batch_utilization": 0.5, "ema.utilization": 1.0}
        rows.append({"kind": "metrics", "step": step, "time": 1.0, "quantizer": "vq", "level": 0, "values": told})
    if ended:
        rows.append({"kind": "event", "step": start + steps - 1, "time": 2.0, "event": "end", "detail": {}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def event(kind, step, **detail):
    """One line."""
    return json.dumps({"kind": "event", "step": step, "time": 1.0, "event": kind, "detail": detail}) + "\n"
