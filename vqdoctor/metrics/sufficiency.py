"""How far a sample's numbers can still move, and how many rows settle a question about them: what gates rest on.

Sources: Colwell et al. 2012 (extrapolated richness); Good 1953 (the mass of what was not seen is about that of the singletons);
the delta method's interval shrinks as 1/√n.
"""

from __future__ import annotations

import math

from vqdoctor.metrics.richness import Richness, reachable, rows_to_call_dead

ROWS_PER_CODE = 3
"""From here on an unseen code is, at 95 %, under the uniform rate (rule of three)."""
ONE_SIDED, Z_ONE_SIDED = 0.05, 1.6448536269514722
"""How sure the number of rows is to do, and the normal quantile that goes with it."""
MOST_ROWS = 10**12
"""A number of rows beyond this settles nothing in practice."""


def unseen_mass_upper(sample: Richness) -> float:
    """Upper bound, about 95 %, of the probability of all codes not seen: (f1 + 2√f1 + 3) / n, f1 codes seen once; 1 for n = 0.

    Example:
        >>> unseen_mass_upper(Richness(1000, 2, 0, 0))
        0.003
    """
    if sample.n == 0:
        return 1.0
    return min(1.0, (sample.singletons + 2 * math.sqrt(sample.singletons) + 3) / sample.n)


def entropy_high_bits(high_bits: float, sample: Richness, codes: int) -> float:
    """Upper end of an entropy's interval for a sample under 3·K rows, where the interval itself, blind to unseen codes, is too low.

    Adds what the unseen mass m can hold at most, m·log2 K + h2(m), and is at most log2 K.
    """
    mass = unseen_mass_upper(sample)
    rest = 0.0 if mass in (0.0, 1.0) else -mass * math.log2(mass) - (1 - mass) * math.log2(1 - mass)
    return min(math.log2(codes), high_bits + mass * math.log2(codes) + rest)


def rows_to_settle_use(sample: Richness, codes: int, wanted: float) -> int | None:
    """Rows in all after which `wanted` codes have been seen, or are known to be out of reach; None where rows cannot tell.

    At least 3·K, from where a shortfall can be proved. Beyond that, the number m more at which so few of the f0 unseen codes are
    left by the extrapolated curve, f0(1 − f1/(n f0 + f1))^m, that at about 95 % no more than may be missing are missing (they are
    few, so Poisson); never more than the rows that call every unseen code dead.
    """
    least, most = ROWS_PER_CODE * codes, rows_to_call_dead(codes)
    if sample.n < least:
        return least
    estimate, _, high = reachable(sample, codes) or (0.0, 0.0, 0.0)
    unseen = (estimate if estimate > sample.used + 0.5 else max(high, sample.used + 1.0)) - sample.used
    spare = max(0.0, unseen - max(0.0, wanted - sample.used))
    left = max(ONE_SIDED, ((math.sqrt(Z_ONE_SIDED**2 + 4 * spare) - Z_ONE_SIDED) / 2) ** 2)
    if left >= unseen:
        return most if most > sample.n else None
    rate = max(1, sample.singletons) / (sample.n * unseen + max(1, sample.singletons))
    more = math.ceil(math.log(left / unseen) / math.log1p(-rate))
    needed = min(sample.n + more, most)
    return needed if needed > sample.n else None


def rows_to_settle_mean(n: int, middle: float, half: float, threshold: float) -> int | None:
    """Rows in all at which an interval middle ± half, seen at n rows, would lie on one side of `threshold`; None on a tie."""
    distance = abs(middle - threshold)
    if distance == 0.0 or half <= 0.0:
        return None
    needed = n * (half / distance) ** 2
    return max(n + 1, math.ceil(needed)) if needed < MOST_ROWS else None
