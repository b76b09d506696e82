"""What a rule is given: one quantiser's report with its numbers, and what is known about where they come from.

Rules read plain values only. They open no file and hold no array, so the same rule judges a checkpoint, a semantic-ID file or a
hand-written report in a test. Whoever measures fills :attr:`vqdoctor.model.LevelReport.metrics` with the names of the contract
(None where undefined) and :attr:`~vqdoctor.model.LevelReport.facts` with what lies beside them; each fact is optional, and a rule
that misses one stays silent or judges by metrics alone:

=========================  ====================================================================================================
fact                       value
=========================  ====================================================================================================
``rows``                   row numbers by kind, each list capped: "nonfinite", "zero", "untouched", "inconsistent": [row, …];
                           "duplicate": [[row, the row it repeats], …]
``all_zero``               True where every stored code is exactly zero
``flag``                   value of the "initialised" flag; None: this file lacks it; no such key: the family keeps none
``init``                   the family's initialisation in its words ("uniform ±1/K")
``ema.thresholds``         {"1e-05": share of codes at or over it, …, "0.1×uniform": share}
``ema.uninformative``      why the counters say nothing
``ema.dtype``              stored type of the counts and sums ("bfloat16")
``ema.inconsistent_dead``  how many inconsistent rows have a count under the threshold
``ema.shrunken``           how many rows have a sum that equals the code beside a count that is not 1
``optimizer.untouched``    how many rows have a second moment (exp_avg_sq) of exactly 0
``features.participation_ratio``, ``features.dim``   of the rows that reach this level
``codes.participation_ratio``   of the codes that those rows take, each as often as it is taken
``geometry.dim``           columns that the geometry was measured in
``match.agreement_rows``   rows whose own code and nearest code are both known
``unassigned``             rows without a code
=========================  ====================================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vqdoctor.model import Codebook, LevelReport, Quantizer, QuantizerReport, Sample


def finite(value: Any) -> float | int | None:
    """`value` where it is a finite number, else None: rules meet missing, undefined and foreign values alike."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Case:
    """One quantiser to judge.

    Attributes:
        quantizer: what the checkpoint says about its family; None for a semantic-ID file.
        report: its levels with their metrics and facts, and what they do together.
        sample: the rows behind `usage.*`, None where there were none.
        path: what the user typed, for commands.
        features: path of the features, for commands; None where none were given.
        alone: False where the file holds other quantisers too, so that commands must name this one.
    """

    quantizer: Quantizer | None
    report: QuantizerReport
    sample: Sample | None = None
    path: str = ""
    features: str | None = None
    alone: bool = True

    @property
    def name(self) -> str:
        """The quantiser's name, which is also `where` of what is said about all of it."""
        return self.report.name

    @property
    def levels(self) -> tuple[Level, ...]:
        """Its levels, in order."""
        books = {book.index: book for book in self.quantizer.levels} if self.quantizer else {}
        return tuple(Level(self, report, books.get(report.index)) for report in self.report.levels)

    @property
    def books(self) -> tuple[Level, ...]:
        """The levels that own their tensors: a book that several levels share is judged once."""
        return tuple(level for level in self.levels if level.book is None or level.book.shared_with is None)

    @property
    def population(self) -> bool:
        """True where the rows are all there are: then "unused" is a fact and needs no inference."""
        return self.sample is not None and self.sample.population

    @property
    def trust(self) -> str:
        """Confidence of what rests on nearest-code search: only "likely" where the lookup metric is assumed."""
        return "likely" if self.report.metric_basis == "assumed" else "certain"

    @property
    def unit(self) -> str:
        """What the sample is made of: "items" of a catalogue or "rows"."""
        return "items" if self.sample is not None and self.sample.kind == "ids" else "rows"

    def value(self, metric: str) -> float | int | None:
        """A metric of the whole quantiser, None where undefined or missing."""
        return finite(self.report.metrics.get(metric))

    def evidence(self, *metrics: str) -> dict[str, Any]:
        """Those of the metrics that are known, by name, for :attr:`vqdoctor.model.Finding.evidence`."""
        return {name: self.report.metrics[name] for name in metrics if self.report.metrics.get(name) is not None}

    def values(self, metric: str) -> tuple[float | int | None, ...]:
        """A metric with one value a level, () where undefined or missing."""
        values = self.report.metrics.get(metric)
        return tuple(map(finite, values)) if isinstance(values, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Level:
    """One codebook of a case: `book` is what the layout knows of it, None in a semantic-ID file."""

    case: Case
    report: LevelReport
    book: Codebook | None

    @property
    def where(self) -> str:
        """ "quantizer.vq[0]"."""
        return f"{self.case.name}[{self.report.index}]"

    @property
    def codes(self) -> int:
        """K."""
        return self.report.codes

    @property
    def rows(self) -> float | int:
        """Rows behind `usage.*`, 0 where there were none."""
        return self.value("usage.n") or 0

    def value(self, metric: str) -> float | int | None:
        """A metric of this level, None where undefined or missing."""
        return finite(self.report.metrics.get(metric))

    def share(self, metric: str) -> float | None:
        """A count of codes as a share of K."""
        value = self.value(metric)
        return None if value is None or self.codes < 1 else value / self.codes

    def fact(self, name: str) -> Any:
        """A fact, None where missing."""
        return self.report.facts.get(name)

    def amount(self, name: str) -> float | int | None:
        """A fact that is a number."""
        return finite(self.fact(name))

    def listed(self, kind: str) -> list[Any]:
        """The (capped) row numbers of a kind."""
        rows = self.fact("rows")
        found = rows.get(kind) if isinstance(rows, dict) else None
        return [row for row in found if isinstance(row, int | list | tuple)] if isinstance(found, list | tuple) else []

    def sampled(self, rows_per_code: float) -> bool:
        """True where the sample can judge: at least `rows_per_code`·K rows, or all there are."""
        return self.rows > 0 and (self.case.population or self.rows >= rows_per_code * self.codes)

    def evidence(self, *names: str) -> dict[str, Any]:
        """Those of the metrics and facts that are known, by name, for :attr:`vqdoctor.model.Finding.evidence`."""
        known = {name: self.report.metrics.get(name, self.fact(name)) for name in names}
        return {name: value for name, value in known.items() if value is not None}
