"""Pages of usage.*: what a sample of rows shows of one codebook, and what it proves."""

from vqdoctor.metrics.page import MetricPage

USAGE = (
    MetricPage(
        "usage.n", "rows counted", "n = Σ c_k",
        unit="rows", range="0…", better="none", needs=("rows",),
        text="The rows that were given a code. All other usage.* rest on them; with 0 rows they are undefined.",
    ),
    MetricPage(
        "usage.used", "codes used", "S = #{k: c_k > 0}",
        unit="codes", range="0…min(n, K)", better="higher", needs=("rows",),
        text="Codes that at least one row chose. It only grows with more rows: read it beside usage.ceiling.",
        also_known_as=("MiniOneRec, SIDInspector: unique codes", "latent-diffusion: cluster_usage, of one batch"),
    ),
    MetricPage(
        "usage.utilization", "real utilisation", "S / K",
        unit="share", range="0…1", better="higher", needs=("rows",),
        text=(
            "The share of the codebook that the sample used, pooled over all rows: never the mean of batches, never from running "
            "counts."
        ),
        also_known_as=(
            "LlamaGen: codebook_usage, over the last 65,536 rows of a rank, code 0 counted before the window is full",
            "RQ-VAE-Recommender: codebook_usage_l, over the corpus",
            "IBQ, SimVQ: utilization, over the evaluation set",
            "1d-tokenizer: CodebookUsage, over the evaluation set",
        ),
    ),
    MetricPage(
        "usage.ceiling", "what uniform use would show", "1 − (1 − 1/K)^n",
        unit="share", range="0…1", better="none", needs=("rows",),
        text=(
            "The utilisation that a perfectly uniform source would show on average with this many rows: n = K shows 63 %, n = 4K "
            "98 %. A utilisation near it is as good as this sample can show."
        ),
    ),
    MetricPage(
        "usage.adjusted", "utilisation against its ceiling", "usage.utilization / usage.ceiling",
        unit="", range="0…about 1", better="higher", needs=("rows",),
        text="Utilisation made comparable between small samples. Slightly above 1 is chance.",
    ),
    MetricPage(
        "usage.batch_used", "codes used in a batch", "mean over batches of S_batch",
        unit="codes", range="0…min(batch, K)", better="higher", needs=("rows",),
        text="What a training log of codes per batch would show. A last partial batch is left out unless it is the only one.",
        also_known_as=("latent-diffusion: cluster_usage", "Jukebox: used_curr"),
    ),
    MetricPage(
        "usage.batch_utilization", "utilisation of a batch", "usage.batch_used / K",
        unit="share", range="0…min(batch/K, 1)", better="higher", needs=("rows",),
        text=(
            "Cannot exceed batch/K, however healthy the codebook: four batches that each use one different code have 25 % of K = "
            "4 here and 100 % pooled."
        ),
        also_known_as=("GRID: layer_coverages", "lucidrains examples: active %"),
    ),
    MetricPage(
        "usage.batch_entropy_bits", "entropy of a batch", "mean over batches of H_batch",
        unit="bits", range="0…log2 min(batch, K)", better="higher", needs=("rows",),
        text=(
            "Always at most the pooled entropy; the difference is how much batches differ from one another (Jensen–Shannon "
            "divergence)."
        ),
        also_known_as=("GRID: id_entropy, in nats",),
    ),
    MetricPage(
        "usage.batch_entropy_normalized", "normalised entropy of a batch", "usage.batch_entropy_bits / log2 K",
        unit="share", range="0…1", better="higher", needs=("rows",),
        text="Undefined for K = 1.",
    ),
    MetricPage(
        "usage.batch_perplexity", "perplexity of a batch", "mean over batches of 2^H_batch",
        unit="codes", range="1…min(batch, K)", better="higher", needs=("rows",),
        text="What most training loops log as perplexity. Its bound is the batch, so compare only equal batches.",
        also_known_as=(
            "taming, sonnet, zalando, CVQ-VAE: perplexity (1e-10 inside the logarithm)",
            "T2M-GPT: PPL (1e-7)",
            "AudioDec: ppl_i",
            "fairseq: code_perplexity, summed over groups",
        ),
    ),
    MetricPage(
        "usage.entropy_bits", "entropy of use", "H = −Σ p_k log2 p_k",
        unit="bits", range="0…log2 min(n, K)", better="higher", needs=("rows",),
        text=(
            "Plug-in entropy of the pooled counts, nothing added inside the logarithm. Too low by about (S−1)/(2n ln 2) bits on "
            "average."
        ),
        also_known_as=(
            "DAC: entropy",
            "SIDInspector: entropy",
            "1d-tokenizer: CodebookEntropy",
            "kakaobrain, SimVQ, GRID: the same in nats",
        ),
    ),
    MetricPage(
        "usage.entropy_normalized", "normalised entropy", "H / log2 K",
        unit="share", range="0…1", better="higher", needs=("rows",),
        text="1 is uniform use of all K codes. K is the codebook's size, never the largest index seen. Undefined for K = 1.",
        also_known_as=("Moshi: rvq_entropy, from running counts",),
    ),
    MetricPage(
        "usage.perplexity", "perplexity", "2^H",
        unit="codes", range="1…min(n, K)", better="higher", needs=("rows",),
        text="How many equally used codes would have this entropy. The same number in any base, as long as base and power agree.",
        also_known_as=("most trackers: perplexity, of one batch", "an unrelated word: the perplexity of a language model"),
    ),
    MetricPage(
        "usage.entropy_bits_corrected", "entropy, bias corrected", "Grassberger 2003: log2 n − Σ c_k G(c_k) / (n ln 2)",
        unit="bits", range="0…log2 K", better="higher", needs=("rows",),
        text="What the entropy of the source probably is, the plug-in value being too low in small samples. Clipped to log2 K.",
    ),
    MetricPage(
        "usage.perplexity_low", "perplexity, lower end", "2^(corrected − 1.96 se)",
        unit="codes", range="1…K", better="higher", needs=("rows",),
        text="Lower end of the 95 % interval about the corrected entropy (delta method).",
    ),
    MetricPage(
        "usage.perplexity_high", "perplexity, upper end", "2^(corrected + 1.96 se)",
        unit="codes", range="1…K", better="higher", needs=("rows",),
        text="Upper end of the same interval: what rules compare, so that a small sample is not called skewed.",
    ),
    MetricPage(
        "usage.hill2", "codes that carry the mass", "1 / Σ p_k²",
        unit="codes", range="1…S", better="higher", needs=("rows",),
        text=(
            "Hill number of order 2 (inverse Simpson). Least sensitive to the sample's size; far below the perplexity: a few "
            "codes dominate."
        ),
    ),
    MetricPage(
        "usage.gini", "Gini of use", "Σ (2i − K − 1) c_(i) / (K n)",
        unit="", range="0…(K−1)/K", better="lower", needs=("rows",),
        text=(
            "0 is equal use, (K−1)/K is one code for all. Over all K codes: over the used ones only, dead codes would be "
            "invisible."
        ),
        also_known_as=("SIDInspector: gini, over used codes only",),
    ),
    MetricPage(
        "usage.gini_excess", "Gini beyond chance", "usage.gini − e^−2λ (I0(2λ) + I1(2λ)), λ = n/K",
        unit="", range="about 0…1", better="lower", needs=("rows",),
        text=(
            "Even a perfectly uniform source has a Gini in a finite sample: 0.52 at one row a code, 0.06 at a hundred. This is "
            "what is left."
        ),
    ),
    MetricPage(
        "usage.max_share", "share of the fullest code", "max p_k",
        unit="share", range="1/K…1", better="lower", needs=("rows",),
        text="Above a half, one code stands for most of the data.",
    ),
    MetricPage(
        "usage.coverage", "probability mass seen", "Chao & Jost 2012, from codes hit once and twice",
        unit="share", range="0…1", better="higher", needs=("rows",),
        text="Estimated chance that the next row falls on a code already seen. 1 in a population; undefined below two rows.",
    ),
    MetricPage(
        "usage.reachable", "codes that can be reached", "Chao1: S + f1(f1−1) / (2(f2+1)), at most K",
        unit="codes", range="S…K", better="higher", needs=("rows",),
        text=(
            "A lower bound on the codes with any probability: at least this many are reachable. f1, f2: codes hit exactly once, "
            "twice. S itself in a population."
        ),
    ),
    MetricPage(
        "usage.reachable_low", "reachable codes, lower end", "log-normal interval of Chao1",
        unit="codes", range="S…K", better="higher", needs=("rows",),
        text="Lower end of the 95 % interval of that lower bound.",
    ),
    MetricPage(
        "usage.reachable_high", "reachable codes, upper end", "log-normal interval of Chao1",
        unit="codes", range="S…K", better="higher", needs=("rows",),
        text="Upper end of it. With a heavy tail of rare codes more may be reachable: it bounds the bound, not the number.",
    ),
    MetricPage(
        "usage.unseen", "codes not seen", "K − S",
        unit="codes", range="0…K", better="lower", needs=("rows",),
        text=(
            "Codes without a hit. Not dead codes: in n rows a code may be unseen by chance; usage.samples_needed says how many "
            "rows settle it."
        ),
        also_known_as=("BEiT v2: Unused_code, of an epoch",),
    ),
    MetricPage(
        "usage.dead", "codes proved dead", "#{k: upper bound of p_k ≤ 1 % of 1/K}",
        unit="codes", range="0…K", better="lower", needs=("rows",),
        text=(
            "Used at less than a hundredth of the uniform rate at 95 % confidence (Clopper–Pearson); in a population, unused. "
            "The five verdicts dead, rare_or_dead, rare, undecided and live add up to K."
        ),
    ),
    MetricPage(
        "usage.rare_or_dead", "codes rare or dead", "#{k: c_k = 0, upper bound of p_k ≤ 10 % of 1/K}",
        unit="codes", range="0…K", better="lower", needs=("rows",),
        text="Unseen in enough rows to be below a tenth of the uniform rate, not in enough to be called dead.",
        also_known_as=("Moshi: rvq_expired, the share below a tenth, from running counts",),
    ),
    MetricPage(
        "usage.rare", "rare codes", "#{k: c_k > 0, upper bound of p_k ≤ 10 % of 1/K}",
        unit="codes", range="0…K", better="none", needs=("rows",),
        text="Seen, but below a tenth of the uniform rate. Rare codes are normal in a skewed world.",
    ),
    MetricPage(
        "usage.undecided", "codes undecided", "#{k: c_k = 0, upper bound of p_k > 10 % of 1/K}",
        unit="codes", range="0…K", better="none", needs=("rows",),
        text="Unseen, and the sample is too small to say anything about them.",
    ),
    MetricPage(
        "usage.live", "live codes", "#{k: c_k > 0, upper bound of p_k > 10 % of 1/K}",
        unit="codes", range="0…K", better="higher", needs=("rows",),
        text="Seen, and not shown to be rare.",
    ),
    MetricPage(
        "usage.samples_needed", "rows missing for a verdict", "max(0, ⌈ln 0.05 / ln(1 − 0.01/K)⌉ − n)",
        unit="rows", range="0…", better="lower", needs=("rows",),
        text=(
            "More rows in which an unseen code must stay unseen to be called dead: about 300 K in all. 0 in a population and "
            "where no code is unseen."
        ),
    ),
    MetricPage(
        "usage.soft_perplexity", "perplexity of soft assignments", "2^H of mean softmax(−d²/T)",
        unit="codes", range="1…K", better="higher", needs=("features", "temperature"),
        text=(
            "How many codes share the rows if each row is split among them at temperature T: high beside a low usage.perplexity, "
            "the codes are near the data but lose every contest."
        ),
        also_known_as=("fairseq: prob_perplexity", "LFQ, LlamaGen: what their entropy loss raises"),
    ),
)  # fmt: skip
