"""Pickle opcodes that spell out a value: numbers, text, bytes. Long ones stay in the file. Source: CPython's
Lib/pickletools.py.
"""

from __future__ import annotations

import codecs
import struct
from typing import Any

from vqdoctor.checkpoint.pickle_machine import HANDLERS, Machine, opcode
from vqdoctor.model import Opaque

U1, U2, U4, U8 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")

_INLINE_TEXT = 64 * 1024
_INLINE_BYTES = 1024
_INLINE_INT = 128  # bytes; Python refuses to print much longer ones


def _constant(code: bytes, value: Any) -> None:
    def push(machine: Machine) -> None:
        machine.stack.append(value)

    HANDLERS[code[0]] = push


_constant(b"N", None)
_constant(b"\x88", True)
_constant(b"\x89", False)

# numbers


@opcode(b"K")
def _binint1(machine: Machine) -> None:
    machine.stack.append(machine.data[machine.at])
    machine.at += 1


@opcode(b"M")
def _binint2(machine: Machine) -> None:
    machine.stack.append(machine.number(U2))


@opcode(b"J")
def _binint(machine: Machine) -> None:
    machine.stack.append(machine.number(_I4))


@opcode(b"G")
def _binfloat(machine: Machine) -> None:
    machine.stack.append(machine.number(_F8))


@opcode(b"F")
def _float(machine: Machine) -> None:
    machine.stack.append(float(machine.line()))


@opcode(b"I")
def _int(machine: Machine) -> None:
    line = machine.line()
    machine.stack.append(line == b"01" if line in (b"00", b"01") else decimal(line))


@opcode(b"L")
def _long(machine: Machine) -> None:
    machine.stack.append(decimal(machine.line().removesuffix(b"L")))


def decimal(line: bytes) -> int:
    if len(line) > 2 * _INLINE_INT:
        raise ValueError("a number of hundreds of digits")
    return int(line)


@opcode(b"\x8a")
def _long1(machine: Machine) -> None:
    _push_int(machine, machine.number(U1))


@opcode(b"\x8b")
def _long4(machine: Machine) -> None:
    _push_int(machine, machine.number(U4))


def _push_int(machine: Machine, count: int) -> None:
    if count > _INLINE_INT:
        machine.skip(count)
        machine.stack.append(Opaque("int", (8 * count,)))
    else:
        machine.stack.append(int.from_bytes(machine.take(count), "little", signed=True))


# text and bytes


@opcode(b"X")
def _binunicode(machine: Machine) -> None:
    _push_text(machine, machine.number(U4))


@opcode(b"\x8c")
def _short_binunicode(machine: Machine) -> None:
    _push_text(machine, machine.number(U1))


@opcode(b"\x8d")
def _binunicode8(machine: Machine) -> None:
    _push_text(machine, machine.number(U8))


def _push_text(machine: Machine, count: int) -> None:
    if count > _INLINE_TEXT:
        machine.stack.append(machine.skip(count, text=True))
    else:
        machine.stack.append(str(machine.take(count), "utf-8", "surrogatepass"))


@opcode(b"V")
def _unicode(machine: Machine) -> None:
    machine.stack.append(str(machine.line(), "raw-unicode-escape"))


@opcode(b"B")
def _binbytes(machine: Machine) -> None:
    _push_bytes(machine, machine.number(U4))


@opcode(b"C")
def _short_binbytes(machine: Machine) -> None:
    _push_bytes(machine, machine.number(U1))


@opcode(b"\x8e\x96")
def _binbytes8(machine: Machine) -> None:
    _push_bytes(machine, machine.number(U8))


def _push_bytes(machine: Machine, count: int) -> None:
    machine.stack.append(machine.skip(count) if count > _INLINE_BYTES else machine.take(count))


@opcode(b"T")
def _binstring(machine: Machine) -> None:
    _push_old_text(machine, machine.number(U4))


@opcode(b"U")
def _short_binstring(machine: Machine) -> None:
    _push_old_text(machine, machine.number(U1))


def _push_old_text(machine: Machine, count: int) -> None:
    machine.stack.append(machine.skip(count) if count > _INLINE_BYTES else _old_text(machine.take(count)))


@opcode(b"S")
def _string(machine: Machine) -> None:
    line = machine.line().strip()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("a string without its quotes")
    machine.stack.append(_old_text(codecs.escape_decode(line[1:-1])[0]))


def _old_text(raw: bytes) -> str | bytes:
    """Python 2's str, which may be either."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
