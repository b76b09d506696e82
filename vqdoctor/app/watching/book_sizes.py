"""The sizes of codebooks that the settings of a run state: those that it printed, or Lightning's `hparams.yaml` beside its log.

A log of Lightning's holds curves only; the model's arguments lie beside it. Others print them, and they look like curves of one
value. Of all that only K is taken, and only where it leaves no doubt which number it is: a transformer beside a quantiser has an
`n_embed` as well. What was taken is an event of the run, so that every view can say where K comes from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from vqdoctor.diagnosis.curves import SIZED, SIZES, settings
from vqdoctor.diagnosis.live import stated_config
from vqdoctor.errors import InputError, printable
from vqdoctor.model import Event, Series
from vqdoctor.small_files import read_small
from vqdoctor.yaml_text import Path, scalars

NAME = "hparams.yaml"
LARGEST = 64 << 10  # bytes; the arguments of a model are a page
PRINTED = SIZES - {"codes"}  # which may as well be how many are used
WEAK = frozenset({"vocab_size", "vocabulary_size", "bins", "code_num", "num_code"})
"""Keys that hold K where nothing else does."""
OF_A_QUANTIZER = re.compile(r"quanti[sz]|codebook|vq|bottleneck|tokeni[sz]er")
MOST_CODES = 1 << 31
_WHOLE = re.compile(r"[1-9]\d{0,9}")

Sizes = tuple[str, tuple[int, ...]]
"""Under which key, with those that lead to it; K, or one K a level."""


class BookSizes:
    """Of one run; the file is read again only when it has changed. log: a log, or the folder of a run."""

    def __init__(self, log: str) -> None:
        self._path = os.path.join(log if os.path.isdir(log) else os.path.dirname(log), NAME)
        self._signature: tuple[int, ...] | None = None
        self._found: tuple[tuple[Event, ...], tuple[str, ...]] = ((), ())

    def stated(self, series: Sequence[Series], events: Sequence[Event]) -> tuple[tuple[Event, ...], tuple[str, ...]]:
        """What the settings say of K as events, and in a sentence why the file is not used; nothing where nobody needs it.

        Args:
            series, events: of the run: whether it has figures of a codebook, and tells K by itself.
        """
        judged = [one for one in series if (one.meaning.metric or "").startswith(("usage.", "ema."))]
        if not judged or _tell_sizes(events):
            return (), ()
        printed = _printed(series)
        if len({size for _, size in printed}) == 1:
            key, size = printed[0]
            return (Event("book-size", None, {"codes": size, "key": key}),), ()
        found, why = self._beside()
        if all(one.meaning.level is None for one in judged):  # of one level or of all: which, nothing tells
            found = tuple(event for event in found if "level" not in event.detail)
        return found, why

    def _beside(self) -> tuple[tuple[Event, ...], tuple[str, ...]]:
        try:
            facts = os.stat(self._path)
        except (OSError, ValueError):
            return (), ()
        signature = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if signature != self._signature:
            self._signature, self._found = signature, self._read()
        return self._found

    def _read(self) -> tuple[tuple[Event, ...], tuple[str, ...]]:
        try:
            found = sizes_in(read_small(self._path, LARGEST, "a file of settings").decode("utf-8", errors="replace"))
        except (InputError, ValueError) as error:
            return (), (f"{NAME} is not used: {printable(getattr(error, 'what', error), 120)}",)
        if len({sizes for _, sizes in found}) > 1:
            told = ", ".join(f"{printable(key, 60)} {' '.join(map(str, sizes[:8]))}" for key, sizes in found[:4])
            return (), (f"{NAME} is not used: which of these is the size of the codebook cannot be told: {told}",)
        return tuple(_events(*found[0])) if found else (), ()


def _printed(series: Iterable[Series]) -> list[tuple[str, int]]:
    """Numbers that never change under a key for the size of a codebook."""
    found = [(one.key.name.strip(), one.low) for one in series if one.n and one.low == one.high and one.meaning.metric is None]
    return [
        (name, int(size))
        for name, size in found
        if size is not None and name.rpartition(".")[2].lower() in PRINTED and size.is_integer() and 1 < size < MOST_CODES
    ]


def _tell_sizes(events: Sequence[Event]) -> bool:
    """Whether a run tells K by itself."""
    if any(event.kind in SIZED and "codes" in event.detail for event in events):
        return True
    return next(settings(stated_config(events), SIZES), None) is not None


def _events(key: str, sizes: tuple[int, ...]) -> Iterable[Event]:
    one = len(set(sizes)) == 1
    for level, codes in enumerate(sizes[:1] if one else sizes):
        yield Event("book-size", None, ({} if one else {"level": level}) | {"codes": codes, "file": NAME, "key": key})


def sizes_in(text: str) -> list[Sizes]:
    """What a text of settings may mean by the size of a codebook: keys that say so, of several those about a quantiser.

    Raises:
        ValueError: it is no YAML, or nested too deeply.

    Example:
        >>> sizes_in("transformer: {n_embed: 768}\\nquantizer:\\n  n_embed: 512\\n")
        [('quantizer.n_embed', (512,))]
    """
    every = list(scalars(text))
    found = _under(SIZES, every) or _under(WEAK, every)
    if len({sizes for _, sizes in found}) > 1:
        return [one for one in found if OF_A_QUANTIZER.search(one[0].lower())] or found
    return found


def _under(names: Iterable[str], every: Iterable[tuple[Path, str]]) -> list[Sizes]:
    """Whole numbers under these keys, and lists and mappings of them; of a list whose numbers are all the same, one."""
    wanted = frozenset(names)
    found = []
    for path, group in groupby(every, key=lambda scalar: _place(wanted, scalar[0])):
        values = [value for _, value in group]
        if path and all(_WHOLE.fullmatch(value) and 1 < int(value) < MOST_CODES for value in values):
            sizes = tuple(map(int, values))
            found.append((".".join(map(str, path)), sizes[:1] if len(set(sizes)) == 1 else sizes))
    return found


def _place(wanted: frozenset[str], path: Path) -> Path:
    """Where a size stands: the path, or that of the list in which it is one of several; () where no key says that it is a size."""
    if path[-1:] and path[-1] in wanted:
        return path
    if len(path) < 2 or path[-2] not in wanted:
        return ()
    return path[:-1] if isinstance(path[-1], int) else path
