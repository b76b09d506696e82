"""The same repair on a live `nn.Module`, between two steps of a training loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts import copies, find_quantizers
from vqdoctor.layouts.module_source import ModuleSource
from vqdoctor.layouts.optimizer import MOMENTS
from vqdoctor.model import Quantizer
from vqdoctor.treatment.plan import Plan, plan, refuse_undoable
from vqdoctor.treatment.request import TreatmentRequest
from vqdoctor.treatment.state import remembered

CACHED_CODES = ("_embedding", "_embed")  # of Moshi's and transformers' Mimi: derived from sums on first use, then kept
FLAGS = ("initted", "inited", "initialized", "_initialized", "kmeans_initted")


def repair_module_(
    module: Any,
    features: Any = None,
    method: str = "kmeans",
    *,
    quantizer: str | None = None,
    optimizer: Any = None,
    **options: Any,
) -> Plan:
    """Repairs a quantiser of a torch module in place.

    Under distributed training call it on the first rank and broadcast parameters and buffers afterwards: buffers are not averaged.

    Args:
        module: holds the quantiser. features: (N, width) rows of what it is given, a tensor or an array; None for a method without.
        method, **options: see `TreatmentRequest`. quantizer: its name, where the module holds several.
        optimizer: whose memory of rewritten rows is reset too (`keep_optimizer=True` leaves it).

    Returns:
        the plan, which is carried out; `plan.empty` where there was nothing to do.

    Raises:
        UsageError, SampleError: see `plan` and `refuse_undoable`; nothing is changed then.
    """
    source = ModuleSource(module)
    chosen = _one(find_quantizers(source), quantizer, source.path)
    made = plan(source, chosen, _array(features), TreatmentRequest(method, **options))
    refuse_undoable([made], source.path)
    for name, values in made.changes.items():
        source.write(name, values)
    if not made.empty:
        _refresh(module, chosen)
        if optimizer is not None and not made.request.keep_optimizer:
            _forget(module, optimizer, made)
    return made


def _one(found: list[Quantizer], name: str | None, where: str) -> Quantizer:
    stored = [one for one in found if one.levels and name in (None, one.name)]
    if len(stored) == 1:
        return stored[0]
    names = ", ".join(printable(one.name) for one in found if one.levels) or "none"
    what = f"holds {len(stored) or 'no'} quantisers {'to choose from' if name is None else f'named {printable(name)}'}."
    raise UsageError(what, where=where, hint=f"Name one with quantizer=…; known here: {names}.")


def _array(features: Any) -> np.ndarray | None:
    if features is None or isinstance(features, np.ndarray):
        return features
    return np.asarray(features.detach().float().cpu().numpy() if hasattr(features, "detach") else features)


def _refresh(module: Any, quantizer: Quantizer) -> None:
    """Drops codes that modules of the quantiser have cached, and sets flags that they keep as plain attributes."""
    owners = {level.stored.name.rpartition(".")[0] for copy in copies(quantizer) for level in copy.levels}
    for path, part in module.named_modules():
        if path not in owners:
            continue
        for name in CACHED_CODES:
            if hasattr(getattr(part, name, None), "untyped_storage"):
                setattr(part, name, None)
        for name in FLAGS:
            if getattr(part, name, None) is False:
                setattr(part, name, True)


def _forget(module: Any, optimizer: Any, made: Plan) -> None:
    """What the optimiser remembers of rewritten rows; see `state.remembered`."""
    parameters = dict(module.named_parameters())
    for copy in copies(made.quantizer):
        for level, one in zip(copy.levels, made.levels, strict=True):
            memory = optimizer.state.get(parameters.get(level.stored.name), {})
            rows = one.rows_changed
            if level.shared_with is not None or not len(rows):
                continue
            live = np.setdiff1d(np.arange(level.codes), rows) if one.id_map is None else np.flatnonzero(one.id_map >= 0)
            for key in MOMENTS:
                if key in memory:
                    view: Any = level.stored.view(memory[key].detach())
                    values = remembered(view.cpu().float().numpy(), key, rows, live)
                    view[rows.tolist()] = view.new_tensor(np.ascontiguousarray(values))
