"""Pages of ema.*: what the checkpoint's own counters claim."""

from vqdoctor.metrics.page import MetricPage

EMA = (
    MetricPage(
        "ema.total", "sum of the running counts", "Σ N_k",
        unit="rows", range="0…", better="none", needs=("counters",),
        text="In a steady state about the rows of one training step (on one rank, where counts are not summed over ranks).",
    ),
    MetricPage(
        "ema.threshold", "the family's test", "τ: a code is active if N_k ≥ τ",
        unit="rows", range="> 0", better="none", needs=("counters",),
        text=(
            "The count below which the family's own code calls a code dead, resolved to a number: 2 in EnCodec, 1 in Jukebox, a "
            "tenth of the mean in Moshi. 1e-5 where it has no test."
        ),
    ),
    MetricPage(
        "ema.active", "codes the counters call active", "#{k: N_k ≥ τ}",
        unit="codes", range="0…K", better="none", needs=("counters",),
        text=(
            "What the run's own monitor would report. A code that is never hit stays active for ln(m/τ)/−ln γ steps (m its "
            "count, γ the decay): 1146 steps for m = 1, τ = 1e-5, γ = 0.99. A test N_k > 0 never fails at all."
        ),
        also_known_as=("Jukebox: usage (N ≥ 1)",),
    ),
    MetricPage(
        "ema.utilization", "claimed utilisation", "ema.active / K",
        unit="share", range="0…1", better="none", needs=("counters",),
        text="Not real use: see usage.utilization and ema.illusion_gap.",
        also_known_as=("VAR: usages, percent (0.08 × uniform)", "ESM-3: share above 1e-5", "1 − Moshi: rvq_expired"),
    ),
    MetricPage(
        "ema.entropy_bits", "entropy of the running counts", "−Σ q_k log2 q_k, q_k = N_k / ΣN",
        unit="bits", range="0…log2 K", better="higher", needs=("counters",),
        text=(
            "A window of about (1+γ)/(1−γ) steps: 199 at decay 0.99, 12 at 0.85. Initial mass that has not decayed makes it too "
            "high."
        ),
    ),
    MetricPage(
        "ema.entropy_normalized", "normalised entropy of the running counts", "ema.entropy_bits / log2 K",
        unit="share", range="0…1", better="higher", needs=("counters",),
        text="Undefined for K = 1.",
        also_known_as=("Moshi: rvq_entropy",),
    ),
    MetricPage(
        "ema.perplexity", "perplexity of the running counts", "2^ema.entropy_bits",
        unit="codes", range="1…K", better="higher", needs=("counters",),
        text="As usage.perplexity, from the counters.",
    ),
    MetricPage(
        "ema.inconsistent_rows", "rows that do not follow from sum and count", "#{k: ‖e_k − s_k/Ñ_k‖ > max(1e-4, 4 ulp) ‖e_k‖}",
        unit="codes", range="0…K", better="lower", needs=("counters",),
        text=(
            "An EMA codebook is sum over (smoothed) count. Rows that are not were edited by hand, expired in the last step, or "
            "belong to another checkpoint; the next training step overwrites them. ulp: of the stored type. Undefined where "
            "codes are not derived from sums."
        ),
    ),
    MetricPage(
        "ema.illusion_gap", "claimed minus real use", "ema.utilization − usage.utilization",
        unit="share", range="−1…1", better="lower", needs=("counters", "rows"),
        text="Large also where the sample is small: rules use the conservative one.",
    ),
    MetricPage(
        "ema.illusion_gap_conservative", "claimed minus reachable", "ema.utilization − usage.reachable_high / K",
        unit="share", range="−1…1", better="lower", needs=("counters", "rows"),
        text=(
            "The part of the gap that no small sample can explain. From 0.10, with at least 3 K rows, the counters are "
            "misleading."
        ),
    ),
)  # fmt: skip
