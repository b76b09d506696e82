"""Is the file that was written the one that was planned? Asked of the reopened copy, against the source it was made from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vqdoctor.errors import printable
from vqdoctor.layouts import copies
from vqdoctor.model import TensorSource, TensorSpec
from vqdoctor.treatment.patched import differs, overlapping
from vqdoctor.treatment.plan import Plan, held_out, judged
from vqdoctor.treatment.state import allowed_drift, drift

BLOCK = 1 << 20  # elements compared at a time
PROMISED = 1e-6  # relative gap between a number promised and the same number measured again
CHECKED = ("usage.used", "usage.perplexity", "distortion.mse")


def verify(before: TensorSource, after: TensorSource, plan: Plan, features: np.ndarray | None = None) -> list[str]:
    """What differs from the plan; [] where nothing does.

    Changed tensors are as planned and all others as they were, bit for bit; the family's next normalisation moves no rewritten row;
    with the `features` of the plan, the metrics promised for the held-out rows are those measured.
    """
    problems = [*_same_specs(before, after)]
    if problems:
        return problems
    problems += _planned_values(after, plan)
    shared = overlapping(before, plan.changes)
    problems += [
        f"{printable(name)} changed and should not"
        for name in before.specs
        if name not in shared and not _equal(before, after, name)
    ]
    problems += _fixed_point(after, plan)
    if features is not None and not plan.empty:
        problems += _promises(after, plan, features)
    return problems


def _same_specs(before: TensorSource, after: TensorSource) -> Iterator[str]:
    if list(before.specs) != list(after.specs):
        odd = set(before.specs) ^ set(after.specs)
        yield f"the tensors are others, or in another order{': ' + printable(sorted(odd)[0]) if odd else ''}"
        return
    for name, spec in before.specs.items():
        if _form(spec) != _form(after.specs[name]):
            yield f"{printable(name)} has another shape or type: {_form(after.specs[name])} instead of {_form(spec)}"


def _form(spec: TensorSpec) -> tuple[object, ...]:
    return spec.shape, spec.dtype, spec.key, spec.container


def _planned_values(after: TensorSource, plan: Plan) -> Iterator[str]:
    for name, array in plan.changes.items():
        found = after.read(name)
        wrong = int(differs(found.reshape(-1), array.astype(found.dtype, copy=False).reshape(-1)).sum())
        if wrong:
            yield f"{printable(name)} is not as planned: {wrong:,} of {array.size:,} elements differ"


def _equal(before: TensorSource, after: TensorSource, name: str) -> bool:
    spec = before.specs[name]
    if not spec.shape:
        return not differs(before.read(name).reshape(-1), after.read(name).reshape(-1)).any()
    rows = max(1, BLOCK // max(1, spec.size // max(1, spec.shape[0])))
    blocks = ((start, min(start + rows, spec.shape[0])) for start in range(0, spec.shape[0], rows))
    return all(not differs(before.read(name, *block).reshape(-1), after.read(name, *block).reshape(-1)).any() for block in blocks)


def _fixed_point(after: TensorSource, plan: Plan) -> Iterator[str]:
    for one in plan.levels:
        for copy in copies(plan.quantizer) if len(one.rows_changed) else ():
            level = copy.levels[one.index]
            moved = drift(after, copy, level)
            if moved is None:
                continue
            far = int((moved[one.rows_changed] > allowed_drift(after, level)).sum())
            if far:
                yield f"{printable(level.key)}: the next training step would move {far} rewritten codes: sums do not fit them"


def _promises(after: TensorSource, plan: Plan, features: np.ndarray) -> Iterator[str]:
    rows = held_out(features, plan.quantizer, plan.seed)
    measured, _ = judged(after, plan.quantizer, rows, np.ones(len(rows), bool))
    for one, found in zip(plan.levels, measured, strict=True):
        for name in CHECKED:
            promised, now = one.after.get(name), found.get(name)
            if isinstance(promised, int | float) and not (
                isinstance(now, int | float) and abs(now - promised) <= PROMISED * max(abs(promised), 1e-12)
            ):
                yield f"{printable(one.key)}: {name} is {now}, {promised} was promised"
