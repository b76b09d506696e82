"""A report as `inspect` makes it for a browser, from arrays: a residual quantiser of three levels, the middle one sick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vqdoctor.app.views import browser
from vqdoctor.engines import tally_codes
from vqdoctor.metrics import measure_collisions, measure_levels, measure_usage
from vqdoctor.metrics.usage import VERDICTS
from vqdoctor.model import Finding, LevelReport, QuantizerReport, Remedy, Report, Sample, Source, Unmeasured

CODES, ROWS = 32, 600
NASTY = "[bold red]x[/] \x1b[2J\u202e[@click=app.exit]y[/]"


def report_of(name: str = "rq", codes: int = CODES, rows: int = ROWS, names: Callable[[int], object] | None = None) -> Report:
    """Three levels of `codes` codes over `rows` rows; level 1 uses two codes."""
    rng = np.random.default_rng(0)
    table = np.stack([rng.integers(codes, size=rows), rng.integers(2, size=rows), rng.integers(codes, size=rows) // 2], axis=1)
    table[: rows // 10] = table[0]
    tally = tally_codes([table], [codes] * 3)
    assert tally.ids is not None
    collisions = measure_collisions(tally.ids.items, sizes=[codes] * 3)
    together = measure_levels(tally.ids.codes, tally.ids.items, sizes=[codes] * 3, residual_energy=[4.0, 1.0, 0.9, 0.3])
    quantizer = QuantizerReport(
        name, "vqdoctor-trainer", "keys like rq.layers.0.codebook", "residual", "l2", "stated",
        tuple(level_of(at, counts.counts, codes, rng) for at, counts in enumerate(tally.levels)),
        metrics=collisions.metrics | together.metrics, prefixes=together.facts["prefixes"], facts={"ids": browser(tally, names)},
    )  # fmt: skip
    source = Source(f"{name}.pt", "torch-zip", 167_000, info={"step": 120, "epoch": 40})
    sample = Sample(f"{name}.features.npy", "features", rows, 0, True, 1024, 16, "found beside the checkpoint")
    missing = (Unmeasured("distortion.kmeans_ratio", "fitting a reference takes time", f"vqdoctor inspect {name}.pt --fit"),)
    return Report(source, (quantizer,), findings_of(name), "sick", sample, missing)


def level_of(index: int, counts: np.ndarray, codes: int, rng: np.random.Generator) -> LevelReport:
    """One level, with the columns of --details, a map and one odd row."""
    usage = measure_usage(counts, population=True)
    ema = counts * 0.9 + 0.3
    details = {
        "key": ["k"] * codes, "code": np.arange(codes), "count": counts, "share": counts / counts.sum(), "ema_count": ema,
        "norm": rng.uniform(1, 5, codes), "nearest": np.roll(np.arange(codes), 1), "nearest_distance": rng.uniform(0.1, 4, codes),
        "verdict": [VERDICTS[place] for place in usage.facts["verdicts"]],
    }  # fmt: skip
    book = rng.normal(size=(codes, 2))
    drawn = {"codes": book.tolist(), "code_rows": list(range(codes)), "features": (0.3 * rng.normal(size=(90, 2))).tolist()}
    return LevelReport(
        index, f"rq.layers.{index}.codebook", codes, 16, "float32", usage.metrics | {"ema.utilization": 1.0},
        counts={int(code): int(counts[code]) for code in np.flatnonzero(counts)},
        facts={"details": details, "map": drawn | {"explained": 0.61}, "rows": {"duplicate": [[5, 3]], "zero": [7]}},
    )  # fmt: skip


def findings_of(name: str) -> tuple[Finding, ...]:
    """One on a level, one on the whole, one on the two other levels, one that is only words."""
    command = f"vqdoctor repair {name}.pt --kmeans --features {name}.features.npy --level 1 -o repaired.pt"
    return (
        Finding("VQ101", "codebook-collapse", "error", f"{name}[1]", "2 of 32 codes take all 600 rows.",
                {"usage.used": 2, "usage.perplexity": 2.0}, "certain",
                Remedy("Causes first: initialisation. Then k-means.", command),
                "Print the spread of the encoder's outputs."),
        Finding("VQ401", "id-collisions", "error", name, "41 % of 600 items are in excess of their IDs.",
                {"collision.rate": 0.41}, "certain", Remedy("A collapsed level first.", command.replace(" --level 1", ""))),
        *(Finding("VQ202", "duplicate-codes", "warning", f"{name}[{at}]", "1 row is bit-equal to an earlier one.",
                  {"geometry.duplicate_rows": 1}, "certain", Remedy("Replace it.", f"vqdoctor repair {name}.pt --sanitize -o r.pt"))
          for at in (0, 2)),
        Finding("VQ404", "hourglass", "warning", f"{name}[1]", "Few paths lead through it.", {}, "likely", Remedy("Drop it.")),
    )  # fmt: skip


def healthy() -> Report:
    """Nothing found, one level."""
    report = report_of("well")
    quantizer = replace(report.quantizers[0], levels=report.quantizers[0].levels[:1], facts={}, prefixes=None, metrics={})
    return replace(report, quantizers=(quantizer,), findings=(), verdict="healthy")


def blind() -> Report:
    """Nothing but what the file says: no rows, no counts."""
    report = report_of("blind")
    quantizer = report.quantizers[0]
    levels = tuple(
        replace(level, counts=None, metrics={"ema.utilization": 1.0}, facts={
            "details": {k: v for k, v in level.facts["details"].items() if k not in ("count", "share", "verdict")},
            "map": level.facts["map"] | {"features": None},
        })
        for level in quantizer.levels
    )  # fmt: skip
    bare = replace(quantizer, levels=levels, facts={}, prefixes=None, metrics={})
    how = (Unmeasured("usage.*", "no features given", "vqdoctor inspect blind.pt --features FEATURES.npy"),)
    return replace(report, quantizers=(bare,), findings=(), verdict="unknown", sample=None, unmeasured=how)


def bookless() -> Report:
    """An implicit quantiser: no stored codes at all."""
    report = report_of("fsq")
    bare = replace(report.quantizers[0], structure="implicit", levels=(), facts={}, prefixes=None, metrics={})
    return replace(report, quantizers=(bare,), findings=(), verdict="unknown", sample=None, unmeasured=())


def nasty() -> Report:
    """Every word that a file or a rule gives is one that a terminal or a markup reader would obey."""
    report = report_of(NASTY, names=lambda row: f"{NASTY} {row}")
    findings = tuple(
        replace(one, message=f"{one.message} {NASTY}", remedy=Remedy(NASTY, one.remedy.command)) for one in report.findings
    )
    return replace(report, findings=findings)
