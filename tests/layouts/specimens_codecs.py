"""Synthetic checkpoints of audio codecs (EnCodec, Mimi, DAC and heirs, HiFi-Codec, Jukebox), of wav2vec 2 and discrete VAEs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from synthetic import Expected, Level, Specimen, convolutions, counts_of, draw, normal, smoothed

TRUE = np.ones(1, np.float32)


def euclidean(rng, stem: str, codes: int, dim: int) -> tuple[dict[str, np.ndarray], Level]:
    """EnCodec's EuclideanCodebook under `stem`."""
    book, counts = normal(rng, codes, dim), counts_of(rng, codes)
    tensors = {
        f"{stem}inited": TRUE, f"{stem}cluster_size": counts, f"{stem}embed": book,
        f"{stem}embed_avg": book * smoothed(counts)[:, None],
    }  # fmt: skip
    return tensors, Level(book, counts, flag=1.0)


def stack(rng, pattern: str, levels: int, codes: int, dim: int, make=euclidean) -> tuple[dict[str, np.ndarray], tuple[Level, ...]]:
    tensors: dict[str, np.ndarray] = {}
    known = []
    for i in range(levels):
        book, level = make(rng, pattern.format(i), codes, dim)
        tensors |= book
        known.append(level)
    return tensors, tuple(known)


def convolution(rng, path: str, out: int, into: int, kernel: tuple[int, ...] = (1,), bias: bool = True) -> dict[str, np.ndarray]:
    return {f"{path}.weight": normal(rng, out, into, *kernel)} | ({f"{path}.bias": normal(rng, out)} if bias else {})


UNDONE = {"ema.relation": "laplace", "ema.revival": "undone", "ema.threshold": 2.0, "kmeans_start": True}
LATE = {"ema.revival": "late"}


def encodec(
    name: str, rows: tuple[str, ...], prefix: str, layout: str = "encodec", container: str = "", facts: Mapping = UNDONE
) -> Specimen:
    """Square levels, eleven of them, beside convolutions; where the file is nested, a discriminator in a container of its own."""
    rng = draw(len(name))
    books, levels = stack(rng, prefix + "layers.{}._codebook.", 11, 6, 6)
    tensors: Mapping = convolutions(rng) | books
    others = convolutions(rng, "discriminators.0")
    for part in reversed(container.split(".") if container else []):
        tensors = {part: tensors, "discriminators": others}
    expected = Expected(prefix.removesuffix("."), layout, "residual", "l2", levels, container=container, facts=facts)
    return Specimen(name, rows, tensors, (expected,))


def encodec_projected() -> Specimen:
    """codebook_dim smaller than the residual: each level has projections of its own."""
    rng = draw(31)
    tensors, levels = stack(rng, "quantizer.vq.layers.{}._codebook.", 2, 8, 3)
    for i in range(2):
        tensors |= convolution(rng, f"quantizer.vq.layers.{i}.project_in", 3, 6, ())
        tensors |= convolution(rng, f"quantizer.vq.layers.{i}.project_out", 6, 3, ())
    return Specimen(
        "encodec-projected", ("encodec",), tensors, (Expected("quantizer.vq", "encodec", "residual", "l2", levels, width=6),)
    )


def encodec_half() -> Specimen:
    """Saved in half precision: shapes and neighbours decide, not the stored type."""
    rng = draw(32)
    tensors, levels = stack(rng, "quantizer.vq.layers.{}._codebook.", 2, 8, 3)
    dtypes = dict.fromkeys(tensors, "bfloat16")
    return Specimen(
        "encodec-bf16", ("encodec",), tensors, (Expected("quantizer.vq", "encodec", "residual", "l2", levels),), dtypes=dtypes
    )


def encodec_single() -> Specimen:
    book, level = euclidean(draw(33), "tokenizer._codebook.", 8, 3)
    return Specimen("encodec-single", ("encodec",), book, (Expected("tokenizer", "encodec-single", "single", "l2", (level,)),))


def encodec_unflagged() -> Specimen:
    tensors, levels = stack(draw(42), "quantizer.vq.layers.{}._codebook.", 3, 8, 3)
    kept = {key: value for key, value in tensors.items() if not key.endswith("inited")}
    expected = Expected(
        "quantizer.vq", "encodec-unflagged", "residual", "l2", tuple(replace(level, flag=None) for level in levels), facts=UNDONE
    )
    return Specimen("encodec-unflagged", (), kept, (expected,))


def wavtokenizer() -> Specimen:
    rng = draw(34)
    name = "feature_extractor.encodec.quantizer.vq"
    book, level = euclidean(rng, f"{name}.layers.0._codebook.", 8, 3)
    state = convolutions(rng, "backbone") | book | convolutions(rng, "multiperioddisc.discriminators.0")
    expected = Expected(name, "wavtokenizer", "single", "l2", (level,), container="state_dict", facts=UNDONE)
    return Specimen("wavtokenizer", ("wavtokenizer",), {"state_dict": state}, (expected,))


def transformers_encodec() -> Specimen:
    rng = draw(35)
    books, levels = stack(rng, "audio_encoder.quantizer.layers.{}.codebook.", 2, 8, 3)
    tokens = {"decoder.model.decoder.embed_tokens.0.weight": normal(rng, 9, 4)}
    expected = Expected("audio_encoder.quantizer", "hf-encodec", "residual", "l2", levels)
    return Specimen("hf-encodec", ("hf_encodec",), tokens | books, (expected,), kind="safetensors")


def transformers_xcodec() -> Specimen:
    rng = draw(36)
    books, levels = stack(rng, "quantizer.quantizers.{}.codebook.", 2, 6, 6)
    expected = Expected("quantizer", "hf-xcodec", "residual", "l2", levels, facts=LATE)
    return Specimen("hf-xcodec", ("hf_xcodec",), convolutions(rng) | books, (expected,))


def funcodec() -> Specimen:
    """Levels stacked in one tensor, as many as dimensions and codes here: the key decides what axis 0 is."""
    rng = draw(37)
    book, counts = normal(rng, 4, 4, 4), counts_of(rng, 4, 4)
    tensors = {
        "quantizer.rq.model.inited": np.ones((4, 1), np.float32), "quantizer.rq.model.cluster_size": counts,
        "quantizer.rq.model.embed": book, "quantizer.rq.model.embed_avg": book * smoothed(counts)[..., None],
    } | convolution(rng, "quantizer.input_proj", 4, 9, ())  # fmt: skip
    levels = tuple(Level(book[q], counts[q], flag=1.0) for q in range(4))
    return Specimen("funcodec", ("funcodec",), tensors, (Expected("quantizer.rq", "funcodec", "residual", "l2", levels, width=4),))


def summed(rng, stem: str, codes: int, dim: int, names: tuple[str, str, str]) -> tuple[dict[str, np.ndarray], Level]:
    """Mimi's codebook: sums and usage, no codes; the first code was never used, so its usage is clamped."""
    total, usage, flag = names
    counts = counts_of(rng, codes)
    counts[0] = 0
    book = normal(rng, codes, dim)
    sums = book * np.maximum(counts, 1e-5)[:, None]
    return {f"{stem}{flag}": TRUE, f"{stem}{usage}": counts, f"{stem}{total}": sums}, Level(book, counts, flag=1.0)


def mimi(layout: str, rows: tuple[str, ...], first: str, rest: str, inner: str, names: tuple[str, str, str]) -> Specimen:
    """Two stacks, listed each by itself; both see the row, each through its own convolution."""
    rng = draw(38)
    tensors: dict[str, np.ndarray] = {}
    expected = []
    for name, count in ((first, 1), (rest, 3)):
        books, levels = stack(rng, f"{name}.{inner}", count, 7, 3, lambda r, s, k, d: summed(r, s, k, d, names))
        tensors |= (
            convolution(rng, f"{name}.input_proj", 3, 5, bias=False)
            | books
            | convolution(rng, f"{name}.output_proj", 5, 3, bias=False)
        )
        facts = {"ema.relation": "clamped", "ema.threshold_unit": "uniform"}
        expected.append(Expected(name, layout, "residual" if count > 1 else "single", "l2", levels, width=5, facts=facts))
    return Specimen(layout, rows, tensors, tuple(expected))


def factorised(layout: str, rows: tuple[str, ...], pattern: str, norm: str, structure: str = "residual") -> Specimen:
    """DAC's kind: raw rows, cosine lookup behind each level's projection."""
    rng = draw(39)
    tensors: dict[str, np.ndarray] = convolutions(rng)
    levels = []
    kernel = () if layout == "bigcodec" else (1,)
    for i in range(3):
        owner, book = pattern.format(i), normal(rng, 9, 2)
        key = "_codebook.weight" if layout == "bigcodec" else "codebook.weight"
        tensors |= {f"{owner}{key}": book}
        for path, out, into in (("in_proj", 2, 6), ("out_proj", 6, 2)):
            plain = convolution(rng, f"{owner}{path}", out, into, kernel)
            gain = normal(rng, out, *(1 for _ in range(1 + len(kernel))))
            old = {f"{owner}{path}.weight_g": gain, f"{owner}{path}.weight_v": plain[f"{owner}{path}.weight"]}
            new = {key.replace(".weight_", ".parametrizations.weight.original"): value for key, value in old.items()}
            new = {key[:-1] + {"g": "0", "v": "1"}[key[-1]]: value for key, value in new.items()}
            bias = {f"{owner}{path}.bias": plain[f"{owner}{path}.bias"]}
            tensors |= {"plain": plain, "old": old | bias, "new": new | bias}[norm]
        levels.append(Level(book))
    facts = {"ema": None, "emits": "codes"}
    name = pattern.split(".quantizers")[0].split(".layers")[0]
    expected = Expected(name, layout, structure, "cosine", tuple(levels), width=6, searchable=structure == "residual", facts=facts)
    return Specimen(f"{layout}-{norm}", rows, tensors, (expected,))


def bigcodec_unprojected() -> Specimen:
    book = normal(draw(50), 9, 2)
    expected = Expected("quantizer", "bigcodec", "single", "cosine", (Level(book),), width=2)
    return Specimen("bigcodec-unprojected", ("bigcodec",), {"quantizer.layers.0._codebook.weight": book}, (expected,))


def hificodec() -> Specimen:
    """Two residual stages of two groups: each group is a residual quantiser on its own columns."""
    rng = draw(40)
    tensors: dict[str, np.ndarray] = {}
    books: dict[int, list[Level]] = {0: [], 1: []}
    for stage in ("", "2"):
        for group in (0, 1):
            book = normal(rng, 8, 3)
            tensors[f"quantizer_modules{stage}.{group}.embedding.weight"] = book
            books[group].append(Level(book))
    expected = tuple(
        Expected(
            f"quantizer_modules.{group}", "hificodec", "residual", "l2", tuple(levels), width=6,
            columns=(3 * group, 3 * group + 3), container="quantizer",
        )
        for group, levels in books.items()
    )  # fmt: skip
    nested = {"generator": convolutions(rng, "ups"), "encoder": convolutions(rng), "quantizer": tensors}
    return Specimen("hificodec", ("hificodec",), nested, expected)


def jukebox() -> Specimen:
    """Three books for three resolutions: three quantisers, not one of three levels."""
    rng = draw(41)
    books = {f"bottleneck.level_blocks.{i}.k": normal(rng, 8, 3) for i in range(3)}
    names = [key.removesuffix(".k") for key in books]
    expected = tuple(
        Expected(name, "jukebox", "single", "l2", (Level(book),)) for name, book in zip(names, books.values(), strict=True)
    )
    return Specimen("jukebox", ("jukebox",), convolutions(rng, "encoders.0") | books, expected)


def vqtorch() -> Specimen:
    rng = draw(42)
    book, countdown = normal(rng, 8, 3), np.arange(8, dtype=np.float32)
    tensors = {"vq.codebook.weight": book, "vq._counts": countdown, "vq.data_initialized": TRUE}
    facts = {"ema.counts": "countdown", "ema.relation": "none"}
    return Specimen(
        "vqtorch",
        ("vqtorch",),
        tensors,
        (Expected("vq", "vqtorch", "single", "l2", (Level(book, countdown, flag=1.0),), facts=facts),),
    )


def vqtorch_running() -> Specimen:
    """Running statistics: the codes are moved to those of the features."""
    rng = draw(43)
    book = normal(rng, 8, 3)
    ze_mean, c_mean = normal(rng, 1, 3), normal(rng, 1, 3)
    ze_var, c_var = rng.uniform(1, 2, (2, 1, 3)).astype(np.float32)
    tensors = {
        "codebook.weight": book, "affine_transform.running_statistics_initialized": TRUE,
        "affine_transform.running_ze_mean": ze_mean, "affine_transform.running_ze_var": ze_var,
        "affine_transform.running_c_mean": c_mean, "affine_transform.running_c_var": c_var,
    }  # fmt: skip
    codes = (book - c_mean) * np.sqrt(ze_var / c_var) + ze_mean
    return Specimen("vqtorch-running", ("vqtorch",), tensors, (Expected("codebook", "vqtorch", "single", "l2", (Level(codes),)),))


def vqtorch_learned(moved: bool) -> Specimen:
    """A learned affine map is scaled by a rate that the file does not have: known only while it is still the identity."""
    rng = draw(44)
    book = normal(rng, 8, 3)
    scale = normal(rng, 1, 3) if moved else np.zeros((1, 3), np.float32)
    tensors = {
        "vq.codebook.weight": book,
        "vq.affine_transform.scale": scale,
        "vq.affine_transform.bias": np.zeros((1, 3), np.float32),
    }
    level = Level(book, data_dependent=moved)
    expected = Expected("vq", "vqtorch", "single", "l2", (level,), searchable=not moved)
    return Specimen(f"vqtorch-affine-{moved}", ("vqtorch",), tensors, (expected,))


def wav2vec(key: str, projected: bool) -> Specimen:
    """Groups lie one after the other in one tensor; the projection behind the quantiser tells how many they are."""
    rng = draw(45)
    stored = normal(rng, 1, 8, 3)
    tensors = {f"wav2vec2.quantizer.{key}": stored} | convolution(rng, "wav2vec2.quantizer.weight_proj", 8, 5, ())
    tensors |= convolution(rng, "wav2vec2.project_q", 4, 6, ()) if projected else {}
    levels = (Level(stored[0, :4]), Level(stored[0, 4:])) if projected else (Level(stored[0]),)
    structure = "product" if projected else "single"
    expected = Expected("wav2vec2.quantizer", "wav2vec2", structure, "logits", levels, width=5, searchable=False)
    return Specimen(f"wav2vec2-{key}-{structure}", ("wav2vec2",), tensors, (expected,))


def wav2vec_combined() -> Specimen:
    """combine_groups: one book for both groups."""
    rng = draw(46)
    stored = normal(rng, 1, 4, 3)
    tensors = (
        {"quantizer.vars": stored} | convolution(rng, "quantizer.weight_proj", 8, 5, ()) | convolution(rng, "project_q", 4, 6, ())
    )
    levels = (Level(stored[0]), Level(stored[0], shared_with=0))
    expected = Expected("quantizer", "wav2vec2", "product", "logits", levels, width=5, searchable=False)
    return Specimen("wav2vec2-combined", ("wav2vec2",), tensors, (expected,))


def wav2vec_kmeans(combined: bool) -> Specimen:
    """Codes first: (V, G, D/G), cubic here."""
    rng = draw(47)
    stored = normal(rng, 3, 1 if combined else 3, 3)
    tensors = {
        "quantizer.embedding": stored,
        "quantizer.projection.0.weight": normal(rng, 9, 3, 1),
        "quantizer.projection.1.weight": normal(rng, 9),
    }
    levels = tuple(Level(stored[:, 0 if combined else g], shared_with=0 if combined and g else None) for g in range(3))
    expected = Expected("quantizer", "wav2vec2-kmeans", "product", "l2", levels, width=9)
    return Specimen(f"wav2vec2-kmeans-{combined}", ("wav2vec2",), tensors, (expected,))


def dalle() -> Specimen:
    """Encoder and decoder both have blocks.input.w; only the decoder's is the book."""
    rng = draw(48)
    weight = normal(rng, 3, 8, 1, 1)
    decoder = {"blocks.input.w": weight, "blocks.input.b": normal(rng, 3), "blocks.output.conv.w": normal(rng, 6, 3, 1, 1)}
    encoder = {
        "blocks.input.w": normal(rng, 3, 3, 7, 7),
        "blocks.input.b": normal(rng, 3),
        "blocks.output.conv.w": normal(rng, 8, 3, 1, 1),
    }
    expected = Expected(
        "blocks", "dalle", "single", "logits", (Level(weight[:, :, 0, 0].T),), searchable=False, container="decoder"
    )
    return Specimen("dalle", ("dalle",), {"encoder": encoder, "decoder": decoder}, (expected,))


def dalle_pytorch() -> Specimen:
    rng = draw(49)
    book = normal(rng, 8, 3)
    weights = {"codebook.weight": book, "encoder.0.0.weight": normal(rng, 5, 3, 4, 4), "encoder.2.weight": normal(rng, 8, 5, 1, 1)}
    expected = Expected("codebook", "dalle-pytorch", "single", "logits", (Level(book),), searchable=False, container="weights")
    return Specimen("dalle-pytorch", ("dalle_pytorch",), {"weights": weights}, (expected,))


SPECIMENS = [
    encodec("encodec", ("encodec",), "quantizer.vq."),
    encodec("speechtokenizer", ("speechtokenizer",), "quantizer.vq.", container="generator"),
    encodec("audiocraft", ("audiocraft",), "quantizer.vq.", "audiocraft", "best_state.model"),
    encodec("xcodec", ("xcodec",), "quantizer.vq.", "xcodec", "codec_model", LATE),
    encodec("funcodec-each", ("funcodec",), "quantizer.rq.model."),
    encodec_projected(), encodec_half(), encodec_single(),
    encodec_unflagged(), wavtokenizer(), transformers_encodec(), transformers_xcodec(),
    funcodec(),
    mimi(
        "mimi", ("moshi_mimi",), "quantizer.rvq_first", "quantizer.rvq_rest", "vq.layers.{}._codebook.",
        ("embedding_sum", "cluster_usage", "_initialized"),
    ),
    mimi(
        "mimi-legacy", ("moshi_mimi",), "quantizer.rvq_first", "quantizer.rvq_rest", "vq.layers.{}._codebook.",
        ("embed_avg", "cluster_size", "inited"),
    ),
    mimi(
        "hf-mimi", ("hf_mimi",), "quantizer.semantic_residual_vector_quantizer", "quantizer.acoustic_residual_vector_quantizer",
        "layers.{}.codebook.", ("embed_sum", "cluster_usage", "initialized"),
    ),
    factorised("dac", ("dac",), "quantizer.quantizers.{}.", "old"),
    factorised("dac", ("hf_dac",), "quantizer.quantizers.{}.", "plain"),
    factorised("snac", ("snac",), "quantizer.quantizers.{}.", "new", "multiscale"),
    factorised("bigcodec", ("bigcodec",), "model.generator.quantizer.layers.{}.", "old"),
    bigcodec_unprojected(), hificodec(), jukebox(), vqtorch(), vqtorch_running(), vqtorch_learned(True), vqtorch_learned(False),
    wav2vec("vars", True), wav2vec("codevectors", True), wav2vec("codevectors", False), wav2vec_combined(), wav2vec_kmeans(False),
    wav2vec_kmeans(True), dalle(), dalle_pytorch(),
]  # fmt: skip
