"""Running a pickle, and its opcodes for stack, memo, containers and objects. Protocols 0–5; source: CPython's
Lib/pickletools.py.
"""

from __future__ import annotations

from typing import Any

from vqdoctor.checkpoint.pickle_literals import U1, U4, U8, decimal
from vqdoctor.checkpoint.pickle_machine import BROKEN, HANDLERS, Machine, opcode
from vqdoctor.errors import CorruptInput, UnsupportedInput


class _Stop(Exception):
    """The STOP opcode; carries the value."""


def run(machine: Machine) -> Any:
    """The value of the pickle that begins at the machine's position.

    Raises:
        CorruptInput: not a pickle, or cut off. UnsupportedInput: opcodes that only a live Python can follow.
        LimitExceeded: more of something than the machine's limits allow.
    """
    handlers = HANDLERS
    try:
        for _ in range(machine.limits.pickle_ops):
            if machine.at > machine.low:
                machine.refill()
            code = machine.data[machine.at]
            machine.at += 1
            handlers[code](machine)
    except _Stop as stop:
        return stop.args[0]
    except BROKEN:
        raise CorruptInput(f"its pickle is broken or cut off near byte {machine.position:,}.") from None
    raise machine.limits.exceeded("pickle_ops")


@opcode(b"\x80")
def _proto(machine: Machine) -> None:
    if machine.number(U1) > 5:
        raise UnsupportedInput("its pickle is of a protocol newer than 5.")


@opcode(b"\x95")
def _frame(machine: Machine) -> None:
    machine.number(U8)


@opcode(b".")
def _stop(machine: Machine) -> None:
    raise _Stop(machine.stack.pop())


# stack and memo


@opcode(b"(")
def _mark(machine: Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


@opcode(b"0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


@opcode(b"1")
def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


@opcode(b"2")
def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


@opcode(b"h")
def _binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.data[machine.at]])
    machine.at += 1


@opcode(b"j")
def _long_binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[U4.unpack_from(machine.data, machine.at)[0]])
    machine.at += 4


@opcode(b"g")
def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[decimal(machine.line())])


@opcode(b"q")
def _binput(machine: Machine) -> None:
    machine.memo[machine.data[machine.at]] = machine.stack[-1]
    machine.at += 1


@opcode(b"r")
def _long_binput(machine: Machine) -> None:
    machine.memo[U4.unpack_from(machine.data, machine.at)[0]] = machine.stack[-1]
    machine.at += 4


@opcode(b"p")
def _put(machine: Machine) -> None:
    machine.memo[decimal(machine.line())] = machine.stack[-1]


@opcode(b"\x94")
def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


# containers


@opcode(b"])\x8f")
def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


@opcode(b"}")
def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


@opcode(b"tl\x91")
def _list(machine: Machine) -> None:
    items = machine.stack
    machine.stack = machine.marks.pop()
    machine.stack.append(items)


@opcode(b"d")
def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    made: dict[Any, Any] = {}
    machine.set_items(made, items)
    machine.stack.append(made)


@opcode(b"\x85")
def _tuple1(machine: Machine) -> None:
    machine.stack[-1] = [machine.stack[-1]]


@opcode(b"\x86")
def _tuple2(machine: Machine) -> None:
    last = machine.stack.pop()
    machine.stack[-1] = [machine.stack[-1], last]


@opcode(b"\x87")
def _tuple3(machine: Machine) -> None:
    last = machine.stack.pop()
    middle = machine.stack.pop()
    machine.stack[-1] = [machine.stack[-1], middle, last]


@opcode(b"a")
def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    machine.append_items(machine.stack[-1], [item])


@opcode(b"e\x90")
def _appends(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.append_items(machine.stack[-1], items)


@opcode(b"s")
def _setitem(machine: Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


@opcode(b"u")
def _setitems(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.set_items(machine.stack[-1], items)


# names, calls, objects: recorded, never followed


@opcode(b"c")
def _global(machine: Machine) -> None:
    module = machine.line().decode("utf-8")
    machine.stack.append(machine.name(module, machine.line().decode("utf-8")))


@opcode(b"\x93")
def _stack_global(machine: Machine) -> None:
    qualname = machine.stack.pop()
    module = machine.stack.pop()
    if type(module) is not str or type(qualname) is not str:
        raise ValueError("a name that is not text")
    machine.stack.append(machine.name(module, qualname))


@opcode(b"R\x81")
def _reduce(machine: Machine) -> None:
    args = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], args)


@opcode(b"\x92")
def _newobj_ex(machine: Machine) -> None:
    keywords = machine.stack.pop()
    args = machine.stack.pop()
    machine.charge(len(args))
    machine.stack[-1] = machine.call(machine.stack[-1], [*args, keywords] if keywords else args)


@opcode(b"i")
def _inst(machine: Machine) -> None:
    _global(machine)
    callee = machine.stack.pop()
    args = machine.pop_mark()
    machine.stack.append(machine.call(callee, args))


@opcode(b"o")
def _obj(machine: Machine) -> None:
    callee, *args = machine.pop_mark()
    machine.stack.append(machine.call(callee, args))


@opcode(b"b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)


@opcode(b"Q")
def _binpersid(machine: Machine) -> None:
    if machine.persistent is None:
        raise UnsupportedInput("its pickle refers to objects outside the file.")
    machine.stack[-1] = machine.persistent(machine.stack[-1])


@opcode(b"P")
def _persid(machine: Machine) -> None:
    raise UnsupportedInput("its pickle refers to objects outside the file (a text persistent id).")


@opcode(b"\x82\x83\x84")
def _extension(machine: Machine) -> None:
    raise UnsupportedInput("its pickle uses the extension registry, which means something only inside the program that wrote it.")


@opcode(b"\x97\x98")
def _buffer(machine: Machine) -> None:
    raise UnsupportedInput("its pickle keeps arrays in buffers outside the file.")
