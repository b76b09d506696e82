"""`--fit`: how far a book is from the best of its size, judged on rows that neither was fitted to.

Half of the kept rows train a k-means with as many codes, more where a large book needs them; the others measure both. With too few
rows a code the reference would only memorise them (its training error at n/K = 4 is 1.8 × too good), so then there is no number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vqdoctor.app.use import LevelUse
from vqdoctor.engines import Tally, level_inputs
from vqdoctor.kmeans import fit
from vqdoctor.model import Lookup
from vqdoctor.nearest import assign

ROWS_PER_CODE = 39
"""Training rows a code that make held-out error fair to about 10 %."""


HELD_OUT = 1000
"""Rows that are enough to compare two means of errors, to about 3 %."""


def add_kmeans_ratio(tally: Tally, lookup: Lookup, uses: Sequence[LevelUse], *, seed: int) -> None:
    """distortion.kmeans_ratio of each level that the kept rows suffice for; facts["fit.skipped"] says why of the others."""
    rng = np.random.default_rng(seed)
    for index, inputs in enumerate(level_inputs(tally, lookup)):
        size, use = len(lookup.stages[index].codes), uses[index]
        order = rng.permutation(len(inputs))
        wanted = ROWS_PER_CODE * size
        if len(inputs) < wanted + HELD_OUT:
            use.facts["fit.skipped"] = (
                f"{wanted + HELD_OUT:,} rows are needed to fit {size} codes fairly, {len(inputs):,} were kept"
            )
            continue
        cut = max(wanted, len(inputs) // 2)
        train, held_out = inputs[order[:cut]], inputs[order[cut:]]
        metric = "cosine" if lookup.metric == "cosine" else "l2"
        centres = fit(train, size, rng=rng, assign=assign, metric=metric).centres
        reference = assign(held_out, centres, metric)[1].mean(dtype=np.float64)
        own = assign(held_out, lookup.stages[index].codes, lookup.metric)[1].mean(dtype=np.float64)
        use.metrics["distortion.kmeans_ratio"] = float(own / reference) if reference > 0 else None
