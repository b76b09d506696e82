"""Latents and codes of any model, outside training: what `inspect` needs to judge real use, written beside the checkpoint.

The rows are what the quantiser is given, the codes what it answers, taken together by a hook; so a lookup that is not a
nearest-code search under the assumed metric shows as disagreement (`match.agreement`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vqdoctor
from vqdoctor.errors import SampleError, UsageError, printable
from vqdoctor.monitor.listener import channels_first
from vqdoctor.monitor.returns import Plan, plan, tensors
from vqdoctor.monitor.sites import Site, find_sites
from vqdoctor.samples.reservoir import Reservoir
from vqdoctor.samples.sidecar import checkpoint_facts, write_sidecar

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin", ".th", ".tar", ".safetensors", ".npz")
Call = tuple[Any, Any]  # what a quantiser was given, what it returned


@dataclass(frozen=True, slots=True)
class Captured:
    """What was written.

    Attributes:
        features, codes, note: the files; codes None where groups of a quantiser answered for parts of a row.
        name: the quantiser's module path. n: rows kept of `seen`. width: D. levels: codes a row.
    """

    features: Path
    codes: Path | None
    note: Path
    name: str
    n: int
    seen: int
    width: int
    levels: int


def capture(
    module: nn.Module,
    batches: Iterable[Any],
    out: str | os.PathLike[str],
    rows: int = 65536,
    *,
    quantizer: str | nn.Module | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    rng_seed: int = 0,
    mode: str = "eval",
) -> Captured:
    """Run batches through a model and save a uniform sample of what its quantiser is given, with the codes that it answers.

    Args:
        module: the model (or the quantiser itself). It is put into `mode`, run without gradients, and left as it was.
        batches: each a tensor, a tuple (positional arguments) or a dict (keyword arguments); moved to the model's device.
        out: the checkpoint that they belong to, or a path without suffix, or a folder (then `checkpoint` names the files).
        rows: how many to keep, drawn uniformly from all.
        quantizer: its module or path, where the model has several.
        checkpoint: the file whose hash the note holds, so that the rows are never taken for another's; None: `out` where that is
            a file.
        mode: "eval", or "train" for what training sees (dropout, sampling; running statistics move).

    Returns:
        the files and what is in them.

    Raises:
        UsageError: no quantiser or several, or what it returns holds no codes. SampleError: no batch reached it. OSError.

    Example:
        >>> capture(model, (x for x, _ in loader), "ckpt.pt")  # doctest: +SKIP
    """
    if mode not in ("eval", "train"):
        raise UsageError(f"there is no mode {printable(mode)}.", hint='Use "eval" or "train".')
    sites = _sites(module, quantizer)
    checkpoint, stem = _files(Path(out), checkpoint)
    bound = {} if checkpoint is None else checkpoint_facts(checkpoint)  # before the work, so that a wrong path costs nothing
    kept = Reservoir(rows, np.random.default_rng(rng_seed))
    with _in_mode(module, mode == "train"):
        for latents, codes in _heard(module, sites, batches):
            kept.add(latents, codes)
    name = _common([site.path or site.name for site in sites])
    if not kept.seen:
        raise SampleError("no row reached the quantiser.", where=printable(name), hint="Give batches that the model quantises.")
    _, (latents, codes) = kept.finish()
    about = {"module": name, "mode": mode, "seen": kept.seen, "population": False, "version": vqdoctor.__version__}
    own = None if len(sites) > 1 else codes[:, 0] if codes.shape[1] == 1 else codes  # groups: a table of codes is of one quantiser
    features = write_sidecar(stem, latents, bound | about, codes=own)
    return Captured(
        features, None if own is None else features.with_name(f"{stem.name}.codes.npy"), features.with_suffix(".json"),
        name, len(latents), kept.seen, latents.shape[1], codes.shape[1],
    )  # fmt: skip


def _sites(module: nn.Module, quantizer: str | nn.Module | None) -> list[Site]:
    """The quantiser, or the groups of one that each see their own columns."""
    sites = find_sites(module, None if quantizer is None else {"quantizer": quantizer}, 'quantizer="path.to.the.quantiser"')
    columns = [site.quantizer.columns if site.quantizer else None for site in sites]
    if len(sites) > 1 and None in columns:
        names = ", ".join(printable(site.path or site.name) for site in sites)
        raise UsageError(f"the model has {len(sites)} quantisers: {names}.", hint="Say which: quantizer=PATH.")
    return sorted(sites, key=lambda site: (site.quantizer and site.quantizer.columns) or (0, 0))


def _common(paths: list[str]) -> str:
    """What module paths have in common, whole parts only."""
    if len(paths) == 1:
        return paths[0]
    parts = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(together[0] for together in takewhile(lambda together: len(set(together)) == 1, parts))


def _files(out: Path, checkpoint: str | os.PathLike[str] | None) -> tuple[Path | None, Path]:
    """The checkpoint, None where there is none, and the path without suffix that the files' names begin with."""
    if checkpoint is None and out.is_file():
        checkpoint = out
    if out.is_dir():
        if checkpoint is None:
            raise UsageError("this is a folder.", where=str(out), hint="Give the checkpoint's path, or checkpoint=FILE as well.")
        return Path(checkpoint), out / Path(checkpoint).stem
    named = out.suffix in CHECKPOINTS or (checkpoint is not None and Path(checkpoint).name == out.name)
    return None if checkpoint is None else Path(checkpoint), out.with_suffix("") if named else out


@contextmanager
def _in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Without gradients, in this mode; every submodule gets its own mode back."""
    was = [(one, one.training) for one in module.modules()]
    module.train(training)
    try:
        with torch.no_grad():
            yield
    finally:
        for one, mode in was:
            one.training = mode


def _heard(module: nn.Module, sites: list[Site], batches: Iterable[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows (n, D) float32 and codes (n, L) int32 of every call that the batches make."""
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    plans: dict[str, Plan] = {}
    method = "forward"
    for batch in batches:
        calls = _calls(module, sites, method, batch, device)
        if not plans and not any(calls) and all(callable(getattr(site.module, "encode", None)) for site in sites):
            method = "encode"  # a codec whose model never calls its quantiser's forward
            calls = _calls(module, sites, method, batch, device)
        for together in zip(*calls, strict=True):
            read = [_read(site, plans, *call) for site, call in zip(sites, together, strict=True)]
            yield np.hstack([rows for rows, _ in read]), np.hstack([codes for _, codes in read])


def _calls(module: nn.Module, sites: list[Site], method: str, batch: Any, device: torch.device) -> list[list[Call]]:
    """What each site was given and returned while the model ran one batch."""
    calls: list[list[Call]] = [[] for _ in sites]
    undo = [_listen(site.module, method, heard.append) for site, heard in zip(sites, calls, strict=True)]
    try:
        _run(module, batch, device)
    finally:
        for put_back in undo:
            put_back()
    return calls


def _listen(module: nn.Module, method: str, tell: Callable[[Call], None]) -> Callable[[], None]:
    """Tell of every call; returns what puts the module back as it was."""
    if method == "forward":

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
            tell(((*args, kwargs), returned))

        return module.register_forward_hook(hook, with_kwargs=True).remove
    inner = getattr(module, method)

    def told(*args: Any, **kwargs: Any) -> Any:
        returned = inner(*args, **kwargs)
        tell(((*args, kwargs), returned))
        return returned

    setattr(module, method, told)
    return lambda: delattr(module, method)


def _run(module: nn.Module, batch: Any, device: torch.device) -> None:
    if isinstance(batch, Mapping):
        module(**{name: _on(value, device) for name, value in batch.items()})
    elif isinstance(batch, list | tuple):
        module(*(_on(value, device) for value in batch))
    else:
        module(_on(batch, device))


def _on(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _read(site: Site, plans: dict[str, Plan], given: Any, returned: Any) -> tuple[np.ndarray, np.ndarray]:
    if site.name not in plans:
        found = plan(given, returned, site.open_sizes, site.widths, channels_first=channels_first(site.module))
        if found is None:
            shapes = ", ".join(f"{str(one.dtype)[6:]} {tuple(one.shape)}" for _, one in tensors(returned)) or "no tensor"
            raise UsageError(
                f"{printable(site.name)} returns no indices below K, one for each of its rows, but {shapes}.",
                hint="Name the module that does: quantizer=PATH.",
            )
        plans[site.name] = found
    rows, codes = plans[site.name].inputs(given), plans[site.name].indices(returned)
    levels = len(site.sizes) if site.levels else len(codes)
    padded = np.full((codes.shape[1], levels), -1, np.int32)  # levels that this call left out have no code
    padded[:, : len(codes)] = codes.T.cpu().numpy()
    return rows.float().cpu().numpy(), padded
