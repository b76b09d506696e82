"""What the watch screen costs: the model of a frame, a chart, the whole app in a terminal, live and idle, its start, its delay.

`python benchmarks/tui.py [--quick] [--json FILE]`. Four runs of a million points each (five series of 200 000), growing. Bars:
30 ms for thinning and model of a frame, 60 ms a changed chart, 30 % of a core while it grows, 2 % while nothing happens; on a log
of a gigabyte (--quick: a tenth) the first picture after 0.8 s of CPU from the start of the process; an appended line seen within a
second. The app runs in a process of its own on a pseudo-terminal of 120 × 40, whose other end reads what it writes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import pty
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import peak_mib
from record import command_line, told

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.logs import Run
from vqdoctor.logs.tail import Chunk
from vqdoctor.model import Points, SeriesKey
from vqdoctor.tui import board, lists
from vqdoctor.tui.chart import paint
from vqdoctor.tui.chart_pane import ChartPane
from vqdoctor.tui.export import frame as shown
from vqdoctor.tui.heat import strips
from vqdoctor.tui.themes import LOOKS
from vqdoctor.tui.watch_app import WatchApp, run_watch
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_screen import WatchScreen
from vqdoctor.tui.watch_state import WatchState, found

RUNS, POINTS, GROWTH = 4, 200_000, 200
NAMES = ("usage.utilization", "ema.utilization", "usage.perplexity", "usage.entropy_normalized", "loss")
WARM, MEASURED = 3.0, 10.0  # seconds
ROUNDS = 20
LOOK = LOOKS["default"]


class Growing:
    """A watcher whose runs grow by `growth` points a series with every look."""

    def __init__(self, points: int, growth: int) -> None:
        self._rng = np.random.default_rng(0)
        self._growth = growth
        self._runs = [Run(f"runs/{i}/log.jsonl") for i in range(RUNS)]
        self._version = 0
        for run in self._runs:
            run.take(Chunk(run.path, b'{"schema":"vqdoctor.log/1","kind":"run","run":"r","config":{}}\n', "new"))
        self._grow(points)

    def _grow(self, points: int) -> None:
        self._version += 1
        for run in self._runs:
            store = run.logs[run.path].store
            for name in NAMES:
                key = SeriesKey(name, "vq", 0) if name != "loss" else SeriesKey(name)
                column = store.column(key)
                places = np.arange(points, dtype=float) + (len(column) if column is not None else 0)
                wave = 0.5 + 0.3 * np.sin(places / 20_000) + 0.05 * self._rng.normal(size=points)
                values = np.clip(wave, 0, 1) * (512 if name == "usage.perplexity" else 1)
                store.add([Points(key, places, values, np.full(points, np.nan))])
        self._view = WatchView(tuple(self._seen(run) for run in self._runs), self._version)

    def _seen(self, run: Run) -> RunView:
        series = tuple(run.series())
        last = max(one.last_step or 0.0 for one in series)
        return RunView(
            run.path, run.path, "vqdoctor.log/1", "live", series, (), (), (), run.bins, first_step=0.0, last_step=last,
            version=self._version,
        )  # fmt: skip

    def poll(self) -> WatchView:
        """One look."""
        if self._growth:
            self._grow(self._growth)
        return self._view

    def close(self) -> None:
        """Nothing to let go of."""


def frame(model: Model, view: WatchView, state: WatchState) -> None:
    """Everything but the widgets: the model of a whole screen of 200 × 60 with its six charts, not painted."""
    model.take(view)
    found(view, state)
    for plan in model.plans(state, LOOK)[:6]:
        model.chart(plan, state, 60)
    board.header(model, state, LOOK, 200)
    board.vitals(model, state, LOOK, 196)
    strips(model.strips(state, 90), *model.window(state), 90, LOOK)
    lists.run_lines(model, state, LOOK, 90)


def milliseconds(run: Callable[[], object]) -> tuple[float, str]:
    """CPU of one call: median of several, and the worst in words."""
    times = []
    for _ in range(ROUNDS):
        begin = time.thread_time()
        run()
        times.append(1000 * (time.thread_time() - begin))
    return statistics.median(times), f", worst {max(times):.1f} ms"


def models(points: int, half_life: int, file: str | None) -> None:
    """Frames and charts in this process."""
    watcher, model = Growing(points, GROWTH), Model()
    state = WatchState(half_life=half_life, baseline="runs/1/log.jsonl", compare=True)
    begin = time.thread_time()
    frame(model, watcher.poll(), state)
    cold = 1000 * (time.thread_time() - begin)
    views = [watcher.poll() for _ in range(ROUNDS)]
    cost, worst = milliseconds(lambda: frame(model, views.pop(0), state))
    told(file, "tui", f"model of a frame, half-life {half_life}", cost, "ms", 30, f"{worst}, the first {cold:.1f} ms")
    plan = model.plans(state, LOOK)[0]
    paint(model.chart(plan, state, 110), 120, 30, LOOK)  # loads plotext
    cost, worst = milliseconds(lambda: paint(model.chart(plan, state, 110), 120, 30, LOOK))
    told(file, "tui", f"chart of {len(plan.lines)} lines, half-life {half_life}", cost, "ms", 60, worst)


def spikes(points: int) -> None:
    """One value among many reaches the picture."""
    run = Growing(points, 0).poll().runs[0]
    values = run.series[0].values.copy()
    values[points // 3] = 9.0
    model = Model()
    model.take(WatchView((replace(run, series=(replace(run.series[0], values=values, high=9.0), *run.series[1:])),), 1))
    chart = model.chart(model.plans(WatchState(), LOOK)[0], WatchState(), 60)
    kept = any(piece.max() == 9.0 for curve in chart.curves for _, piece in curve.pieces)
    print(f"a spike of one point in {points} is {'kept' if kept else 'LOST'}")


def share_child(out: str, points: int, growth: int) -> None:
    """The app on whatever terminal this process has; writes its share of a core to `out`."""
    watcher = Growing(points, growth)
    began = time.monotonic()
    marks: list[tuple[float, float]] = []

    def until(view: WatchView) -> int | None:
        now = time.monotonic() - began
        if now > WARM + MEASURED * len(marks):
            marks.append((now, time.process_time()))
        return 0 if len(marks) == 2 else None

    run_watch(lambda: watcher, until=until)
    (t0, c0), (t1, c1) = marks
    Path(out).write_text(f"{100 * (c1 - c0) / (t1 - t0):.3f} {peak_mib():.0f}")


def start_child(out: str, path: str) -> None:
    """The app over a log; writes the CPU that this process had used when the first picture with figures was on the screen."""
    seen: list[float] = []

    class Screen(WatchScreen):
        def redraw(self) -> None:
            super().redraw()
            if self.levels and not seen and self.query_one("#chart-0", ChartPane).chart:
                self.call_after_refresh(lambda: seen.append(time.process_time()))

    app = WatchApp(lambda: Watcher([path], clock=time.time), until=lambda view: 0 if seen else None)
    app.watch_screen = Screen()
    app.run()
    Path(out).write_text(f"{seen[0]:.2f}")


def on_terminal(*arguments: str) -> tuple[str, int]:
    """This file in a process of its own on a pseudo-terminal: what it left in its file, bytes that it wrote to the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, __file__, "--child", arguments[0], out, *arguments[1:]])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        written = 0
        with contextlib.suppress(OSError):  # that is how a terminal says that nobody is there any more
            while data := os.read(terminal, 1 << 16):
                written += len(data)
        os.waitpid(pid, 0)
        return Path(out).read_text(), written


def start(size: int, file: str | None) -> None:
    """The first picture of a long log."""
    line = '{{"step":{0},"usage.utilization":0.5,"ema.utilization":1.0,"usage.perplexity":31.5,"loss":{1}}}\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        with path.open("wb") as log:
            step = 0
            while log.tell() < size:
                log.write("".join(line.format(i, i % 7) for i in range(step, step + 10_000)).encode())
                step += 10_000
        cpu, _ = on_terminal("start", str(path))
        told(file, "tui", f"first picture of a log of {size / 1e6:.0f} MB", float(cpu), "s of CPU", 0.8)


async def delay(file: str | None) -> None:
    """From the append of a line to the picture with it, several times."""
    line = '{{"step":{0},"usage.utilization":0.5,"loss":1}}\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text(line.format(1))
        app = WatchApp(lambda: Watcher([path], clock=time.time))
        delays = []
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause(2)
            for step in range(101, 109):
                with path.open("a") as log:
                    log.write(line.format(step))
                begin = time.monotonic()
                while f"step {step}" not in shown(app)[0] and time.monotonic() < begin + 10:
                    await asyncio.sleep(0.005)
                delays.append(time.monotonic() - begin)
                await asyncio.sleep(0.3 + 0.07 * (step % 5))
        told(file, "tui", "from append to picture", statistics.median(delays), "s", 1, f", worst {max(delays):.2f} s")


def main() -> None:
    """Prints a line a measurement."""
    parser = command_line(__doc__, quick="a tenth of the points and bytes")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, out, *rest = options.child
        if kind == "share":
            share_child(out, int(rest[0]), int(rest[1]))
        else:
            start_child(out, rest[0])
        return
    points = POINTS // 10 if options.quick else POINTS
    for half_life in (0, 100):
        models(points, half_life, options.json)
    spikes(points)
    for name, growth, bar in (("growing", GROWTH, 30), ("idle", 0, 2)):
        figures, written = on_terminal("share", str(points), str(growth))
        share, mib = map(float, figures.split())
        more = f", {mib:.0f} MiB, {written / 1e3:.0f} kB written to the terminal in all"
        told(options.json, "tui", f"whole app, {name}", share, "% of a core", bar, more)
    start(10**8 if options.quick else 10**9, options.json)
    asyncio.run(delay(options.json))


if __name__ == "__main__":
    main()
