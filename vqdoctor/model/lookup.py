"""The arrays that turn features into codes: all that nearest-code search, k-means and the engines need to know of a quantiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Linear:
    """y = x Wᵀ + b. weight (out, in) float32, bias (out,) float32 or None."""

    weight: np.ndarray
    bias: np.ndarray | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """rows (n, in) to (n, out), float32."""
        out = rows @ self.weight.T
        return out if self.bias is None else out + self.bias


@dataclass(frozen=True, slots=True)
class Stage:
    """One level of a quantiser.

    Attributes:
        codes: (K, d) float32, what the rows are compared with. Rows with NaN or Inf are never chosen.
        values: (K, d) float32, what a chosen code stands for (differs from `codes` where lookup normalises); None: the codes.
        project_in: rows to the lookup space, None: identity.
        project_out: values back to the space of the residual, None: identity.
    """

    codes: np.ndarray
    values: np.ndarray | None = None
    project_in: Linear | None = None
    project_out: Linear | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A whole quantiser as arrays.

    Attributes:
        stages: one per level (residual: applied in turn to what is left) or per group (product: each on its own columns).
        structure: "single", "residual" or "product".
        metric: "l2", "cosine" or "dot".
        project_in: rows to the quantiser's space, before the first stage; None: identity.
        width: columns that a row of features must have.
        columns: of those, the half-open range that this quantiser sees (a group of a grouped residual quantiser); None: all.
        normalise_residuals: True where each level l2-normalises what it is given.
    """

    stages: tuple[Stage, ...]
    structure: str
    metric: str
    width: int
    project_in: Linear | None = None
    columns: tuple[int, int] | None = None
    normalise_residuals: bool = False
