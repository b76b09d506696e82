"""`repair --auto`: from what the diagnosis finds to the treatments that it prescribes, each after those it builds on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.model import Finding
from vqdoctor.treatment import TREATMENTS, TreatmentRequest

AUTO = "auto"
"""As a treatment's name: what the diagnosis prescribes."""
ORDER = ("sanitize", "kmeans", "reset-dead", "split", "sync-ema", "freeze-init")
"""Broken rows first: they imitate everything else. State last: it follows the rows."""
BOOKS = ("kmeans", "reset-dead", "split")
"""Of these the first that is prescribed and serves suffices: it does what the later ones would."""
ALL = TreatmentRequest(AUTO)
LEVEL = re.compile(r"(.*)\[(\d{1,9})\]", re.DOTALL)  # where a finding of a level is


@dataclass(frozen=True, slots=True)
class Step:
    """A treatment, for one quantiser or (None) all that it can serve.

    Attributes:
        why: in words, "" where the user asked for it. otherwise: what else is prescribed, where this serves worse or is refused.
    """

    request: TreatmentRequest
    quantizer: str | None = None
    why: str = ""
    otherwise: Step | None = None

    def ways(self) -> Iterator[Step]:
        """This step and what to try after it, in turn."""
        way: Step | None = self
        while way is not None:
            yield way
            way = way.otherwise


def prescribed(path: str, asked: TreatmentRequest, request: InspectRequest, progress: Progress) -> list[Step]:
    """What the errors and warnings of an inspection prescribe; [] where nothing is sick."""
    return prescribed_by(inspect([path], request, progress)[0].findings, asked)


def prescribed_by(findings: Iterable[Finding], asked: TreatmentRequest = ALL) -> list[Step]:
    """What these findings prescribe, one of `BOOKS` a quantiser with the others to fall back on.

    Args:
        asked: whose levels are treated, and whose seed and other options each treatment has.
    """
    whys: dict[tuple[str, str], str] = {}
    for finding in findings:
        place = LEVEL.fullmatch(finding.where)
        if place and asked.levels is not None and int(place[2]) not in asked.levels:
            continue
        name = place[1] if place else finding.where
        for method in methods_of(finding):
            whys.setdefault((name, method), f"--{method} of {name}: {finding.rule} {finding.name}")
    steps: dict[tuple[str, str], Step] = {}
    for name, method in sorted(whys, key=lambda one: -ORDER.index(one[1])):
        kind = BOOKS[0] if method in BOOKS else method
        steps[name, kind] = Step(replace(asked, method=method), name, whys[name, method], steps.get((name, kind)))
    return sorted(steps.values(), key=lambda one: ORDER.index(one.request.method))


def methods_of(finding: Finding) -> list[str]:
    """Treatments whose option stands in the command of a finding that is more than a remark."""
    command = finding.remedy.command
    if finding.severity == "info" or command is None:
        return []
    words = command.split()
    return [one.name for one in TREATMENTS if one.option in words]
