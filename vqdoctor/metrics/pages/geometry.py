"""Pages of geometry.*: what the codes alone say."""

from vqdoctor.metrics.page import MetricPage

GEOMETRY = (
    MetricPage(
        "geometry.nonfinite_rows", "broken codes", "#{k: e_k holds NaN or ±Inf}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint",),
        text=(
            "One is enough to break a model: argmin returns the NaN's place for every row, which looks like collapse onto one "
            "code."
        ),
    ),
    MetricPage(
        "geometry.zero_rows", "empty codes", "#{k: ‖e_k‖ ≤ 1e-8 max ‖e‖}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint",),
        text="All rows zero: a codebook that waits for its k-means start. Some rows: padding, or running sums that have faded.",
    ),
    MetricPage(
        "geometry.duplicate_rows", "exact copies", "#{k: e_k bit-equal to an e_j, j < k}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint",),
        text=(
            "Of two equal codes only one is ever chosen. Usual cause: a start that sampled with replacement, or too few rows for "
            "k-means."
        ),
    ),
    MetricPage(
        "geometry.near_duplicate_rows", "codes too close to another", "valid rows − geometry.distinct",
        unit="codes", range="0…K", better="lower", needs=("checkpoint",),
        text=(
            "Codes nearer to another than a tenth of the typical nearest distance, chained into groups; all but one of a group "
            "are superfluous. Not measured where comparing all pairs would take minutes."
        ),
    ),
    MetricPage(
        "geometry.distinct", "distinct codes", "components of the graph ‖e_i − e_j‖ < 0.1 s",
        unit="codes", range="0…K", better="higher", needs=("checkpoint",),
        text="s: median nearest distance over codes without a copy. With cosine lookup, over directions.",
    ),
    MetricPage(
        "geometry.parallel_rows", "codes that point the same way as another", "#{k: max_j cos(e_k, e_j) > 0.999}",
        unit="codes", range="0…K", better="none", needs=("checkpoint",),
        text=(
            "The same code for a cosine lookup; for L2 different ones where their norms differ. In few effective dimensions (see "
            "geometry.effective_rank) it says nothing. Undefined in one dimension and for very large codebooks."
        ),
    ),
    MetricPage(
        "geometry.untouched_rows", "codes still at their start", "#{k: every entry of e_k inside the initial range}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint",),
        text=(
            "Rows that no training step has moved. Known for families that start from a bounded range (uniform ±1/K and the "
            "like) or from zeros; undefined where the start has no bound, or where trained codes are so small or so narrow that "
            "they fall inside by chance."
        ),
    ),
    MetricPage(
        "geometry.norm_min", "smallest norm", "min ‖e_k‖",
        unit="as the codes", range="0…", better="none", needs=("checkpoint",),
        text="Over finite rows.",
    ),
    MetricPage(
        "geometry.norm_median", "median norm", "median ‖e_k‖",
        unit="as the codes", range="0…", better="none", needs=("checkpoint",),
        text="Compare with the norm of the features: another scale means codes that cannot be reached.",
    ),
    MetricPage(
        "geometry.norm_max", "largest norm", "max ‖e_k‖",
        unit="as the codes", range="0…", better="none", needs=("checkpoint",),
        text="Far above the median: rows that an EMA update without hits has blown up.",
    ),
    MetricPage(
        "geometry.effective_rank", "effective rank", "exp(−Σ s_i ln s_i), s the singular values over their sum",
        unit="dimensions", range="1…D", better="higher", needs=("checkpoint",),
        text="In how many directions the codes extend, weak ones included; about the origin, not the mean (Roy & Vetterli 2007).",
    ),
    MetricPage(
        "geometry.participation_ratio", "participation ratio", "(Σλ)² / Σλ², λ of the centred covariance",
        unit="dimensions", range="1…min(D, K−1)", better="higher", needs=("checkpoint",),
        text=(
            "How many directions share the variance about the mean. Judge it against that of the features: data of few "
            "dimensions needs no more. Undefined where all codes coincide."
        ),
    ),
)  # fmt: skip
