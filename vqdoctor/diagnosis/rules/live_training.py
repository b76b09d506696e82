"""VQ504, VQ505, VQ507: training itself goes wrong: values that are not finite, a commitment loss that runs away, a log that falls
silent.

These often explain a collapse and come before it. A commitment loss grows in healthy runs too, while the encoder finds its scale;
it is called a blow-up only where use falls or the total loss rises with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vqdoctor.diagnosis.curves import MOST
from vqdoctor.diagnosis.drift import WINDOW, pooled
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold
from vqdoctor.diagnosis.words import number, plural
from vqdoctor.errors import printable
from vqdoctor.model import Finding, Remedy, Series


def check_nonfinite(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """A loss or another training term that was NaN or infinite."""
    for series in run.series:
        if series.meaning.scalar is None or series.nonfinite < limits["times"]:
            continue
        steps = _steps(run, series)
        first, last = (steps[0], steps[-1]) if steps else (series.last_step, series.last_step)
        back = series.last_step is not None and last is not None and series.last_step > last and series.n > 0
        name = printable(series.key.label)
        began = "" if first is None else f", first at step {number(first)}"
        yield NONFINITE.finding(
            name,
            "warning" if back else "error",
            f"{name} was NaN or infinite {plural(series.nonfinite, 'time')}{began}. "
            + (f"At step {number(series.last_step or 0)} it is finite again." if back else "It has not been finite since."),
            evidence=when(first, last) | {"count": series.nonfinite},
            remedy=Remedy(
                "Stop, and go back to the last checkpoint before it: NaN spreads into codes and running counts within a step. "
                "Causes "
                "first: half precision in the distances (compute them in float32), the mean of an empty cluster, a learning rate "
                "that "
                "is too high, a loss summed instead of averaged, gradients without clipping. A single skipped step under a loss "
                "scaler "
                "is harmless."
            ),
            next="Inspect the newest checkpoint for rows with NaN (VQ201), then run with anomaly detection from the one before.",
        )


def _steps(run: LiveRun, series: Series) -> list[float]:
    """Where the log had them, as far as the series store kept it."""
    named = (event for event in run.happened("non-finite") if event.detail.get("series") in (series.key.label, series.key.name))
    return sorted(event.step for event in named if event.step is not None)


NONFINITE = Rule(
    id="VQ504",
    name="non-finite-loss",
    title="A loss was NaN or infinite.",
    lead="broken rows",
    subject=LiveRun,
    check=check_nonfinite,
    thresholds={"times": Threshold(1, "values", "at or above: error; warning once it is finite again")},
    needs=("loss", "loss.commitment", "loss.reconstruction", "count"),
)


def check_blow_up(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The commitment loss is many times its lowest, while use falls or the loss rises."""
    commitment = _smooth(run.scalar("loss.commitment"))
    if commitment is None:
        return
    steps, values = commitment
    lowest = int(np.argmin(values))
    low, now = float(values[lowest]), float(values[-1])
    if low <= 0 or now < limits["warn"] * low:
        return
    onset = _began(steps, values, lowest, limits)
    falls, rises = _use_fell(run, float(steps[lowest]), limits), _loss_rose(run, float(steps[lowest]), limits)
    if not falls and not rises:
        return
    beside = " and ".join(word for word, true in (("use falls", falls), ("the loss rises", rises)) if true)
    yield BLOW_UP.finding(
        "loss.commitment",
        "error" if falls or now >= limits["error"] * low else "warning",
        f"The commitment loss is {number(now)}, {number(now / low)} × its lowest ({number(low)} at step "
        f"{number(float(steps[lowest]))}), "
        f"while {beside}: the encoder's outputs run away from the codes.",
        evidence=when(onset, float(steps[-1])) | {"loss.commitment": now, "best": low},
        remedy=Remedy(
            "Causes first: a straight-through gradient that is missing, reconstruction averaged while quantisation is summed, a "
            "learning "
            "rate that is too high, codes that are not trained (not in the optimiser, frozen, EMA in eval mode). Then a larger "
            "commitment "
            "weight or a warm-up of it, normalised encoder outputs, clipped gradients."
        ),
        next="Log the norm of the encoder's outputs beside the norm of the codes: growing apart means the codes do not follow.",
    )


def _smooth(series: Series | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps and medians of five of the newest segment, pooled to at most about a thousand points; None where it has too few."""
    if series is None or not len(series.values):
        return None
    begin = int(series.starts[-1]) if len(series.starts) else 0
    steps, values = series.steps[begin:], series.values[begin:]
    group = 1
    while len(values) / group > MOST:
        group *= 2
    values, firsts, _ = pooled(values, np.empty(0, np.int64), group)
    if len(values) < 2 * WINDOW:
        return None
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, WINDOW), axis=1)
    return steps[firsts][WINDOW - 1 :], medians


def _began(steps: np.ndarray, values: np.ndarray, lowest: int, limits: Limits) -> float:
    """The last step at which it was near its lowest."""
    near = np.flatnonzero(values[lowest:] <= limits["warn"] ** 0.5 * values[lowest])
    return float(steps[lowest + int(near[-1])])


def _use_fell(run: LiveRun, since: float, limits: Limits) -> bool:
    """Whether some codebook's perplexity is by now far under what it was when the commitment loss was lowest."""
    for curve in (level.curve for level in run.levels if level.curve is not None):
        then = curve.values[curve.steps <= since][-WINDOW:]
        if len(then) and np.median(then) - np.median(curve.values[-WINDOW:]) >= limits["drop"]:
            return True
    return False


def _loss_rose(run: LiveRun, since: float, limits: Limits) -> bool:
    loss = _smooth(run.scalar("loss.reconstruction")) or _smooth(run.scalar("loss"))
    if loss is None:
        return False
    then = loss[1][loss[0] <= since]
    return bool(len(then) and then[-1] > 0 and loss[1][-1] >= limits["rise"] * then[-1])


BLOW_UP = Rule(
    id="VQ505",
    name="commitment-blow-up",
    title="The commitment loss runs away while use falls or the loss rises.",
    lead="collapse",
    subject=LiveRun,
    check=check_blow_up,
    thresholds={
        "warn": Threshold(10, "× its lowest", "at or above, with what follows: warning"),
        "error": Threshold(100, "× its lowest", "at or above: error; so is any with falling use"),
        "drop": Threshold(0.7, "nats of perplexity", "down by this since then: use falls"),
        "rise": Threshold(1.5, "× reconstruction loss", "up by this since then: the loss rises"),
    },
    needs=("loss.commitment", "loss.reconstruction", "loss", "usage.perplexity", "usage.batch_perplexity"),
)


def check_stalled(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The log has not grown for far longer than usual, and never said that the run is over.

    Silence means something only where the log was seen to grow, or is of a kind that says when it is over (`vqdoctor.log/1`, which
    begins with the run): most other logs of finished runs just stop.
    """
    if run.state not in ("stalled", "live") or run.silence is None or not (run.usual_gap or run.happened("run")):
        return
    if run.silence < max(limits["seconds"], limits["gaps"] * run.usual_gap):
        return
    step = run.last_step
    usual = f", usually every {number(run.usual_gap)} s" if run.usual_gap else ""
    at = "" if step is None else f" since step {number(step)}"
    yield STALLED.finding(
        printable(run.name),
        "warning",
        f"The log has not grown for {number(round(run.silence))} s{at}{usual}, and did not say that the run is over.",
        evidence=when(step) | {"silence": run.silence, "usual_gap": run.usual_gap},
        confidence="likely",
        remedy=Remedy(
            "See whether the process lives (a killed job writes no last line), whether a collective of several ranks hangs, "
            "whether the "
            "disk is full, and whether output is buffered (python -u). An evaluation that takes long is no stall: raise `seconds`."
        ),
        next="Ask the scheduler for the job's state; py-spy dump shows where a hanging process stands.",
    )


STALLED = Rule(
    id="VQ507",
    name="log-stalled",
    title="The log fell silent without an end.",
    lead="sample",
    subject=LiveRun,
    check=check_stalled,
    thresholds={
        "seconds": Threshold(60, "s", "of silence, and"),
        "gaps": Threshold(3, "usual gaps", "of silence, both at or above: warning"),
    },
    needs=("silence", "usual_gap"),
)
