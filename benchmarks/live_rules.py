"""The detector of the live rules against textbook ones, on simulated series, and what it costs to judge a long run.

`python benchmarks/live_rules.py [--quick] [--json FILE]`. Two hundred points of ln(perplexity) about 5 nats with AR(1) noise (φ =
0.6), 300 runs a scenario; what happens, happens at point 100. CUSUM (k = 0.5, h = 5), EWMA limits (λ = 0.2, L = 3) and
Page–Hinkley (δ = 0.05, λ = 1) take mean and sd from the first ten points, as their textbooks say. Ours is judged as a watch does:
again and again over what is there so far (every tenth point; every point once something happens), and any alarm on the way counts.
Bars: at noise sd ≤ 0.15 at most 2 % false alarms, all ramps and steps found, median delay of at most 5 points; above it, at most
2 % too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from record import command_line, record_limit

from vqdoctor.diagnosis import LiveRun, diagnose
from vqdoctor.diagnosis.drift import judge_curve, robust_collapse
from vqdoctor.diagnosis.rules.live_collapse import ONSET
from vqdoctor.model import Meaning, Series, SeriesKey

POINTS, CHANGE, RUNS, QUICK_RUNS, PHI = 200, 100, 300, 100, 0.6
TIME = np.arange(POINTS)
AFTER = np.maximum(0, TIME - CHANGE + 1)
SAW = range(25, POINTS, 25)


@dataclass(frozen=True, eq=False)
class Scenario:
    """What a run does beside its noise: (POINTS,) nats; whether it is sick; where re-initialisations are declared."""

    name: str
    shape: np.ndarray
    sick: bool = False
    starts: tuple[int, ...] = ()


HEALTHY = (
    Scenario("stationary", np.zeros(POINTS)),
    Scenario("benign drift −0.3", -0.3 * TIME / POINTS),
    Scenario("re-init sawtooth 0.4 every 25", -0.4 * (TIME % 25) / 25, starts=tuple(SAW)),
    Scenario("re-init up-jump +0.6", 0.6 * (TIME >= CHANGE)),
)
SICK = (
    Scenario("ramp −0.25 a step", -np.minimum(4.0, 0.25 * AFTER), sick=True),
    Scenario("step −3", -3.0 * (TIME >= CHANGE), sick=True),
    Scenario("slow −0.02 a step", -0.02 * AFTER, sick=True),
    Scenario("relapse: falls, re-init, falls", -np.where(TIME >= CHANGE, 0.25 * ((TIME - CHANGE) % 20 + 1.0), 0.0), sick=True,
             starts=tuple(range(CHANGE + 20, POINTS, 20))),
)  # fmt: skip


def noise(rng: np.random.Generator, sd: float) -> np.ndarray:
    """AR(1) noise of this marginal sd, (POINTS,)."""
    shocks = rng.normal(size=POINTS) * sd * math.sqrt(1 - PHI**2)
    found = np.empty(POINTS)
    found[0] = rng.normal() * sd
    for at in range(1, POINTS):
        found[at] = PHI * found[at - 1] + shocks[at]
    return found


def baseline(curve: np.ndarray) -> tuple[float, float]:
    """Mean and sd of the first ten points; the sd at least 0.02."""
    return float(curve[:10].mean()), max(0.02, float(curve[:10].std(ddof=1)))


def cusum(curve: np.ndarray, starts: tuple[int, ...]) -> int | None:
    """First alarm of a one-sided CUSUM."""
    (mean, sd), total = baseline(curve), 0.0
    for at, value in enumerate(curve):
        total = max(0.0, total + (mean - value) / sd - 0.5)
        if total > 5:
            return at
    return None


def ewma(curve: np.ndarray, starts: tuple[int, ...]) -> int | None:
    """First alarm of a lower EWMA limit."""
    mean, sd = baseline(curve)
    level, weight = mean, 0.2
    for at, value in enumerate(curve):
        level += weight * (value - level)
        if level < mean - 3 * sd * math.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * (at + 1)))):
            return at
    return None


def page_hinkley(curve: np.ndarray, starts: tuple[int, ...]) -> int | None:
    """First alarm of the Page–Hinkley test for a fall."""
    total = sums = highest = 0.0
    for at, value in enumerate(curve):
        sums += value
        total += value - sums / (at + 1) + 0.05
        highest = max(highest, total)
        if highest - total > 1:
            return at
    return None


def plain(curve: np.ndarray, starts: tuple[int, ...]) -> int | None:
    """First alarm of `robust_collapse` by itself, without regard to how noisy a point is."""
    return next((segment.alarm for segment in robust_collapse(curve, starts) if segment.alarm is not None), None)


def watched(curve: np.ndarray, starts: tuple[int, ...]) -> int | None:
    """The point at which a watch that judges what is there so far first has an alarm."""
    changed = bool(np.ptp(curve[CHANGE - 1 :]) > 1.5)
    for count in (*range(10, CHANGE, 10), *range(CHANGE, POINTS + 1, 1 if changed else 10)):
        known = np.array([start for start in starts if start < count], np.int64)
        drift = judge_curve(curve[:count], known, ONSET.limits)
        if drift is not None and any(segment.alarm is not None for segment in drift.segments):
            return count - 1
    return None


OURS = "ours, watched"
Detector = Callable[[np.ndarray, tuple[int, ...]], int | None]
DETECTORS: dict[str, Detector] = {
    "CUSUM": cusum, "EWMA": ewma, "Page–Hinkley": page_hinkley, "§8 rule": plain, OURS: watched,
}  # fmt: skip


class Outcome(NamedTuple):
    """Share of the runs with an alarm, false ones before the fall left out; median delay in points, None for a healthy scenario."""

    share: float
    delay: float | None

    def __str__(self) -> str:
        return f"{self.share:.3f}" if self.delay is None else f"{self.share:.2f}, {self.delay:.0f}" if self.share else "0.00"


def outcome(scenario: Scenario, detector: Detector, sd: float, runs: int) -> Outcome:
    """What a detector makes of a scenario."""
    rng = np.random.default_rng(0)
    alarms = [detector(5 + scenario.shape + noise(rng, sd), scenario.starts) for _ in range(runs)]
    if not scenario.sick:
        return Outcome(sum(alarm is not None for alarm in alarms) / runs, None)
    delays = [alarm - CHANGE for alarm in alarms if alarm is not None and alarm >= CHANGE]
    return Outcome(len(delays) / runs, float(np.median(delays)) if delays else math.inf)


def table(sd: float, runs: int, file: str | None) -> None:
    """One line a scenario."""
    print(f"\nnoise sd {sd:g} nats".ljust(36) + "".join(name.rjust(15) for name in DETECTORS))
    ours = {}
    for scenario in (*HEALTHY, *SICK):
        found = {name: outcome(scenario, detector, sd, runs) for name, detector in DETECTORS.items()}
        ours[scenario] = found[OURS]
        print(("  " + scenario.name).ljust(35) + "".join(str(each).rjust(15) for each in found.values()), flush=True)
    keep(ours, sd, file)


def keep(ours: dict[Scenario, Outcome], sd: float, file: str | None) -> None:
    """Keeps the worst of each kind beside its bar; for noise above 0.15 nats only false alarms have one."""
    figures = [("false alarms", max(ours[scenario].share for scenario in HEALTHY), "of the runs", 0.02)]
    if sd <= 0.15:
        sudden = [ours[scenario] for scenario in SICK[:2]]
        figures.append(("ramps and steps not found", 1 - min(each.share for each in sudden), "of the runs", 0))
        if all(each.share for each in sudden):
            figures.append(("delay of ramps and steps", max(each.delay or 0 for each in sudden), "points", 5))
    for what, value, unit, limit in figures:
        record_limit(file, table="live_rules", work=f"{what}, noise {sd:g}", value=value, unit=unit, limit=limit)


def long_run(points: int) -> Iterator[Series]:
    """Four levels of perplexity and two losses, a million points each: what a week of training logs."""
    steps, rng = np.arange(points, dtype=float), np.random.default_rng(0)
    for level in range(4):
        values = np.exp(5 + rng.normal(scale=0.2, size=points))
        yield _series("usage.batch_perplexity", steps, values, Meaning("usage.batch_perplexity", quantizer="vq", level=level))
    for name in ("loss", "loss.commitment"):
        yield _series(name, steps, 1 + rng.random(points), Meaning(scalar=name))


def _series(name: str, steps: np.ndarray, values: np.ndarray, meaning: Meaning) -> Series:
    ends = {"first_step": float(steps[0]), "last_step": float(steps[-1]), "first": float(values[0]), "last": float(values[-1])}
    key = SeriesKey(name, meaning.quantizer, meaning.level)
    return Series(key, meaning, steps, values, np.empty(0), np.zeros(1, np.int64), len(steps), **ends)


def cost(points: int) -> None:
    """Milliseconds of CPU to judge a run anew, the fastest of five."""
    curves, best = tuple(long_run(points)), math.inf
    for _ in range(5):
        begin = time.process_time()
        found = diagnose(LiveRun("run", "log.jsonl", "live", curves, config={"codebook_size": 1024, "batch_size": 4096}))
        best = min(best, time.process_time() - begin)
    print(f"judging a run of {len(curves)} series of {points:,} points: {1000 * best:.0f} ms of CPU, {len(found)} findings")


def main() -> None:
    """Prints the tables and the cost."""
    parser = command_line(__doc__, quick="100 runs a scenario instead of 300, and two noises")
    options = parser.parse_args()
    print(
        "healthy: share of runs with a false alarm (bar 0.020); sick: share found (bar 1.00), median delay (bar 5, ramp and step)"
    )
    for sd in (0.05, 0.15) if options.quick else (0.05, 0.15, 0.25, 0.5):
        table(sd, QUICK_RUNS if options.quick else RUNS, options.json)
    print()
    for points in (10_000, 1_000_000):
        cost(points)


if __name__ == "__main__":
    main()
