"""The instrument for other people's training loops: real use beside what running counts claim, written to a log as the run goes.

    with vqdoctor.Monitor(model, "logs/", every=100) as monitor:
        for batch in loader:
            ...
            monitor.step(loss=loss, lr=scheduler.get_last_lr()[0])

Between reports nothing waits for the device; at a report counts are summed over ranks and the first rank writes `vqdoctor.log/1`.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vqdoctor
from vqdoctor.errors import UsageError, printable
from vqdoctor.monitor import ranks
from vqdoctor.monitor.board import board
from vqdoctor.monitor.journal import Journal
from vqdoctor.monitor.listener import Deaf, Listener
from vqdoctor.monitor.sites import Site, find_sites
from vqdoctor.samples.sidecar import checkpoint_facts, write_sidecar


class Monitor:
    """Watches the quantisers of a model while it trains.

    Args:
        model: any module with quantisers in it, wrapped (DDP, …) or not; or a quantiser itself.
        out: folder, for a `log.jsonl` in it, or a file that ends in .jsonl; an existing log is continued.
        every: steps between reports.
        quantizers: module paths, or {name in the log: path or module}; None finds them.
        reservoir: rows of each quantiser's input to keep for `features` and `save_features`; 0 for none.
        tensorboard: also write scalars for TensorBoard beside the log: None: where that package is installed; True: and warn where
            it is not; False: never. `watch` does not read what only repeats the log.
        rank: this process's place where torch.distributed does not know it; ranks other than 0 write nothing.
        run, config: name and plain values for the log's first line.
        evaluations: count forwards in eval mode too.
        seed: of the reservoir. clock: seconds since the epoch.

    Raises:
        UsageError: no quantiser is found, or none where one was named.

    A step is what `step` says; where it is never called, a training forward of the first quantiser. Without `with`, call `close`.
    Under `torch.compile`, make the monitor before the first call: compiled code does not see hooks that come later.
    """

    def __init__(
        self,
        model: nn.Module,
        out: str | os.PathLike[str],
        *,
        every: int = 100,
        quantizers: Mapping[str, str | nn.Module] | Sequence[str] | None = None,
        reservoir: int = 16384,
        tensorboard: bool | None = None,
        rank: int | None = None,
        run: str | None = None,
        config: Mapping[str, Any] | None = None,
        evaluations: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if every < 1 or reservoir < 0:
            raise UsageError(f"every is {every} and reservoir {reservoir}; they are at least 1 and 0.")
        sites = find_sites(model, quantizers)
        path = Path(out) if str(out).endswith(".jsonl") else Path(out) / "log.jsonl"
        about = {"run": run or path.resolve().parent.name, "config": {**(config or {}), "monitor": _watched(every, sites)}}
        self.every = every
        self.steps = 0
        self._reported = 0
        self._told = self._closed = False
        self._scalars: dict[str, Any] = {}
        self._journal = Journal(path, about, board=board(path.parent, tensorboard), rank=rank, clock=clock)
        rng = np.random.default_rng(seed)
        kept = reservoir if self._journal.writes else 0
        self._listeners = [Listener(site, reservoir=kept, rng=rng, evaluations=evaluations) for site in sites]
        self._ticking = sites[0].module.register_forward_pre_hook(Tick(self._begin_forward))

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(error)

    def step(self, number: int | None = None, /, **scalars: Any) -> None:
        """One optimiser step is done.

        Args:
            number: its number; None: one more than the last.
            scalars: losses, the learning rate and the like, numbers or tensors (their mean; read at the next report only, so that
                no step waits). A leading ``loss_`` becomes ``loss.``: loss_commitment is logged as "loss.commitment".
        """
        if not self._told:
            self._told = True
            self.steps = self._reported
        self.steps = self.steps + 1 if number is None else number
        self._scalars |= {_scalar_name(name): _detached(value) for name, value in scalars.items()}
        if self.steps % self.every == 0:
            self.report()

    def event(self, event: str, detail: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Log what happened once: kmeans-reinit, dead-reset, skipped, expanded, checkpoint or a word of yours."""
        self._journal.event(self.steps, event, {**(detail or {}), **more})
        if self._closed:
            self._journal.close()

    def report(self) -> None:
        """Write what was heard since the last report; under several ranks all of them must call it."""
        self._reported = self.steps
        scalars, self._scalars = self._scalars, {}
        try:
            self._journal.scalars(self.steps, {name: _number(value) for name, value in scalars.items()})
            for listener in self._listeners:
                self._journal.site(self.steps, listener)
                listener.turn(self.steps)
        except OSError as error:  # a full disk must not stop a run
            warnings.warn(f"vqdoctor could not write its log: {printable(error)}", RuntimeWarning, stacklevel=2)

    def features(self, name: str | None = None) -> np.ndarray:
        """A uniform sample (n, D) float32 of the rows that a quantiser was given lately, on this rank; waits for the device.

        Args:
            name: the quantiser, where there are several.

        Raises:
            UsageError: no such quantiser, or nothing was kept.
        """
        recent = self._listener(name).recent()
        if recent is None or not recent.rows.held:
            raise UsageError("no rows were kept.", hint="Ask the first rank, after a training step, with a reservoir above 0.")
        return recent.rows.rows()

    def save_features(self, checkpoint: str | os.PathLike[str], name: str | None = None) -> Path | None:
        """Write `features` beside a checkpoint that was just saved, where `vqdoctor inspect` finds them; None on other ranks.

        The rows are from the steps that the JSON names, through which the encoder went on learning: for rows of the very checkpoint
        use `vqdoctor.capture`.

        Raises:
            UsageError: as `features`, or it cannot be written. OSError: the checkpoint cannot be read.
        """
        if not self._journal.writes:
            return None
        listener, rows = self._listener(name), self.features(name)
        recent = listener.recent()
        steps = None if recent is None else [recent.since, self.steps if recent.until is None else recent.until]
        about = {"module": listener.site.path, "mode": "train", "steps": steps, "population": False}
        facts = {**checkpoint_facts(checkpoint), **about, "version": vqdoctor.__version__}
        path = write_sidecar(Path(checkpoint).with_suffix(""), rows, facts)
        self.event("checkpoint", file=Path(checkpoint).name, features=path.name)
        return path

    def close(self, error: BaseException | None = None) -> None:
        """Report what is left, write the end, take every hook away; harmless when repeated.

        Args:
            error: what ended the run early. Other ranks may have died of it, so nothing is summed over them then.
        """
        if self._closed:
            return
        self._closed = True
        self._ticking.remove()
        if error is None:
            self._warn_of_silence()
        for listener in self._listeners:
            listener.remove()
        if error is None:
            self._report_rest()
            self._journal.event(self.steps, "end", {"reason": "finished"})
            self._journal.close()
            return
        try:
            if ranks.world() == 1:
                self._report_rest()
            self._journal.event(self.steps, "end", {"reason": "error", "error": f"{type(error).__name__}: {printable(error)}"})
            self._journal.close()
        except Exception as again:  # the run's own error is the one to be seen
            warnings.warn(f"vqdoctor could not write its last lines: {printable(again)}", RuntimeWarning, stacklevel=2)

    def _warn_of_silence(self) -> None:
        silent = [printable(one.site.name) for one in self._listeners if one.listens and not one.heard]
        if self.steps and silent:
            warnings.warn(
                f"vqdoctor heard no training forward of {', '.join(silent)}: in eval mode, called otherwise, or compiled before?",
                RuntimeWarning,
                stacklevel=3,
            )

    def _report_rest(self) -> None:
        """The steps since the last report; ranks may have heard unlike much, so under several each takes part."""
        if ranks.world() > 1 or self.steps > self._reported or self._scalars:
            self.report()

    def _listener(self, name: str | None) -> Listener:
        fit = [listener for listener in self._listeners if name in (None, listener.site.name)]
        if len(fit) == 1:
            return fit[0]
        names = ", ".join(printable(listener.site.name) for listener in self._listeners)
        raise UsageError(f"{'several quantisers are' if fit else f'no quantiser {printable(name)} is'} watched: {names}.")

    def _begin_forward(self) -> None:
        """A training forward of the first quantiser begins: a step, as long as nobody says what is one."""
        if self._told:
            return
        if self.steps > self._reported and self.steps % self.every == 0:
            self.report()
        self.steps += 1


class Tick:
    """A forward hook that tells when a training forward begins; a copy of the model carries none."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = torch.compiler.disable(begin)

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """torch's forward pre-hook."""
        if module.training:
            self._begin()

    def __reduce__(self) -> tuple[type[Deaf], tuple[()]]:
        return Deaf, ()


def _watched(every: int, sites: Sequence[Site]) -> dict[str, Any]:
    """What is listened to, for the log's first line."""
    found = [
        {"name": site.name, "module": site.path, "layout": site.quantizer and site.quantizer.layout, "codes": list(site.sizes)}
        for site in sites
    ]
    return {"every": every, "quantizers": found}


def _scalar_name(name: str) -> str:
    return f"loss.{rest}" if (rest := name.removeprefix("loss_")) != name and rest else name


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _number(value: Any) -> Any:
    return float(value.float().mean()) if isinstance(value, Tensor) else value
