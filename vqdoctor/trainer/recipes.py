"""The systems of the seed documents as data: settings, what each shows, and the figures it must reach.

This module imports no torch: listing and explaining recipes is cheap. Settings are those of the document's own schedule (scale
"seed"); `plan` shortens them for "demo". Where a document leaves something open (its data, its number of epochs), the text here
says what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Bounds = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run that teaches something.

    Attributes:
        seed: which document. encoder, schedule, split: in words. shows: what to look at.
        settings: by field name (see `settings`), at the document's own scale. scale: the one it runs at unless told.
        expected: metric → {"min"|"max": value}, of the `judged` model, "last" or "best". quoted: the document's own figures.
        needs: a recipe that is run first, its codebooks.npz given to this one.
        rule: of a sick run, the rule that must fire; evidence: where that sees it, "checkpoint", "features" or "log".
    """

    name: str
    seed: str
    shows: str
    encoder: str
    schedule: str
    split: str
    settings: Mapping[str, Any]
    expected: Bounds = field(default_factory=dict)
    judged: str = "last"
    quoted: str = ""
    scale: str = "seed"
    needs: str | None = None
    rule: str | None = None
    evidence: str = "features"


IMPROVED = "002 improved VQ-VAE"
SPARSE = "000 sparse-SDF VQ-VAE"
VQFR = "001 VQFR"
PLUS = "003 MiniOneRec RQ-Kmeans+"
RQ = "004 RQ-VAE semantic IDs"
PATCHES = "MLP 192-64-16 on 8 × 8 photograph patches, Linear N(0, 0.02)"
TENTH = "a tenth of the rows for validation"
CATALOGUE = "a tenth of the rows for the validation loss; collisions over all rows, which are the catalogue"

PATCH_SETTINGS = {
    "data": "photographs", "network": "mlp", "hidden_dim": (64,), "code_dim": 16, "codes": (256,), "update": "ema",
    "decay": 0.99, "codebook_init": "normal", "commitment_weight": 10.0, "epochs": 8, "batch_size": 64, "keep": 0,
}  # fmt: skip
RQ_SETTINGS = {
    "data": "digits", "network": "mlp", "hidden_dim": (256, 128), "code_dim": 32, "levels": 3, "codes": (64,), "batch_size": 512,
    "epochs": 200, "learning_rate": 1e-3, "final_rate": 1e-4, "schedule": "linear", "commitment_weight": 0.25,
    "commitment_warmup_epochs": 50, "select": "collision.rate", "eval_interval": 10, "keep": 0, "log_every": 20,
}  # fmt: skip
KMEANS_SETTINGS = {
    "data": "photographs", "network": "mlp", "hidden_dim": (64,), "code_dim": 16, "codes": (128,), "codebook_init": "uniform",
    "commitment_weight": 0.25, "batch_size": 64, "epochs": 120, "val_ratio": 0.3, "reinit_interval": 2000,
    "reservoir_size": 16384, "eval_interval": 2, "keep": 0,
}  # fmt: skip
VQFR_SETTINGS = {
    "data": "crops", "network": "conv", "hidden_dim": (32,), "code_dim": 16, "weight_start": "torch", "codes": (256,),
    "update": "gradient", "codebook_init": "uniform", "commitment_weight": 0.25, "beta_on_codebook": True, "learning_rate": 1e-3,
    "val_ratio": 0.15, "batch_size": 16, "epochs": 480, "warmup_steps": 10000, "reinit_interval": 2000, "reinit_stop": 30000,
    "reservoir_size": 16384, "eval_interval": 6, "keep": 0,
}  # fmt: skip

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "vq-collapse", IMPROVED,
        shows="a random codebook, far from the latents, and a high β: the encoder is pulled onto the first code it meets, and "
        "one or two codes take all",
        encoder=PATCHES, schedule="8 epochs of 119 steps", split=TENTH,
        settings={**PATCH_SETTINGS, "update": "gradient"},
        expected={"usage.utilization": {"max": 0.05}},
        quoted="2 codes of 256 to 512 in use (0.4–0.8 %)",
    ),
    Recipe(
        "vq-ema-illusion", IMPROVED,
        shows="running counts call every code active while a batch uses one or two: with decay 0.99 and start mass 1 a code "
        "that is never hit stays above the threshold 1e-5 for 1145 steps, and this run ends before that",
        encoder=PATCHES, schedule="8 epochs of 119 steps, 952 in all", split=TENTH,
        settings=PATCH_SETTINGS,
        expected={"ema.utilization": {"min": 0.99}, "usage.batch_utilization": {"max": 0.01}},
        quoted="EMA statistics 100 %, a batch uses 2 codes (0.4–0.8 %)",
    ),
    Recipe(
        "vq-improved", IMPROVED,
        shows="the document's six measures together on the same data: 64 codes, temperature 2.5, decay 0.7, entropy weight 2, "
        "the 30 % least used codes reset every epoch, β = 10 warmed up over 5 epochs, no expansion; its dead-code "
        "threshold of 1 hit is for images of thousands of latents, here it is a twentieth of the uniform rate; a temperature "
        "of 2.5 needs latents whose squared distances are of that size, which the summed reconstruction error gives",
        encoder="MLP 192-64-16 on 8 × 8 photograph patches, Linear at the framework's own start", schedule="40 epochs of 29 steps",
        split=TENTH,
        settings={
            **PATCH_SETTINGS, "codes": (64,), "decay": 0.7, "codebook_init": "uniform", "temperature": 2.5,
            "entropy_weight": 2.0, "lowest_share": 0.3, "lowest_interval": 1, "commitment_warmup_epochs": 5,
            "reset_threshold": 0.05, "reset_unit": "uniform", "epochs": 40,
            "batch_size": 256, "weight_start": "torch", "reconstruction_scale": "sum",
        },
        expected={"usage.utilization": {"min": 0.9}, "usage.entropy_normalized": {"min": 0.85}},
        quoted="30–50 % utilisation, normalised entropy over 0.7 (hoped for)",
    ),
    Recipe(
        "vq-kmeans-gradient", SPARSE,
        shows="a gradient codebook re-estimated from a uniform reservoir every 2000 steps; the optimiser's moments are reset "
        "with the rows",
        encoder=PATCHES, schedule="120 epochs of 92 steps, 11 040 in all", split="three tenths of the patches for validation",
        scale="demo",
        settings={**KMEANS_SETTINGS, "update": "gradient"},
        expected={"usage.utilization": {"min": 0.9}},
    ),
    Recipe(
        "vq-kmeans-ema", SPARSE,
        shows="the same with an EMA codebook: counts and sums are rewritten with the codes",
        encoder=PATCHES, schedule="120 epochs of 92 steps, 11 040 in all", split="three tenths of the patches for validation",
        scale="demo",
        settings={**KMEANS_SETTINGS, "update": "ema"},
        expected={"usage.utilization": {"min": 0.75}},
    ),
    Recipe(
        "vqfr", VQFR,
        shows="three phases: 10 000 steps without quantisation, re-estimation every 2000 until 30 000 inclusive, then a book "
        "that only gradients move; β stands on the codebook term, as in VQFR's code and against its text",
        encoder="convolution to 8 × 8 latents of 16 values on 32 × 32 photograph crops",
        schedule="480 epochs of 104 steps, 49 920 in all",
        split="15 % of the crops: 18 688 latents for 256 codes", scale="demo",
        settings=VQFR_SETTINGS,
        expected={"usage.utilization": {"min": 0.98}},
        quoted="98–100 % utilisation",
    ),
    Recipe(
        "vqfr-selective", VQFR,
        shows="what the document lists as missing: only codes under 30 % of the uniform rate are re-estimated, live ones stay "
        "bit for bit",
        encoder="convolution to 8 × 8 latents of 16 values on 32 × 32 photograph crops",
        schedule="480 epochs of 104 steps, 49 920 in all",
        split="15 % of the crops: 18 688 latents for 256 codes", scale="demo",
        settings={**VQFR_SETTINGS, "reinit_threshold": 0.3},
        expected={"usage.utilization": {"min": 0.98}},
    ),
    Recipe(
        "rq-collapse", RQ,
        shows="the document's first version: random books of 32 codes that no loss term moves (its loss has no codebook term), "
        "β warmed up to 0.15: every item gets the same ID",
        encoder="MLP 256-128 to 64 values, Linear at the framework's own start", schedule="100 epochs", split=CATALOGUE,
        settings={
            **RQ_SETTINGS, "update": "gradient", "codebook_init": "normal", "codebook_weight": 0.0, "codes": (32,),
            "code_dim": 64, "weight_start": "torch", "commitment_weight": 0.15, "commitment_warmup_epochs": 30,
            "learning_rate": 3e-4, "epochs": 100,
        },
        expected={"collision.rate": {"min": 0.99}},
        quoted="99.97 % collisions",
    ),
    Recipe(
        "rq-kmeans-init", RQ,
        shows="the second version: k-means on the first batch of an untrained encoder; the encoder moves on and the books, "
        "still without a codebook term, stay behind",
        encoder="MLP 384-256 to 128 values, Linear at the framework's own start", schedule="100 epochs", split=CATALOGUE,
        settings={
            **RQ_SETTINGS, "update": "gradient", "codebook_init": "zeros", "kmeans_epoch": 0, "codebook_weight": 0.0,
            "hidden_dim": (384, 256), "code_dim": 128, "weight_start": "torch", "batch_size": 256, "commitment_weight": 0.05,
            "commitment_warmup_epochs": 100, "epochs": 100,
        },
        expected={"collision.rate": {"min": 0.2, "max": 0.9}},
        quoted="85.9 % collisions",
    ),
    Recipe(
        "rq-tuned", RQ,
        shows="the same 3 × 64 codes cured: EMA books, k-means after one epoch on the whole catalogue, dead codes reset at a "
        "tenth of the uniform rate; whitened inputs and a uniformity term keep near neighbours apart, so that the IDs are those "
        "of the nearest codes, none re-assigned; rows that are equal still share one (collision.floor_excess). More "
        "uniformity_weight means fewer collisions and a larger reconstruction error",
        encoder="whitening, MLP 512-256 to 32 values, Linear at the framework's own start", schedule="120 epochs", split=CATALOGUE,
        judged="best",
        settings={
            **RQ_SETTINGS, "update": "ema", "decay": 0.9, "codebook_init": "zeros", "kmeans_epoch": 1, "kmeans_rows": 16384,
            "reset_threshold": 0.1, "reset_unit": "uniform", "hidden_dim": (512, 256), "weight_start": "torch", "whiten": True,
            "reconstruction_scale": "relative", "uniformity_weight": 0.3, "uniformity_sharpness": 20.0, "epochs": 120,
            "learning_rate": 2e-3, "commitment_weight": 1.0, "commitment_warmup_epochs": 30,
        },
        expected={"collision.rate": {"max": 0.05}},
        quoted="13.5 % collisions",
    ),
    Recipe(
        "rq-kmeans", PLUS,
        shows="residual k-means on the embeddings themselves, no network: codebooks.npz and semantic IDs",
        encoder="none", schedule="one k-means a level", split=CATALOGUE,
        settings={
            "data": "digits", "network": "none", "code_dim": 0, "levels": 3, "codes": (64,), "codebook_init": "zeros",
            "kmeans_epoch": 0, "kmeans_rows": 1 << 20, "kmeans_iters": 100, "epochs": 0, "select": "collision.rate", "keep": 0,
            "val_ratio": 0.0,
        },
    ),
    Recipe(
        "rq-kmeans-plus", PLUS,
        shows="Z = X + MLP(X) from those books: the identity at step 0, then better than k-means alone",
        encoder="residual MLP, its last Linear zeroed, code_dim = the data's width", schedule="100 epochs", split=CATALOGUE,
        judged="best",
        needs="rq-kmeans",
        settings={
            **RQ_SETTINGS, "network": "residual", "code_dim": 0, "hidden_dim": (256,), "update": "ema", "decay": 0.9,
            "commitment_warmup_epochs": 10, "reset_threshold": 0.1, "reset_unit": "uniform", "learning_rate": 1e-3,
            "epochs": 100,
        },
    ),
)  # fmt: skip


def find(name: str) -> Recipe | None:
    """The recipe of that name, of the sick ones too."""
    from vqdoctor.trainer.sick import SICK  # it is built from the recipes here

    return next((recipe for recipe in (*RECIPES, *SICK) if recipe.name == name), None)
