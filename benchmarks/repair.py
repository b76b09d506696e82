"""What each treatment makes of sick codebooks, and what is left of it after 200 further steps of training.

`python benchmarks/repair.py [--quick]`. The yardstick is scikit-learn's k-means with as many codes, on the rows that the repair
learned from, judged on the rows that it has not seen; residual levels one after the other. Training goes on from the repaired file
with what made the book sick removed (a commitment that outweighs all, no codebook term, statistics that forget too slowly for
anything to be revived; nothing did it to hourglass but its data), and with it left in; beside that, from the sick file, with
vector-quantize-pytorch's own resets in training (`threshold_ema_dead_code=2`). Its figures are relative to the repaired start too.
Bars: `--kmeans` use ≥ 0.99 × and error ≤ 1.02 × the yardstick's, the others error
≤ 1.10 × or the preview said so; after training without the cause ≥ 95 % of the codes still in use, reconstruction not worse.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from vector_quantize_pytorch import ResidualVQ, VectorQuantize

from vqdoctor.app.repair import RepairRequest, RepairResult, repair
from vqdoctor.checkpoint import open_source
from vqdoctor.layouts import find_quantizers, lookup, stored_rows
from vqdoctor.nearest import encode
from vqdoctor.trainer import checkpoints
from vqdoctor.trainer.config import apply
from vqdoctor.trainer.run import Run
from vqdoctor.trainer.settings import Config
from vqdoctor.treatment import Plan, TreatmentRequest
from vqdoctor.treatment.preflight import check_features

SAMPLES = Path(__file__).parents[1] / "sample_checkpoints"
STEPS, QUICK_STEPS = 200, 50
KEPT = 0.95  # share of the use after the repair, under which it is a relapse

TREATMENTS = {
    "kmeans": TreatmentRequest("kmeans"),
    "kmeans --only-dead": TreatmentRequest("kmeans", only_dead=True),
    "reset-dead": TreatmentRequest("reset-dead"),
    "split": TreatmentRequest("split"),
}
REVIVING = {"decay": 0.95, "reset_threshold": 0.05, "reset_unit": "uniform"}
CAUSES: dict[str, dict[str, Any]] = {  # what the settings of a sample have to be for its book not to fall sick
    "ema-illusion": {"commitment_weight": 0.25, **REVIVING},
    "collapsed-rq": {"commitment_weight": 0.25, "codebook_weight": 1.0, **REVIVING},
    "hourglass": {},
}


@dataclass(frozen=True)
class State:
    """A model at a moment: the share of codes in use over all rows, of its worst level, and the validation loss."""

    use: float
    loss: float

    def since(self, start: State) -> str:
        return f"{self.use / start.use:5.2f} {self.loss / start.loss:5.2f}"


def worst_use(codes: np.ndarray, sizes: tuple[int, ...]) -> float:
    """Share of the codes in use, of the level that uses fewest; codes (n, L)."""
    return min(len(np.unique(column)) / size for column, size in zip(codes.T, sizes, strict=True))


def yardstick(fitted: np.ndarray, judges: np.ndarray, sizes: tuple[int, ...]) -> tuple[float, float]:
    """Use of the worst level and error of fresh k-means, level after level."""
    chosen = []
    for size in sizes:
        model = KMeans(size, n_init=1, random_state=0).fit(fitted)
        chosen.append(model.predict(judges))
        fitted = fitted - model.cluster_centers_[model.labels_]
        judges = judges - model.cluster_centers_[chosen[-1]]
    return worst_use(np.stack(chosen, axis=1), sizes), float(np.square(judges).sum(axis=1).mean())


def judged(path: Path, rows: np.ndarray) -> tuple[float, float]:
    """The same of a file's quantiser."""
    with open_source(str(path)) as source:
        (found,) = find_quantizers(source)
        encoded = encode(rows, lookup(source, found))
        sizes = tuple(level.codes for level in found.levels)
    return worst_use(encoded.codes, sizes), float(encoded.residuals[:, -1].mean(dtype=np.float64))


def foretold(plan: Plan) -> str:
    """What the preview says: codes given up, use of the worst level once latents have moved, whether it expects a relapse."""
    told = [level.survival for level in plan.levels if level.survival]
    if not told:
        return "–"
    lost = sum(len(set(one["die_again"]) | set(one["without_hits"])) for one in told)
    near, far = (min(one["drift"][drift] / one["in_use"] for one in told) for drift in ("0.1", "1.0"))
    relapse = "relapse" if any(one["relapse_expected"] for one in told) else "holds"
    return f"{lost}/{sum(one['revived'] for one in told)} {near:.2f} {far:.2f} {relapse}"


# --- further training -----------------------------------------------------------------------------------------------------------


def run_from(path: Path, folder: str, steps: int, changes: Mapping[str, Any]) -> Run:
    """The trainer's run where the file has left it, with some settings changed and room for more steps."""
    content = checkpoints.load(path)
    config = apply(Config(), content["config"])[0]
    run = Run(config.but(epochs=config.run.epochs + steps, kmeans_epoch=None, **changes), "custom", Path(folder), lambda: 0.0)
    run.restore(content)
    return run


def state_of(run: Run) -> State:
    return State(worst_use(run.codes(), run.sizes), run.evaluate()[0]["loss"])


def trained_on(path: Path, steps: int, changes: Mapping[str, Any]) -> tuple[State, State]:
    """A checkpoint of the trainer before and after further steps."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_from(path, folder, steps, changes)
        start, last = state_of(run), run.upkeep.step + steps
        while not run.train_epoch(lambda _: None, lambda: run.upkeep.step >= last):
            pass
        end = state_of(run)
        run.log.close()
    return start, end


class Peer(nn.Module):
    """vector-quantize-pytorch in the place of the trainer's quantiser, started with the books of a file."""

    def __init__(self, run: Run, path: Path) -> None:
        super().__init__()
        settings = run.config
        self.model, self.sizes = run.model, run.sizes
        self.quantizer = ResidualVQ(
            dim=run.model.quantizer.levels[0].codebook.shape[1], num_quantizers=len(run.sizes), codebook_size=run.sizes[0],
            decay=settings.quantizer.decay, threshold_ema_dead_code=2, commitment_weight=settings.loss.commitment_weight,
        )  # fmt: skip
        with open_source(str(path)) as source:
            (found,) = find_quantizers(source)
            for level, layer in zip(found.levels, self.quantizer.layers, strict=True):
                write_book(layer._codebook, torch.from_numpy(stored_rows(source, level)))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs, codes (n, L), commitment loss."""
        values, codes, commitment = self.quantizer(self.model.encode(inputs)[None])
        return self.model.decode(values[0]), codes[0], commitment.sum()


def write_book(codebook: Any, rows: torch.Tensor, counts: torch.Tensor | None = None) -> None:
    """Rows (K, D) into the library's buffers, with sums that agree with them."""
    size = torch.full(rows.shape[:1], 4.0) if counts is None else counts
    codebook.embed.data[0], codebook.cluster_size[0] = rows, size
    codebook.embed_avg[0] = rows * ((size + 1e-5) / (size.sum() + len(rows) * 1e-5) * size.sum())[:, None]


def peer_on(path: Path, steps: int, changes: Mapping[str, Any]) -> State:
    """A sick checkpoint of the trainer after further steps with the library's resets."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_from(path, folder, steps, changes)
        peer = Peer(run, path)
        optimizer = torch.optim.AdamW(peer.parameters(), lr=run.config.optimizer.learning_rate, weight_decay=0.0)
        done, epoch = 0, run.epoch
        while done < steps:
            for inputs in run.batches(epoch):
                outputs, _, commitment = peer.train()(inputs)
                loss = (outputs - inputs).square().mean() + commitment
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
            epoch += 1
        with torch.no_grad():
            held = run.rows[run.validation_rows]
            error = float((peer.eval()(held)[0] - held).square().mean())
            end = State(worst_use(peer(run.rows)[1].numpy(), run.sizes), error)
        run.log.close()
    return end


# --- the table ------------------------------------------------------------------------------------------------------------------


def treated(path: Path, features: Path, request: TreatmentRequest, folder: str) -> tuple[RepairResult | None, Path, float]:
    out = Path(folder) / f"out{path.suffix}"
    began = time.perf_counter()
    done = repair(str(path), str(out), RepairRequest(request, ((None, str(features)),)))
    return done if isinstance(done, RepairResult) else None, out, time.perf_counter() - began


def figures(done: RepairResult, out: Path, values: np.ndarray, standard: tuple[float, float] | None) -> tuple[str, Any]:
    """Use and error against the yardstick, flips between live codes of the first level; and the yardstick, which is kept."""
    plan = done.plan.plans[0]
    sample = check_features(values, plan.quantizer.width or values.shape[1], np.random.default_rng(plan.seed))
    sizes = tuple(level.codes for level in plan.quantizer.levels)
    standard = standard or yardstick(sample.rows[sample.fitted], sample.rows[~sample.fitted], sizes)
    use, error = judged(out, sample.rows[~sample.fitted])
    flips = plan.levels[0].flips
    costs = any("costs" in warning for warning in plan.warnings)
    return f"{use / standard[0]:6.3f} {error / standard[1]:6.3f} {'said' if costs else '':5} {flips.on_live:6.2%}", standard


def sample_lines(name: str, steps: int, treatments: Mapping[str, TreatmentRequest]) -> None:
    """The lines of one bundled sample."""
    path = SAMPLES / f"{name}.pt"
    features = path.with_suffix(".features.npy")
    standard = None
    for treatment, request in treatments.items():
        with tempfile.TemporaryDirectory() as folder:
            done, out, seconds = treated(path, features, request, folder)
            if done is None:
                print(f"{name:13} {treatment:19} every code is in use")
                continue
            told, standard = figures(done, out, np.load(features), standard)
            removed = trained_on(out, steps, CAUSES[name])
            left = trained_on(out, steps, {})
        fell = "yes" if left[1].use < KEPT * left[0].use else "no"
        print(
            f"{name:13} {treatment:19} {told} {seconds:6.1f}   {removed[0].use:5.2f} {removed[1].since(removed[0])}"
            f"   {left[1].since(left[0])} {fell:>5} {foretold(done.plan.plans[0]):>24}",
            flush=True,
        )
    ends = [peer_on(path, steps, changes) for changes in (CAUSES[name], {})]
    start = removed[0]
    print(
        f"{name:13} {'library: resets':19} {'':33}   {start.use:5.2f} {ends[0].since(start)}   {ends[1].since(start)}", flush=True
    )


def mixture(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((300, 16))
    return (centres[rng.integers(0, 300, n)] + 0.5 * rng.standard_normal((n, 16))).astype(np.float32)


def quantizer(threshold: float) -> VectorQuantize:
    torch.manual_seed(0)
    return VectorQuantize(dim=16, codebook_size=256, decay=0.95, threshold_ema_dead_code=threshold)


def mixture_state(module: VectorQuantize, rows: np.ndarray) -> State:
    with torch.no_grad():
        values, codes, _ = module.eval()(torch.from_numpy(rows)[None])
    return State(worst_use(codes[0][:, None].numpy(), (256,)), float(np.square(values[0].numpy() - rows).sum(axis=1).mean()))


def mixture_trained(module: VectorQuantize, rows: np.ndarray, steps: int) -> tuple[State, State]:
    start, rng = mixture_state(module, rows), np.random.default_rng(1)
    module.train()
    for _ in range(steps):
        module(torch.from_numpy(rows[rng.integers(0, len(rows), 1024)])[None])
    return start, mixture_state(module, rows)


def mixture_lines(n: int, steps: int, treatments: Mapping[str, TreatmentRequest]) -> None:
    """A library's own file with 2 of 256 codes in use; nothing but its averaging acts on the book, so there is no cause."""
    rows, sick, name, standard = mixture(n), quantizer(0), "mixture", None
    counts = torch.full((256,), 1e-3)
    counts[:2] = 512
    book = torch.from_numpy(rows[:256].copy())
    book[2:] += 80
    write_book(sick._codebook, book, counts)
    with tempfile.TemporaryDirectory() as folder:
        path, features = Path(folder) / "sick.pt", Path(folder) / "rows.npy"
        torch.save(sick.state_dict(), path)
        np.save(features, rows)
        for treatment, request in treatments.items():
            with tempfile.TemporaryDirectory() as into:
                done, out, seconds = treated(path, features, request, into)
                assert done is not None
                told, standard = figures(done, out, rows, standard)
                module = quantizer(0)
                module.load_state_dict(torch.load(out, weights_only=True))
            start, end = mixture_trained(module, rows, steps)
            print(
                f"{name:13} {treatment:19} {told} {seconds:6.1f}   {start.use:5.2f} {end.since(start)}   {'–':>11} {'–':>5} "
                f"{foretold(done.plan.plans[0]):>24}",
                flush=True,
            )
        peer = quantizer(2)
        peer.load_state_dict(torch.load(path, weights_only=True))
        _, end = mixture_trained(peer, rows, steps)
        print(f"{name:13} {'library: resets':19} {'':33}   {start.use:5.2f} {end.since(start)}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two treatments, fewer steps and rows")
    quick = parser.parse_args().quick
    steps = QUICK_STEPS if quick else STEPS
    chosen = {name: TREATMENTS[name] for name in ("kmeans", "reset-dead")} if quick else TREATMENTS
    print(
        "use, error: × fresh k-means on held-out rows; 'said': the preview names the cost; flips: held-out rows between live codes"
    )
    print(f"use after the repair; after {steps} further steps use × and reconstruction × those;")
    print("foretold: codes that the preview gives up with the encoder still; use × if all latents move by 0.1 and by 1 of their")
    print("spread before the codes follow; whether it expects a relapse while training is as it was")
    print(
        f"{'':33} {'use':>6} {'error':>6} {'':5} {'flips':>6} {'s':>6}   {'use':>5} {'cause away':>11}   {'left in':>11} "
        f"{'falls':>5} {'foretold':>24}"
    )
    for name in CAUSES:
        sample_lines(name, steps, chosen)
    mixture_lines(10_000 if quick else 40_000, steps, chosen)


if __name__ == "__main__":
    main()
