"""Synthetic checkpoints of image tokenisers: the lineage of `quantize.embedding.weight`, restoration, the first VQ-VAEs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from synthetic import Expected, Level, Specimen, convolutions, counts_of, draw, normal, smoothed, unit

RNG = draw(2)
K, D = 16, 6


def book(*shape: int) -> np.ndarray:
    return normal(RNG, *(shape or (K, D)))


def vqgan(prefix: str = "") -> dict[str, np.ndarray]:
    """Encoder, decoder and the 1 × 1 convolutions around the quantiser, in taming's names."""
    return {
        f"{prefix}encoder.down.0.block.0.conv1.weight": normal(RNG, 8, 8, 3, 3),
        f"{prefix}encoder.conv_out.weight": normal(RNG, 8, 8, 3, 3),
        f"{prefix}quant_conv.weight": normal(RNG, D, 8, 1, 1),
        f"{prefix}post_quant_conv.weight": normal(RNG, 8, D, 1, 1),
        f"{prefix}decoder.conv_in.weight": normal(RNG, 8, 8, 3, 3),
    }


def gan_loss() -> dict[str, np.ndarray]:
    """What the training file of a VQGAN also holds: discriminator and perceptual loss."""
    return {
        "loss.perceptual_loss.net.slice1.0.weight": normal(RNG, 64, 3, 3, 3),
        "loss.perceptual_loss.lin0.model.1.weight": normal(RNG, 1, 64, 1, 1),
        "loss.discriminator.main.0.weight": normal(RNG, 64, 3, 4, 4),
        "loss.discriminator.embedding.weight": normal(RNG, K, D),
    }


def transformer() -> dict[str, np.ndarray]:
    """Tables and heads of a second stage: none is a codebook."""
    return {
        "transformer.tok_emb.weight": normal(RNG, K, 8),
        "transformer.pos_emb": normal(RNG, 1, K, 8),
        "transformer.wte.weight": normal(RNG, K, 8),
        "transformer.head.weight": normal(RNG, K, 8),
        "class_embedding.weight": normal(RNG, 10, 8),
    }


def one(id: str, rows: str, tensors: Mapping, *expected: Expected, **options) -> Specimen:
    return Specimen(id, tuple(rows.split()), tensors, expected, **options)


def taming() -> Specimen:
    codes = book()
    tensors = vqgan() | {"quantize.embedding.weight": codes, "quantize.used": np.arange(K)} | gan_loss()
    found = Expected("quantize", "taming", "single", "l2", (Level(codes),), metric_basis="assumed", width=D)
    return one(
        "taming",
        "taming_vq",
        {"state_dict": tensors, "optimizer_states": {"0": {"exp_avg": book()}}},
        Expected(**(vars(found) | {"container": "state_dict"})),
    )


def taming_first_stage() -> Specimen:
    codes = book()
    tensors = (
        vqgan("first_stage_model.")
        | {"first_stage_model.quantize.embedding.weight": codes, "model.diffusion_model.time_embed.0.weight": normal(RNG, 8, 8)}
        | {"cond_stage_model.transformer.token_emb.weight": normal(RNG, 32, 8)}
    )
    return one(
        "latent-diffusion-first-stage",
        "ldm_vq",
        tensors,
        Expected("first_stage_model.quantize", "taming", "single", "l2", (Level(codes),)),
    )


def ldm_with_lit_ema() -> Specimen:
    """LitEma's copy has no dots; it differs, so it is what is reported, under the module's name."""
    trained, averaged = book(), book()
    tensors = vqgan() | {
        "quantize.embedding.weight": trained,
        "model_ema.decay": np.float32(0.9999),
        "model_ema.num_updates": np.int32(7),
    }
    tensors |= {"model_ema.quantizeembeddingweight": averaged, "model_ema.quant_convweight": normal(RNG, D, 8, 1, 1)} | gan_loss()
    return one(
        "latent-diffusion-lit-ema",
        "ldm_vq",
        tensors,
        Expected("quantize", "taming", "single", "l2", (Level(averaged),), metric_basis="assumed", facts={"ema": None}),
    )


def taming_ema() -> Specimen:
    counts = counts_of(RNG, K)
    sums = book()
    tensors = vqgan() | {"quantize.embedding.weight": sums / smoothed(counts)[:, None]}
    tensors |= {"quantize.embedding.cluster_size": counts, "quantize.embedding.embed_avg": sums}
    facts = {"ema.relation": "laplace", "ema.decay": 0.99}
    codes = tensors["quantize.embedding.weight"]
    return one(
        "taming-ema",
        "taming_ema",
        tensors,
        Expected("quantize", "taming-ema", "single", "l2", (Level(codes, counts),), facts=facts),
    )


def gumbel(id: str, rows: str, beside: Mapping) -> Specimen:
    codes = book()
    tensors = {
        **beside,
        "quantize.embed.weight": codes,
        "quantize.proj.weight": normal(RNG, K, 8, 1, 1),
        "quantize.proj.bias": book(K),
    }
    return one(id, rows, tensors, Expected("quantize", "taming-gumbel", "single", "logits", (Level(codes),), searchable=False))


def diffusers() -> Specimen:
    codes = book()
    beside = {"encoder.down_blocks.0.resnets.0.norm1.weight": np.ones(8, np.float32), "quant_conv.weight": normal(RNG, D, 8, 1, 1)}
    tensors = convolutions(RNG) | beside | {"quantize.embedding.weight": codes}
    return one(
        "diffusers", "diffusers_vq", tensors, Expected("quantize", "taming", "single", "l2", (Level(codes),)), kind="safetensors"
    )


def codeformer() -> Specimen:
    codes = book()
    beside = {"encoder.blocks.0.weight": normal(RNG, 8, 3, 3, 3), "generator.blocks.0.weight": normal(RNG, 8, D, 3, 3)}
    alien = {"position_emb": normal(RNG, K, 8), "idx_pred_layer.1.weight": normal(RNG, K, 8), "feat_emb.weight": normal(RNG, 8, D)}
    tensors = {"params_ema": beside | alien | {"quantize.embedding.weight": codes}}
    return one(
        "codeformer", "codeformer", tensors, Expected("quantize", "taming", "single", "l2", (Level(codes),), container="params_ema")
    )


def hf_vlm(id: str, prefix: str, beside: Mapping) -> Specimen:
    codes = book()
    tokens = {
        "lm_head.weight": normal(RNG, 32, 8),
        "model.text_model.embed_tokens.weight": normal(RNG, 32, 8),
        "model.generation_embeddings.weight": normal(RNG, K, D),
        "model.embed_audio_tokens.weight": normal(RNG, K, 8),
        "model.code_embedding.weight": normal(RNG, K, D),
        "model.text_model.layers.0.self_attn.q_proj.weight": normal(RNG, 8, 8),
    }
    tensors = {**tokens, f"{prefix}quantize.embedding.weight": codes, **{f"{prefix}{key}": value for key, value in beside.items()}}
    return one(
        id, "hf_vlm", tensors, Expected(f"{prefix}quantize", "taming", "single", "l2", (Level(codes),)), kind="safetensors-sharded"
    )


def glm_image() -> Specimen:
    codes = book()
    tensors = {
        "model.visual.patch_embed.proj.weight": normal(RNG, 8, 3, 2, 2),
        "model.language_model.embed_tokens.weight": book(32, 8),
    }
    tensors |= {"model.vqmodel.quant_conv.weight": normal(RNG, D, 8, 1, 1), "model.vqmodel.quantize.embedding.weight": codes}
    found = Expected("model.vqmodel.quantize", "glm-image", "single", "cosine", (Level(codes),), facts={"emits": "normalised"})
    return one("glm-image", "hf_vlm", tensors, found)


def llamagen(**tree) -> Specimen:
    codes = book()
    ring = RNG.integers(0, K, 64).astype(np.float32)
    tensors = {"encoder.conv_blocks.0.res.0.conv1.weight": normal(RNG, 8, 8, 3, 3), "quant_conv.weight": normal(RNG, D, 8, 1, 1)}
    tensors |= {"quantize.embedding.weight": codes, "quantize.codebook_used": ring}
    facts = {"emits": "normalised", "ema.counts": "ring"}
    found = Expected("quantize", "llamagen", "single", "cosine", (Level(codes, ring),), metric_basis="inferred", facts=facts)
    return one("llamagen", "llamagen", tensors, found)


def llamagen_without_norm() -> Specimen:
    """The arguments in the file state that it does not normalise."""
    tensors = dict(llamagen().tensors)
    codes, ring = tensors["quantize.embedding.weight"], tensors["quantize.codebook_used"]
    found = Expected("quantize", "llamagen", "single", "l2", (Level(codes, ring),), facts={"emits": "codes"})
    return one("llamagen-l2", "llamagen", tensors, found, plain=False, tree={"args": {"codebook_l2_norm": False}})


def var() -> Specimen:
    codes, hits = book(), counts_of(RNG, 10, K)
    tensors = {"encoder.down.0.block.0.conv1.weight": normal(RNG, 8, 8, 3, 3), "quantize.embedding.weight": codes}
    tensors |= {f"quantize.quant_resi.qresi_ls.{i}.weight": normal(RNG, D, D, 3, 3) for i in range(4)}
    tensors |= {"quantize.ema_vocab_hit_SV": hits}
    alien = {"word_embed.weight": normal(RNG, 8, D), "class_emb.weight": normal(RNG, 11, 8), "lvl_embed.weight": normal(RNG, 10, 8)}
    found = Expected(
        "quantize",
        "var",
        "multiscale",
        "l2",
        (Level(codes, hits),),
        metric_basis="inferred",
        searchable=False,
        container="trainer.vae_local",
        facts={"ema.counts": "scales"},
    )
    return one("var", "var", {"trainer": {"vae_local": tensors, "var_wo_ddp": alien}}, found)


def ibq() -> Specimen:
    codes = book()
    tensors = vqgan() | {"quantize.embedding.weight": codes, "model_ema.quantizeembeddingweight": codes.copy()}
    found = Expected("quantize", "ibq", "single", "dot", (Level(codes),))
    return one("ibq", "ibq", tensors, found, plain=False, tree={"hyper_parameters": {"_class_path": "src.IBQ.models.ibqgan.IBQ"}})


def ibq_unsaid() -> Specimen:
    """Without its configuration an IBQ file cannot be told from taming's: the metric is assumed, and a note says so."""
    codes = book()
    tensors = vqgan() | {"quantize.embedding.weight": codes}
    return one(
        "ibq-unsaid", "ibq", tensors, Expected("quantize", "taming", "single", "l2", (Level(codes),), metric_basis="assumed")
    )


def beit2() -> Specimen:
    """The counter inside `embedding` is a decoy, as are its sums; the live one stands beside the module."""
    codes, live = unit(book()), counts_of(RNG, K)
    tensors = {
        "encoder.blocks.0.attn.qkv.weight": normal(RNG, 24, 8),
        "encoder.pos_embed": normal(RNG, 1, 5, 8),
        "encoder.cls_token": book(1, 1, 8),
        "quantize.embedding.weight": codes,
        "quantize.embedding.initted": np.ones(1, np.float32),
        "quantize.embedding.cluster_size": np.zeros(K, np.float32),
        "quantize.embedding.embed_avg": book(),
        "quantize.cluster_size": live,
        "encode_task_layer.0.weight": normal(RNG, 8, 8),
    }
    found = Expected(
        "quantize", "beit2", "single", "cosine", (Level(codes, live, flag=1.0),), container="model", facts={"ema.relation": "none"}
    )
    return one("beit2", "beit2", {"model": tensors, "optimizer": {"state": {"0": {"exp_avg": book()}}}}, found)


def titok() -> Specimen:
    """The second stage carries another model's book beside its own."""
    codes, pixels = book(), book(32, 8)
    tensors = {
        "latent_tokens": normal(RNG, 4, 8),
        "encoder.class_embedding": normal(RNG, 1, 8),
        "encoder.positional_embedding": normal(RNG, 5, 8),
        "encoder.latent_token_positional_embedding": normal(RNG, 4, 8),
        "quantize.embedding.weight": codes,
        "pixel_quantize.embedding.weight": pixels,
        "pixel_decoder.conv_in.weight": normal(RNG, 8, 8, 3, 3),
    }
    return one(
        "titok",
        "titok",
        tensors,
        Expected("quantize", "titok", "single", "cosine", (Level(codes),), metric_basis="assumed"),
        Expected("pixel_quantize", "titok-pixels", "single", "l2", (Level(pixels),)),
    )


def titok_clustering() -> Specimen:
    codes, shares = book(), (RNG.random(K) / K).astype(np.float32)
    tensors = {"latent_tokens": normal(RNG, 4, 8), "quantize.embedding.weight": codes, "quantize.embed_prob": shares}
    found = Expected("quantize", "titok", "single", "cosine", (Level(codes, shares),), metric_basis="assumed")
    return one("titok-clustering", "titok", tensors, Expected(**(vars(found) | {"facts": {"ema.counts": "probability"}})))


def vit_vqgan() -> Specimen:
    codes = book()
    tensors = {
        "encoder.en_pos_embedding": normal(RNG, 1, 5, 8),
        "pre_quant.weight": normal(RNG, D, 8),
        "post_quant.weight": normal(RNG, 8, D),
    }
    tensors |= {"quantizer.embedding.weight": codes, "loss.discriminator.blocks.0.weight": normal(RNG, 8, 3, 1, 1)}
    facts = {"emits": "normalised"}
    found = Expected("quantizer", "vit-vqgan", "single", "cosine", (Level(codes),), metric_basis="inferred", facts=facts)
    return one("vit-vqgan", "vitvq", tensors, found)


def dome272() -> Specimen:
    codes = book()
    tensors = convolutions(RNG) | {"codebook.embedding.weight": codes, "quant_conv.weight": normal(RNG, D, D, 1, 1)}
    return one("dome272", "dome272", tensors, Expected("codebook", "dome272", "single", "l2", (Level(codes),)))


def vq_diffusion() -> Specimen:
    counts, sums = counts_of(RNG, K), book()
    codes = sums / smoothed(counts)[:, None]
    tensors = {"quantize.embedding": codes, "quantize.cluster_size": counts, "quantize.embedding_avg": sums} | convolutions(RNG)
    found = Expected("quantize", "vq-diffusion", "single", "l2", (Level(codes, counts),), facts={"ema.relation": "laplace"})
    return one("vq-diffusion", "vqdiffusion", tensors, found)


def vq_diffusion_cosine() -> Specimen:
    codes, counts = unit(book()), counts_of(RNG, K)
    tensors = {"quantize.embedding": codes, "quantize.cluster_size": counts, "quantize.embedding_avg": book()}
    found = Expected("quantize", "vq-diffusion", "single", "cosine", (Level(codes, counts),), metric_basis="inferred")
    return one("vq-diffusion-cosine", "vqdiffusion", tensors, found)


def simvq() -> Specimen:
    table, weight, bias = book(), normal(RNG, D, D), book(D)
    tensors = vqgan() | {
        "quantize.embedding.weight": table,
        "quantize.embedding_proj.weight": weight,
        "quantize.embedding_proj.bias": bias,
    }
    tensors |= {"model_ema.quantizeembedding_projweight": weight.copy(), "model_ema.decay": np.float32(1)}
    return one("simvq", "simvq", tensors, Expected("quantize", "simvq", "single", "l2", (Level(table @ weight.T + bias),), width=D))


def vqfr() -> Specimen:
    """One book a scale, each behind its own convolution; scales are independent quantisers, EMA and trained weights equal."""
    books = {"Level_32": book(), "Level_16": book(8, 4)}
    tensors = convolutions(RNG)
    for level, codes in books.items():
        tensors[f"quantizer.quantize_dict.{level}.quant_conv.weight"] = normal(RNG, codes.shape[1], 10, 1, 1)
        tensors[f"quantizer.quantize_dict.{level}.quant_conv.bias"] = book(codes.shape[1])
        tensors[f"quantizer.quantize_dict.{level}.post_quant_conv.weight"] = normal(RNG, 10, codes.shape[1], 1, 1)
        tensors[f"quantizer.quantize_dict.{level}.embedding.weight"] = codes
    twin = {key: value.copy() for key, value in tensors.items()}
    expected = [
        Expected(f"quantizer.quantize_dict.{level}", "vqfr", "single", "l2", (Level(codes),), width=10, container="params")
        for level, codes in books.items()
    ]
    return one("vqfr", "vqfr", {"params": tensors, "params_ema": twin}, *expected)


def cvq() -> Specimen:
    codes, shares = book(), (RNG.random(K) / K).astype(np.float32)
    tensors = {"_encoder._conv_1.weight": normal(RNG, 8, 3, 4, 4), "_vq_vae.embedding.weight": codes, "_vq_vae.embed_prob": shares}
    facts = {"ema.counts": "probability", "ema.decay": 0.99}
    found = Expected("_vq_vae", "cvq", "single", "cosine", (Level(codes, shares),), metric_basis="assumed", facts=facts)
    return one("cvq", "cvq", tensors, found)


def zalando_ema() -> Specimen:
    counts, sums = counts_of(RNG, K), book()
    codes = sums / counts[:, None]
    tensors = {"_encoder._conv_1.weight": normal(RNG, 8, 3, 4, 4), "_pre_vq_conv.weight": normal(RNG, D, 8, 1, 1)}
    tensors |= {"_vq_vae._ema_w": sums, "_vq_vae._embedding.weight": codes, "_vq_vae._ema_cluster_size": counts}
    facts = {"ema.relation": "ratio", "ema.counts": "smoothed"}
    return one(
        "zalando-ema", "zalando", tensors, Expected("_vq_vae", "zalando-ema", "single", "l2", (Level(codes, counts),), facts=facts)
    )


def zalando(module: str) -> Specimen:
    codes = book()
    tensors = {
        "_encoder._conv_1.weight": normal(RNG, 8, 3, 4, 4),
        f"{module}._embedding.weight": codes,
        "_decoder._embedding.weight": book(),
    }
    return one(f"zalando-{module}", "zalando", tensors, Expected(module, "zalando", "single", "l2", (Level(codes),)))


def rosinality(id: str, dim: int, codes: int) -> Specimen:
    """Top and bottom, each D × K; square ones too, where only the running sums tell rows from columns."""
    tensors, expected = {"quantize_conv_t.weight": normal(RNG, dim, 8, 1, 1)}, []
    for level in "tb":
        counts, sums = counts_of(RNG, codes), book(dim, codes)
        stored = sums / smoothed(counts)[None, :]
        tensors |= {
            f"quantize_{level}.embed": stored,
            f"quantize_{level}.cluster_size": counts,
            f"quantize_{level}.embed_avg": sums,
        }
        expected.append(Expected(f"quantize_{level}", "rosinality", "single", "l2", (Level(stored.T, counts),), width=dim))
    return one(id, "rosinality", tensors, *expected)


def square_rows() -> Specimen:
    """rosinality's names over a square table whose sums say that rows are codes: not rosinality's layout."""
    counts, sums = counts_of(RNG, K), book(K, K)
    codes = sums / smoothed(counts)[:, None]
    tensors = {"quantize.embed": codes, "quantize.cluster_size": counts, "quantize.embed_avg": sums}
    return one(
        "square-rows",
        "rosinality",
        tensors,
        Expected("quantize", "generic", "single", "l2", (Level(codes, counts),), metric_basis="assumed"),
    )


def kakaobrain() -> Specimen:
    tensors, levels = {"encoder.conv_in.weight": normal(RNG, 8, 3, 3, 3)}, []
    for i in range(3):
        counts, sums = counts_of(RNG, K), book()
        codes = sums / smoothed(counts)[:, None]
        padded = np.concatenate([codes, np.zeros((1, D), np.float32)])
        stem = f"quantizer.codebooks.{i}."
        tensors |= {f"{stem}weight": padded, f"{stem}cluster_size_ema": counts, f"{stem}embed_ema": sums}
        levels.append(Level(codes, counts))
    found = Expected(
        "quantizer", "kakaobrain", "residual", "l2", tuple(levels), container="state_dict", facts={"ema.threshold": 1.0}
    )
    return one(
        "kakaobrain", "kakao_rq", {"state_dict": tensors, "discriminator": {"main.0.weight": normal(RNG, 8, 3, 4, 4)}}, found
    )


def kakaobrain_shared() -> Specimen:
    padded = np.concatenate([book(), np.zeros((1, D), np.float32)])
    tensors = {f"quantizer.codebooks.{i}.weight": padded for i in range(2)}
    levels = (Level(padded[:K]), Level(padded[:K], shared_with=0))
    return one("kakaobrain-shared", "kakao_rq", tensors, Expected("quantizer", "kakaobrain", "residual", "l2", levels))


SPECIMENS = [
    taming(),
    taming_first_stage(),
    ldm_with_lit_ema(),
    taming_ema(),
    gumbel("taming-gumbel", "taming_gumbel", vqgan()),
    gumbel("codeformer-gumbel", "codeformer", {"encoder.blocks.0.weight": normal(RNG, 8, 3, 3, 3)}),
    diffusers(),
    codeformer(),
    hf_vlm("emu3", "model.vqmodel.", {"encoder.conv_in.weight": normal(RNG, 8, 3, 3, 3)}),
    hf_vlm("chameleon", "model.vqmodel.", {"encoder.down.0.block.0.conv1.weight": normal(RNG, 8, 8, 3, 3)}),
    glm_image(),
    llamagen(),
    llamagen_without_norm(),
    var(),
    ibq(),
    ibq_unsaid(),
    beit2(),
    titok(),
    titok_clustering(),
    vit_vqgan(),
    dome272(),
    vq_diffusion(),
    vq_diffusion_cosine(),
    simvq(),
    vqfr(),
    cvq(),
    zalando_ema(),
    zalando("_vq_vae"),
    zalando("vq_layer"),
    rosinality("rosinality", D, K),
    rosinality("rosinality-square", K, K),
    square_rows(),
    kakaobrain(),
    kakaobrain_shared(),
]
