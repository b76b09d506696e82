"""Pages of distortion.* and match.*: the codebook against features."""

from vqdoctor.metrics.page import MetricPage

FIT = (
    MetricPage(
        "distortion.mse", "quantisation error", "mean ‖x − Q(x)‖²",
        unit="as the features, squared", range="0…", better="lower", needs=("checkpoint", "features"),
        text=(
            "The squared error of a row, summed over its columns (divide by D for a column's). It hardly shows collapse in many "
            "dimensions: 256 codes shrunk to 2 cost 1.3 dB at D = 32."
        ),
        also_known_as=(
            "GRID: train/mse",
            "training logs: quantisation or commitment loss, often the mean over columns and times β",
        ),
    ),
    MetricPage(
        "distortion.snr_db", "signal to noise", "10 log10(Σ‖x − x̄‖² / Σ‖x − Q(x)‖²)",
        unit="dB", range="any", better="higher", needs=("checkpoint", "features"),
        text=(
            "About the mean of the features: with the raw energy it would look better. Undefined for constant features and for "
            "zero error."
        ),
    ),
    MetricPage(
        "distortion.kmeans_ratio", "error against k-means", "mse / mse of k-means with K codes",
        unit="", range="about 1…", better="lower", needs=("checkpoint", "features", "fit"),
        text=(
            "How much better the same number of codes could fit these features. From 1.25 (0.97 dB) a refit pays, from 2 the fit "
            "is poor. Needs 39 K rows to be fair."
        ),
    ),
    MetricPage(
        "match.mean_shift", "offset from the features", "‖μ_x − μ_e‖ / √tr Σ_x",
        unit="", range="0…", better="lower", needs=("checkpoint", "features"),
        text="Distance between the means of features and codes, in units of the features' spread.",
    ),
    MetricPage(
        "match.scale_ratio", "spread against the features", "√(tr Σ_e / tr Σ_x)",
        unit="", range="0…", better="none", needs=("checkpoint", "features"),
        text=(
            "Spread of the codes about their mean over that of the features. Somewhat below 1 is healthy; far from 1, the "
            "codebook was started at another scale than the encoder's."
        ),
    ),
    MetricPage(
        "match.orphans", "unseen codes far from all data", "#{unseen k: min ‖x − e_k‖ > 3 · median error}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint", "features"),
        text="No row comes near them: they have to be moved to where data is.",
    ),
    MetricPage(
        "match.shadowed", "unseen codes overtaken by others", "#{unseen k: min ‖x − e_k‖ ≤ 3 · median error}",
        unit="codes", range="0…K", better="lower", needs=("checkpoint", "features"),
        text="Data is near, but a nearer code (or an exact copy) always wins: split crowded codes rather than move these.",
    ),
    MetricPage(
        "match.agreement", "own codes that are nearest codes", "share of rows with own code = nearest code",
        unit="share", range="0…1", better="higher", needs=("checkpoint", "features", "capture"),
        text=(
            "Below about 0.99 the model does not assign by the metric used here (another metric, a projection, Sinkhorn), and "
            "all numbers from nearest codes are in doubt."
        ),
    ),
)  # fmt: skip
