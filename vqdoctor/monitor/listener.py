"""One hook on one quantiser: what every forward adds to the counts and the reservoir, without a wait and without a way to fail.

An instrument must not stop the run that it watches, nor change it: a forward that cannot be read silences the listener with a
warning, torch's random generators stay untouched, and a copy of the model (an EMA twin, say) carries no second instrument.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqdoctor.errors import printable
from vqdoctor.monitor.counts import Counts
from vqdoctor.monitor.reservoir import DeviceReservoir
from vqdoctor.monitor.returns import Plan, plan
from vqdoctor.monitor.sites import Site


@dataclass(slots=True)
class Recent:
    """Input rows and the steps that they are from: `until` is None while more are coming."""

    rows: DeviceReservoir
    since: int
    until: int | None = None


class Listener:
    """Hears a quantiser.

    Args:
        reservoir: input rows to keep, 0 for none. rng: draws them.
        evaluations: count forwards in eval mode too.

    Attributes:
        site: where it is. counts: what was heard, None where nobody asked for it yet.
        listens: False once it was silenced. grown: sizes of books that changed, before and after.
    """

    def __init__(self, site: Site, *, reservoir: int, rng: np.random.Generator, evaluations: bool = False) -> None:
        self.site = site
        self.counts: Counts | None = None
        self.listens = True
        self.grown: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._size, self._rng, self._evaluations = reservoir, rng, evaluations
        self._recent = [Recent(DeviceReservoir(reservoir, rng), 0)] if reservoir else []
        self._plans: dict[bool, Plan] = {}
        self._listen = torch.compiler.disable(self._listen_safely)  # traced into a graph it would count once, while compiling
        self._handle = site.module.register_forward_hook(self, with_kwargs=True)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
        """torch's forward hook."""
        self._listen(module, (*args, kwargs), returned)

    def _listen_safely(self, module: nn.Module, given: tuple[Any, ...], returned: Any) -> None:
        if not (module.training or self._evaluations):
            return
        try:
            self._hear(module, given, returned)
        except Exception as error:  # whatever a stranger's module returns, its training goes on
            self.remove()
            name, what = printable(self.site.name), f"{type(error).__name__}: {printable(error)}"
            warnings.warn(f"vqdoctor no longer listens to {name}: {what}", RuntimeWarning, stacklevel=2)

    def __reduce__(self) -> tuple[type[Deaf], tuple[()]]:
        return Deaf, ()

    @property
    def heard(self) -> bool:
        """True once a forward could be read."""
        return bool(self._plans)

    def remove(self) -> None:
        """Take the hook away."""
        self.listens = False
        self._handle.remove()

    def ready(self) -> Counts:
        """The counters, made now if no forward was heard yet: ranks that heard nothing take part in sums all the same."""
        if self.counts is None:
            tensors = (*self.site.module.parameters(), *self.site.module.buffers(), torch.empty(0))
            self.counts = Counts(self.site.sizes, tensors[0].device)
        return self.counts

    def turn(self, step: int) -> None:
        """A report is over: once the reservoir is full, later rows go to a fresh one and these stay until that is full too."""
        if self._recent and self._recent[-1].rows.held == self._size:
            self._recent[-1].until = step
            self._recent = [self._recent[-1], Recent(DeviceReservoir(self._size, self._rng), step)]

    def recent(self) -> Recent | None:
        """The latest full reservoir, before there is one the one that fills; None where none is kept."""
        full = [one for one in self._recent if one.rows.held == self._size] or self._recent
        return full[-1] if full else None

    def _hear(self, module: nn.Module, given: tuple[Any, ...], returned: Any) -> None:
        if self.site.changed():
            before, self.site, self.counts = self.site.sizes, self.site.again(), None
            self.grown.append((before, self.site.sizes))
        rows, codes = self._read(module, given, returned)
        if self.counts is None or (self.counts.sizes, self.counts.device) != (self.site.sizes, codes.device):
            self.counts = Counts(self.site.sizes, codes.device)
        self.counts.add(codes)
        if self._recent:
            self._recent[-1].rows.add(rows)

    def _read(self, module: nn.Module, given: Any, returned: Any) -> tuple[Tensor, Tensor]:
        """Rows (n, D) and codes (L, n), by the plan of this mode; made anew where the structure is another than before."""
        known = self._plans.get(module.training)
        if known is not None:
            try:
                rows, codes = known.inputs(given), known.indices(returned)
                if codes.shape[1] == len(rows):
                    return rows, codes
            except (LookupError, TypeError, AttributeError, RuntimeError):
                pass  # planned below
        found = plan(given, returned, self.site.open_sizes, self.site.widths, channels_first=channels_first(module))
        if found is None:
            raise LookupError("its forward returns no indices that are as many as its input's rows and below K")
        self._plans[module.training] = found
        codes = found.indices(returned)
        self.site = self.site.with_levels(len(codes))
        return found.inputs(given), codes


class Deaf:
    """What a copied or saved model has in the place of a listener."""

    def __call__(self, *heard: Any) -> None:
        """Nothing."""


def channels_first(module: nn.Module) -> bool | None:
    """What the module itself says of its input's layout (as lucidrains' do); None if nothing."""
    if getattr(module, "accept_image_fmap", False) or getattr(module, "accept_3d_fmap", False):
        return True
    last = getattr(module, "channel_last", None)
    return None if last is None else not last
