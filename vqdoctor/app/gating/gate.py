"""From paths and asks to a verdict: every source measured once, every ask answered at every place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import vqdoctor
from vqdoctor.app.gating.request import GateRequest, fail_on_of, settled
from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import Progress
from vqdoctor.app.sources import is_ids
from vqdoctor.checkpoint import list_broken, list_checkpoints, sniff
from vqdoctor.diagnosis import parse_overrides
from vqdoctor.errors import InputError, MissingInput, UsageError, VqdoctorError
from vqdoctor.gating import Asks, Baseline, Subject, judge, of_report, parse_baseline, verdict_of, with_drops, written
from vqdoctor.gating.baseline import as_text
from vqdoctor.gating.judge import Judged, in_order
from vqdoctor.model import Report
from vqdoctor.model.gate import GateResult
from vqdoctor.safe_write import write_atomically
from vqdoctor.small_files import read_small

LARGEST_BASELINE = 8 << 20  # bytes
TEXT = (".json", ".csv", ".txt")
"""Endings of files that may be a log whatever they are called; what they hold decides what else they are."""


@dataclass(frozen=True, slots=True)
class Gated:
    """The result, and the reports that it rests on, one a source."""

    result: GateResult
    reports: tuple[Report, ...]


def gate(
    paths: Sequence[str],
    request: GateRequest | None = None,
    progress: Progress | None = None,
    left_out: Callable[[VqdoctorError], None] = lambda error: None,
) -> Gated:
    """Judges checkpoints, semantic-ID files and logs.

    Args:
        paths: files or folders; a folder stands for its checkpoints, one without any for the logs in it.
        left_out: told of each file of a folder that holds no quantiser. One that cannot be read is an error: it might be the one.

    Raises:
        VqdoctorError: a source cannot be read or holds no quantiser that is known, what was given does not fit, or the baseline
            cannot be read or written.
    """
    request = request or GateRequest()
    asks, asked = settled(request.asks)
    _refuse_contradictions(request, asks)
    known = None if request.baseline is None or request.write_baseline is not None else _read(request.baseline)
    sources = [one for path in paths for one in _sources(path, request, asks, progress, left_out)]
    subjects = [subject for subject, _ in sources]
    several = len(subjects) > 1
    baseline = None if known is None else parse_baseline(known, request.baseline or "", several=several)
    if request.write_baseline is not None:
        baseline = _written(subjects, asks, request, several)
        _write(request.write_baseline, baseline)
    judged = [judge(subject, asks, baseline=baseline, require_n=request.require_n) for subject in subjects]
    if request.shrink and baseline is not None and request.baseline is not None:
        _write(request.baseline, _shrunk(baseline, subjects, judged))
    return Gated(_result(judged, asks, request, asked), tuple(report for _, report in sources))


def _result(judged: Sequence[Judged], asks: Asks, request: GateRequest, asked: bool) -> GateResult:
    checks = in_order(check for one in judged for check in one.checks)
    verdict, stops = verdict_of(checks, fail_on=fail_on_of(request, asks), inconclusive=request.inconclusive)
    if any(not one.checks for one in judged) and verdict == "pass":  # nothing of a source could be judged
        verdict, stops = "inconclusive", request.inconclusive == "fail" and fail_on_of(request, asks) != "never"
    ungated = tuple(each for one in judged for each in one.ungated)
    return GateResult(verdict, checks, ungated, asks.presets, asked, stops, vqdoctor.__version__)


def _refuse_contradictions(request: GateRequest, asks: Asks) -> None:
    if with_drops(asks) and request.baseline is None and request.write_baseline is None:
        raise UsageError("--max-drop compares with a baseline, and none is given.", hint="Add --baseline FILE.")
    if request.shrink and request.baseline is None:
        raise UsageError("--shrink-baseline tightens a baseline, and none is given.", hint="Add --baseline FILE.")
    if request.shrink and request.write_baseline is not None:
        raise UsageError("--write-baseline writes a baseline anew, --shrink-baseline tightens one.", hint="Give one of them.")


def _sources(
    path: str, request: GateRequest, asks: Asks, progress: Progress | None, left_out: Callable[[VqdoctorError], None]
) -> list[tuple[Subject, Report]]:
    """What a path holds, each measured."""
    overrides = {**request.inspect.rules}
    for rule, ask in asks.rules.items():
        if ask.level not in (None, "off"):
            overrides[rule] = {**overrides.get(rule, {}), "severity": ask.level}
    if is_log(path, request):
        from vqdoctor.app.gating.logs import log_subjects  # readers of every format, for those who name a log

        return log_subjects(path, request.at, parse_overrides(overrides), vqdoctor.__version__)
    broken: list[VqdoctorError] = []

    def leave(error: VqdoctorError) -> None:
        (broken.append if isinstance(error, InputError) else left_out)(error)

    reports = inspect([path], replace(request.inspect, rules=overrides), progress, leave)
    if broken:
        raise broken[0]
    return [(of_report(report), report) for report in reports]


def is_log(path: str, request: GateRequest) -> bool:
    """Whether a path is to be read as a training log: nothing else, and named or built like one."""
    if os.path.isdir(path):
        return not (list_checkpoints(path) or list_broken(path))
    if not os.path.isfile(path) or is_ids(path, request.inspect) or sniff(path) is not None:
        return False
    from vqdoctor.logs import looks_like_log

    return looks_like_log(os.path.basename(path)) or path.lower().endswith(TEXT)


def _read(path: str) -> bytes:
    try:
        return read_small(path, LARGEST_BASELINE, "a baseline")
    except MissingInput as error:
        raise UsageError(
            f"the baseline cannot be read: {error.what}", where=path, hint="Make one with --write-baseline."
        ) from error


def _write(path: str, baseline: Baseline) -> None:
    write_atomically(path, as_text(baseline).encode("utf-8"))


def _written(subjects: Sequence[Subject], asks: Asks, request: GateRequest, several: bool) -> Baseline:
    """The present state, with nothing accepted yet."""
    seen = [check for one in subjects for check in judge(one, asks, require_n=request.require_n).seen]
    return written(seen, several=several).with_state(subjects)


def _shrunk(baseline: Baseline, subjects: Sequence[Subject], judged: Sequence[Judged]) -> Baseline:
    looked_for = frozenset.intersection(*(subject.judged for subject in subjects)) if subjects else frozenset()
    return baseline.shrunk((check for one in judged for check in one.seen), looked_for)
