"""A course of treatments: one after the other, each planned on what those before it leave, each by the rows of its quantiser.

What the user named is planned as it was asked for. What the diagnosis prescribes is looked at first: where its own preview finds it
worse, or it is refused, the next thing that a finding prescribes for the same book is tried.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vqdoctor.app.prescription import BOOKS, Step
from vqdoctor.app.request import Progress
from vqdoctor.app.sources import Given
from vqdoctor.errors import SampleError, UsageError, printable
from vqdoctor.model import Quantizer, TensorSource
from vqdoctor.samples import Rows
from vqdoctor.samples.reservoir import Reservoir
from vqdoctor.treatment import Patched, Plan, plan, told_together, treatment

MOST_ROWS = 1 << 20
MOST_BYTES = 256 << 20
"""Rows beyond these are sampled uniformly: memory stays bounded at any size of the features."""


class Course:
    """A checkpoint under treatment.

    Args:
        path: of the source. given: rows by the name of the quantiser that they are for.
        unused: why rows beside the checkpoint are not among them, a sentence each.

    Attributes:
        patched: the source as treated so far. plans: of what is done, in order. why: what prescribed each, in words.
        warnings: what was left out, and why. features: path of the rows that were looked at last, None: none were.
        rows: those that the last plan was made from.
    """

    def __init__(
        self, source: TensorSource, path: str, given: Mapping[str, Given], progress: Progress, unused: Sequence[str] = ()
    ) -> None:
        self.patched = Patched(source)
        self.plans: list[Plan] = []
        self.why: list[str] = []
        self.warnings: list[str] = []
        self.features: str | None = None
        self.rows: np.ndarray | None = None
        self._source, self._path, self._given, self._progress, self._unused = source, path, given, progress, unused

    def treat(self, step: Step, stored: Sequence[Quantizer]) -> None:
        """Carries the step out on those of the `stored` quantisers that it is for.

        Raises:
            UsageError, SampleError: it is refused, and so is what else is prescribed; the reason of the first.
        """
        for quantizer in self._treated(step, stored):
            self._carry_out(step, quantizer)

    def _carry_out(self, step: Step, quantizer: Quantizer) -> None:
        refused: list[UsageError | SampleError] = []
        left: list[str] = []
        for way in step.ways():
            try:
                made, rows = self._planned(way, quantizer)
                reason = made.worse if way.why and way.request.method in BOOKS else None
                if reason is None:
                    self._take(way, made, rows, left)
                    return
            except (UsageError, SampleError) as error:
                refused.append(error)
                reason = error.what
            self.warnings.append(f"{way.why}: prescribed, and left out: {reason}")
            left.append(f"--{way.request.method}")
        if len(refused) == len(left):
            raise refused[0]

    def _take(self, step: Step, made: Plan, rows: np.ndarray | None, left: list[str]) -> None:
        self.patched = Patched(self._source, {**self.patched.arrays, **made.changes})
        if rows is None:
            self.plans.append(made)
        else:
            self.plans = told_together(self.plans, made, self._source, self.patched, rows)
        self.rows = rows
        since = f", since {' and '.join(left)} {'were' if len(left) > 1 else 'was'} left out" if left else ""
        self.why += [f"{step.why}{since}"] if step.why else []

    def _planned(self, step: Step, quantizer: Quantizer) -> tuple[Plan, np.ndarray | None]:
        """The plan, and the rows (n, W) that it was made from."""
        given = None if treatment(step.request.method).features == "none" else self._given.get(quantizer.name)
        rows = None if given is None else load(given.rows, self._progress)
        self.features = self.features if given is None else given.rows.path
        self._progress.start(f"planning {step.request.method} of {printable(quantizer.name, 40)}", None)
        request = replace(step.request, proven=given is not None and given.proven)
        try:
            with _blaming(None if given is None else given.rows.path):
                return plan(self.patched, quantizer, rows, request), rows
        finally:
            self._progress.stop()

    def _treated(self, step: Step, stored: Sequence[Quantizer]) -> list[Quantizer]:
        """The quantisers that a step treats: the one it names, those that rows are given for, or all where none are needed.

        Raises:
            SampleError: rows are needed and there are none.
        """
        chosen = [one for one in stored if step.quantizer in (None, one.name)]
        if treatment(step.request.method).features != "needed":
            return chosen
        fed = [one for one in chosen if one.name in self._given]
        if not fed:
            raise SampleError(
                f"{f'{step.why}: it' if step.why else f'--{step.request.method}'} needs encoder outputs{self._lacking(chosen)}",
                where=self._path,
                hint="Capture them with vqdoctor.capture(model, batches, 'CKPT-STEM') or give them: --features FEATURES.npy.",
            )  # fmt: skip
        return fed

    def _lacking(self, chosen: Sequence[Quantizer]) -> str:
        if self._unused:
            return f". {' '.join(self._unused)}"
        if self._given:
            return f", and none are given for {', '.join(printable(one.name) for one in chosen)}."
        return ", and there are none beside the checkpoint."


@contextlib.contextmanager
def _blaming(features: str | None) -> Iterator[None]:
    """Rows that are refused are refused by the name of their file."""
    try:
        yield
    except SampleError as error:
        error.where = error.where or features
        raise


def load(rows: Rows, progress: Progress) -> np.ndarray:
    """At most MOST_ROWS rows (and MOST_BYTES), a uniform sample where there are more; (n, W) float32.

    Raises:
        SampleError: no row is left.
    """
    most = max(1, min(MOST_ROWS, MOST_BYTES // (4 * rows.width), rows.n or MOST_ROWS))
    progress.start("reading features", rows.n)
    kept = Reservoir(most, np.random.default_rng(0))
    for block in rows.blocks(1 << 14):
        kept.add(block)
        progress.advance(len(block))
    progress.stop()
    _, values = kept.finish()
    if not values:
        raise SampleError("no row of the features is finite.", where=rows.path, hint="Capture the features again.")
    return values[0]
