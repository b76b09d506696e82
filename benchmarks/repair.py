"""What each treatment makes of sick codebooks, and what is left of it after 200 further steps of training.

`python benchmarks/repair.py [--quick]`. The yardstick is scikit-learn's k-means with as many codes, on the rows that the repair
learned from, judged on the rows that it has not seen; residual levels one after the other. One code of 32 is 3 % of the use, so
use and error are means over several splits into rows to learn from and rows to judge by, ours and the yardstick's on the same ones.
Training goes on from the repaired file with what made the book sick removed (a commitment that outweighs all, no codebook term;
nothing did it to hourglass but its data) and with what the repair says of training on ("training_on" in its note), no more; and
beside that with all as it was. Then, from the sick file, with vector-quantize-pytorch's own resets in training
(`threshold_ema_dead_code=2`) and the same changes. Its figures are relative to the repaired start too.
Bars: `--kmeans` use ≥ 0.99 × and error ≤ 1.02 × the yardstick's, the others error
≤ 1.10 × or the preview said so; after training without the cause ≥ 95 % of the codes still in use, reconstruction not worse.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import command_line, record
from torch import nn
from vector_quantize_pytorch import ResidualVQ, VectorQuantize
from yardstick import worst_use, yardstick

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
SPLITS = {"ema-illusion": 12, "collapsed-rq": 12, "hourglass": 60, "mixture": 4}  # many where few rows far out make the error
QUICK_SPLITS = 2
FIRST = 200  # seed of the first split: none that anything was chosen by
RUNS = 4  # of the splits, whose files are trained on
DECAY = 0.95  # of the mixture's own file
KEPT = 0.95  # share of the use after the repair, under which it is a relapse

TREATMENTS = {
    "kmeans": TreatmentRequest("kmeans"),
    "kmeans --only-dead": TreatmentRequest("kmeans", only_dead=True),
    "reset-dead": TreatmentRequest("reset-dead"),
    "split": TreatmentRequest("split"),
}
CAUSES: dict[str, dict[str, Any]] = {  # what the settings of a sample have to be for its book not to fall sick
    "ema-illusion": {"commitment_weight": 0.25},
    "collapsed-rq": {"commitment_weight": 0.25, "codebook_weight": 1.0},
    "hourglass": {},
}


@dataclass(frozen=True)
class State:
    """A model at a moment: the share of codes in use over all rows, of its worst level, and the validation loss."""

    use: float
    loss: float

    def since(self, start: State) -> State:
        """This one over another."""
        return State(self.use / start.use, self.loss / start.loss)


def judged(path: Path, rows: np.ndarray) -> tuple[float, float]:
    """The same of a file's quantiser."""
    with open_source(str(path)) as source:
        (found,) = find_quantizers(source)
        encoded = encode(rows, lookup(source, found))
        sizes = tuple(level.codes for level in found.levels)
    return worst_use(encoded.codes, sizes), float(encoded.residuals[:, -1].mean(dtype=np.float64))


def foretold(plan: Plan) -> str:
    """What the preview says: codes given up, use of the worst level once latents have moved."""
    told = [level.survival for level in plan.levels if level.survival]
    if not told:
        return "–"
    lost = sum(len(set(one["die_again"]) | set(one["without_hits"])) for one in told)
    near, far = (min(one["drift"][drift] / one["in_use"] for one in told) for drift in ("0.1", "1.0"))
    return f"{lost}/{sum(one['revived'] for one in told)} {near:.2f} {far:.2f}"


def relapse_foretold(plan: Plan) -> bool:
    return any(level.survival["relapse_expected"] for level in plan.levels if level.survival)


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


def advised(note: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """The trainer's settings for what a repair says of training on; {} where it says nothing. rate: the run's learning rate."""
    care = note["training_on"]
    if care is None:
        return {}
    changes = {"learning_rate": rate * care["learning_rate_factor"]}
    if care["decay"] is not None:
        changes["decay"] = care["decay"]
    return changes | {"reset_threshold": care["replace_below"], "reset_unit": "uniform"}


def rate_of(path: Path) -> float:
    return float(apply(Config(), checkpoints.load(path)["config"])[0].optimizer.learning_rate)


# --- the table ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """One repair, on one split of the rows: (use, error) of the repaired file and of the yardstick, flips between live codes."""

    done: RepairResult
    ours: tuple[float, float]
    standard: tuple[float, float]
    flips: float
    seconds: float


def treated(path: Path, features: Path, request: TreatmentRequest, out: Path) -> tuple[RepairResult | None, float]:
    began = time.perf_counter()
    done = repair(str(path), str(out), RepairRequest(request, ((None, str(features)),)))
    return done if isinstance(done, RepairResult) else None, time.perf_counter() - began


def split_of(
    path: Path, features: Path, request: TreatmentRequest, out: Path, standards: dict[int, tuple[float, float]]
) -> Split | None:
    """The repair of `request`, written to `out`; None where there is nothing to do. standards: yardsticks by seed, filled in."""
    done, seconds = treated(path, features, request, out)
    if done is None:
        return None
    plan = done.plan.plans[0]
    values = np.load(features)
    sample = check_features(values, plan.quantizer.width or values.shape[1], np.random.default_rng(plan.seed))
    judges = sample.rows[~sample.fitted]
    if plan.seed not in standards:
        standards[plan.seed] = yardstick(sample.rows[sample.fitted], judges, tuple(level.codes for level in plan.quantizer.levels))
    return Split(done, judged(out, judges), standards[plan.seed], plan.levels[0].flips.on_live, seconds)


def split_text(splits: list[Split]) -> str:
    """Means of use and error over the yardstick's, with the worst split's; whether its cost was said; flips; seconds."""
    ours, standard = np.array([one.ours for one in splits]), np.array([one.standard for one in splits])
    (use, error), each = ours.mean(axis=0) / standard.mean(axis=0), ours / standard
    unsure = each[:, 1].std(ddof=1) / len(each) ** 0.5
    said = any("costs" in warning for one in splits for warning in one.done.plan.plans[0].warnings)
    flips, seconds = max(one.flips for one in splits), np.mean([one.seconds for one in splits])
    return (
        f"{use:6.3f} {each[:, 0].min():6.3f} {error:7.3f} {unsure:5.3f} {each[:, 1].max():6.3f} {'said' if said else '':4} "
        f"{flips:6.2%} {seconds:5.1f}"
    )


def kept_text(kept: list[State]) -> str:
    """Use and reconstruction after training over those before it: mean and lowest use, mean loss."""
    return (
        f"{np.mean([one.use for one in kept]):6.2f} {min(one.use for one in kept):5.2f} {np.mean([one.loss for one in kept]):5.2f}"
    )


def keep(file: str | None, name: str, treatment: str, splits: list[Split]) -> None:
    """Keeps use and error over the yardstick's, with their bars; an error above its bar is no miss where the preview said so."""
    use, error = (sum(one.ours[at] for one in splits) / sum(one.standard[at] for one in splits) for at in (0, 1))
    said = any("costs" in warning for one in splits for warning in one.done.plan.plans[0].warnings)
    seconds = sum(one.seconds for one in splits) / len(splits)
    most = 1.02 if treatment == "kmeans" else 1.1
    figures = {"table": "repair", "work": f"{name}, {treatment}", "seconds": seconds, "splits": len(splits)}
    floor = 0.99 if treatment == "kmeans" else None
    record(file, peer="use of fresh k-means", ratio=use, floor=floor, **figures)
    record(
        file, peer="error of fresh k-means", ratio=error, bar=most, met=error <= most or (treatment != "kmeans" and said), **figures
    )


def sample_lines(name: str, steps: int, splits: int, treatments: Mapping[str, TreatmentRequest], file: str | None) -> None:
    """The lines of one bundled sample."""
    path = SAMPLES / f"{name}.pt"
    standards: dict[int, tuple[float, float]] = {}
    for treatment, request in treatments.items():
        with tempfile.TemporaryDirectory() as folder:
            files = {seed: Path(folder) / f"{seed}{path.suffix}" for seed in range(FIRST, FIRST + splits)}
            found = [
                split_of(path, path.with_suffix(".features.npy"), replace(request, seed=seed), file, standards)
                for seed, file in files.items()
            ]
            made = [one for one in found if one is not None]
            if not made:
                print(f"{name:13} {treatment:19} every code is in use")
                continue
            changes = CAUSES[name] | advised(made[0].done.note, rate_of(path))
            trained = list(files.values())[:RUNS]
            removed = [trained_on(file, steps, changes) for file in trained]
            left = [trained_on(file, steps, {}) for file in trained]
        after = [end.since(start) for start, end in left]
        fell = sum(one.use < KEPT for one in after)
        told = sum(relapse_foretold(one.done.plan.plans[0]) for one in made[: len(trained)])
        keep(file, name, treatment, made)
        print(
            f"{name:13} {treatment:19} {split_text(made)}   {np.mean([start.use for start, _ in removed]):5.2f} "
            f"{kept_text([end.since(start) for start, end in removed])}   {kept_text(after)} {fell}/{told}/{len(trained)} "
            f"{foretold(made[0].done.plan.plans[0]):>16}",
            flush=True,
        )
    start = removed[0][0]
    ends = [kept_text([peer_on(path, steps, given).since(start)]) for given in (changes, {})]
    print(f"{name:13} {'library: resets':19} {'':51}   {start.use:5.2f} {ends[0]}   {ends[1]}", flush=True)


def mixture(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((300, 16))
    return (centres[rng.integers(0, 300, n)] + 0.5 * rng.standard_normal((n, 16))).astype(np.float32)


def quantizer(threshold: float, decay: float = DECAY) -> VectorQuantize:
    torch.manual_seed(0)
    return VectorQuantize(dim=16, codebook_size=256, decay=decay, threshold_ema_dead_code=threshold)


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


def mixture_lines(n: int, steps: int, splits: int, treatments: Mapping[str, TreatmentRequest], file: str | None) -> None:
    """A library's own file with 2 of 256 codes in use; nothing but its averaging acts on the book, so there is no cause."""
    rows, sick, name, standards = mixture(n), quantizer(0), "mixture", dict[int, tuple[float, float]]()
    counts = torch.full((256,), 1e-3)
    counts[:2] = 512
    book = torch.from_numpy(rows[:256].copy())
    book[2:] += 80
    write_book(sick._codebook, book, counts)
    with tempfile.TemporaryDirectory() as folder:
        path, features, out = (Path(folder) / file for file in ("sick.pt", "rows.npy", "out.pt"))
        torch.save(sick.state_dict(), path)
        np.save(features, rows)
        for treatment, request in treatments.items():
            made, kept = [], []
            for seed in range(FIRST, FIRST + splits):
                one = split_of(path, features, replace(request, seed=seed), out, standards)
                assert one is not None
                module = quantizer(0, one.done.note["training_on"]["decay"] or DECAY)
                module.load_state_dict(torch.load(out, weights_only=True))
                start, end = mixture_trained(module, rows, steps)
                made.append(one)
                kept.append(end.since(start))
                out.unlink()
            keep(file, name, treatment, made)
            print(
                f"{name:13} {treatment:19} {split_text(made)}   {start.use:5.2f} {kept_text(kept)}   {'–':>18} {'':5} "
                f"{foretold(made[0].done.plan.plans[0]):>16}",
                flush=True,
            )
        peer = quantizer(2)
        peer.load_state_dict(torch.load(path, weights_only=True))
        _, end = mixture_trained(peer, rows, steps)
        print(f"{name:13} {'library: resets':19} {'':51}   {start.use:5.2f} {kept_text([end.since(start)])}")


LEGEND = """\
use, error: × fresh k-means on held-out rows, mean and worst of the splits, ± of the mean; 'said': the preview names the cost
flips: most held-out rows between live codes of a first level; s: a repair; after: use of all rows
after {steps} further steps use × (mean, lowest) and reconstruction × (mean) those, of up to {runs} repaired files (library: one)
falls: use under {kept} with the cause left in / so foretold / files
foretold, of the first: codes given up with the encoder still; use × if all latents move by 0.1 and by 1 of their spread"""


def main() -> None:
    """Prints the table."""
    given = command_line(__doc__, quick="two treatments, fewer steps, splits and rows").parse_args()
    quick, steps = given.quick, QUICK_STEPS if given.quick else STEPS
    splits = dict.fromkeys(SPLITS, QUICK_SPLITS) if quick else SPLITS
    chosen = {name: TREATMENTS[name] for name in ("kmeans", "reset-dead")} if quick else TREATMENTS
    print("splits:", ", ".join(f"{name} {number}" for name, number in splits.items()))
    print(LEGEND.format(steps=steps, runs=RUNS, kept=KEPT))
    print(
        f"{'':33} {'use':>6} {'lowest':>6} {'error':>7} {'±':>5} {'worst':>6} {'':4} {'flips':>6} {'s':>5}   {'after':>5} "
        f"{'cause away, advice':>18}   {'left in':>18} {'falls':>5} {'foretold':>16}"
    )
    for name in CAUSES:
        sample_lines(name, steps, splits[name], chosen, given.json)
    mixture_lines(10_000 if quick else 40_000, steps, splits["mixture"], chosen, given.json)


if __name__ == "__main__":
    main()
