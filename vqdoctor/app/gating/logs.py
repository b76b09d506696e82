"""What a training log states, as something to judge: the last, the best or the mean of the last points of each series."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from vqdoctor.app.gating.request import At
from vqdoctor.app.watching.arrivals import checkpoints_beside
from vqdoctor.app.watching.book_sizes import BookSizes
from vqdoctor.diagnosis import Overrides, Rule, diagnose, known_rules, verdict
from vqdoctor.diagnosis.live import LiveRun, stated_config
from vqdoctor.errors import UnsupportedInput
from vqdoctor.gating import Place, Subject
from vqdoctor.gating.subject import LISTED, METRIC_NAMES
from vqdoctor.logs import Run, read_runs
from vqdoctor.metrics import metric as page_of
from vqdoctor.metrics.collisions import following
from vqdoctor.model import Report, Series, Source
from vqdoctor.model.report import MetricValue

SCOPES = ("validation", "test", None, "last", "train", "best")
"""Of which part of a run a number counts, first where a log states several."""
UNNAMED = "log"
"""What a quantiser is called that the log does not name."""


def log_subjects(path: str, at: At, overrides: Overrides, version: str) -> list[tuple[Subject, Report]]:
    """The runs whose logs are at `path`, newest first, each as a subject and as a report of its live findings.

    Raises:
        InputError: there is no log, or it cannot be read.
    """
    runs, _ = read_runs(path, clock=lambda: 0.0)  # a gate asks what a log says, not how long it has been silent
    if not runs or not any(run.keys for run in runs):
        raise UnsupportedInput("no number of a training run was found in it.", where=path, hint="Name a checkpoint or a log.")
    return [_subject(run, at, overrides, version) for run in runs if run.keys]


def _subject(run: Run, at: At, overrides: Overrides, version: str) -> tuple[Subject, Report]:
    series = run.series()
    sizes, _ = BookSizes(run.path).stated(series, run.events)
    live = LiveRun(
        os.path.basename(run.path),
        run.path,
        run.outcome or "ended",
        tuple(series),
        (*sizes, *run.events),
        tuple(run.usage),
        config=stated_config(run.events),
        beside=checkpoints_beside(run.path),
    )
    findings = diagnose(live, overrides=overrides)
    places = places_of(series, at)
    stated = {name for place in places for name in place.metrics}
    judged = frozenset(rule.id for rule in known_rules() if places and _can_judge(rule, stated))
    size = sum(os.path.getsize(path) for path in run.logs if os.path.isfile(path))
    report = Report(Source(run.path, "log", size), (), findings, verdict(findings, ()), version=version)
    return Subject(run.path, "log", places, findings, judged=judged), report


def _can_judge(rule: Rule, stated: Collection[str]) -> bool:
    """Whether a log states what a rule reads: any metric of a live rule; of one that also judges logs one of each family."""
    metrics = [name for name in rule.needs if name in METRIC_NAMES]
    if LiveRun in rule.also:
        families = {name.partition(".")[0] for name in metrics}
        return families <= {name.partition(".")[0] for name in metrics if name in stated}
    return rule.subject is LiveRun and (not metrics or any(name in stated for name in metrics))


def places_of(series: Sequence[Series], at: At) -> tuple[Place, ...]:
    """A place for each quantiser and level that the log states anything about."""
    stated: dict[tuple[str | None, int | None], dict[str, dict[str | None, Series]]] = {}
    for one in series:
        if one.meaning.metric is not None and one.n:
            whole = one.meaning.metric.startswith(("collision.", "levels.")) and one.meaning.metric not in LISTED
            place = stated.setdefault((one.meaning.quantizer, None if whole else one.meaning.level), {})
            place.setdefault(one.meaning.metric, {})[one.meaning.scope] = one
    return tuple(_place(quantizer, level, metrics, at) for (quantizer, level), metrics in stated.items())


def _place(quantizer: str | None, level: int | None, metrics: Mapping[str, Mapping[str | None, Series]], at: At) -> Place:
    """With what follows from what is stated: a log that says 524 of 3 883 items says a rate."""
    values: dict[str, MetricValue] = {name: value_at(name, scopes, at) for name, scopes in metrics.items()}
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
    in_batch = "batch" in {scope for name, scopes in metrics.items() if name.startswith("collision.") for scope in scopes}
    return Place(quantizer or UNNAMED, level, values if in_batch else values | following(numbers), stated=True)


def value_at(metric: str, scopes: Mapping[str | None, Series], at: At) -> float | None:
    """The number that counts.

    "best" is what the log itself states of its best model, where it does, else the best of all points.
    """
    order = ("best", *SCOPES) if at.which == "best" else SCOPES
    scope = next((scope for scope in order if scope in scopes), next(iter(scopes)))
    one = scopes[scope]
    if at.which == "best" and scope != "best":
        return one.low if page_of(metric).better == "lower" else one.high
    if at.which == "window":
        return float(one.values[-at.window :].mean())
    return one.last
