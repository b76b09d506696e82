"""A repair as it is being chosen: treatments with why, options, the command that does the same. No screen and no file in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from vqdoctor.app.prescription import AUTO, methods_of, prescribed_by
from vqdoctor.app.repair import RepairRequest
from vqdoctor.app.targets import free_target
from vqdoctor.model import Finding, Report
from vqdoctor.treatment import TREATMENTS, TreatmentRequest

THREE = {None: "auto", True: "yes", False: "no"}
OPTIONS = ("out", "levels", "only_dead", "threshold", "match_ids", "keep_optimizer", "seed", "quantizer")
TITLES = {
    "out": "write to", "levels": "levels", "only_dead": "only dead codes", "threshold": "also codes under",
    "match_ids": "keep IDs alike", "keep_optimizer": "keep optimiser", "seed": "seed", "quantizer": "quantiser",
}  # fmt: skip
HELP = {
    "out": "the repaired copy; the checkpoint itself stays as it is",
    "levels": "which levels to treat",
    "only_dead": "codes that are in use keep their rows bit for bit",
    "threshold": "share of the uniform rate under which a code counts as dead",
    "match_ids": "new codes get the numbers of old ones near them",
    "keep_optimizer": "leave the optimiser's memory of changed rows",
    "seed": "of every draw",
    "quantizer": "which one, where the file holds several",
}
FITS = {
    "only_dead": ("kmeans",),
    "threshold": ("kmeans", "reset-dead", "split"),
    "match_ids": ("kmeans", "reset-dead", "split"),
    "levels": tuple(each.name for each in TREATMENTS),
    "keep_optimizer": tuple(each.name for each in TREATMENTS),
    "seed": (AUTO, *(each.name for each in TREATMENTS)),
    "quantizer": (AUTO, *(each.name for each in TREATMENTS)),
    "out": (AUTO, *(each.name for each in TREATMENTS)),
}
"""Which treatments each option goes with."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A treatment that can be chosen. why: the findings that prescribe it, "" where none does."""

    method: str
    about: str
    why: str = ""


@dataclass(slots=True)
class Repairing:
    """What is asked for.

    Attributes:
        path: the checkpoint. features: a file of rows, None: those beside it. report: of its inspection.
        finding: that the user came from. at: place of the treatment among `choices`.
        levels: those to treat, None: all. The other fields are those of `TreatmentRequest` and the target.
    """

    path: str
    features: str | None
    report: Report
    finding: Finding | None = None
    at: int = 0
    levels: tuple[int, ...] | None = None
    only_dead: bool = False
    threshold: float | None = None
    match_ids: bool | None = None
    keep_optimizer: bool = False
    seed: int = 0
    quantizer: str | None = None
    out: str = ""
    choices: tuple[Choice, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.out = self.out or free_target(self.path)
        if self.finding is not None and len(self.report.quantizers) > 1:
            self.quantizer = next((one.name for one in self.report.quantizers if _is_of(self.finding, one.name)), None)
        self.choices = _choices(self.report.findings, self.finding)
        self.levels = self._sick_levels()

    @property
    def method(self) -> str:
        """The treatment that is chosen."""
        return self.choices[self.at].method

    def choose(self, at: int) -> None:
        """Another treatment, for the levels that it is prescribed for."""
        if at != self.at:
            self.at = at
            self.levels = self._sick_levels()

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that go with the treatment."""
        several = len(self.report.quantizers) > 1
        return tuple(name for name in OPTIONS if self.method in FITS[name] and (name != "quantizer" or several))

    def written(self, option: str) -> str:
        """An option's value in words."""
        value = getattr(self, option)
        if option == "levels":
            return "all" if value is None else ", ".join(map(str, value))
        if option == "threshold":
            return "–" if value is None else f"{value:g} × uniform"
        if option == "quantizer":
            return "all that it can serve" if value is None else value
        return THREE[value] if value is None or isinstance(value, bool) else str(value)

    def turn(self, option: str) -> bool:
        """The next value of an option that has few; False where one has to be typed."""
        match option:
            case "only_dead" | "keep_optimizer":
                setattr(self, option, not getattr(self, option))
            case "match_ids":
                self.match_ids = {None: True, True: False, False: None}[self.match_ids]
            case "levels":
                self._turn_levels()
            case "quantizer":
                names: list[str | None] = [None, *(one.name for one in self.report.quantizers)]
                self.quantizer = names[(names.index(self.quantizer) + 1) % len(names)]
            case _:
                return False
        return True

    def _turn_levels(self) -> None:
        """All, those that are sick, then each alone."""
        count = max((len(one.levels) for one in self.report.quantizers), default=1)
        sick = self._sick_levels()
        ways: list[tuple[int, ...] | None] = [None, *([sick] if sick else []), *((index,) for index in range(count))]
        ways = list(dict.fromkeys(ways))
        self.levels = ways[(ways.index(self.levels) + 1) % len(ways)] if self.levels in ways else None

    def type(self, option: str, text: str) -> None:
        """A typed value.

        Raises:
            ValueError: with a sentence about what it must be.
        """
        text = text.strip()
        if option == "threshold":
            self.threshold = None if text in ("", "–", "-") else _positive(text)
        elif option == "seed":
            if not text.isdecimal():
                raise ValueError("a whole number from 0 on")
            self.seed = int(text)
        elif option == "out":
            self.out = text

    def _sick_levels(self) -> tuple[int, ...] | None:
        """The levels that findings prescribe the treatment for; None: all of them, or it is not said."""
        if self.method == AUTO:
            return None
        named = [one for one in self.report.findings if self.method in methods_of(one) and self._looked_at(one)]
        places = [re.fullmatch(r".*\[(\d{1,9})\]", one.where, re.DOTALL) for one in named]
        indices = sorted({int(place[1]) for place in places if place})
        count = max((len(one.levels) for one in self.report.quantizers), default=1)
        return tuple(indices) if indices and len(indices) < count else None

    def _looked_at(self, finding: Finding) -> bool:
        return self.quantizer is None or _is_of(finding, self.quantizer)

    def request(self) -> RepairRequest:
        """As the use case wants it."""
        features = ((None, self.features),) if self.features else ()
        asked = {name: getattr(self, name) for name in self.options if name not in ("out", "quantizer")}
        return RepairRequest(TreatmentRequest(self.method, **asked), features, self.quantizer)

    def command(self) -> str:
        """What does the same from a shell."""
        words = ["vqdoctor", "repair", self.path, f"--{self.method}"]
        words += ["--features", self.features] if self.features else []
        options = self.options
        for index in self.levels or () if "levels" in options else ():
            words += ["--level", str(index)]
        words += ["--only-dead"] if self.only_dead and "only_dead" in options else []
        words += ["--threshold", f"{self.threshold:g}"] if self.threshold is not None and "threshold" in options else []
        words += [f"--{'' if self.match_ids else 'no-'}match-ids"] if self.match_ids is not None and "match_ids" in options else []
        words += ["--keep-optimizer"] if self.keep_optimizer and "keep_optimizer" in options else []
        words += ["--seed", str(self.seed)] if self.seed else []
        words += ["--quantizer", self.quantizer] if self.quantizer else []
        return shlex.join([*words, "-o", self.out])


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError("a number over 0, such as 0.1; nothing for none") from error
    if not 0 < value < float("inf"):
        raise ValueError("a number over 0, such as 0.1; nothing for none")
    return value


def _is_of(finding: Finding, name: str) -> bool:
    return finding.where == name or finding.where.startswith(f"{name}[")


def _choices(findings: Sequence[Finding], finding: Finding | None) -> tuple[Choice, ...]:
    """What the finding in question prescribes, then what the others do, then the rest."""
    whys: dict[str, list[str]] = {}
    for one in ([finding] if finding else []) + list(findings):
        for method in methods_of(one):
            whys.setdefault(method, []).append(f"{one.rule} {one.name}")
    steps = prescribed_by(findings)
    order = [*whys, *(each.name for each in TREATMENTS if each.name not in whys)]
    about = {each.name: each.about for each in TREATMENTS}
    found = [Choice(name, about[name], ", ".join(dict.fromkeys(whys.get(name, ())))) for name in order]
    if len(steps) > 1:
        words = " then ".join(dict.fromkeys(step.request.method for step in steps))
        found.insert(0 if finding is None else 1, Choice(AUTO, f"all that the diagnosis prescribes: {words}", "all findings"))
    return tuple(found)
