"""Several treatments of one quantiser, told as one: what counts for its user is which ID became which in the end.

Each plan is made on what those before it left, and so are its numbers. That is what a step is judged by, but an ID table that was
built on the checkpoint as it was given needs the way from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vqdoctor.model import TensorSource
from vqdoctor.treatment.plan import Plan, judged, judges_of, quantizer_width
from vqdoctor.treatment.preflight import check_features
from vqdoctor.treatment.preview import id_map, ids_sentence, share_moved


def told_together(plans: Sequence[Plan], last: Plan, source: TensorSource, after: TensorSource, rows: np.ndarray) -> list[Plan]:
    """`plans`, then `last`, which follows others of its quantiser: its IDs are told from `source`, before all of them.

    Args:
        after: the checkpoint with all of them. rows: (N, width), what `last` was planned from.
    """
    mine = [one for one in plans if one.quantizer.name == last.quantizer.name]
    if not mine:
        return [*plans, last]
    sample = check_features(rows, quantizer_width(last.quantizer), np.random.default_rng(last.seed))
    judges = judges_of(sample)
    old, new = (judged(one, last.quantizer, sample.rows, judges)[1] for one in (source, after))
    moved = share_moved(old[judges], new[judges])
    levels = tuple(replace(one, id_map=id_map(old[:, one.index], new[:, one.index], one.codes)) for one in last.levels)
    last = replace(_silent(last), levels=levels, ids_changed=moved)
    return [
        *(_silent(one) if one in mine else one for one in plans),
        replace(last, warnings=(*last.warnings, *([ids_sentence(moved)] if moved else []))),
    ]


def _silent(one: Plan) -> Plan:
    """A plan that does not speak of IDs."""
    said = None if not one.ids_changed else ids_sentence(one.ids_changed)
    return replace(one, warnings=tuple(warning for warning in one.warnings if warning != said))
