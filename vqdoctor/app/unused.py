"""Options that a user gave and that this source has no use for: said, since a silent option looks like one that was obeyed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import UsageError, printable
from vqdoctor.model import Quantizer

LOOKUPS = ("l2", "cosine", "dot")
OF_IDS = ("sizes", "checkpoint", "suffix")
OF_FEATURES = ("engine", "temperature", "fit")
OF_CHECKPOINTS = ("features", "codes", "data", "select", "axis", "metric", "ema_threshold", "ema_decay", *OF_FEATURES)
OF_USE = ("translate",)
OF_COUNTS = ("ema_threshold", "ema_decay")
UNASKED = InspectRequest()


def refuse_contradictions(request: InspectRequest) -> None:
    """Raises:
    UsageError: an option was given without the one that it belongs to, or names a lookup that there is none of.
    """
    if request.metric not in (None, *LOOKUPS):
        raise UsageError(f"there is no lookup metric {printable(request.metric)!r}.", hint=f"There are {', '.join(LOOKUPS)}.")
    if request.axis is not None and request.select is None:
        raise UsageError("--axis says how the tensors of --select are read.", hint="Name them: --select REGEX --axis kd.")


def unused_for_ids(request: InspectRequest) -> tuple[str, ...]:
    """A sentence an option that a file of semantic IDs has no use for."""
    return tuple(_sentences(request, OF_CHECKPOINTS, "a file of semantic IDs holds no codebook"))


def unused_for_checkpoint(
    request: InspectRequest, quantizers: Sequence[Quantizer], *, searched: bool, used: bool
) -> tuple[str, ...]:
    """A sentence an option that a checkpoint has no use for. searched: feature rows were encoded; used: or codes were counted."""
    counted = any(level.ema_count is not None for quantizer in quantizers for level in quantizer.levels)
    return (
        *_sentences(request, OF_IDS, "it is for files of semantic IDs"),
        *(() if searched else _sentences(request, OF_FEATURES, "it needs --features")),
        *(() if used else _sentences(request, OF_USE, "it needs --features or --codes")),
        *(() if counted else _sentences(request, OF_COUNTS, "the file holds no running counts")),
    )


def _sentences(request: InspectRequest, names: Sequence[str], why: str) -> Iterator[str]:
    for name in names:
        if getattr(request, name) not in (None, False, getattr(UNASKED, name)):
            yield f"--{name.replace('_', '-')} was not used: {why}."
