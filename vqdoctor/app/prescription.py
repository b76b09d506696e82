"""`repair --auto`: from what the diagnosis finds to the treatments that it prescribes, each after those it builds on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.model import Finding
from vqdoctor.samples import Rows
from vqdoctor.treatment import TREATMENTS, TreatmentRequest

ORDER = ("sanitize", "kmeans", "reset-dead", "split", "sync-ema", "freeze-init")
"""Broken rows first: they imitate everything else. State last: it follows the rows."""
BOOKS = ("kmeans", "reset-dead", "split")
"""Of these the first that is prescribed suffices: it does what the later ones would."""


@dataclass(frozen=True, slots=True)
class Step:
    """A treatment, for one quantiser or (None) all that it can serve, and why in words ("" where the user asked for it)."""

    request: TreatmentRequest
    quantizer: str | None = None
    why: str = ""


def prescribed(path: str, features: tuple[tuple[str | None, str | Rows], ...], progress: Progress) -> list[Step]:
    """What the errors and warnings of an inspection prescribe, at most one of `BOOKS` a quantiser; [] where nothing is sick."""
    return prescribed_by(inspect([path], InspectRequest(features=features), progress)[0].findings)


def prescribed_by(findings: Iterable[Finding]) -> list[Step]:
    """What these findings prescribe."""
    wanted: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        name = finding.where.rpartition("[")[0] or finding.where
        for method in methods_of(finding):
            wanted.setdefault((name, method), finding)
    return [_step(name, method, finding) for (name, method), finding in _ordered(wanted)]


def methods_of(finding: Finding) -> list[str]:
    """Treatments whose option stands in the command of a finding that is more than a remark."""
    command = finding.remedy.command
    if finding.severity == "info" or command is None:
        return []
    words = command.split()
    return [one.name for one in TREATMENTS if one.option in words]


def _ordered(wanted: Mapping[tuple[str, str], Finding]) -> list[tuple[tuple[str, str], Finding]]:
    first = {name: min((ORDER.index(m) for n, m in wanted if n == name and m in BOOKS), default=None) for name, _ in wanted}
    kept = [one for one in wanted.items() if one[0][1] not in BOOKS or ORDER.index(one[0][1]) == first[one[0][0]]]
    return sorted(kept, key=lambda one: ORDER.index(one[0][1]))


def _step(name: str, method: str, finding: Finding) -> Step:
    return Step(TreatmentRequest(method), name, f"--{method} of {name}: {finding.rule} {finding.name}")
