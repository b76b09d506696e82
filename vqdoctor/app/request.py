"""What a user can ask of an inspection, and how long work says where it is: the border between use case and faces (CLI, Python)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vqdoctor.samples import CodeTable, Rows


class Progress(Protocol):
    """Shown while a long pass runs. A face decides how; the default shows nothing."""

    def start(self, label: str, total: int | None) -> None:
        """A pass begins; total in rows (or bytes), None where unknown."""
        ...

    def advance(self, n: int) -> None:
        """n more are done."""
        ...

    def stop(self) -> None:
        """The pass is over."""
        ...


class Silent:
    """A Progress that says nothing."""

    def start(self, label: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, n: int) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class InspectRequest:
    """Options of `vqdoctor inspect` (contract §1), as values.

    Attributes:
        features: (quantiser name or None, path or rows) pairs. codes: a path, or the codes. data: a path.
        population: True/False as told, None: decide by the kind of sample.
        sizes: K per level for semantic-ID files; checkpoint: or the checkpoint to take them from.
        engine: where features are encoded and counted, by name.
        spill: folder for IDs that memory does not hold; None: a temporary one, if it comes to that.
        select, axis: name a codebook by hand.
        fit: also fit a reference k-means. translate: what other tools would report. details: keep per-code columns.
        views: keep what only a browser of the report draws: a map of every level, all distinct IDs and who has them.
        rules: overrides by rule id, as in [tool.vqdoctor.rules].
    """

    features: tuple[tuple[str | None, str | Rows], ...] = ()
    codes: str | CodeTable | None = None
    data: str | None = None
    population: bool | None = None
    batch: int = 1024
    quantizer: str | None = None
    metric: str | None = None
    suffix: bool | None = None
    sizes: tuple[int, ...] | None = None
    checkpoint: str | None = None
    engine: str = "local"
    spill: str | None = None
    select: str | None = None
    axis: str | None = None
    ema_threshold: float | None = None
    ema_decay: float | None = None
    temperature: float | None = None
    fit: bool = False
    translate: bool = False
    details: bool = False
    views: bool = False
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
