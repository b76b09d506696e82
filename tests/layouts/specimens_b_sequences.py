"""Synthetic checkpoints of recommenders, motion, protein and robot models, and of quantisers nobody described."""

from __future__ import annotations

import numpy as np
from specimens_b_images import one, transformer
from synthetic import Expected, Level, Specimen, convolutions, counts_of, draw, normal, smoothed, unit

RNG = draw(3)
K, D = 16, 6


def book(*shape: int) -> np.ndarray:
    return normal(RNG, *(shape or (K, D)))


def mlp(prefix: str) -> dict[str, np.ndarray]:
    return {f"{prefix}.mlp_layers.1.weight": normal(RNG, 8, 24), f"{prefix}.mlp_layers.1.bias": book(8)}


def lc_rec(id: str, rows: str, sizes: tuple[int, ...], encoder: str = "encoder") -> Specimen:
    books = [book(size, D) for size in sizes]
    tensors = mlp(encoder) | {f"rq.vq_layers.{i}.embedding.weight": codes for i, codes in enumerate(books)} | mlp("decoder")
    found = Expected(
        "rq", "lc-rec", "residual", "l2", tuple(map(Level, books)), container="state_dict", width=D, facts={"kmeans_start": True}
    )
    moments = {"state": {str(i): {"exp_avg": book(), "exp_avg_sq": book()} for i in range(2)}}
    return one(id, rows, {"state_dict": tensors, "optimizer": moments}, found)


def rq_kmeans() -> Specimen:
    books = [book(K, 24) for _ in range(3)]
    tensors = {f"codebook_{i}": codes for i, codes in enumerate(books)}
    found = Expected("codebook", "rq-kmeans", "residual", "l2", tuple(map(Level, books)), width=24)
    return one("rq-kmeans", "minionerec_npz", tensors, found, kind="npz", plain=False)


def rq_vae_recommender(sim_vq: bool) -> Specimen:
    tensors = {"encoder.mlp.0.weight": normal(RNG, 8, 24), "encoder.mlp.2.weight": normal(RNG, D, 8)}
    levels = []
    for i in range(3):
        table, weight = book(), normal(RNG, D, D)
        tensors[f"layers.{i}.embedding.weight"] = table
        if sim_vq:
            tensors[f"layers.{i}.out_proj.0.weight"] = weight
        levels.append(Level(table @ weight.T if sim_vq else table))
    tensors |= {"decoder.mlp.0.weight": normal(RNG, 8, D)}
    found = Expected("layers", "rq-vae-recommender", "residual", "l2", tuple(levels), container="model", width=D)
    return one(f"rq-vae-recommender{'-simvq' if sim_vq else ''}", "botta", {"model": tensors}, found, plain=False)


def grid() -> Specimen:
    books = [book() for _ in range(3)]
    tensors = {f"quantization_layer_list.{i}.centroids": codes for i, codes in enumerate(books)} | mlp("encoder")
    found = Expected("quantization_layer_list", "grid", "residual", "l2", tuple(map(Level, books)), container="state_dict")
    return one("grid", "grid", {"state_dict": tensors}, found, plain=False)


def grid_normalising() -> Specimen:
    books = [book() for _ in range(2)]
    tensors = {f"model.quantization_layer_list.{i}.centroids": codes for i, codes in enumerate(books)}
    found = Expected("model", "grid", "residual", "l2", tuple(map(Level, books)), facts={"normalise_residuals": True})
    return one("grid-normalising", "grid", tensors, found, plain=False, tree={"hyper_parameters": {"normalize_residuals": True}})


def open_onerec() -> Specimen:
    books = [book(K, 24) for _ in range(3)]
    tensors = {f"centroids.{i}": codes for i, codes in enumerate(books)}
    return one(
        "open-onerec",
        "onerec",
        tensors,
        Expected("centroids", "open-onerec", "residual", "l2", tuple(map(Level, books))),
        plain=False,
    )


def t2m_gpt(id: str, row: str, prefix: str, container: str) -> Specimen:
    """Square: 16 codes of 16."""
    codes = book(K, K)
    tensors = {f"{prefix}quantizer.codebook": codes, f"{prefix}encoder.model.0.weight": normal(RNG, K, 8, 3)}
    tensors |= {"lm.language_model.shared.weight": normal(RNG, 32, 8), "t2m_textencoder.pos_emb.weight": normal(RNG, 8, 8)}
    found = Expected(f"{prefix}quantizer", "t2m-gpt", "single", "l2", (Level(codes),), container=container)
    return one(id, row, {container: tensors}, found)


def t2m_gpt_vq() -> Specimen:
    codes = book()
    tensors = {"vqvae.quantizer.embedding.weight": codes, "vqvae.encoder.model.0.weight": normal(RNG, D, 8, 3)}
    return one("t2m-gpt-vq", "t2mgpt", tensors, Expected("vqvae.quantizer", "t2m-gpt-vq", "single", "l2", (Level(codes),)))


def momask(shared: bool) -> Specimen:
    books = [book(K, K)] * 3 if shared else [book(K, K) for _ in range(3)]
    tensors = {f"quantizer.layers.{i}.codebook": codes for i, codes in enumerate(books)} | {
        "encoder.model.0.weight": normal(RNG, K, 8, 3)
    }
    levels = tuple(Level(codes, shared_with=0 if shared and i else None) for i, codes in enumerate(books))
    found = Expected("quantizer", "momask", "residual", "l2", levels, container="vq_model")
    return one(
        f"momask{'-shared' if shared else ''}", "momask", {"vq_model": tensors, "opt_vq_model": {"exp_avg": book(K, K)}}, found
    )


def esm3() -> Specimen:
    counts, sums = counts_of(RNG, K), book()
    codes = sums / smoothed(counts, 1e-7)[:, None]
    tensors = {"codebook.embeddings": codes, "codebook.N": counts, "codebook.z_avg": sums, "pre_vq_proj.weight": normal(RNG, D, 8)}
    facts = {"ema.relation": "laplace", "ema.eps": 1e-7, "ema.threshold": 1.0}
    return one("esm3", "esm3", tensors, Expected("codebook", "videogpt", "single", "l2", (Level(codes, counts),), facts=facts))


def foldtoken() -> Specimen:
    codes, hits = unit(book()), RNG.integers(0, 1000, K).astype(np.float32)
    tensors = {"vq.embedding.weight": codes, "vq.count": hits, "vq.proj.weight": normal(RNG, D, 10), "vq.proj.bias": book(D)}
    tensors |= {"vq.proj_inv.weight": normal(RNG, 10, D), "encoder.node_embedding.weight": normal(RNG, 10, 8)}
    facts = {"ema.counts": "cumulative"}
    return one(
        "foldtoken",
        "foldtoken",
        tensors,
        Expected("vq", "foldtoken", "single", "cosine", (Level(codes, hits),), width=10, facts=facts),
    )


def foldtoken_bits(id: str, table: dict[str, np.ndarray], codes: int) -> Specimen:
    """Its codes are sums or an MLP of bits: named, counted, and not read."""
    tensors = {f"vq.{key}": value for key, value in table.items()}
    tensors |= {"vq.proj.weight": normal(RNG, D, 10), "vq.proj_inv.weight": normal(RNG, 10, D)}
    found = Expected("vq", "foldtoken-bits", "implicit", "cosine", searchable=False, facts={"facts": {"codes": codes}})
    return one(id, "foldtoken", tensors, found)


def lapa() -> Specimen:
    codes = book(8, D)
    tensors = {"vq.codebooks": codes, "vq.project_in.weight": normal(RNG, D, 10), "vq.project_out.weight": normal(RNG, 10, D)}
    tensors |= {"vq.cnn_encoder.0.weight": normal(RNG, D, D, 3, 3), "spatial_rel_pos_bias.net.0.0.weight": normal(RNG, 8, 2)}
    return one("lapa", "lapa", tensors, Expected("vq", "lapa", "single", "l2", (Level(codes),), width=D))


def unknown(id: str, tensors: dict, *expected: tuple[str, str, tuple[Level, ...]], **options) -> Specimen:
    """Of no family: the generic recogniser."""
    found = [Expected(name, "generic", structure, "l2", levels, metric_basis="assumed") for name, structure, levels in expected]
    return one(id, "", tensors, *found, **options)


def unknown_uniform() -> Specimen:
    """Half its rows still as drawn from uniform(±1/K)."""
    codes = book(32, 8)
    codes[:16] = RNG.uniform(-1 / 32, 1 / 32, (16, 8)).astype(np.float32)
    return unknown("generic-uniform", convolutions(RNG) | {"vq_vae.codebook.weight": codes}, ("vq_vae", "single", (Level(codes),)))


def unknown_ema() -> Specimen:
    """A copy of zalando's without underscores; its sums are no second book."""
    counts, sums = counts_of(RNG, K), book()
    codes = sums / counts[:, None]
    tensors = {"vq.embedding.weight": codes, "vq.ema_w": sums, "vq.ema_cluster_size": counts} | transformer()
    return unknown("generic-ema", tensors, ("vq", "single", (Level(codes, counts),)))


def unknown_columns() -> Specimen:
    """Counts as many as columns: codes are columns."""
    counts, sums = counts_of(RNG, K), book(D, K)
    tensors = {"model.quantiser.embedding": sums / counts, "model.quantiser.usage": counts, "model.quantiser.embed_sum": sums}
    return unknown("generic-columns", tensors, ("model.quantiser", "single", (Level((sums / counts).T, counts),)))


def unknown_list() -> Specimen:
    """A ParameterList: levels in the order of their numbers, ten after two."""
    books = [book() for _ in range(11)]
    tensors = {f"rqvae.codebooks.{i}": codes for i, codes in sorted(enumerate(books), key=lambda one: str(one[0]))} | mlp(
        "rqvae.encoder"
    )
    return unknown("generic-list", tensors, ("rqvae", "residual", tuple(map(Level, books))))


def unknown_stack() -> Specimen:
    books = book(3, K, D)
    return unknown("generic-stack", {"quantizer.codebooks": books}, ("quantizer", "residual", tuple(map(Level, books))))


def unknown_several() -> Specimen:
    """Two books of different width in one module are two quantisers."""
    coarse, fine = book(8, 4), book(K, D)
    tensors = {"vq_coarse.codebook": coarse, "vq_fine.codebook": fine} | convolutions(RNG)
    return unknown("generic-several", tensors, ("vq_coarse", "single", (Level(coarse),)), ("vq_fine", "single", (Level(fine),)))


def unknown_scalars() -> Specimen:
    codes = book(K)
    return unknown(
        "generic-scalars", {"codebook": codes, "scale": book(1)}, ("codebook", "single", (Level(codes[:, None]),)), plain=False
    )


def bare(kind: str, key: str, *shape: int) -> Specimen:
    codes = book(*shape)
    return unknown(
        f"generic-bare-{kind}", {key: codes}, (key.removesuffix(".weight"), "single", (Level(codes),)), kind=kind, plain=False
    )


def twins(id: str, tensors: dict, name: str, container: str, codes: np.ndarray) -> Specimen:
    found = Expected(name, "dome272", "single", "l2", (Level(codes),), container=container)
    return one(id, "", tensors, found, plain=False)


def ddp_twin() -> Specimen:
    """One module saved under `module.` and without, in one state dict."""
    codes = book()
    tensors = {"codebook.embedding.weight": codes, "module.codebook.embedding.weight": codes.copy()}
    return twins("twin-ddp", tensors, "codebook", "", codes)


def ema_twin(id: str, plain: str, averaged: str) -> Specimen:
    """They differ: the average is what evaluation loads."""
    trained, mean = book(), book()
    key = "codebook.embedding.weight"
    return twins(id, {plain: {key: trained}, averaged: {key: mean}}, "codebook", averaged, mean)


def ema_twin_by_prefix() -> Specimen:
    trained, mean = book(), book()
    tensors = {"online_model.codebook.embedding.weight": trained, "ema_model.codebook.embedding.weight": mean}
    return twins("twin-ema-prefix", tensors, "ema_model.codebook", "", mean)


def equal_twin() -> Specimen:
    codes = book()
    key = "codebook.embedding.weight"
    return twins("twin-equal", {"model": {key: codes}, "best_state": {key: codes.copy()}}, "codebook", "model", codes)


def no_twins() -> Specimen:
    """The best state and the last, which differ: two quantisers, told apart by their container."""
    last, best = book(), book()
    key = "codebook.embedding.weight"
    expected = [
        Expected(f"{place}.codebook", "dome272", "single", "l2", (Level(codes),), container=place)
        for place, codes in (("model", last), ("best_state", best))
    ]
    return one("two-states", "", {"model": {key: last}, "best_state": {key: best}}, *expected, plain=False)


SPECIMENS = [
    lc_rec("lc-rec", "lcrec", (K, K, K, K)),
    lc_rec("letter", "letter", (K, K)),
    lc_rec("minionerec", "minionerec", (K, 8, 4)),
    lc_rec("rq-kmeans-plus", "minionerec", (K, K, K), "encoder.mlp"),
    rq_kmeans(),
    rq_vae_recommender(False),
    rq_vae_recommender(True),
    grid(),
    grid_normalising(),
    open_onerec(),
    t2m_gpt("t2m-gpt", "t2mgpt", "vqvae.", "net"),
    t2m_gpt("motiongpt", "motiongpt", "vae.", "state_dict"),
    t2m_gpt("motiongpt-old", "motiongpt", "motion_vae.", "state_dict"),
    t2m_gpt_vq(),
    momask(False),
    momask(True),
    esm3(),
    foldtoken(),
    foldtoken_bits("foldtoken-sum", {"embedding.weight": book(10, D)}, 32),
    foldtoken_bits(
        "foldtoken-mlp", {"embedding": (RNG.random((32, 5)) < 0.5).astype(np.float32), "embedding_mlp.0.weight": book(8, 5)}, 32
    ),
    lapa(),
    unknown_uniform(),
    unknown_ema(),
    unknown_columns(),
    unknown_list(),
    unknown_stack(),
    unknown_several(),
    unknown_scalars(),
    bare("npy", "array", K, D),
    bare("torch-zip", "embedding.weight", 32, 1),
    ddp_twin(),
    ema_twin("twin-params", "params", "params_ema"),
    ema_twin("twin-model", "model", "ema"),
    ema_twin("twin-teacher", "student", "teacher"),
    ema_twin_by_prefix(),
    equal_twin(),
    no_twins(),
]
