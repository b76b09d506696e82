"""Before anything is planned: can this treatment work here, and do these features belong to this book?

A repair on the wrong rows makes a model worse and looks like success, so what plainly does not belong is refused; what may be an
illness (a book at another scale than the encoder's) is said and treated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vqdoctor.errors import SampleError, UsageError, printable
from vqdoctor.metrics import earlier_twin, measure_match, row_norms
from vqdoctor.metrics.ema import uninformative
from vqdoctor.metrics.initialisation import looks_initial, untouched_rows
from vqdoctor.model import Codebook, Quantizer
from vqdoctor.treatment.cells import Cells
from vqdoctor.treatment.request import TreatmentRequest, treatment

FAIR = 39
"""Fitted rows a code that make k-means' error on other rows fair to about 12 % (theory §6)."""
APART = 10.0
"""Rows this many times farther from their codes than from their own mean (squared) are not this book's."""
DUPLICATES = 0.05  # share of equal rows that is worth saying
SCALES = (0.1, 10.0)  # spread of the codes over that of the rows, beyond which it is said


@dataclass(frozen=True, slots=True)
class FeatureSample:
    """The rows that a plan rests on: (n, W) float32, finite. fitted: (n,) bool, the half it learns from. dropped: rows left out."""

    rows: np.ndarray
    fitted: np.ndarray
    dropped: int
    warnings: tuple[str, ...]


def check_request(quantizer: Quantizer, request: TreatmentRequest, features: bool) -> None:
    """Raises what keeps the treatment from this quantiser at all.

    Raises:
        UsageError: no books in the file, features missing, a lookup that features cannot follow, a level that does not exist.
    """
    name, chosen = printable(quantizer.name), treatment(request.method)
    if not quantizer.levels:
        raise UsageError(f"{name} stores no codebook: there is nothing to repair.")
    odd = [level for level in request.levels or () if not 0 <= level < len(quantizer.levels)]
    if odd:
        raise UsageError(f"{name} has no level {odd[0]}.", hint=f"Its levels are 0 to {len(quantizer.levels) - 1}.")
    if chosen.features == "needed" and not features:
        hint = "Capture the encoder's outputs with vqdoctor.capture and give them with --features."
        raise UsageError(f"{chosen.option} needs features, rows of what the quantiser is given.", hint=hint)
    if chosen.features == "needed" or (chosen.features == "optional" and features):
        hint = "--sanitize without features, --sync-ema and --freeze-init work on the file alone."
        if quantizer.searchable is not None:
            raise UsageError(f"{name} cannot be treated by features: {quantizer.searchable}.", hint=hint)
        if quantizer.metric == "dot":
            raise UsageError(f"{name} looks codes up by inner product, which k-means does not serve.", hint=hint)


def check_features(features: np.ndarray, width: int, rng: np.random.Generator) -> FeatureSample:
    """The usable rows, half of them drawn to learn from.

    Raises:
        SampleError: not a table of the quantiser's width, or nothing finite in it.
    """
    if features.ndim != 2 or features.shape[1] != width:
        shape = " × ".join(map(str, features.shape))
        raise SampleError(
            f"features of shape {shape} for a quantiser of width {width}.", hint="Give the encoder's outputs, (N, width)."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.ascontiguousarray(features, dtype=np.float32)
    good = np.isfinite(rows).all(axis=1)
    dropped = int((~good).sum())
    if not good.any():
        raise SampleError("no row of the features is finite.", hint="Capture the features again.")
    rows = rows[good] if dropped else rows
    warnings = [f"{dropped:,} rows with NaN or Inf were left out."] if dropped else []
    repeated = int((earlier_twin(rows) != np.arange(len(rows))).sum())
    if repeated > DUPLICATES * len(rows):
        warnings.append(f"{repeated:,} of {len(rows):,} rows repeat an earlier one: they pull codes towards themselves.")
    fitted = np.zeros(len(rows), bool)
    fitted[rng.permutation(len(rows))[: -(-len(rows) // 2)]] = True
    return FeatureSample(rows, fitted, dropped, tuple(warnings))


def check_amount(cells: Cells, request: TreatmentRequest, name: str) -> list[str]:
    """Warnings about the number of rows a code.

    Raises:
        SampleError: k-means would only repeat the rows it is given, which leaves nothing for the levels below.
    """
    if request.method != "kmeans" or request.selective:
        return []
    size = len(cells.codes)
    distinct = int((earlier_twin(cells.points) == np.arange(len(cells.points))).sum())
    if distinct <= size:
        what = f"{name}: k-means of {size:,} codes on {distinct:,} different rows (half of those given) would only repeat them."
        raise SampleError(what, hint=f"Capture at least {2 * size + 2:,} different rows; {2 * FAIR * size:,} make a fair fit.")
    if distinct < FAIR * size:
        a_code = distinct / size
        return [f"{name}: {a_code:.1f} fitted rows a code, under {FAIR}: on other rows the error will be larger than on these."]
    return []


def check_belonging(
    cells: Cells, quantizer: Quantizer, level: Codebook, counts: np.ndarray | None, request: TreatmentRequest
) -> list[str]:
    """Warnings where rows and codes differ in place or scale.

    Raises:
        SampleError: the rows lie so far from every code that they are of another model or layer, and the book was trained.
    """
    points, codes = cells.onto(cells.rows), cells.onto(cells.codes[cells.hits > 0])
    if not len(codes):
        return ["no code can be chosen as it is: whether these features are this model's cannot be told."]
    squared = cells.found[1][cells.found[0] >= 0]
    spread = float(points.var(axis=0, dtype=np.float64).sum())
    error = float(squared.mean(dtype=np.float64)) if squared.size else 0.0
    match = measure_match(
        codes, feature_mean=points.mean(axis=0, dtype=np.float64), feature_variance=points.var(axis=0, dtype=np.float64)
    )
    shift, ratio = match.metrics["match.mean_shift"], match.metrics["match.scale_ratio"]
    ratio = ratio if len(codes) > 1 else _scale_of_all(cells, spread)
    doubtful = not request.proven and (request.selective or _was_trained(cells.codes, quantizer, level, counts))
    if error > APART * spread and doubtful:
        what = (
            f"these features are not what this book was trained on: their mean squared distance from its codes is {error:.3g}, "
            f"from their own mean {spread:.3g}."
        )
        hint = "Give the encoder's outputs right before this quantiser, of this very checkpoint, drawn from all of the data."
        raise SampleError(what, hint=hint)
    warnings = []
    if isinstance(shift, float) and shift > 1:
        warnings.append(f"the codes' mean lies {shift:.1f} spreads of the features away from the features' mean (VQ206).")
    if isinstance(ratio, float) and not SCALES[0] <= ratio <= SCALES[1]:
        warnings.append(
            f"the codes spread {ratio:.3g} × as far as the features (VQ206): features of another layer, or a book that never grew."
        )
    return warnings


def _scale_of_all(cells: Cells, spread: float) -> float | None:
    """Spread of all codes over that of the rows, where one code in use has none: all that is left to tell a wrong scale by."""
    codes = cells.onto(cells.codes[cells.placed(cells.codes)])
    own = float(codes.var(axis=0, dtype=np.float64).sum()) if len(codes) else 0.0
    return math.sqrt(own / spread) if spread > 0 else None


def _was_trained(codes: np.ndarray, quantizer: Quantizer, level: Codebook, counts: np.ndarray | None) -> bool:
    """True where the book is known not to be at its start any more: by its entries, or where those don't tell, by its counts."""
    if not np.nan_to_num(row_norms(codes)).any():
        return False
    if level.transform == "stored":
        untouched = untouched_rows(codes, level.initialisation, level.dtype).rows
        if untouched is not None:
            return 2 * len(untouched) < len(codes)
        initial = looks_initial(codes, level.initialisation)
        if initial is not None:
            return not initial
    return counts is not None and quantizer.ema is not None and uninformative(counts, quantizer.ema) is None
