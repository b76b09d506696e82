"""What a report writes: one place that knows the log's lines, opened by the first rank at its first word and by no other rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vqdoctor.monitor import ranks
from vqdoctor.monitor.board import Board
from vqdoctor.monitor.claims import claims
from vqdoctor.monitor.counts import Window
from vqdoctor.monitor.listener import Listener
from vqdoctor.monitor.log import LogWriter


class Journal:
    """The log of one run, and TensorBoard's scalars beside it where asked for.

    Args:
        path: the log. about: run and config of its first line. board: for TensorBoard, None for none.
        rank: this process's place, None: as torch.distributed says. clock: seconds since the epoch.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], *, board: Board | None, rank: int | None, clock: Callable[[], float]
    ) -> None:
        self._path, self._about, self._board, self._rank, self._clock = path, about, board, rank, clock
        self._log: LogWriter | None = None

    @property
    def writes(self) -> bool:
        """True on the first rank."""
        return (ranks.rank() if self._rank is None else self._rank) == 0

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Losses and the like."""
        if self.writes and values:
            self._opened().scalars(step, values)
            self._show(step, values)

    def event(self, step: int, event: str, detail: Mapping[str, Any]) -> None:
        """Something that happened once."""
        if self.writes:
            self._opened().event(step, event, detail)

    def site(self, step: int, listener: Listener) -> None:
        """Everything about one quantiser since the last time; every rank calls it, the first writes."""
        site, windows = listener.site, listener.ready().take()
        digests = self._digests(listener)
        while listener.grown:
            before, after = listener.grown.pop(0)
            self.event(step, "expanded", {"quantizer": site.name, "codes_before": before, "codes": after})
        if self.writes and any(window.batches for window in windows):
            self._levels(step, site.name, windows, claims(site))
            for detail in digests:
                self.event(step, "digest", {"quantizer": site.name, **detail})

    def close(self) -> None:
        """Close the files; a later word opens the log again."""
        for opened in (self._log, self._board):
            if opened is not None:
                opened.close()
        self._log = None

    def _levels(self, step: int, name: str, windows: Sequence[Window], claimed: Sequence[Mapping[str, Any]]) -> None:
        for level, (window, claim) in enumerate(zip(windows, claimed, strict=True)):
            values = {**window.metrics(), **claim}
            self._opened().metrics(step, values, quantizer=name, level=level)
            self._opened().usage(step, window.hits, quantizer=name, level=level)
            self._show(step, values, f"{name}/{level}/")

    def _digests(self, listener: Listener) -> list[dict[str, Any]]:
        """A hash of each level's book on each rank: they must be equal."""
        site = listener.site
        return [
            {"level": level.index, "rank": rank, "hash": digest}
            for level in (site.quantizer.levels if site.quantizer else ())
            if level.shared_with is None
            for rank, digest in enumerate(ranks.digests(site.source.tensor(level.stored.name)))
        ]

    def _opened(self) -> LogWriter:
        if self._log is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._log = LogWriter(self._path, **self._about, clock=self._clock)
        return self._log

    def _show(self, step: int, values: Mapping[str, Any], before: str = "") -> None:
        if self._board is not None:
            self._board.add(step, values, before)
