"""Results and reports by hand, with what a careless view gets wrong: hostile names, missing values, close calls, two sources."""

from vqdoctor.model import QuantizerReport, Report, Sample, Source
from vqdoctor.model.gate import Check, GateResult, Ungated

EVIL = "quant\x1b[31m[bold]‮<b>"


def report(path="runs/a.pt", kind="torch-zip"):
    sample = Sample("runs/a.features.npy", "features", 8480, 0, False, 1024, 16)
    quantizer = QuantizerReport("quantizer.vq", "encodec", "keys", "residual", "l2", "stated", ())
    return Report(Source(path, kind, 1_200_000), (quantizer,), sample=None if kind == "log" else sample, version="0.1.0")


def use(where="quantizer.vq[1]", value=0.42, threshold=0.9, **more):
    about = {"op": "min", "n": 8480, "status": "fail", "origin": "--min", "reason": "at most 110 of 256 codes reachable at 95 %"}
    return Check("runs/a.pt", where, "usage.utilization", threshold=threshold, value=value, **about | more)


FEW = "unseen codes may still be reached: under 3 rows a code"
OPEN = use(
    "quantizer.vq[2]",
    0.85,
    n=512,
    needed_n=768,
    status="inconclusive",
    reason=FEW,
)
MISSING = use("", None, n=None, reason="no value: no features given (vqdoctor inspect runs/a.pt --features FEATURES.npy)")
MET = use(value=0.90001, status="pass", reason="")
QUIET = tuple(Check("runs/a.pt", "", rule=rule, origin="preset recommended") for rule in ("VQ101", "VQ201", "VQ303"))
FOUND = Check(
    "runs/a.pt", "quantizer.vq[0]", rule="VQ206", status="fail", level="warning", origin="preset recommended",
    reason="Codes at 5.2 × the scale of the features.",
)  # fmt: skip
KNOWN = Check(
    "runs/a.pt", "quantizer.vq[0]", "collision.rate", op="max", threshold=0.05, value=0.0712, n=4000, known=0.08,
    reason="known: the baseline holds 0.08", origin="/home/me/pyproject.toml:12",
)  # fmt: skip
USAGE = Ungated("runs/a.pt", "usage.* (VQ101, VQ102)", "no features given", "vqdoctor inspect runs/a.pt --features FEATURES.npy")
EVIL_CHECK = Check(
    "runs/\x1b]0;x\x07.pt", EVIL + "[0]", "usage.used", op="min", threshold=3.0, value=1.0, n=9, status="fail",
    reason=f"{EVIL} is evil", origin=f"/tmp/{EVIL}/pyproject.toml:1",
)  # fmt: skip

RESULTS = {
    "fail": (GateResult("fail", (use(), OPEN, FOUND, KNOWN, *QUIET), (USAGE,), ("recommended",), True, True, "0.1.0"), [report()]),
    "missing": (GateResult("fail", (MISSING,), stops=True, version="0.1.0"), [report()]),
    "inconclusive": (GateResult("inconclusive", (OPEN, *QUIET), stops=True, version="0.1.0"), [report()]),
    "pass": (GateResult("pass", (MET, *QUIET), (), ("strict",), version="0.1.0"), [report()]),
    "quiet": (GateResult("pass", QUIET, (USAGE,), ("recommended",), False, version="0.1.0"), [report()]),
    "nothing": (
        GateResult("inconclusive", (), (USAGE,), ("recommended",), False, True, "0.1.0"), [report("runs/log.jsonl", "log")]
    ),
    "hostile": (GateResult("fail", (EVIL_CHECK, use()), stops=True, version="0.1.0"), [report(EVIL_CHECK.source), report()]),
}  # fmt: skip
