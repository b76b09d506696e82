"""What a repair is asked to do, and the table of treatments: their options, what each does, and whether it needs features."""

from __future__ import annotations

from dataclasses import dataclass

from vqdoctor.errors import UsageError


@dataclass(frozen=True, slots=True)
class TreatmentRequest:
    """What to do.

    Attributes:
        method: a name of `TREATMENTS`.
        only_dead: for "kmeans": move dead codes only, every other row stays bit for bit.
        threshold: codes under this share of the uniform rate are dead too; implies `only_dead`.
        threshold_count: codes with fewer hits than this in the sample are dead too; implies `only_dead`.
        match_ids: give each new code the number of an old one near it; None: where all codes are re-estimated.
        levels: which levels to treat; None: all.
        keep_optimizer: leave the optimiser's memory of rewritten rows as it is.
        seed: of every draw: the same request on the same rows gives the same plan.
        proven: the rows are known to be of this very checkpoint (its hash is in their note), however far from its codes they lie.
    """

    method: str
    only_dead: bool = False
    threshold: float | None = None
    threshold_count: float | None = None
    match_ids: bool | None = None
    levels: tuple[int, ...] | None = None
    keep_optimizer: bool = False
    seed: int = 0
    proven: bool = False

    @property
    def selective(self) -> bool:
        """True where codes that are in use keep their rows."""
        thresholds = self.threshold is not None or self.threshold_count is not None
        return self.method != "kmeans" or self.only_dead or thresholds


@dataclass(frozen=True, slots=True)
class Treatment:
    """One row of the table. features: "needed", "optional" or "none"."""

    name: str
    option: str
    about: str
    features: str


TREATMENTS = (
    Treatment("kmeans", "--kmeans", "re-estimate the codes by k-means; with --only-dead or --threshold only those", "needed"),
    Treatment("reset-dead", "--reset-dead", "move dead codes onto the rows that are served worst, live ones fixed", "needed"),
    Treatment("split", "--split", "give dead codes half of the cells with the largest distortion (LBG)", "needed"),
    Treatment("sanitize", "--sanitize", "replace rows with NaN or Inf, zero rows and exact copies", "optional"),
    Treatment("sync-ema", "--sync-ema", "make running sums agree with codes and counts again; no code changes", "none"),
    Treatment("freeze-init", "--freeze-init", "set the initialised flag, so that training does not start the book anew", "none"),
)


def treatment(name: str) -> Treatment:
    """The row of the table.

    Raises:
        UsageError: no such treatment.
    """
    found = next((one for one in TREATMENTS if one.name == name), None)
    if found is None:
        raise UsageError(f"there is no treatment {name!r}.", hint=f"There are {', '.join(one.name for one in TREATMENTS)}.")
    return found
