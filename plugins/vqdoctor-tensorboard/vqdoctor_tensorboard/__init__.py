"""Any log that vqdoctor reads, as TensorBoard event files: for runs whose `Monitor` did not write them.

    vqdoctor-tensorboard runs/ --out boards/ && tensorboard --logdir boards/

Curves whose names vqdoctor knows stand under its names, in its units, so that runs of different programs lie in one chart.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import vqdoctor

__all__ = ["main", "replay"]


def replay(log: str | os.PathLike[str] | Sequence[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write every curve of the runs at `log` as event files below `out`, a folder for each run.

    Args:
        log: a log or a folder of runs, or several, of any format that vqdoctor reads. out: must not exist, or be empty.

    Returns:
        the runs' folders.

    Raises:
        vqdoctor.VqdoctorError: there is no log, or it cannot be read. FileExistsError: `out` holds something.
    """
    if os.path.isdir(out) and os.listdir(out):
        raise FileExistsError(f"{os.fspath(out)} is not empty: the curves of two replays would be drawn on top of each other")
    runs = vqdoctor.watch_once(log, checkpoints=False).runs
    folders = [Path(out) / f"{number:03d}-{_tag(run.name).replace('/', '_')}" for number, run in enumerate(runs)]
    for run, folder in zip(runs, folders, strict=True):
        writer = EventFileWriter(os.fspath(folder))
        try:
            for event in _events(run):
                writer.add_event(event)
        finally:
            writer.close()
    return folders


def _events(run: Any) -> Iterator[Event]:
    """The points of a run, curve by curve."""
    for series in run.series:
        value = Summary.Value(tag=_name(series))
        timed = len(series.times) == len(series.steps)
        for at, (step, number) in enumerate(zip(series.steps.tolist(), series.values.tolist(), strict=True)):
            value.simple_value = number
            when = float(series.times[at]) if timed and math.isfinite(series.times[at]) else 0.0
            yield Event(wall_time=when, step=int(step), summary=Summary(value=[value]))


def _name(series: Any) -> str:
    """ "vq/1/usage.utilization", as `Monitor` calls it, behind the scope where there is one."""
    meaning, key = series.meaning, series.key
    quantizer = key.quantizer or meaning.quantizer
    level = key.level if key.level is not None else meaning.level
    scope = key.scope or meaning.scope
    parts = [scope, quantizer, None if level is None else str(level), meaning.metric or meaning.scalar or key.name]
    return _tag("/".join(part for part in parts if part))


def _tag(name: str) -> str:
    """A name from a log, as what TensorBoard takes for a tag and a file system for a name."""
    return "".join(char if char.isalnum() or char in "-_./" else "_" for char in name).strip("/.") or "_"


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("-o", "--out", required=True, metavar="DIR", help="Where the event files go: a new or an empty folder.")
def main(logs: tuple[str, ...], out: str) -> None:
    """Write the curves of LOG, a log or a folder of runs of any format that vqdoctor reads, for TensorBoard."""
    try:
        folders = replay(logs, out)
    except (vqdoctor.VqdoctorError, OSError) as error:
        click.echo(f"vqdoctor-tensorboard: error: {error}", err=True)
        sys.exit(2)
    for folder in folders:
        click.echo(folder)
