"""Runs that make one disease each, so that every rule about training has something real to fire on.

Each changes one thing of a run that is otherwise well. `rule` must fire: on the checkpoint with its features, or on the log.
Source of the list: threads about public quantisers, gathered in the project's reference of needs (§3c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vqdoctor.trainer.recipes import IMPROVED, KMEANS_SETTINGS, PATCHES, TENTH, Recipe

WELL: Mapping[str, Any] = {  # a healthy run of a few seconds that the changes below make sick
    **KMEANS_SETTINGS, "codes": (64,), "update": "ema", "kmeans_epoch": 1, "kmeans_rows": 4096, "codebook_init": "zeros",
    "reinit_interval": None, "epochs": 6, "eval_interval": 1, "val_ratio": 0.1, "decay": 0.95,
}  # fmt: skip


def _sick(name: str, rule: str, shows: str, changes: Mapping[str, Any], evidence: str = "features") -> Recipe:
    return Recipe(
        name, IMPROVED, shows=shows, encoder=PATCHES, schedule="a few epochs of 119 steps", split=TENTH,
        settings={**WELL, **changes}, rule=rule, evidence=evidence,
    )  # fmt: skip


RANDOM = {"codebook_init": "normal", "kmeans_epoch": None}
UNIFORM = {"codebook_init": "uniform", "kmeans_epoch": None}

SICK: tuple[Recipe, ...] = (
    _sick(
        "sick-no-straight-through", "VQ101",
        "the decoder's gradient never reaches the encoder, which then only follows the codes: outputs shrink together, and no "
        "k-means start saves them",
        {"straight_through": False},
    ),
    _sick(
        "sick-loss-scale", "VQ101",
        "quantisation terms summed over a latent's 64 values beside a reconstruction averaged over the input's: the encoder "
        "gives up what it says; with "
        "averaged terms the same start keeps nine codes in use",
        {**UNIFORM, "weight_start": "torch", "code_dim": 64, "quantization_scale": "sum", "commitment_weight": 1.0},
    ),
    _sick(
        "sick-threshold-infeasible", "VQ302",
        "a reset threshold of 2 hits a step with 64 rows for 64 codes: healthy codes are declared dead at every step",
        {"reset_threshold": 2.0},
        "checkpoint",
    ),
    _sick(
        "sick-undone-revival", "VQ306",
        "dead codes are replaced and put back by the same step, as in encodec's code: the log counts revivals, nothing changes",
        {"reset_threshold": 0.5, "revival": "undone", "decay": 0.9},
        "checkpoint",
    ),
    _sick(
        "sick-shrunken-start", "VQ305",
        "k-means start with sum = centroid beside count = bin size, as in encodec's code: the next step divides each code by its "
        "count",
        {"centroid_sum": "bare"},
        "checkpoint",
    ),
    _sick(
        "sick-low-precision", "VQ304",
        "codes, counts and sums kept in bfloat16: a change smaller than a 256th of a value is lost at every step",
        {"state_dtype": "bfloat16"},
        "checkpoint",
    ),
    _sick(
        "sick-hourglass", "VQ404",
        "rows whose residuals after the first level are mostly tiny: the second level spends its codes on the few large ones",
        {"data": "tailed", "levels": 3, "codes": (32,), "code_dim": 4, "epochs": 9, "kmeans_epoch": 8, "select": "collision.rate"},
    ),
    _sick(
        "sick-expand-while-collapsed", "VQ506",
        "the book is doubled every epoch although a batch uses one code of it",
        {**RANDOM, "commitment_weight": 10.0, "expansion_interval": 1, "expansion_force": True, "epochs": 4},
        "log",
    ),
    _sick(
        "sick-frozen-book", "VQ511",
        "the codebook is no parameter of the optimiser: the encoder must come to codes that never move",
        {**RANDOM, "update": "gradient", "book_moves": False},
        "log",
    ),
    _sick(
        "sick-diverging-ranks", "VQ510",
        "two ranks that average neither gradients nor statistics: each trains a book of its own (start it with torchrun)",
        {"ranks_agree": False},
        "log",
    ),
)  # fmt: skip
