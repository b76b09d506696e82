"""A run from first to last: epochs, evaluation, early stopping, what is kept, and the summary.

It never prints. A run that is stopped and resumed ends with the same bits as one that was not (on CPU).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import torch
from torch import Tensor

from vqdoctor.errors import UsageError
from vqdoctor.safe_write import write_atomically
from vqdoctor.trainer import checkpoints, distributed, identifiers
from vqdoctor.trainer.config import as_toml
from vqdoctor.trainer.data import alike
from vqdoctor.trainer.plan import CONFIG, Plan, plan
from vqdoctor.trainer.recipes import Recipe
from vqdoctor.trainer.run import Progress, Run
from vqdoctor.trainer.settings import Config
from vqdoctor.trainer.summary import Summary

SHARED = ("rows", "levels", "codes", "seed", "device", "normalize_input")  # what a recipe and the one that feeds it must agree on


def train(
    config: Config,
    *,
    out: Path,
    clock: Callable[[], float],
    progress: Callable[[Progress], None] = lambda now: None,
    recipe: Recipe | None = None,
    scale: str = "seed",
    notes: tuple[str, ...] = (),
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Train as `config` says and leave log, checkpoints, features, config.toml and summary.json in `out` (contract §8).

    Args:
        out: folder, made if missing. clock: seconds since the epoch. progress: called every `log_every` steps.
        recipe: where the settings come from: its name, and the figures it must reach. scale, notes: said in the summary.
        resume: go on from out/last.pt. stop: asked after each step; True saves and ends the run, resumable.

    Raises:
        VqdoctorError: the settings contradict each other, the data cannot be used, or `out` holds another run.
    """
    began = clock()
    with torch.random.fork_rng(), _threads(config.run.threads), distributed.ranks(config.run.device):
        if distributed.decided(not resume and (out / "log.jsonl").exists()):
            raise UsageError("this folder holds a run already", where=str(out), hint="Resume it, or give another folder.")
        out.mkdir(parents=True, exist_ok=True)
        run = Run(config, recipe.name if recipe else "custom", out, clock)
        if resume:
            run.restore(checkpoints.load(out / "last.pt"))
        if distributed.rank() == 0:  # before the first step: a run that is killed is resumed by it
            write_atomically(out / CONFIG, as_toml(config).encode("utf-8"))
        try:
            interrupted = _epochs(run, progress, stop)
        finally:
            run.log.close()
        summary = Summary(
            recipe=run.recipe, data=run.dataset.name, seed=config.run.seed, scale=scale, seconds=clock() - began, last=run.last,
            best=run.best,
            expected=recipe.expected if recipe else {}, judged=recipe.judged if recipe else "last", notes=(*notes,
            *_about_data(run)),
            interrupted=interrupted,
        )  # fmt: skip
        if distributed.rank() == 0:
            write_atomically(out / "summary.json", orjson.dumps(summary.as_json(), option=orjson.OPT_INDENT_2))
    return summary


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """Torch with so many threads, 0: as many as it has; the caller's number comes back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_plan(
    planned: Plan,
    *,
    out: Path,
    clock: Callable[[], float],
    progress: Callable[[Progress], None] = lambda now: None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Train what `plan` decided; a recipe that another one feeds runs that first, in a folder of its own inside `out`."""
    config, recipe = planned.config, planned.recipe
    if recipe.needs and config.quantizer.codebooks is None:
        books = out / recipe.needs / "codebooks.npz"
        if not books.is_file():
            first = plan(recipe.needs, data=config.data.data, overrides={name: config.flat()[name] for name in SHARED})
            train_plan(first, out=books.parent, clock=clock)
        config = config.but(codebooks=str(books))
    return train(
        config,
        out=out,
        clock=clock,
        progress=progress,
        recipe=recipe,
        scale=planned.scale,
        notes=planned.notes,
        resume=resume,
        stop=stop,
    )


def _epochs(run: Run, progress: Callable[[Progress], None], stop: Callable[[], bool]) -> bool:
    """Train to the end, to early stopping or until stopped; True for the last."""
    patience = run.config.run.patience
    if run.config.run.epochs == 0:
        _fit(run)
    elif run.config.quantizer.codebooks and run.upkeep.step == 0:
        _evaluate(run)  # a warm start is a candidate for the best
    while run.epoch < run.config.run.epochs:
        if run.train_epoch(progress, stop):
            _save(run, run.out / "last.pt")
            return True
        if run.epoch % run.config.run.eval_interval == 0 or run.epoch == run.config.run.epochs:
            _evaluate(run)
            if patience is not None and run.waited >= patience:
                break
    run.log.event(run.upkeep.step, "end", {"epoch": run.epoch, "last": run.last, "best": run.best})
    return False


def _fit(run: Run) -> None:
    """No training at all: books by residual k-means on the latents of every row, and the semantic IDs that they give."""
    run.upkeep.start_epoch(0, run.latents)
    _evaluate(run)
    if distributed.rank() == 0:
        identifiers.save_books(run.out / "codebooks.npz", run.model.quantizer)
        identifiers.save_index(run.out / "items.index.json", run.codes())


def _evaluate(run: Run) -> None:
    """Measure, and keep what is worth keeping: the last, the best, and N recent and N best with the score in the name."""
    run.last, latents = run.evaluate()
    score = run.score(run.last)
    better = not run.best or score < run.score(run.best)
    run.waited = 0 if better or run.unquantised(run.last) else run.waited + 1
    run.best = run.last if better else run.best
    names = ["last.pt", *(["best.pt"] if better else [])]
    if run.config.run.keep > 0 and score != math.inf:
        word = run.config.run.select.replace(".rate", "").rsplit(".", 1)[-1]
        run.scores[f"epoch_{run.epoch:04d}_{word}_{abs(score):.4f}.pt"] = (run.epoch, score)
        run.scores = checkpoints.pruned(run.out, run.scores, run.config.run.keep)
        names += [name for name, (epoch, _) in run.scores.items() if epoch == run.epoch]
    for name in names:
        _save(run, run.out / name, latents)


def _save(run: Run, path: Path, latents: Tensor | None = None) -> None:
    """Write a checkpoint, and beside it the latents of every row; only the first rank does."""
    if distributed.rank() > 0:
        return
    checkpoints.save(path, run.checkpoint())
    run.log.event(run.upkeep.step, "checkpoint", {"file": path.name, "epoch": run.epoch})
    if latents is not None:
        checkpoints.save_features(path, latents.cpu().numpy(), data=run.dataset.name, dropped=run.dataset.dropped_rows)


def _about_data(run: Run) -> tuple[str, ...]:
    dropped, rows = run.dataset.dropped, run.dataset.rows
    notes = [f"{dropped} rows with NaN or Inf were left out"] if dropped else []
    if run.config.run.select == "collision.rate" and (forced := alike(rows)):
        exactly = len(rows) - run.distinct_rows
        notes.append(
            f"{forced} of {len(rows)} rows equal another to a thousandth of the data's spread ({exactly} of them exactly): "
            f"{forced / len(rows):.1%} collisions are forced by the data"
        )
    return tuple(notes)
