"""What was known before: values and findings of an earlier run, in a small file that merges line by line.

One entry a line, sorted, each with its own key, so that two branches that touch different entries merge without a conflict, and two
that touch the same one conflict in just that line. TOML, because a line needs no comma after it::

    schema = "vqdoctor.baseline/1"
    "quantizer.vq[1] usage.utilization" = 0.42
    "quantizer.vq[1] VQ102" = "warning"

Where a gate looks at several sources the file's name stands before the place (``"epoch9.pt: quantizer.vq[1] …"``). What nobody
asked for is there to be compared with later (--max-drop), and excuses nothing: ``"then: quantizer.vq[1] usage.perplexity" = 20.5``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from vqdoctor import toml_text
from vqdoctor.errors import UsageError, printable
from vqdoctor.gating.asks import Asks
from vqdoctor.gating.subject import Subject
from vqdoctor.model.gate import Check
from vqdoctor.model.report import SEVERITIES

SCHEMA = "vqdoctor.baseline/1"
HEADER = "# What `vqdoctor gate --baseline` accepts, one entry a line. --write-baseline makes it, --shrink-baseline tightens it.\n"
Known = float | str
THEN = "then: "
COMPARED = (
    "usage.utilization", "usage.adjusted", "usage.entropy_normalized", "usage.perplexity", "usage.batch_utilization",
    "usage.batch_entropy_normalized", "usage.batch_perplexity", "ema.utilization", "ema.perplexity", "distortion.mse",
    "distortion.snr_db", "collision.rate", "collision.excess", "collision.conflict_rate", "levels.hourglass",
)  # fmt: skip
"""What a later run may want to be no worse in."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """entries: key → a metric's value, or the severity of a rule's finding. several: keys begin with the name of the source."""

    entries: Mapping[str, Known] = field(default_factory=dict)
    several: bool = False

    def key(self, check: Check) -> str:
        """The entry that a check is about."""
        return self._key(check.source, check.where, check.subject)

    def _key(self, source: str, where: str, subject: str) -> str:
        named = f"{PurePath(source).name}: " if self.several else ""
        return printable(f"{named}{where} {subject}", 4000)

    def known(self, check: Check) -> Known | None:
        """What the file holds about a check, None if nothing."""
        return self.entries.get(self.key(check))

    def value(self, check: Check) -> float | None:
        """The value that the file holds for a metric, whether it was asked for then or not."""
        key = self.key(check)
        known = self.entries.get(key, self.entries.get(THEN + key))
        return float(known) if isinstance(known, int | float) else None

    def with_state(self, subjects: Iterable[Subject]) -> Baseline:
        """Also what was measured and not asked for."""
        state: dict[str, Known] = {}
        for subject in subjects:
            for place in subject.places:
                values = {self._key(subject.path, place.where, metric): place.value(metric) for metric in COMPARED}
                state |= {THEN + key: value for key, value in values.items() if value is not None and key not in self.entries}
        return replace(self, entries={**self.entries, **state})

    def accepts(self, check: Check) -> bool:
        """Whether a failure is known and no worse than it was."""
        known = self.known(check)
        if check.rule is not None:
            return isinstance(known, str) and SEVERITIES.index(check.level) <= SEVERITIES.index(known)
        if check.value is None or not isinstance(known, int | float):
            return False
        return _no_worse(check, float(known))

    def shrunk(self, seen: Iterable[Check], judged: Iterable[str]) -> Baseline:
        """Without the findings that are gone, and with the better value where one has become better; never anything more.

        Args:
            seen: the checks at every place now. judged: rules that were looked for in every source.
        """
        now = {self.key(check): check for check in seen}
        looked_for = set(judged)
        kept: dict[str, Known] = {}
        for key, known in self.entries.items():
            check = now.get(key)
            if isinstance(known, str):
                gone = key.rpartition(" ")[2] in looked_for and (check is None or check.status == "pass")
                kept |= {} if gone else {key: known}
            else:
                better = check is not None and check.value is not None and _no_worse(check, known)
                kept[key] = check.value if better and check is not None and check.value is not None else known
        return replace(self, entries=kept)


def _no_worse(check: Check, known: float) -> bool:
    value = check.value if check.value is not None else math.nan
    slack = 1e-9 * max(1.0, abs(known))
    return value <= known + slack if check.op == "max" else value >= known - slack


def written(seen: Iterable[Check], *, several: bool) -> Baseline:
    """The present state: every value that was asked for, every finding that fails."""
    empty = Baseline(several=several)
    entries: dict[str, Known] = {}
    for check in seen:
        if check.metric is not None and check.value is not None:
            entries[empty.key(check)] = check.value
        elif check.rule is not None and check.status == "fail" and check.where:
            entries[empty.key(check)] = check.level
    return replace(empty, entries=entries)


def with_drops(asks: Asks) -> bool:
    """Whether anything that is asked needs a baseline."""
    return any(ask.drop for ask in asks.metrics.values())


def as_text(baseline: Baseline) -> str:
    """The file: one entry a line, sorted."""
    lines = [f"{_quoted(key)} = {_value(known)}" for key, known in sorted(baseline.entries.items())]
    return HEADER + "\n".join([f'schema = "{SCHEMA}"', *lines]) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(known: Known) -> str:
    return _quoted(known) if isinstance(known, str) else repr(known)


def parse_baseline(data: bytes, path: str, *, several: bool) -> Baseline:
    """The file's entries.

    Raises:
        UsageError: it is no baseline, or holds an entry twice (both sides of a merge were kept) or one that is neither number nor
            severity.
    """
    try:
        document = toml_text.parse(data.decode("utf-8"))
    except ValueError as error:  # no UTF-8, no TOML, or a number of too many digits
        hint = "After a merge, keep one line of each entry; or write it anew with --write-baseline."
        raise UsageError(f"not a baseline: {printable(error)}.", where=path, hint=hint) from error
    schema = document.pop("schema", None)
    if schema != SCHEMA:
        raise UsageError(
            f"not a baseline: it says {printable(schema)!r} where {SCHEMA!r} is expected.",
            where=path, hint="Make one with --write-baseline.",
        )  # fmt: skip
    for key, known in document.items():
        if not _is_number(known) and known not in SEVERITIES:
            raise UsageError(f"{printable(key)!r} is neither a number nor a severity.", where=path)
    return Baseline(document, several)


def _is_number(known: object) -> bool:
    """Whether it is a finite number, and no whole number beyond all floats."""
    try:
        return isinstance(known, int | float) and not isinstance(known, bool) and math.isfinite(known)
    except OverflowError:
        return False
