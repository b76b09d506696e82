"""Reports that a careless view gets wrong: hostile names, undefined metrics, 32 levels, and a healthy one beside a sick one."""

from __future__ import annotations

from vqdoctor.model import Finding, Group, LevelReport, QuantizerReport, Remedy, Report, Sample, Source, Unmeasured

NAN = float("nan")


def usage(codes: int, used: int, rows: int, **more: float | None) -> dict[str, float | None]:
    """Metrics of a level on which `used` of `codes` are hit alike."""
    return {
        "usage.n": rows,
        "usage.used": used,
        "usage.utilization": used / codes,
        "usage.ceiling": 1 - (1 - 1 / codes) ** rows,
        "usage.perplexity": float(used),
        "usage.entropy_normalized": None if codes == 1 else 0.5,
        "usage.dead": codes - used,
        **more,
    }


def sick() -> Report:
    """A taming VQGAN: EMA says 100 %, reality two codes."""
    level = LevelReport(
        0,
        "quantize.embedding.weight",
        512,
        256,
        "float32",
        ema_count_key="quantize.embedding.cluster_size",
        metrics=usage(512, 2, 65533)
        | {
            "usage.utilization": 2 / 512,
            "usage.perplexity": 1.0404,
            "usage.entropy_normalized": 0.0063,
            "ema.utilization": 1.0,
            "geometry.distinct": 511,
            "geometry.near_duplicate_rows": 1,
            "geometry.effective_rank": 3.2,
            "geometry.norm_min": 0.01,
            "geometry.norm_median": 0.04,
            "geometry.norm_max": 11.3,
            "distortion.mse": 0.0123,
            "distortion.snr_db": NAN,
        },
        counts={440: 65101, 17: 432},
        facts={"never": object()},
    )
    findings = (
        Finding(
            "VQ206",
            "scale-mismatch",
            "warning",
            "quantize[0]",
            "Codebook norm 0.04, features 11.3 (ratio 0.004).",
            {"match.scale_ratio": 0.004},
            "likely",
            Remedy("Initialise from the encoder's own outputs."),
            "compare norms at step 0",
        ),
        Finding(
            "VQ103",
            "ema-illusion",
            "error",
            "quantize[0]",
            "EMA counts 512 of 512 codes active; 65 533 real rows use 2. The count of a code that is never hit stays over 1e-5 for "
            "1146 steps at decay 0.99: the run's own monitor cannot see this collapse yet.",
            {"ema.utilization": 1.0, "usage.utilization": 2 / 512, "gap": float("inf")},
            "certain",
            Remedy("Judge by real use: usage.utilization, not ema.utilization."),
        ),
        Finding(
            "VQ101",
            "codebook-collapse",
            "error",
            "quantize[0]",
            "2 codes take all rows (attainable at this n: 512).",
            {},
            "certain",
            Remedy(
                "Rule out first: straight-through gradient missing, loss scale, learning rate. Then:",
                "vqdoctor repair vqgan_epoch1.pt --kmeans --features vqgan_epoch1.features.npy -o repaired.pt",
            ),
        ),
    )
    return Report(
        source=Source("runs/vqgan_epoch1.pt", "torch-zip", 1_234_567_890, "0" * 64, {"epoch": 1, "step": 1100}),
        quantizers=(
            QuantizerReport("quantize", "taming-ema", "key quantize.embedding.weight", "single", "l2", "stated", (level,)),
        ),
        findings=findings,
        verdict="sick",
        version="0.1.0",
        sample=Sample("vqgan_epoch1.features.npy", "features", 65533, 3, False, 1024, 256, "found beside the checkpoint"),
        unmeasured=(Unmeasured("collision.*", "one codebook, nothing to collide"),),
    )


def healthy() -> Report:
    """Three levels, all in use, with collisions to tell."""
    counts = {code: 200 - code for code in range(64)}
    metrics = usage(64, 64, sum(counts.values())) | {
        "usage.perplexity": 62.1,
        "usage.entropy_normalized": 0.993,
        "ema.utilization": 0.98,
    }
    levels = tuple(LevelReport(i, f"rq.{i}.embed", 64, 32, "float32", metrics, f"rq.{i}.n", f"rq.{i}.s", counts) for i in range(3))
    quantizer = QuantizerReport(
        "rq",
        "rqvae",
        "keys rq.0.embed …",
        "residual",
        "l2",
        "inferred",
        levels,
        metrics={
            "collision.items": 3883,
            "collision.unique": 3359,
            "collision.rate": 0.135,
            "collision.floor_excess": 8,
            "collision.max_group": 9,
            "collision.capacity": 64**3,
            "levels.joint_entropy_bits": 11.6,
            "levels.gain_db": [3.1, 1.2, None],
        },
        groups=(Group((3, 7, 1), 9, ("tt0114709", "tt0113497")),),
        notes=("The third level repeats no other.",),
        map={"codes": [[0.0, 1.0], [0.5, 2.0]], "features": []},
        prefixes={"0": 64},
        translations=tuple(
            {"tool": tool, "name": name, "level": level, "value": value, "formula": "distinct | K", "note": "of the last 65,536"}
            for tool, name, value in (("LlamaGen", "codebook_usage", 0.842), ("DAC", "entropy", None))
            for level in range(3)
        ),
    )
    source = Source("rq.pt", "safetensors", 999, info={"step": 20000})
    return Report(
        source, (quantizer,), verdict="healthy", sample=Sample("catalogue.npy", "features", 3883, 0, True, 1024), version="0.1.0"
    )


def blind() -> Report:
    """32 levels of a codec and no features: nothing but the file to go by, and most metrics undefined."""
    levels = tuple(
        LevelReport(
            i, f"quantizer.vq.layers.{i}._codebook.embed", 1024, 128, "bfloat16", {"usage.n": None, "ema.utilization": 1 - i / 100}
        )
        for i in range(32)
    )
    findings = tuple(
        Finding(
            "VQ202", "duplicate-codes", "warning", f"quantizer.vq[{i}]", f"{i} rows repeat an earlier one.", {"rows": i}, "certain"
        )
        for i in (3, 4, 5, 6, 9, 20)
    )
    quantizer = QuantizerReport("quantizer.vq", "encodec", "keys …", "residual", "l2", "assumed", levels)
    how = "vqdoctor inspect codec.safetensors --features FEATURES.npy"
    unmeasured = (Unmeasured("usage.*", "no features given", how), Unmeasured("distortion.*", "no features given", how))
    return Report(
        Source("codec.safetensors", "safetensors", 59_999_999), (quantizer,), findings, "at-risk", None, unmeasured, "0.1.0"
    )


def hostile() -> Report:
    """Names that drive a terminal, forge a line, read as markup, break a table or turn the text around."""
    name = (
        "quant\x1b[2J\x1b]0;owned\x07[bold red]x[/]|`<img src=x>`\n✓ HEALTHY\u202efdp.exe\ud800 @everyone #1 https://evil.example"
    )
    level = LevelReport(0, name + ".weight", 300, 4, "float32", usage(300, 1, 50) | {"usage.n": 50}, counts={0: 50})
    finding = Finding(
        "VQ105",
        "insufficient-sample",
        "info",
        name,
        f"Only 50 rows for {name[:40]!r} | pipes | `ticks`.",
        {name: name, "n": 10**5000},
        "likely",
        Remedy("Give [link=file:///etc/passwd]more[/link] rows.", "vqdoctor inspect '" + name + "'"),
        None,
    )
    info = {"epoch\x9b31m": "\u2028]8;;http://evil\x07", "step": 10**5000, "lr": NAN}
    quantizer = QuantizerReport(name, "gen\teric", name, "single", "unknown", "assumed", (level,), notes=(name,), container=name)
    codes = Sample("codes\r\n.npy", "codes", 50, 1, False, 1024, None, "given", complete=False)
    source = Source(
        "/tmp/=cmd|' /C calc'!A0\x1b[31m" + "é" * 300 + ".pt", "torch-legacy", 12, info=info, warnings=(f"skipped {name}",)
    )
    return Report(source, (quantizer,), (finding,), "unknown", codes, (Unmeasured("ema.*", name, name),), "0.1.0")


def empty() -> Report:
    """An implicit quantiser: no book at all."""
    quantizer = QuantizerReport("fsq", "fsq", "key fsq._levels", "implicit", "unknown", "stated", ())
    return Report(Source("fsq.npz", "npz", 0), (quantizer,), version="0.1.0")


def ids() -> Report:
    """A semantic-ID file that does not say how many codes its levels have."""
    unsized = {"usage.n": 4, "usage.used": 2, "usage.utilization": None, "usage.perplexity": 1.75}
    levels = tuple(LevelReport(i, f"level {i}", 0, 0, "int64", unsized, counts={0: 3, 255: 1}) for i in range(2))
    quantizer = QuantizerReport("ids", "semantic-ids", "lists", "residual", "unknown", "assumed", levels, {"collision.items": 4})
    how = "vqdoctor inspect items.index.json --sizes K,K"
    unmeasured = (Unmeasured("usage.utilization", "the file does not say how many codes a level has", how),)
    sample = Sample("items.index.json", "ids", 4, 0, True, 1024)
    return Report(Source("items.index.json", "semantic-ids", 70), (quantizer,), (), "unknown", sample, unmeasured, "0.1.0")


REPORTS = {each.__name__: each for each in (sick, healthy, blind, hostile, empty, ids)}
