"""Pages of collision.* and levels.*: semantic IDs, and levels together."""

from vqdoctor.metrics.page import MetricPage

IDS = (
    MetricPage(
        "collision.items", "items", "N",
        unit="items", range="0…", better="none", needs=("ids",),
        text="Items that have an ID.",
    ),
    MetricPage(
        "collision.unique", "distinct IDs", "U",
        unit="IDs", range="0…N", better="higher", needs=("ids",),
        text="Without the de-dup token, as all collision.* but after_suffix.",
        also_known_as=("Chinese trainer logs: 唯一SID数量",),
    ),
    MetricPage(
        "collision.excess", "items beyond one an ID", "N − U",
        unit="items", range="0…N−1", better="lower", needs=("ids",),
        text="Items that cannot be told from another one.",
        also_known_as=("Chinese trainer logs: 冲突物品数, which says conflict items",),
    ),
    MetricPage(
        "collision.rate", "collision rate", "(N − U) / N",
        unit="share", range="0…(N−1)/N", better="lower", needs=("ids",),
        text=(
            "The rate most papers mean. Compare with collision.floor_excess, which no quantiser can avoid, and with chance "
            "(collision.expected_excess)."
        ),
        also_known_as=(
            "LC-Rec, LETTER, MiniOneRec: collision_rate",
            "1 − GRID: frac_unique_ids, there within a batch",
            "1 − RQ-VAE-Recommender: p_unique_ids, within a batch",
        ),
    ),
    MetricPage(
        "collision.conflict_items", "items that share their ID", "Σ of groups of two or more",
        unit="items", range="0…N", better="lower", needs=("ids",),
        text="More than the excess and at most twice it.",
    ),
    MetricPage(
        "collision.conflict_rate", "share of items that share their ID", "collision.conflict_items / N",
        unit="share", range="0…1", better="lower", needs=("ids",),
        text="Higher than collision.rate for the same IDs: 0.80 against 0.60 for groups of 6, 2, 1, 1.",
        also_known_as=("SIDInspector: full_collision_rate",),
    ),
    MetricPage(
        "collision.max_group", "largest group", "max items of one ID",
        unit="items", range="1…N", better="lower", needs=("ids",),
        text="A de-dup token needs at least this many values.",
        also_known_as=("LC-Rec: Max number of conflicts", "RQ-VAE-Recommender: max_id_duplicates, the largest suffix over N"),
    ),
    MetricPage(
        "collision.pair_probability", "chance that two items collide", "Σ g(g−1) / (N(N−1))",
        unit="share", range="0…1", better="lower", needs=("ids",),
        text="Does not depend on the catalogue's size, so it compares catalogues. Undefined for one item.",
    ),
    MetricPage(
        "collision.after_suffix", "excess with the de-dup token", "N − distinct whole IDs",
        unit="items", range="0…N−1", better="lower", needs=("ids", "suffix"),
        text="0 by construction if the token was written properly. Uniqueness bought by a token separates nothing by meaning.",
    ),
    MetricPage(
        "collision.floor_excess", "excess forced by equal inputs", "N − distinct input rows",
        unit="items", range="0…N−1", better="none", needs=("ids", "inputs"),
        text="Items with identical features must collide, whatever the codebook. Remove duplicates from the catalogue first.",
    ),
    MetricPage(
        "collision.expected_excess", "excess of random IDs", "N − M(1 − (1 − 1/M)^N), M = ∏ K_l",
        unit="items", range="0…N−1", better="none", needs=("ids", "sizes"),
        text="What uniform random IDs would have: about N²/(2M). Real IDs follow the data and have more.",
    ),
    MetricPage(
        "collision.capacity", "IDs that exist", "M = ∏ K_l",
        unit="IDs", range="1…", better="none", needs=("ids", "sizes"),
        text="Below N, collisions are forced.",
    ),
    MetricPage(
        "levels.joint_entropy_bits", "entropy of whole IDs", "H(c_1 … c_L)",
        unit="bits", range="0…log2 N", better="higher", needs=("ids",),
        text="Never above log2 N, so with few items late levels have little left to say.",
        also_known_as=("RQ-VAE-Recommender: rqvae_entropy, in nats",),
    ),
    MetricPage(
        "levels.conditional_entropy_bits", "what each level adds", "H(c_l | c_1 … c_l−1), a list",
        unit="bits", range="0…log2 K_l", better="higher", needs=("ids",),
        text=(
            "Entropy of the prefix up to the level minus that of the one before. 2^ of it is the effective branching. Low values "
            "late are arithmetic once the prefixes are nearly unique."
        ),
    ),
    MetricPage(
        "levels.gain_db", "residual energy each level removes", "10 log10(R_l−1 / R_l), a list",
        unit="dB", range="any", better="higher", needs=("checkpoint", "features", "ids"),
        text=(
            "R_0: variance of the rows about their mean; R_l: energy left after level l. Near 0 the level is idle, below 0 it "
            "hurts. A white Gaussian gains 6.02 log2(K)/D dB a level."
        ),
        also_known_as=("GRID: first/last residuals_norm_ratio, of norms",),
    ),
    MetricPage(
        "levels.hourglass", "narrow middle", "min(h_1, h_L) − min h_l of the levels between, h normalised entropy",
        unit="", range="−1…1", better="lower", needs=("ids", "sizes"),
        text=(
            "Above 0 a middle level is more concentrated than both ends, as residual quantisers of long-tailed data are prone "
            "to. Bias-corrected entropies; undefined below three levels."
        ),
    ),
)  # fmt: skip
