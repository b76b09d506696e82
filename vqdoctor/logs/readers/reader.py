"""What every log reader is: bytes in, points and events out. A reader knows no files, no clock and no metric names."""

from __future__ import annotations

from typing import ClassVar, Protocol

from vqdoctor.logs.faults import Faults
from vqdoctor.model import Event, Points

Found = Points | Event


class Reader(Protocol):
    """A format.

    Feeding a stream in any pieces finds the same: the same points in the same order for each series, the same events in order.

    Attributes:
        name: what the format is called. by_lines: whether reading may begin at any line.
        faults: what was left out so far.
        held: bytes of the stream that have been taken and not yet used (a partial last line): to resume later without a loss,
            begin that many bytes earlier.

    A plugin's reader may also have a classmethod ``owns(name) -> bool``: whether a file of a watched folder is its own by its name
    (lower case, without the folder). Without it such a file is read only where the user names it.
    """

    name: ClassVar[str]
    by_lines: ClassVar[bool]
    faults: Faults

    @property
    def held(self) -> int:
        """See above."""
        ...

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """Whether a file of this name that begins like this (see `choose`) is of this format."""
        ...

    def feed(self, data: bytes) -> list[Found]:
        """What the next bytes of the file complete."""
        ...

    def finish(self) -> list[Found]:
        """What is left at the end of a file; a rotated log may go on with `feed` in the next file."""
        ...


def first_line(head: bytes) -> bytes:
    """The first line of `head` that is not blank, without spaces around it, a byte order mark or NULs."""
    return head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].strip()
