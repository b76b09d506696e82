"""The keys of the seed documents and of the projects behind them, and what each is called here.

000 sparse-SDF VQ-VAE · 001 VQFR · 002 improved VQ-VAE · 003 MiniOneRec (and LC-Rec) · 004 RQ-VAE semantic IDs. A function where
the meaning differs as well as the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Changes = dict[str, Any]


def _named(name: str) -> Callable[[Any], Changes]:
    return lambda value: {name: value}


def _truth(value: Any) -> bool:
    return value is True or str(value).lower() in {"true", "yes", "on", "1"}


def _kmeans_start(value: Any) -> Changes:
    return {"kmeans_epoch": 0, "codebook_init": "zeros"} if _truth(value) else {"kmeans_epoch": None}


def _sizes(value: Any) -> Changes:
    """num_emb_list: a book's size a level."""
    sizes = value if isinstance(value, (list, tuple)) else str(value).strip("[]() ").replace(",", " ").split()
    return {"codes": list(sizes), "levels": len(sizes)}


def _quantiser_type(value: Any) -> Changes:
    """VQFR's class brings its loss with it: 0.25 on the codebook term, 1 on the commitment, whatever its document says."""
    known = {
        "L2VectorQuantizerKmeans": {
            "update": "gradient",
            "codebook_init": "uniform",
            "commitment_weight": 0.25,
            "beta_on_codebook": True,
        }
    }
    return known.get(str(value), {})


ALIASES: dict[str, Callable[[Any], Changes]] = {
    # 000
    "num_embeddings": _named("codes"),
    "use_ema_update": lambda value: {"update": "ema" if _truth(value) else "gradient"},
    "use_kmeans_reinit": lambda value: {"reinit_interval": 2000 if _truth(value) else None},
    "kmeans_interval": _named("reinit_interval"),
    # 001
    "type": _quantiser_type,
    "num_code": _named("codes"),
    "reestimate_iters": _named("reinit_interval"),
    "reestimate_maxiters": _named("reinit_stop"),
    "warmup_iters": _named("warmup_steps"),
    # 002
    "n_embed": _named("codes"),
    "embed_dim": _named("code_dim"),
    "ema_decay": _named("decay"),
    "commitment_loss_beta": _named("commitment_weight"),
    "l1_weight": lambda value: {"reconstruction_weight": value, "loss_type": "l1"},
    "reset_low_usage_interval": _named("lowest_interval"),
    "reset_low_usage_percentage": _named("lowest_share"),
    "reset_dead_codes_threshold": _named("reset_threshold"),
    "disable_codebook_expansion": lambda value: {"expansion_interval": None} if _truth(value) else {},
    # 003
    "e_dim": _named("code_dim"),
    "layers": _named("hidden_dim"),
    "num_emb_list": _sizes,
    "quant_loss_weight": _named("quantization_weight"),
    "beta": _named("commitment_weight"),
    "sk_epsilons": _named("sinkhorn_epsilons"),
    "sk_iters": _named("sinkhorn_iters"),
    "kmeans_init": _kmeans_start,
    "dropout_prob": _named("dropout"),
    "bn": _named("batch_norm"),
    "eval_step": _named("eval_interval"),
    # 004
    "num_codebooks": _named("levels"),
    "codebook_size": _named("codes"),
    "beta_schedule": lambda value: {} if str(value) == "warmup" else {"commitment_warmup_epochs": 0},
    "beta_warmup_epochs": _named("commitment_warmup_epochs"),
    "recon_weight": _named("reconstruction_weight"),
    "lr": _named("learning_rate"),
    "min_lr": lambda value: {"final_rate": value, "schedule": "linear"},
    # checkpoints that this trainer wrote before
    "frozen": lambda value: {"book_moves": not _truth(value)},
}

UNUSED: dict[str, str] = {
    "perceptual_weight": "there is no perceptual network here",
    "adversarial_weight": "there is no discriminator here",
    "in_dim": "the width of what comes before the codebook follows from the network",
    "name": "the network is chosen by `network`",
}


def precedence(key: str, value: Any) -> int:
    """Where a key stands among others of its file: what brings defaults comes first, what switches off comes last."""
    if key == "type" or (key == "use_kmeans_reinit" and _truth(value)):
        return -1
    return 1 if key in {"use_kmeans_reinit", "beta_schedule", "disable_codebook_expansion"} else 0
