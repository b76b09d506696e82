"""From paths to the quantisers in them: what every command that opens checkpoints does first, and all that a listing does.

Apart from `inspect`, because measuring needs most of the package and finding little of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from vqdoctor import plugins
from vqdoctor.app.request import InspectRequest
from vqdoctor.app.sources import expand
from vqdoctor.errors import InputError, NoQuantizerError, SampleError, VqdoctorError, printable
from vqdoctor.layouts import find_quantizers
from vqdoctor.layouts.select import likeliest, select_quantizer
from vqdoctor.model import EmaFacts, Quantizer, TensorSource

MOST_WARNINGS = 3
BOOK = re.compile(r"embed|codebook|centroid|weight", re.IGNORECASE)
Seen = TypeVar("Seen")


def each_file(paths: Sequence[str], look: Callable[[str], Seen], left_out: Callable[[VqdoctorError], None]) -> list[Seen]:
    """look(path) for every file that `paths` name, in order.

    Args:
        left_out: told of each file of a folder that cannot be read or holds no quantiser, and of each plugin that failed.

    Raises:
        VqdoctorError: of a file that was named, or of every file of the folders.
    """
    seen: list[Seen] = []
    troubles: list[VqdoctorError] = []
    for path, named in expand(paths):
        try:
            seen.append(look(path))
        except (InputError, NoQuantizerError, SampleError) as error:
            if named or (isinstance(error, SampleError) and error.where != path):  # rows that were given fit nothing
                raise
            troubles.append(error)
    if troubles and not seen:
        raise next((trouble for trouble in troubles if isinstance(trouble, NoQuantizerError)), troubles[0])
    for trouble in (*troubles, *plugins.broken().values()):
        left_out(trouble)
    return seen


def find(source: TensorSource, request: InspectRequest) -> list[Quantizer]:
    """The quantisers of a checkpoint, by its layouts or as named by hand.

    Raises:
        NoQuantizerError: none; the message names the likeliest tensors and what to type.
    """
    if request.select is not None:
        return select_quantizer(source, request.select, request.axis, request.metric)
    if found := find_quantizers(source):
        return found
    raise _without_quantizer(source)


def _without_quantizer(source: TensorSource) -> NoQuantizerError:
    """What there is instead, as far as it explains it, and what to type."""
    from vqdoctor.diagnosis.words import plural  # brings the rules with it, which finding does not need

    told = list(source.warnings[:MOST_WARNINGS])
    if not source.specs:
        what = " ".join(["was read and holds no tensors with values.", *told]) if told else "was read and holds no tensors at all."
        return NoQuantizerError(what, where=source.path, hint=None if told else "Is it the right file?")
    what = " ".join([f"was read ({plural(len(source.specs), 'tensor')}) and holds no quantiser that is known.", *told])
    rows = [f"\n  {printable(name, 70)}  ({why})   --select '{printable(regex)}'" for name, _, why, regex in likeliest(source)]
    most = f"The likeliest tensors, and what to type:{''.join(rows)}" if rows else _lone_table(source)
    return NoQuantizerError(what, where=source.path, hint=most)


def _lone_table(source: TensorSource) -> str | None:
    """What to do with whole numbers where a book should be: they stand for a book's, or are what a model assigned."""
    tables = [spec for spec in source.specs.values() if "int" in spec.dtype and len(spec.shape) in (1, 2) and spec.size]
    book = next((spec for spec in tables if len(spec.shape) == 2 and BOOK.search(spec.name)), None)
    if book is not None:
        told = f"{printable(book.name, 70)} holds whole numbers ({book.dtype}), as a quantised model does."
        return f"{told} Inspect the checkpoint in floating point that it was made from, or save it dequantised."
    if len(tables) != 1 or len(source.specs) > 1:
        return None
    shape = " × ".join(map(str, tables[0].shape))
    return (
        f"{printable(tables[0].name, 70)} holds whole numbers ({shape}): codes, not a codebook. Beside their checkpoint: "
        f"vqdoctor inspect CHECKPOINT --codes {shlex.quote(printable(source.path))}; semantic IDs are read from .npy."
    )


def as_told(quantizer: Quantizer, request: InspectRequest) -> Quantizer:
    """With what the user states about it in the place of what its family's stock code does."""
    if request.metric is not None and quantizer.structure != "implicit":
        quantizer = replace(quantizer, metric=request.metric, metric_basis="stated")
    counted = any(level.ema_count is not None for level in quantizer.levels)
    if (request.ema_threshold is None and request.ema_decay is None) or not counted:
        return quantizer
    ema = replace(quantizer.ema or EmaFacts(), basis="stated")
    if request.ema_threshold is not None:
        ema = replace(ema, threshold=request.ema_threshold, threshold_unit="absolute")
    if request.ema_decay is not None:
        ema = replace(ema, decay=request.ema_decay)
    return replace(quantizer, ema=ema)
