"""Cases to judge: a healthy quantiser to start from, and for each rule one case that fires it beside one that just does not."""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.diagnosis import Case
from vqdoctor.model import Codebook, EmaFacts, Initialisation, LevelReport, Quantizer, QuantizerReport, Sample, Slice

K, D = 256, 32

LEVEL = {
    "usage.n": 100_000, "usage.used": 256, "usage.utilization": 1.0, "usage.ceiling": 1.0, "usage.adjusted": 1.0,
    "usage.batch_used": 250.0,
    "usage.entropy_bits": 7.6, "usage.entropy_normalized": 0.95, "usage.perplexity": 194.0, "usage.perplexity_low": 193.0,
    "usage.perplexity_high": 195.0, "usage.gini": 0.3, "usage.gini_excess": 0.25, "usage.max_share": 0.02, "usage.coverage": 1.0,
    "usage.reachable": 256, "usage.reachable_high": 256, "usage.unseen": 0, "usage.dead": 0, "usage.rare_or_dead": 0,
    "usage.rare": 0,
    "usage.undecided": 0, "usage.live": 256, "usage.samples_needed": 0,
    "ema.total": 4096.0, "ema.threshold": 2.0, "ema.active": 256, "ema.utilization": 1.0, "ema.inconsistent_rows": 0,
    "ema.illusion_gap": 0.0, "ema.illusion_gap_conservative": 0.0,
    "geometry.nonfinite_rows": 0, "geometry.zero_rows": 0, "geometry.duplicate_rows": 0, "geometry.near_duplicate_rows": 0,
    "geometry.distinct": 256, "geometry.untouched_rows": 0, "geometry.norm_min": 1.0, "geometry.norm_median": 2.0,
    "geometry.norm_max": 3.0,
    "geometry.effective_rank": 28.0, "geometry.participation_ratio": 15.0,
    "distortion.mse": 0.4, "distortion.snr_db": 14.0, "distortion.kmeans_ratio": 1.05,
    "match.mean_shift": 0.1, "match.scale_ratio": 0.97, "match.orphans": 0, "match.shadowed": 0, "match.agreement": None,
}  # fmt: skip
FACTS = {
    "flag": 1.0,
    "all_zero": False,
    "ema.dtype": "float32",
    "ema.shrunken": 0,
    "features.participation_ratio": 16.0,
    "features.dim": D,
}
TOGETHER = {
    "collision.items": 4000, "collision.unique": 3990, "collision.excess": 10, "collision.rate": 0.0025, "collision.max_group": 2,
    "collision.floor_excess": 0, "collision.expected_excess": 0.5, "collision.capacity": K**3, "levels.hourglass": 0.02,
    "levels.gain_db": [6.0, 3.0, 2.0], "levels.conditional_entropy_bits": [7.6, 4.0, 0.3],
}  # fmt: skip
EMA = EmaFacts(relation="laplace", decay=0.99, start_mass=1.0, threshold=2.0, revival="resets", basis="stated")


def quantizer(levels=1, ema=EMA, start="uniform", **changes):
    books = tuple(
        Codebook(
            index,
            f"q.{index}.embed",
            Slice(f"q.{index}.embed"),
            K,
            D,
            "float32",
            initialisation=Initialisation(start, 1 / K, "±1/K"),
        )
        for index in range(levels)
    )
    found = Quantizer(
        "q", "lucidrains", "keys like q.0.embed", "residual" if levels > 1 else "single", "l2", "stated", books, ema=ema
    )
    return replace(found, **changes)


def case(level=None, facts=None, together=None, levels=1, by_level=None, metric="l2", basis="stated", population=False, **changes):
    """A healthy case with these changes. `level`, `facts`: of each level, facts None removes; `by_level`: {index: metrics}."""
    report = QuantizerReport(
        "q", "lucidrains", "", "residual" if levels > 1 else "single", metric, basis,
        tuple(_level(index, (level or {}) | (by_level or {}).get(index, {}), facts or {}) for index in range(levels)),
        (TOGETHER if levels > 1 else {}) | (together or {}),
    )  # fmt: skip
    sample = Sample("f.npy", "features", 100_000, 0, population, 1024, D)
    known = {"quantizer": quantizer(levels), "report": report, "sample": sample, "path": "ckpt.pt", "features": "f.npy"}
    return Case(**{**known, **changes})


def _level(index, metrics, facts):
    known = {name: value for name, value in (FACTS | facts).items() if name == "flag" or value is not None}
    return LevelReport(index, f"q.{index}.embed", K, D, facts.get("dtype", "float32"), LEVEL | metrics, facts=known)


def ids(**together):
    """A semantic-ID file: no quantiser, every item there is."""
    return case(together=together, levels=3, population=True, quantizer=None, path="run.index.json", features=None)


TWO_CODES = {
    "usage.n": 1024, "usage.used": 2, "usage.utilization": 2 / K, "usage.ceiling": 0.9818, "usage.adjusted": 2 / 251.35,
    "usage.perplexity": 1.99, "usage.perplexity_low": 1.98, "usage.perplexity_high": 2.0, "usage.max_share": 0.51,
    "usage.gini_excess": 0.71,
    "usage.unseen": 254, "usage.undecided": 254, "usage.live": 2, "usage.samples_needed": 75_666, "usage.reachable_high": 2,
}  # fmt: skip
ONE_SMALL_BATCH = {
    "usage.n": 300, "usage.used": 176, "usage.utilization": 0.6875, "usage.ceiling": 0.69, "usage.adjusted": 0.996,
    "usage.perplexity": 150.0,
    "usage.perplexity_high": 240.0, "usage.gini_excess": 0.01, "usage.unseen": 80, "usage.undecided": 256, "usage.live": 0,
    "usage.samples_needed": 76_390, "ema.illusion_gap": 0.31, "ema.illusion_gap_conservative": 0.12,
}  # fmt: skip
UNDONE = replace(EMA, revival="undone", basis="family")

CASES = {
    "VQ101": (case(TWO_CODES), case({"usage.used": 150, "usage.adjusted": 0.6, "usage.perplexity_high": 60.0})),
    "VQ102": (case({"usage.dead": 20, "usage.unseen": 20}), case({"usage.dead": 12, "usage.rare_or_dead": 12, "usage.unseen": 24})),
    "VQ103": (
        case({"ema.illusion_gap": 0.4, "ema.illusion_gap_conservative": 0.3, "usage.used": 154, "usage.n": 3 * K}),
        case({"ema.illusion_gap": 0.4, "ema.illusion_gap_conservative": 0.3, "usage.used": 154, "usage.n": 3 * K - 1}),
    ),
    "VQ104": (
        case({"usage.perplexity": 50.0, "usage.perplexity_high": 52.0, "usage.max_share": 0.3}),
        case({"usage.perplexity": 70.0, "usage.perplexity_high": 71.0, "usage.max_share": 0.09, "usage.gini_excess": 0.49}),
    ),
    "VQ105": (case(ONE_SMALL_BATCH), case(ONE_SMALL_BATCH, population=True)),
    "VQ201": (case({"geometry.nonfinite_rows": 1}, {"rows": {"nonfinite": [17]}}), case({"geometry.nonfinite_rows": None})),
    "VQ202": (
        case({"geometry.near_duplicate_rows": 13, "geometry.distinct": 243}),
        case({"geometry.near_duplicate_rows": 12, "geometry.zero_rows": 3, "geometry.duplicate_rows": 2}),
    ),
    "VQ203": (case({"geometry.zero_rows": 1}), case({"geometry.zero_rows": K}, {"all_zero": True})),
    "VQ204": (
        case({"geometry.untouched_rows": 200}, {"init": "±1/K"}),
        case({"geometry.untouched_rows": 200}, quantizer=quantizer(start="frozen")),
    ),
    "VQ205": (case({"geometry.participation_ratio": 3.9}), case({"geometry.participation_ratio": 4.1})),
    "VQ206": (case({"match.scale_ratio": 0.004}), case({"match.scale_ratio": 0.004}, metric="cosine")),
    "VQ207": (case({"match.orphans": 20, "match.shadowed": 3}), case({"match.orphans": 12})),
    "VQ208": (case({"distortion.kmeans_ratio": 1.25}), case({"distortion.kmeans_ratio": 2.5, "usage.n": 39 * K - 1})),
    "VQ209": (
        case({"match.agreement": 0.998}, {"match.agreement_rows": 4000}),
        case({"match.agreement": 0.99}, {"match.agreement_rows": 400}),
    ),
    "VQ301": (
        case({"ema.inconsistent_rows": 5}, {"rows": {"inconsistent": [1, 2, 3, 4, 9]}}),
        case({"ema.inconsistent_rows": 5}, {"ema.inconsistent_dead": 5}, quantizer=quantizer(ema=replace(EMA, revival="late"))),
    ),
    "VQ302": (case({"ema.total": 1.9 * K}), case({"ema.total": 2.6 * K})),
    "VQ303": (case(facts={"flag": 0.0}, quantizer=quantizer(kmeans_start=True)), case(quantizer=quantizer(kmeans_start=True))),
    "VQ304": (case(facts={"ema.dtype": "bfloat16"}), case(facts={"ema.dtype": "float64"})),
    "VQ305": (case(facts={"ema.shrunken": 200}), case(facts={"ema.shrunken": 12})),
    "VQ306": (
        case({"ema.active": 200}, quantizer=quantizer(ema=UNDONE)),
        case({"ema.active": 200}, quantizer=quantizer(ema=EMA)),
    ),
    "VQ401": (ids(**{"collision.rate": 0.135, "collision.excess": 540}), ids(**{"collision.rate": 0.135,
    "collision.floor_excess": 480})),
    "VQ402": (ids(**{"collision.floor_excess": 250}), ids(**{"collision.floor_excess": None})),
    "VQ403": (ids(**{"collision.capacity": 4096, "collision.expected_excess": 1446.0}), ids(**{"collision.capacity": 40_001})),
    "VQ404": (
        case(together={"levels.hourglass": 0.12}, levels=3, by_level={1: {"usage.gini": 0.5, "usage.entropy_normalized": 0.8}}),
        case(together={"levels.hourglass": 0.12}, levels=3, by_level={1: {"usage.gini": 0.35}}),
    ),
    "VQ405": (
        case(together={"levels.gain_db": [6.0, 0.05, 2.0]}, levels=3),
        case(together={"levels.gain_db": [6.0, 0.15, None], "levels.conditional_entropy_bits": [8.0, 8.0, 0.0]}, levels=3),
    ),
}  # fmt: skip
