"""Names that other projects log, and what they are here: data only, one row a name.

A pattern is matched against a name in lower case without the words for its part of the data ("train/", "val_", "_epoch") and may
name groups `level` and `quantizer`. `needs` is a pattern that some other name of the run must match before the row holds: "usage"
alone could be a disk's. Sources: reference tables of log keys of the projects named in `of`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PER_NAT = 1 / math.log(2)  # bits
PERCENT = 0.01
I = r"(?P<level>\d{1,4})"  # noqa: E741  (an index, inside patterns)

CODEBOOK = (
    r"(?:^|[^a-z])r?vq(?:[^a-z]|$|vae|_?loss)|codebook|commit|quantiz|quant_?loss|q loss|latent_?loss|emb(?:ed|edding)?_loss"
    r"|recon|rec[_ ]?loss|cmt[_ ]loss|cluster_usage|collision|code_usage|codes?_used|loss_latent|^latent$|码本|码元"
)
"""A name by which a run shows that it has a quantiser."""

LANGUAGE = r"(?:^|[^a-z])(?:ce(?:_q\d+)?|nll|bpb|bleu|rouge|tokens?|text|lm|words?|mlm)(?:[^a-z]|$)"
"""A name by which it shows that it models language, or codes as language."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A row. of: who logs it. The rest: see `Meaning`."""

    pattern: str
    metric: str | None
    of: str
    scale: float = 1.0
    offset: float = 0.0
    needs: str = ""
    scope: str | None = None
    note: str = ""


ALIASES: tuple[Alias, ...] = (
    # semantic IDs
    Alias(r"(?:best )?collision[_ ]rate|collision|冲突率", "collision.rate", "MiniOneRec, LC-Rec, LETTER"),
    Alias(r"唯一sid数量|unique_sid_count|unique full-paths", "collision.unique", "RQ-VAE semantic IDs, MiniOneRec"),
    Alias(r"冲突物品数", "collision.excess", "RQ-VAE semantic IDs", note="items − unique IDs, not the items that share one"),
    Alias(r"物品总数|all indices number|total items", "collision.items", "RQ-VAE semantic IDs, MiniOneRec"),
    Alias(r"total", "collision.items", "MiniOneRec", needs=r"^unique full-paths$"),
    Alias(r"max number of conflicts", "collision.max_group", "MiniOneRec, LC-Rec"),
    Alias(r"unique(?: codes)?", "usage.used", "MiniOneRec", needs=r"^unique full-paths$"),
    Alias(r"(?:frac_unique_ids|p_unique_ids)", "collision.rate", "GRID, RQ-VAE-Recommender", scale=-1.0, offset=1.0, scope="batch"),
    Alias(r"rqvae_entropy", "levels.joint_entropy_bits", "RQ-VAE-Recommender", scale=PER_NAT),
    Alias(r"max_id_duplicates", None, "RQ-VAE-Recommender", note="a share of the items; the number of items is not in the log"),
    # use of codes
    Alias(rf"codebook_usage(?:[_.]{I})?", "usage.utilization", "LlamaGen, RQ-VAE-Recommender"),
    Alias(r"codebook_usage\.(?P<quantizer>level_\d+)", "usage.utilization", "VQFR", scope="validation"),
    Alias(r"codebookusage", "usage.utilization", "1d-tokenizer"),
    Alias(r"utilization", "usage.utilization", "IBQ, SimVQ", needs=CODEBOOK),
    Alias(r"codebook_usage_(?:window|total)", "usage.utilization", "CodebookOccupancyMeter"),
    Alias(r"codebook_occupied_(?:window|total)", "usage.used", "CodebookOccupancyMeter"),
    Alias(r"codebook_perplexity_(?:window|total)", "usage.perplexity", "CodebookOccupancyMeter"),
    Alias(rf"layer_{I}/frac_layer_coverages", "usage.batch_utilization", "GRID"),
    Alias(r"active %|indices", "usage.batch_utilization", "vector-quantize-pytorch's examples", scale=PERCENT, needs=CODEBOOK),
    Alias(r"cluster_usage", "usage.batch_used", "latent-diffusion"),
    Alias(r"num_unique_indices", "usage.batch_used", "LAPA"),
    Alias(r"unused_code|unused code in codebook", "usage.unseen", "BEiT v2"),
    Alias(r"tokens never are used in this codebook", "usage.unseen", "BEiT v2"),
    Alias(r"n_different_codes", None, "VQ-BeT", note="counted over all levels together"),
    Alias(r"codebook_utili[sz]ation", None, "several", note="of running counts or of real use: the name does not say"),
    Alias(r"dead_codes", None, "several", note="by which test a code is dead the name does not say"),
    Alias(r"ar_iter_loss/z_voc_usage", None, "VAR", note="of the transformer's predictions, not of the codebook"),
    # entropy and perplexity
    Alias(rf"layer_{I}/id_entropy", "usage.batch_entropy_bits", "GRID", scale=PER_NAT),
    Alias(rf"codebooks-wo-pad/entropy-level-{I}/(?P<quantizer>codebook\d+)", "usage.entropy_bits", "kakaobrain", scale=PER_NAT),
    Alias(rf"w/o pad entropy-level-{I}\.(?P<quantizer>\d+)", "usage.entropy_bits", "kakaobrain", scale=PER_NAT),
    Alias(r"codebookentropy", "usage.entropy_bits", "1d-tokenizer"),
    Alias(r"codebook_entropy|codebook_avg_entropy_loss", None, "Open-MAGVIT2, SimVQ, IBQ", note="of soft assignments"),
    Alias(rf"(?:perplexity|ppl)(?:[_.]{I})?", "usage.batch_perplexity", "AudioDec, T2M-GPT, zalando", needs=CODEBOOK),
    Alias(r"perplexity\.(?P<quantizer>lf|hf)", "usage.batch_perplexity", "TimeVQVAE", needs=CODEBOOK),
    Alias(r"loss_perplexity", "usage.batch_perplexity", "MoMask", needs=CODEBOOK),
    Alias(
        rf"(?:(?:r?vq|codebook|quantiz(?:er|e|ation))[_/.](?:{I}[_/.])?)(?:perplexity|ppl)(?:[_.]\d+)?", "usage.batch_perplexity",
        "several", note="taken as that of a batch",
    ),
    Alias(r"code_perplexity", None, "fairseq", note="summed over groups, whose number is not in the log"),
    Alias(r"prob_perplexity", None, "fairseq", note="of soft assignments"),
    # running counts
    Alias(rf"rvq_entropy(?:_{I})?", "ema.entropy_normalized", "Moshi"),
    Alias(rf"rvq_expired(?:_{I})?", "ema.utilization", "Moshi", scale=-1.0, offset=1.0),
    Alias(rf"usages\.{I}", "ema.utilization", "VAR", scale=PERCENT, needs=CODEBOOK),
    # Jukebox: short words, told by their neighbours
    Alias(r"usage", "ema.active", "Jukebox", needs=r"^used_curr$"),
    Alias(r"used_curr", "usage.batch_used", "Jukebox"),
    Alias(r"entropy", "usage.batch_entropy_bits", "Jukebox", needs=r"^used_curr$", scale=PER_NAT),
    Alias(r"u", "ema.active", "Jukebox", needs=r"^uc$"),
    Alias(r"uc", "usage.batch_used", "Jukebox", needs=r"^dk$"),
    Alias(r"e", "usage.batch_entropy_bits", "Jukebox", needs=r"^uc$", scale=PER_NAT),
    # the six of the improved VQ-VAE
    Alias(r"活跃码元 ?\(累积ema\)", "ema.active", "improved VQ-VAE"),
    Alias(r"实际码本利用率 ?\(当前批次\)", "usage.batch_used", "improved VQ-VAE", note="the number of different codes of a batch"),
    Alias(r"当前批次归一化熵", "usage.batch_entropy_normalized", "improved VQ-VAE"),
    Alias(r"累积归一化熵", "ema.entropy_normalized", "improved VQ-VAE"),
    Alias(r"当前批次熵值?|累积熵值?", None, "improved VQ-VAE", note="bits or nats: the log does not say"),
)  # fmt: skip

SCALARS: tuple[tuple[str, str], ...] = (
    (r"(?:|total[_ ]|ae|rqvae_)loss|loss[_./]total|best loss", "loss"),
    (r"(?:.*[_./ ])?(?:commit(?:ment)?|cmt)(?:[_ ]loss)?(?:\..*)?|loss[_./]commit(?:ment)?", "loss.commitment"),
    (r"(?:.*/)?(?:rec|recon|recons|reconstruction)(?:[_ ](?:loss|error))?", "loss.reconstruction"),
    (r"loss[_./]recon(?:struction)?|rl|mse|l1", "loss.reconstruction"),
    (r"(?:.*/)?(?:vq|vqvae|q|quant|codebook|codebook_quant|latent|quantization|emb|rq)[_ ]loss|vl|latent", "loss.codebook"),
    (r"loss[_./](?:codebook|latent|quantization|quant|vq|q)|(?:loss/)?quantization", "loss.codebook"),
    (r"(?:.*[/_ ])?entropy[_ ]loss|loss[_./]entropy", "loss.entropy"),
    (r"(?:.*[/_-])?t?lr|learning[_ ]rate", "lr"),
)
"""Training terms: pattern, our name of a scalar."""

METRICS = frozenset(
    f"{family}.{name}"
    for family, names in {
        "usage": "n used utilization ceiling adjusted batch_used batch_utilization batch_entropy_bits batch_entropy_normalized "
        "batch_perplexity entropy_bits entropy_normalized perplexity entropy_bits_corrected perplexity_low perplexity_high hill2 "
        "gini gini_excess max_share coverage reachable reachable_low reachable_high unseen dead rare_or_dead rare undecided live "
        "samples_needed soft_perplexity",
        "ema": "total threshold active utilization entropy_bits entropy_normalized perplexity inconsistent_rows illusion_gap "
        "illusion_gap_conservative",
        "geometry": "nonfinite_rows zero_rows duplicate_rows near_duplicate_rows distinct parallel_rows untouched_rows norm_min "
        "norm_median norm_max effective_rank participation_ratio",
        "distortion": "mse snr_db kmeans_ratio",
        "match": "mean_shift scale_ratio orphans shadowed agreement",
        "collision": "items unique excess rate conflict_items conflict_rate max_group pair_probability after_suffix floor_excess "
        "expected_excess capacity",
        "levels": "joint_entropy_bits conditional_entropy_bits gain_db hourglass",
    }.items()
    for name in names.split()
)
"""Our own metric names (contract §4), which logs may use as they are. The registry of metrics stands on a floor above."""

SHARES = frozenset(
    {f"{family}.{name}" for family in ("usage", "ema") for name in ("utilization", "entropy_normalized")}
    | {f"usage.{name}" for name in ("batch_utilization", "batch_entropy_normalized", "adjusted", "max_share", "coverage")}
    | {"collision.rate", "collision.conflict_rate"}
)
"""Metrics that lie between 0 and 1."""

OWN_SCALARS = frozenset(
    {"loss", "loss.commitment", "loss.reconstruction", "loss.codebook", "loss.entropy", "loss.uniformity", "loss.validation", "lr"}
)
"""Our own names of training terms (contract §7, and those that the trainer adds). `loss.validation`: the reconstruction error of
rows held out."""
