"""Synthetic checkpoints of vector-quantize-pytorch, all generations, and of what bundles a copy of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from synthetic import Expected, Level, Specimen, convolutions, counts_of, draw, normal, smoothed, unit

TRUE, FALSE = np.array(True), np.array(False)
OLD_TRUE, OLD_FALSE = np.ones(1, np.float32), np.zeros(1, np.float32)


def averaged(
    rng, stem: str, *shape: int, cosine: bool = False, flag: np.ndarray = TRUE
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Tensors of an EMA book under `stem` in the library's order, its codes and its counts."""
    codes = normal(rng, *shape)
    codes = unit(codes) if cosine else codes
    counts = counts_of(rng, *shape[:-1])
    sums = codes * smoothed(counts)[..., None]
    return {f"{stem}initted": flag, f"{stem}cluster_size": counts, f"{stem}embed_avg": sums, f"{stem}embed": codes}, codes, counts


def linear(rng, path: str, out: int, into: int, bias: bool = True) -> dict[str, np.ndarray]:
    found = {f"{path}.weight": normal(rng, out, into)}
    return found | ({f"{path}.bias": normal(rng, out)} if bias else {})


def single() -> Specimen:
    rng = draw(1)
    book, codes, counts = averaged(rng, "vq._codebook.", 1, 12, 5)
    return Specimen(
        "single", ("lr_vq_ema",),
        convolutions(rng) | linear(rng, "vq.project_in", 5, 9) | linear(rng, "vq.project_out", 9, 5) | book,
        (Expected(
            "vq", "lucidrains", "single", "l2", (Level(codes[0], counts[0], flag=1.0),), "inferred", width=9,
            facts={"ema.relation": "laplace", "ema.counts": "ema", "ema.start_mass": 1.0, "kmeans_start": True},
        ),),
    )  # fmt: skip


def at_the_root() -> Specimen:
    """A bare state dict of VectorQuantize before 1.26: the flag is a float of one entry."""
    book, codes, counts = averaged(draw(2), "_codebook.", 1, 12, 5, flag=OLD_TRUE)
    expected = Expected("_codebook", "lucidrains", "single", "l2", (Level(codes[0], counts[0], flag=1.0),), "inferred", width=5)
    return Specimen("root", ("lr_vq_ema",), book, (expected,))


def awaiting_kmeans() -> Specimen:
    book = {
        "_codebook.initted": FALSE, "_codebook.cluster_size": np.ones((1, 8), np.float32),
        "_codebook.embed_avg": np.zeros((1, 8, 3), np.float32), "_codebook.embed": np.zeros((1, 8, 3), np.float32),
    }  # fmt: skip
    level = Level(np.zeros((8, 3), np.float32), np.ones(8), flag=0.0)
    expected = Expected("_codebook", "lucidrains", "single", "l2", (level,), "assumed", facts={"ema.counts": "stale"})
    return Specimen("awaiting-kmeans", (), book, (expected,))


def cosine() -> Specimen:
    book, codes, counts = averaged(draw(3), "vq._codebook.", 1, 12, 5, cosine=True)
    facts = {"ema.relation": "cosine", "emits": "codes"}
    expected = Expected("vq", "lucidrains", "single", "cosine", (Level(codes[0], counts[0], flag=1.0),), "inferred", facts=facts)
    return Specimen("cosine", ("lr_vq_cos",), book, (expected,))


def cosine_without_sums() -> Specimen:
    """Before 1.5.0 the cosine book kept no sums."""
    book, codes, counts = averaged(draw(4), "vq._codebook.", 1, 12, 5, cosine=True, flag=OLD_TRUE)
    del book["vq._codebook.embed_avg"]
    level = Level(codes[0], counts[0], flag=1.0)
    expected = Expected("vq", "lucidrains", "single", "cosine", (level,), "inferred", facts={"ema.relation": "none"})
    return Specimen("cosine-1.4", ("lr_vq_cos",), book, (expected,))


def learned() -> Specimen:
    """Trained by gradient without replacement: the Parameter comes first, counts are all one, sums are the initial book."""
    rng = draw(5)
    codes, ones = normal(rng, 1, 12, 5), np.ones((1, 12), np.float32)
    book = {
        "vq._codebook.embed": codes, "vq._codebook.initted": TRUE, "vq._codebook.cluster_size": ones,
        "vq._codebook.embed_avg": normal(rng, 1, 12, 5),
    }  # fmt: skip
    facts = {"ema.relation": "none", "ema.counts": "stale"}
    expected = Expected("vq", "lucidrains", "single", "l2", (Level(codes[0], ones[0], flag=1.0),), "inferred", facts=facts)
    return Specimen("learned", ("lr_vq_learnable",), book, (expected,))


def learned_with_replacement(kind: str) -> Specimen:
    """Counts live, codes do not follow from the sums; a safetensors file is sorted, so there only values tell."""
    rng = draw(6)
    codes, counts = normal(rng, 1, 12, 5), counts_of(rng, 1, 12)
    book = {
        "vq._codebook.embed": codes, "vq._codebook.initted": TRUE, "vq._codebook.cluster_size": counts,
        "vq._codebook.embed_avg": normal(rng, 1, 12, 5),
    }  # fmt: skip
    book = dict(sorted(book.items())) if kind == "safetensors" else book
    facts = {"ema.relation": "none", "ema.counts": "ema"}
    expected = Expected("vq", "lucidrains", "single", "l2", (Level(codes[0], counts[0], flag=1.0),), "inferred", facts=facts)
    return Specimen(f"learned-replaced-{kind}", ("lr_vq_learnable",), book, (expected,), kind=kind)


def averaged_in_safetensors() -> Specimen:
    book, codes, counts = averaged(draw(7), "vq._codebook.", 1, 12, 5)
    facts = {"ema.relation": "laplace"}
    expected = Expected("vq", "lucidrains", "single", "l2", (Level(codes[0], counts[0], flag=1.0),), "inferred", facts=facts)
    return Specimen("averaged-sorted", ("lr_vq_ema",), dict(sorted(book.items())), (expected,), kind="safetensors")


def bridged(linearly: bool) -> Specimen:
    """vq_bridge: a linear one makes codes that follow from the file, any other network does not."""
    rng = draw(8)
    stored, ones = normal(rng, 1, 12, 5), np.ones((1, 12), np.float32)
    book = {
        "vq._codebook.embed": stored,
        "vq._codebook.initted": TRUE,
        "vq._codebook.cluster_size": ones,
        "vq._codebook.embed_avg": stored.copy(),
    }
    path = "vq._codebook.vq_bridge" + ("" if linearly else ".0")
    bridge = linear(rng, path, 5, 5)
    codes = stored[0] @ bridge[f"{path}.weight"].T + bridge[f"{path}.bias"] if linearly else stored[0]
    level = Level(codes, ones[0], data_dependent=not linearly, flag=1.0)
    expected = Expected("vq", "lucidrains", "single", "l2", (level,), "inferred", searchable=linearly)
    return Specimen(f"bridged-{'linear' if linearly else 'network'}", ("lr_vq_learnable",), book | bridge, (expected,))


def heads() -> Specimen:
    rng = draw(9)
    book, codes, counts = averaged(rng, "vq._codebook.", 3, 8, 4)
    levels = tuple(Level(codes[h], counts[h], flag=1.0) for h in range(3))
    return Specimen("heads", ("lr_vq_heads",), book, (Expected("vq", "lucidrains", "product", "l2", levels, "inferred", width=12),))


def shared_heads() -> Specimen:
    """One book for three heads: only the width of the projection tells."""
    rng = draw(10)
    book, codes, counts = averaged(rng, "vq._codebook.", 1, 8, 4)
    levels = tuple(Level(codes[0], counts[0], None if h == 0 else 0, flag=1.0) for h in range(3))
    expected = Expected("vq", "lucidrains", "product", "l2", levels, "inferred", width=9)
    return Specimen("heads-shared", ("lr_vq_heads",), linear(rng, "vq.project_in", 12, 9) | book, (expected,))


def normed_heads() -> Specimen:
    """layernorm_after_project_in: rows are taken after the norm, which is no linear map."""
    rng = draw(11)
    book, codes, counts = averaged(rng, "vq._codebook.", 1, 8, 4)
    norm = {"vq.project_in.1.weight": np.ones(8, np.float32), "vq.project_in.1.bias": np.zeros(8, np.float32)}
    levels = tuple(Level(codes[0], counts[0], None if h == 0 else 0, flag=1.0) for h in range(2))
    expected = Expected("vq", "lucidrains", "product", "l2", levels, "inferred", width=8, facts={"project_in": None})
    return Specimen("heads-normed", ("lr_vq_heads",), linear(rng, "vq.project_in.0", 8, 9) | norm | book, (expected,))


def affine(set_up: bool) -> Specimen:
    """affine_param: codes are the stored rows moved to the statistics of the batch; garbage until the first step."""
    rng = draw(12)
    book, stored, counts = averaged(rng, "vq._codebook.", 2, 8, 4)
    mean, spread, own_mean, own_spread = (normal(rng, 2, 1, 4), rng.uniform(1, 2, (2, 1, 4)).astype(np.float32),
                                          normal(rng, 2, 1, 4), rng.uniform(1, 2, (2, 1, 4)).astype(np.float32))  # fmt: skip
    statistics = {
        "vq._codebook.codebook_mean_needs_init": np.array(not set_up), "vq._codebook.codebook_mean": own_mean,
        "vq._codebook.codebook_variance_needs_init": np.array(not set_up), "vq._codebook.codebook_variance": own_spread,
    } | ({"vq._codebook.batch_mean": mean, "vq._codebook.batch_variance": spread} if set_up else {})  # fmt: skip
    codes = (stored - own_mean) * np.sqrt(spread / own_spread) + mean if set_up else stored
    levels = tuple(Level(codes[h], counts[h], flag=1.0) for h in range(2))
    expected = Expected("vq", "lucidrains", "product", "l2", levels, "inferred", facts={"ema.relation": "laplace"})
    return Specimen(f"affine-{'set' if set_up else 'waiting'}", ("lr_vq_affine",), book | statistics, (expected,))


def residual_levels(rng, prefix: str, sizes: tuple[int, ...], dim: int, **more) -> tuple[dict[str, np.ndarray], tuple[Level, ...]]:
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for i, size in enumerate(sizes):
        book, codes, counts = averaged(rng, f"{prefix}layers.{i}._codebook.", 1, size, dim, **more)
        tensors |= book
        levels.append(Level(codes[0], counts[0], flag=1.0))
    return tensors, tuple(levels)


def residual() -> Specimen:
    """Levels of unequal K, eleven of them so that 10 sorts after 9, behind one projection."""
    rng = draw(13)
    books, levels = residual_levels(rng, "rvq.", (8, *[6] * 9, 4), 4)
    tensors = (
        convolutions(rng) | linear(rng, "rvq.project_in", 4, 7) | dict(sorted(books.items())) | linear(rng, "rvq.project_out", 7, 4)
    )
    expected = Expected("rvq", "lucidrains-residual", "residual", "l2", levels, "inferred", width=7)
    return Specimen("residual", ("lr_rvq",), tensors, (expected,))


def residual_at_the_root() -> Specimen:
    books, levels = residual_levels(draw(14), "", (8, 8), 4, cosine=True)
    expected = Expected("layers", "lucidrains-residual", "residual", "cosine", levels, "inferred", facts={"ema.relation": "cosine"})
    return Specimen("residual-root", ("lr_rvq",), books, (expected,))


def residual_grouped() -> Specimen:
    """GroupedResidualVQ: each group sees its own columns."""
    rng = draw(15)
    first, levels_0 = residual_levels(rng, "q.rvqs.0.", (8, 8), 4)
    second, levels_1 = residual_levels(rng, "q.rvqs.1.", (8, 8), 4)
    expected = tuple(
        Expected(f"q.rvqs.{g}", "lucidrains-residual", "residual", "l2", levels, "inferred", width=8, columns=(4 * g, 4 * g + 4))
        for g, levels in enumerate((levels_0, levels_1))
    )
    return Specimen("residual-grouped", ("lr_rvq",), first | second, expected)


def residual_shared() -> Specimen:
    """shared_codebook: every level is the same storage."""
    books, levels = residual_levels(draw(16), "rvq.", (8,), 4)
    for i in (1, 2):
        books |= {key.replace("layers.0", f"layers.{i}"): value for key, value in list(books.items())[:4]}
    levels += tuple(Level(levels[0].codes, levels[0].counts, 0, flag=1.0) for _ in (1, 2))
    expected = Expected(
        "rvq", "lucidrains-residual", "residual", "l2", levels, "inferred", facts={"notes": ("its 3 levels share one codebook",)}
    )
    return Specimen("residual-shared", ("lr_rvq_shared",), books, (expected,))


def residual_implicit() -> Specimen:
    """QINCo: from level 1 on, codes come out of an MLP."""
    rng = draw(17)
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for i in range(3):
        codes, ones = normal(rng, 1, 8, 4), np.ones((1, 8), np.float32)
        stem = f"rvq.layers.{i}._codebook."
        tensors |= {f"{stem}embed": codes, f"{stem}initted": TRUE, f"{stem}cluster_size": ones, f"{stem}embed_avg": codes.copy()}
        levels.append(Level(codes[0], ones[0], data_dependent=i > 0, flag=1.0))
    for i in range(2):
        tensors |= linear(rng, f"rvq.mlps.{i}.proj_in", 4, 8) | linear(rng, f"rvq.mlps.{i}.layers.0.0", 4, 4)
    expected = Expected("rvq", "lucidrains-residual", "residual", "l2", tuple(levels), "inferred", searchable=False)
    return Specimen("residual-qinco", ("lr_rvq_implicit",), tensors, (expected,))


def hierarchical(shared: bool) -> Specimen:
    rng = draw(18)
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for stem in ("h.vq.",) if shared else ("h.vqs.0.", "h.vqs.1."):
        book, codes, counts = averaged(rng, f"{stem}_codebook.", 1, 8, 4)
        tensors |= book
        levels.append(Level(codes[0], counts[0], flag=1.0))
    phi = "h.phi_shared.conv" if shared else "h.phi_levels.0.conv"
    tensors |= {f"{phi}.weight": normal(rng, 4, 4, 3), f"{phi}.bias": normal(rng, 4)}
    expected = Expected("h", "lucidrains-hierarchical", "multiscale", "l2", tuple(levels), "inferred", searchable=False)
    return Specimen(f"hierarchical-{'shared' if shared else 'own'}", ("lr_hier",), tensors, (expected,))


def random_projection() -> Specimen:
    rng = draw(19)
    codes, ones = unit(normal(rng, 2, 8, 6)), np.ones((2, 8), np.float32)
    tensors = {"bestrq.rand_projs": normal(rng, 2, 9, 3)} | linear(rng, "bestrq.vq.project_in", 12, 6) | {
        "bestrq.vq._codebook.initted": TRUE, "bestrq.vq._codebook.cluster_size": ones,
        "bestrq.vq._codebook.embed_avg": codes.copy(), "bestrq.vq._codebook.embed": codes,
    }  # fmt: skip
    levels = tuple(Level(codes[h], ones[h], flag=1.0) for h in range(2))
    facts = {"ema.counts": "stale", "kmeans_start": False}
    expected = Expected("bestrq.vq", "lucidrains-random-projection", "product", "cosine", levels, "inferred", width=6, facts=facts)
    return Specimen("random-projection", ("lr_randproj",), tensors, (expected,))


def two_axes(residual: bool) -> Specimen:
    """0.3.2 to 0.8: K x D, square here, which the key decides."""
    rng = draw(20)
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for i in range(2 if residual else 1):
        stem = f"vq.layers.{i}._codebook." if residual else "vq._codebook."
        book, codes, counts = averaged(rng, stem, 6, 6, flag=OLD_TRUE)
        tensors |= book
        levels.append(Level(codes, counts, flag=1.0))
    layout, structure = ("lucidrains-0.8-residual", "residual") if residual else ("lucidrains-0.8", "single")
    facts = {"ema.revival": "late", "ema.centroid_start": True, "ema.start_mass": 0.0}
    expected = Expected("vq", layout, structure, "l2", tuple(levels), "inferred", facts=facts)
    return Specimen(layout, ("lr_vq_ema",), tensors, (expected,))


def columns(residual: bool) -> Specimen:
    """0.3.0: D x K and a flag; square here."""
    rng = draw(21)
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for i in range(2 if residual else 1):
        stem = f"vq.layers.{i}." if residual else "vq."
        codes, counts = normal(rng, 6, 6), counts_of(rng, 6)
        sums = codes * smoothed(counts)[:, None]
        stored, total = np.ascontiguousarray(codes.T), np.ascontiguousarray(sums.T)
        tensors |= {f"{stem}initted": OLD_TRUE, f"{stem}cluster_size": counts, f"{stem}embed_avg": total, f"{stem}embed": stored}
        levels.append(Level(codes, counts, flag=1.0))
    layout, structure = ("lucidrains-0.3-residual", "residual") if residual else ("lucidrains-0.3", "single")
    return Specimen(layout, ("lr_vq_ema",), tensors, (Expected("vq", layout, structure, "l2", tuple(levels)),))


def vq_bet() -> Specimen:
    """VQ-BeT: a bundled copy in a container of its own, beside encoder, decoder and optimiser."""
    rng = draw(22)
    books, levels = residual_levels(rng, "", (8, 8), 4, flag=OLD_TRUE)
    moments = {"state": {"0": {"exp_avg": normal(rng, 8, 4), "exp_avg_sq": normal(rng, 8, 4)}}}
    tensors: Mapping = {"encoder": {"encoder.0.weight": normal(rng, 4, 4)}, "optimizer": moments, "vq_embedding": books}
    expected = Expected("layers", "lucidrains-residual", "residual", "l2", levels, "inferred", container="vq_embedding")
    return Specimen("vq-bet", ("vqbet",), tensors, (expected,))


def time_vqvae() -> Specimen:
    """Two books for two bands, listed and not pooled; the bands' quantisers look through a projection."""
    rng = draw(23)
    low, codes_l, counts_l = averaged(rng, "vq_model_l._codebook.", 8, 8, flag=OLD_TRUE)
    high, codes_h, counts_h = averaged(rng, "vq_model_h._codebook.", 8, 8, flag=OLD_TRUE)
    expected = tuple(
        Expected(
            name,
            "timevqvae",
            "single",
            "l2",
            (Level(codes, counts, flag=1.0),),
            "inferred",
            width=16,
            facts={"ema.revival": "late"},
        )
        for name, codes, counts in (("vq_model_l", codes_l, counts_l), ("vq_model_h", codes_h, counts_h))
    )
    tensors = linear(rng, "vq_model_l.project_in", 8, 16) | low | linear(rng, "vq_model_h.project_in", 8, 16) | high
    return Specimen("timevqvae", ("timevqvae",), tensors, expected)


def sim_vq(residual: bool) -> Specimen:
    rng = draw(24)
    tensors: dict[str, np.ndarray] = {}
    levels = []
    for i in range(2 if residual else 1):
        stem = f"q.layers.{i}." if residual else "q."
        frozen, weight = normal(rng, 9, 4), normal(rng, 4, 4)
        tensors |= {f"{stem}frozen_codebook": frozen, f"{stem}code_transform.weight": weight}
        levels.append(Level(frozen @ weight.T))
    structure = "residual" if residual else "single"
    return Specimen(
        f"simvq-{structure}", ("lr_simvq",), tensors, (Expected("q", "lucidrains-simvq", structure, "l2", tuple(levels), width=4),)
    )


def sim_vq_network() -> Specimen:
    """A transform of more than one layer is not run, and said so."""
    rng = draw(25)
    frozen = normal(rng, 9, 4)
    tensors = {"q.frozen_codebook": frozen} | linear(rng, "q.code_transform.0", 4, 4) | linear(rng, "q.code_transform.2", 4, 4)
    level = Level(frozen, data_dependent=True)
    return Specimen(
        "simvq-network", ("lr_simvq",), tensors, (Expected("q", "lucidrains-simvq", "single", "l2", (level,), searchable=False),)
    )


def sim_vq_legacy() -> Specimen:
    rng = draw(26)
    frozen, weight = normal(rng, 9, 4), normal(rng, 4, 4)
    tensors = {"q.codebook": frozen, "q.codebook_to_codes.weight": weight}
    return Specimen(
        "simvq-legacy",
        ("lr_simvq",),
        tensors,
        (Expected("q", "lucidrains-simvq-legacy", "single", "l2", (Level(frozen @ weight.T),)),),
    )


def latent(codebooks: int) -> Specimen:
    """A grid of scalars a dimension; several codebooks look up the same grids."""
    rng = draw(27)
    sizes = (5, 5, 8)
    grids = {f"q.values_per_latent.{i}": np.linspace(-0.5, 0.5, size, dtype=np.float32) for i, size in enumerate(sizes)}
    once = [Level(grid[:, None]) for grid in grids.values()]
    levels = tuple(Level(once[i % 3].codes, shared_with=None if i < 3 else i % 3) for i in range(3 * codebooks))
    expected = Expected("q", "latent-quantize", "product", "l2", levels, width=16)
    return Specimen(f"latent-{codebooks}", ("lr_latent",), linear(rng, "q.project_in", 3 * codebooks, 16) | grids, (expected,))


def implicit() -> list[Specimen]:
    rng = draw(28)
    pair = linear(rng, "quantizer.project_in", 3, 16) | linear(rng, "quantizer.project_out", 16, 3)
    legacy = {
        "fsq._levels": np.array([8, 5, 5], np.int32), "fsq._basis": np.array([1, 8, 40], np.int32),
        "fsq.implicit_codebook": normal(rng, 200, 3),
    }  # fmt: skip
    rooted = {key.removeprefix("quantizer."): value for key, value in pair.items()}
    groups = {f"rvqs.{g}.{key}": normal(rng, *value.shape) for g in range(2) for key, value in rooted.items()}
    bits = 2 ** np.arange(7, -1, -1)
    xcodec2 = linear(rng, "generator.quantizer.project_in", 8, 32) | linear(rng, "generator.quantizer.project_out", 32, 8)
    masks = linear(rng, "lfq.project_in", 8, 16) | {"lfq.layers.0.mask": bits, "lfq.layers.1.mask": bits.copy()}

    def one(name: str, layout: str, facts: dict, width: int | None = None) -> Expected:
        return Expected(name, layout, "implicit", "unknown", width=width, searchable=False, facts={"facts": facts})

    return [
        Specimen("fsq", ("lr_fsq",), convolutions(rng) | pair, (one("quantizer", "fsq", {"dimensions": 3}, 16),)),
        Specimen("fsq-legacy", ("lr_fsq",), legacy, (one("fsq", "fsq", {"codes": 200, "levels": [8, 5, 5]}),)),
        Specimen("fsq-root", ("lr_fsq",), rooted, (one("project_in", "fsq", {"dimensions": 3}, 16),)),
        Specimen("fsq-grouped", ("lr_fsq",), groups, tuple(one(f"rvqs.{g}", "fsq", {"dimensions": 3}, 16) for g in range(2))),
        Specimen("lfq", ("lr_lfq",), {"lfq.mask": bits}, (one("lfq", "lfq", {"codes": 256, "sizes": [256]}),)),
        Specimen("lfq-residual", ("lr_lfq",), masks, (one("lfq", "lfq", {"codes": 256, "sizes": [256, 256]}, 16),)),
        Specimen("xcodec2", ("xcodec2",), xcodec2, (one("generator.quantizer", "fsq", {"dimensions": 8}, 32),)),
    ]  # fmt: skip


def unflagged(residual: bool) -> Specimen:
    """The flag is a bool since 1.26: who converts floating-point tensors only, loses it."""
    rng = draw(41)
    books, levels = residual_levels(rng, "rvq.", (8, 8), 4) if residual else ({}, ())
    if not residual:
        books, codes, counts = averaged(rng, "vq._codebook.", 1, 12, 5)
        levels = (Level(codes[0], counts[0]),)
    kept = {key: value for key, value in books.items() if not key.endswith("initted")}
    levels = tuple(replace(level, flag=None) for level in levels)
    name, layout = ("rvq", "lucidrains-residual-unflagged") if residual else ("vq", "lucidrains-unflagged")
    expected = Expected(name, layout, "residual" if residual else "single", "l2", levels, "inferred")
    return Specimen(layout, (), convolutions(rng) | kept, (expected,))


SPECIMENS = [
    unflagged(False), unflagged(True),
    single(), at_the_root(), awaiting_kmeans(), cosine(), cosine_without_sums(), learned(), learned_with_replacement("torch-zip"),
    learned_with_replacement("safetensors"), averaged_in_safetensors(), bridged(True), bridged(False), heads(), shared_heads(),
    normed_heads(), affine(True), affine(False), residual(), residual_at_the_root(), residual_grouped(), residual_shared(),
    residual_implicit(), hierarchical(True), hierarchical(False), random_projection(), two_axes(False), two_axes(True),
    columns(False), columns(True), vq_bet(), time_vqvae(), sim_vq(False), sim_vq(True), sim_vq_network(), sim_vq_legacy(),
    latent(1), latent(2), *implicit(),
]  # fmt: skip
