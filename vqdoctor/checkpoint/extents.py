"""Where the bytes of one storage are, and how to get at any run of them: plain in the file, deflated in an archive, or inside a
pickle.

Every reader describes its storages as extents, so that bounds, strides and types are handled in one place (`values`) for all
containers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import MIB, Limits
from vqdoctor.errors import CorruptInput, UnsupportedInput

FREE_EXPANSION = 64 * MIB  # bytes of a compressed member, whatever they are packed into


class Extent:
    """A run of bytes.

    Attributes:
        bytes: its length, checked against the file.
        big_endian: byte order of the numbers in it.
        damaged: True once a whole read has shown another checksum than the archive's directory states.
    """

    __slots__ = ("big_endian", "bytes", "damaged")

    def __init__(self, size: int, *, big_endian: bool = False) -> None:
        self.bytes = size
        self.big_endian = big_endian
        self.damaged = False

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fills `buffer` (format "B") from `offset` of the extent. Raises CorruptInput where the bytes are not there."""
        raise NotImplementedError

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`; fewer at the end of the extent."""
        buffer = bytearray(max(0, min(count, self.bytes - offset)))
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def place(self) -> tuple[RegularFile, int]:
        """The file that holds these very bytes one after the other, and the position of the first.

        Raises:
            UnsupportedInput: none does, so that none of them can be changed without moving others.
        """
        raise UnsupportedInput(
            "is spelled out inside the file's pickle, where its bytes cannot be changed.",
            hint="Turn it into a torch tensor where you trust the file, save it with torch.save, and repair that.",
        )


class StoredExtent(Extent):
    """Bytes as they are in the file, from `position`: a number, or what finds it when first needed (a zip's local header)."""

    __slots__ = ("_crc", "_file", "_position")

    def __init__(
        self, file: RegularFile, size: int, position: int | Callable[[], int], *, crc: int | None = None, big_endian: bool = False
    ) -> None:
        super().__init__(size, big_endian=big_endian)
        self._file = file
        self._position = position
        self._crc = crc

    def place(self) -> tuple[RegularFile, int]:
        if callable(self._position):
            self._position = self._position()
        return self._file, self._position

    def read_into(self, buffer: memoryview, offset: int) -> None:
        file, position = self.place()
        file.read_into(buffer, position + offset)
        if self._crc is not None and len(buffer) == self.bytes and zlib.crc32(buffer) != self._crc:
            self.damaged = True


class DeflatedExtent(Extent):
    """Bytes of a deflated zip member: decompressed as far as needed, never more than the directory says."""

    __slots__ = ("_consumed", "_crc", "_file", "_inflater", "_limits", "_locate", "_packed", "_produced", "_running_crc")

    def __init__(
        self,
        file: RegularFile,
        size: int,
        locate: Callable[[], int],
        packed: int,
        *,
        crc: int,
        limits: Limits,
        big_endian: bool = False,
    ) -> None:
        super().__init__(size, big_endian=big_endian)
        self._file = file
        self._locate = locate
        self._packed = packed
        self._crc = crc
        self._limits = limits
        self._rewind()

    def _rewind(self) -> None:
        self._inflater = zlib.decompressobj(-15)
        self._consumed = 0
        self._produced = 0
        self._running_crc = 0

    def read_into(self, buffer: memoryview, offset: int) -> None:
        if offset < self._produced:
            self._rewind()
        while self._produced < offset:
            self._inflate(min(MIB, offset - self._produced))
        done = 0
        while done < len(buffer):
            piece = self._inflate(min(MIB, len(buffer) - done))
            buffer[done : done + len(piece)] = piece
            done += len(piece)
        if self._produced == self.bytes and self._running_crc != self._crc:
            self.damaged = True

    def place(self) -> tuple[RegularFile, int]:
        raise UnsupportedInput(
            "is compressed inside the archive, where no byte can be changed alone.",
            hint="Save it uncompressed first: numpy.savez(NEW, **numpy.load(OLD)) for an .npz, torch.save for a torch file.",
        )

    def _inflate(self, most: int) -> bytes:
        """At least one and at most `most` further bytes. Raises LimitExceeded where they come from next to nothing."""
        if self._produced > FREE_EXPANSION and self._produced > self._limits.expansion * self._consumed:
            raise self._limits.exceeded("expansion")
        piece = b""
        while not piece:
            packed = self._inflater.unconsumed_tail
            if not packed and self._consumed < self._packed:
                packed = self._file.read(self._locate() + self._consumed, min(64 * 1024, self._packed - self._consumed))
                self._consumed += len(packed)
            try:
                piece = self._inflater.decompress(packed, most)  # b"" too: the last bytes may still be inside the decompressor
            except zlib.error:
                raise CorruptInput("a compressed member is damaged.") from None
            if not piece and (self._inflater.eof or not packed):
                raise CorruptInput("a compressed member ends early.")
        self._produced += len(piece)
        self._running_crc = zlib.crc32(piece, self._running_crc)
        return piece


class HeldExtent(Extent):
    """Bytes that are in memory already: a small array that a pickle spells out."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes, *, big_endian: bool = False) -> None:
        super().__init__(len(data), big_endian=big_endian)
        self._data = data

    def read_into(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = self._data[offset : offset + len(buffer)]


class PartExtent(Extent):
    """A run of bytes inside another extent: a large array inside a pickle."""

    __slots__ = ("_start", "_whole")

    def __init__(self, whole: Extent, start: int, size: int, *, big_endian: bool = False) -> None:
        super().__init__(size, big_endian=big_endian)
        self._whole = whole
        self._start = start

    def read_into(self, buffer: memoryview, offset: int) -> None:
        self._whole.read_into(buffer, self._start + offset)
        self.damaged = self._whole.damaged

    def place(self) -> tuple[RegularFile, int]:
        file, position = self._whole.place()
        return file, position + self._start


class TextExtent(Extent):
    """Bytes that a protocol-2 pickle spells as Latin-1 text in UTF-8 (every byte above 127 takes two): decoded whole when read."""

    __slots__ = ("_encoded",)

    def __init__(self, encoded: Extent, size: int, *, big_endian: bool = False) -> None:
        super().__init__(size, big_endian=big_endian)
        self._encoded = encoded

    def read_into(self, buffer: memoryview, offset: int) -> None:
        try:
            data = self._encoded.read(0, self._encoded.bytes).decode("utf-8").encode("latin-1")
        except UnicodeError:
            raise CorruptInput("an array inside the pickle is not the Latin-1 text it is said to be.") from None
        if len(data) != self.bytes:
            raise CorruptInput("an array inside the pickle has other bytes than its shape needs.")
        buffer[:] = data[offset : offset + len(buffer)]
