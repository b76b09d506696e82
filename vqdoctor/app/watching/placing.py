"""Which run a checkpoint is of, and where on its axis it stands.

By name first (`ema-illusion.pt` beside `ema-illusion.log.jsonl`), else by place: it is of the only log in its folder, or in the
nearest folder above that has just one. Where nothing tells, the checkpoints of a folder are a run of their own: two unrelated
models must never become one curve.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

import numpy as np

from vqdoctor.app.watching.checkpoints import SCOPE, Looked, Place, found_in
from vqdoctor.app.watching.names import SUFFIX
from vqdoctor.app.watching.recording import SOURCE, Tape
from vqdoctor.logs import Run, Runs, looks_like_log, read_file_name


class Placing:
    """Puts checkpoints into runs.

    Args:
        root: the folder or the log that is watched. runs: those of its logs; runs of checkpoints alone are added.
        tape: told of what is put where.
    """

    def __init__(self, root: str, runs: Runs, tape: Tape | None = None) -> None:
        self.modified: dict[str, float] = {}  # of the newest checkpoint, by run
        self._root = root
        self._tape = tape
        self._runs = runs
        self._rows: dict[str, tuple[float, Mapping[Place, np.ndarray]]] = {}  # newest step and its rows, by run
        self._steps: Counter[str] = Counter()
        self._troubles: dict[str, str] = {}
        self._unplaced = 0

    def take(self, looked: Looked) -> str | None:
        """Put what was seen where it belongs; the path of the run, None where there is nothing to put."""
        self._note(looked)
        if looked.report is None and not read_file_name(os.path.basename(looked.path)):
            return None
        run = self._run_of(looked.path)
        if run is None:
            self._unplaced += 1
            return None
        self._steps[run.path] += 1
        step = _step(looked, run, self._steps[run.path])
        last, before = self._rows.get(run.path, (float("-inf"), {}))
        digests = not any(event.kind == "digest" and "measured" not in event.detail for event in run.events)
        found = found_in(looked, step, before if step > last else {}, digests=digests)
        run.add(os.path.join(run.path, SOURCE), found)
        if self._tape is not None:
            self._tape.found(run.path, found)
        if step > last:
            self._rows[run.path] = (step, looked.rows)
        self.modified[run.path] = max(looked.modified, self.modified.get(run.path, 0.0))
        return run.path

    def notes(self, skipped: int) -> list[str]:
        """What was left out, in sentences. skipped: how many checkpoints were not looked at."""
        told = [f"{name}: could not be looked at: {why}" for name, why in list(self._troubles.items())[-3:]]
        if len(self._troubles) > 3:
            told.append(f"so could {len(self._troubles) - 3} other checkpoints")
        if self._unplaced and not self.modified and any(map(_has_codebooks, self._runs.by_path.values())):
            told.append(f"{self._unplaced} checkpoints beside several logs: which is theirs cannot be told, so none got them")
        if skipped:
            told.append(f"{skipped} older checkpoints were there already and are not looked at; vqdoctor compare FOLDER does")
        return told

    def _note(self, looked: Looked) -> None:
        name = os.path.basename(looked.path)
        self._troubles.pop(name, None)
        if looked.trouble:
            self._troubles[name] = looked.trouble

    def _run_of(self, path: str) -> Run | None:
        stem = os.path.splitext(os.path.basename(path))[0]
        folder = os.path.dirname(path)
        alone = not os.path.isdir(self._root)
        logs = [run for run in self._runs.by_path.values() if SOURCE not in run.logs or len(run.logs) > 1]
        named = [
            run for run in logs if _same(os.path.dirname(run.path), folder) and SUFFIX.sub("", os.path.basename(run.path)) == stem
        ]
        if named:
            return named[0]
        if alone:
            return logs[0] if logs and _only_log(folder) else None
        while True:
            here = [run for run in logs if _folder(run) == folder]
            if len(here) == 1:
                return here[0]
            if folder in (self._root, os.path.dirname(folder)):
                return self._runs.at(os.path.dirname(path))
            folder = os.path.dirname(folder)


def _has_codebooks(run: Run) -> bool:
    """Whether a log speaks of codebooks or checkpoints: to another it is no news whose the checkpoints beside it are."""
    return any(run.meaning(key).metric for key in run.keys) or any(event.kind == "checkpoint" for event in run.events)


def _same(one: str, other: str) -> bool:
    """Whether two folders are one: of a bare file name it is "", of what is found beside it "."."""
    return os.path.normpath(one or ".") == os.path.normpath(other or ".")


def _folder(run: Run) -> str:
    """Of its logs."""
    return run.path if os.path.isdir(run.path) else os.path.dirname(run.path)


def _only_log(folder: str) -> bool:
    try:
        return sum(map(looks_like_log, os.listdir(folder or "."))) <= 1
    except OSError:
        return False


def _step(looked: Looked, run: Run, ordinal: int) -> float:
    """The step that the checkpoint says, or the log says of it, or that the log had reached when it was written; else its epoch, or
    its number."""
    name = os.path.basename(looked.path)
    if looked.report is None:
        return float(read_file_name(name)[0].steps[0])
    if looked.step is not None:
        return looked.step
    told = (event for event in reversed(run.events) if event.detail.get("file") == name and not event.detail.get("measured"))
    if (said := next((event.step for event in told if event.step is not None), None)) is not None:
        return said
    if named := read_file_name(name):
        return float(named[0].steps[0])
    logged = (series for series in run.series() if len(series.times) and series.key.scope != SCOPE)
    timed = max(logged, key=lambda series: series.n, default=None)
    if timed is not None and (before := int(np.searchsorted(timed.times, looked.modified, "right"))):
        return float(timed.steps[before - 1])
    return looked.epoch if looked.epoch is not None else float(ordinal)
