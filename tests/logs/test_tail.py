"""Following one file, against a model of everything that is done to logs: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from vqdoctor.logs import Position, Tail, head_and_tail
from vqdoctor.logs import rotation as rotation_module
from vqdoctor.logs import tail as tail_module
from vqdoctor.logs.tail import QUIET


def drain(tail, looks=QUIET + 2):
    """Chunks until nothing more comes."""
    chunks = []
    for _ in range(looks):
        chunks += tail.poll()
        while tail.behind:
            chunks += tail.poll()
    return chunks


def text(chunks):
    return b"".join(chunk.data for chunk in chunks)


class Logged(RuleBasedStateMachine):
    """A log under rotation of every kind. All lines differ; those that a rotation moved away must still arrive, once and in order."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "train.log"
        self.tail = Tail(str(self.path))
        self.count = 0
        self.got, self.expected = b"", self.line()
        self.path.write_bytes(self.expected)  # what was rotated away before the first look is another log's
        self.look(1)

    def teardown(self):
        self.settle()
        self.tail.close()
        shutil.rmtree(self.folder)

    def settle(self):
        if not self.path.exists():  # a rotation is over when the log has a file again
            self.append(1, cut=False)
        self.got += text(drain(self.tail)).replace(b"\0", b"")
        assert self.got == self.expected

    def line(self):
        self.count += 1
        return b"line %d %s\n" % (self.count, b"x" * (self.count % 90))

    @rule(lines=st.integers(1, 40), cut=st.booleans())
    def append(self, lines, cut):
        """Whole lines, in two writes where `cut`, so that a look may see half a line."""
        data = b"".join(self.line() for _ in range(lines))
        with open(self.path, "ab") as log:
            log.write(data[: len(data) // 2])
            log.flush()
            if cut:
                self.look(1 << 23)
            log.write(data[len(data) // 2 :])
        self.expected += data

    @rule(budget=st.sampled_from([1, 1 << 23]))
    def look(self, budget):
        self.got += text(self.tail.poll(budget)).replace(b"\0", b"")

    def shift(self):
        """Copies move up by one."""
        for number in range(60, 0, -1):
            copy = self.folder / f"train.log.{number}"
            if copy.exists():
                copy.rename(self.folder / f"train.log.{number + 1}")

    @precondition(lambda self: self.path.exists() and self.path.stat().st_size)
    @rule(begin=st.booleans())
    def rotate_by_rename(self, begin):
        self.shift()
        self.path.rename(self.folder / "train.log.1")
        if begin:
            self.append(2, cut=False)

    @precondition(lambda self: self.path.exists() and self.path.stat().st_size)
    @rule(lines=st.integers(0, 30))
    def copy_and_truncate(self, lines):
        self.shift()
        shutil.copy(self.path, self.folder / "train.log.1")
        os.truncate(self.path, 0)
        if lines:
            self.append(lines, cut=False)

    @rule(lines=st.integers(1, 60), remove=st.booleans(), look=st.booleans())
    def begin_anew(self, lines, remove, look):
        """What was not read before is gone: the model waits until all was, and for a first look at what begins."""
        self.settle()
        if remove:
            self.path.unlink(missing_ok=True)
        if look:
            self.look(1)
        data = b"".join(self.line() for _ in range(lines))
        self.path.write_bytes(data)
        self.expected += data
        self.settle()

    @precondition(lambda self: self.path.exists())
    @rule(lines=st.integers(1, 20))
    def rewrite_longer(self, lines):
        """A new file with what the old one had and more, put in its place."""
        self.settle()
        more = b"".join(self.line() for _ in range(lines))
        new = self.folder / "new"
        new.write_bytes(self.path.read_bytes() + more)
        new.replace(self.path)
        self.expected += more

    @rule(json=st.booleans())
    def stop_and_go_on(self, json):
        """A new process with the saved position."""
        position = self.tail.position()
        self.tail.close()
        if position is not None and json:
            position = Position.from_json(position.as_json())
        self.tail = Tail(str(self.path), position)

    @rule()
    def let_go(self):
        self.tail.close()


Logged.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLogged = Logged.TestCase


def test_a_file_that_appears_later(tmp_path):
    tail = Tail(str(tmp_path / "log"))
    assert tail.poll() == [] and tail.failure is None
    (tmp_path / "log").write_bytes(b"")
    assert tail.poll() == []
    (tmp_path / "log").write_bytes(b"a\n")
    assert [(chunk.data, chunk.start) for chunk in tail.poll()] == [(b"a\n", "new")]
    assert tail.poll() == []


def test_begun_anew_and_rotated_are_told_apart(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"first line\n" * 20)
    tail = Tail(str(log))
    drain(tail)
    log.write_bytes(b"another\n" * 40)
    assert [chunk.start for chunk in drain(tail)] == ["restarted"]
    log.rename(tmp_path / "log.1")
    log.write_bytes(b"more\n")
    assert [(chunk.data, chunk.start) for chunk in drain(tail)] == [(b"more\n", "rotated")]


def test_begun_anew_with_as_many_bytes_as_before(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"0123456789\n")
    tail = Tail(str(log))
    drain(tail)
    log.write_bytes(b"abcdefghij\n")
    os.utime(log, (1, 1))
    assert [(chunk.data, chunk.start) for chunk in drain(tail)] == [(b"abcdefghij\n", "restarted")]


def test_the_same_end_under_another_beginning_is_another_log(tmp_path):
    """The 64 bytes before the offset are equal; the first are not."""
    log = tmp_path / "log"
    log.write_bytes(b"run 1\n" + b"same\n" * 30)
    tail = Tail(str(log))
    drain(tail)
    log.write_bytes(b"run 2\n" + b"same\n" * 30 + b"new\n")
    assert text(drain(tail)) == b"run 2\n" + b"same\n" * 30 + b"new\n"


def test_a_writer_that_goes_on_at_its_old_place_after_a_cut(tmp_path):
    """Without O_APPEND a truncated file gets a run of NULs; they are handed on, the reader drops them."""
    log = tmp_path / "log"
    with open(log, "wb", buffering=0) as writer:
        writer.write(b"before\n" * 100)
        tail = Tail(str(log))
        drain(tail)
        os.truncate(log, 0)
        writer.write(b"after\n")
        assert text(drain(tail)).lstrip(b"\0") == b"after\n"


def test_a_rotated_and_compressed_log_goes_on(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    tail = Tail(str(log))
    drain(tail)
    (tmp_path / "log.1.gz").write_bytes(b"\x1f\x8b")
    log.unlink()
    log.write_bytes(b"after\n")
    assert [(chunk.data, chunk.start) for chunk in drain(tail)] == [(b"after\n", "rotated")]


def test_what_cannot_be_read_is_said_and_tried_again(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    tail = Tail(str(log))
    assert tail.poll() == [] and tail.failure == "not a regular file"
    log.rmdir()
    os.mkfifo(log)
    assert tail.poll() == [] and tail.failure == "not a regular file"
    log.unlink()
    log.write_bytes(b"a\n")
    assert text(tail.poll()) == b"a\n" and tail.failure is None


def test_budget_bounds_one_look(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(bytes(range(256)) * 8192)
    tail = Tail(str(log))
    first = tail.poll(1 << 18)
    assert len(text(first)) == 1 << 19 and tail.behind == 3 << 19
    assert text(first + drain(tail)) == log.read_bytes() and tail.behind == 0


def test_position_before_a_partial_line(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\nthr")
    tail = Tail(str(log))
    tail.poll()
    position = tail.position(held=3)
    with log.open("ab") as writer:
        writer.write(b"ee\n")
    assert text(Tail(str(log), position).poll()) == b"three\n"


@pytest.mark.parametrize("value", [{}, {"device": 1, "inode": 1, "offset": "x"}, {"device": 1, "inode": 1, "offset": 1, "head": "", "head_bytes": 0, "tail": "zz"}])  # fmt: skip
def test_a_position_that_is_none(value):
    with pytest.raises((KeyError, ValueError)):
        Position.from_json(value)


def test_a_position_of_another_file_starts_at_the_beginning(tmp_path):
    (tmp_path / "a").write_bytes(b"aaaa\n")
    (tmp_path / "b").write_bytes(b"bbbbbbbb\n")
    tail = Tail(str(tmp_path / "a"))
    tail.poll()
    [chunk] = Tail(str(tmp_path / "b"), tail.position()).poll()
    assert (chunk.data, chunk.start) == (b"bbbbbbbb\n", "restarted")


def test_head_and_tail_are_whole_lines(tmp_path):
    log = tmp_path / "log"
    lines = [b"line %d\n" % i for i in range(1000)]
    log.write_bytes(b"".join(lines))
    head, tail = head_and_tail(str(log), 100)
    assert b"".join(lines).startswith(head) and head.endswith(b"\n") and len(head) <= 100
    assert b"".join(lines).endswith(tail) and tail.startswith(b"line ") and len(tail) <= 100
    assert head_and_tail(str(log), 1 << 20) == (log.read_bytes(), b"")


class Between:
    """`os` for a reader: before each call on the file system a writer may take some steps of its own."""

    def __init__(self, take_turn):
        self._take_turn = take_turn

    def __getattr__(self, name):
        call = getattr(os, name)
        if name not in ("open", "pread", "stat", "fstat", "scandir"):
            return call

        def late(*arguments, **more):
            self._take_turn()
            return call(*arguments, **more)

        return late


def rotating(path, lines, size, copied_at):
    """A writer that rotates by renaming, and by copying and truncating; it rests after each call on the file system."""
    appending = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    file = os.open(path, appending)
    for i in range(1, lines):
        copying = i % 97 == copied_at
        if os.fstat(file).st_size > size or copying:
            for n in range(60, 0, -1):
                if os.path.exists(f"{path}.{n}"):
                    os.rename(f"{path}.{n}", f"{path}.{n + 1}")
                    yield
            if copying:
                shutil.copyfile(path, f"{path}.1")
                yield
                os.truncate(path, 0)
            else:
                os.close(file)
                os.rename(path, f"{path}.1")
                yield
                file = os.open(path, appending)
            yield
        os.write(file, b"line %d\n" % i)
        yield
    os.close(file)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_however_a_rotation_falls_between_two_calls(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    path, lines = str(tmp_path / "train.log"), 200
    Path(path).write_bytes(b"line 0\n")
    writer = rotating(path, lines, chance.choice([100, 400]), chance.choice([None, 50]))
    often, many = chance.choice([0.005, 0.02, 0.08]), chance.choice([3, 30, 100])
    tail = Tail(path)
    got = text(tail.poll())

    def write():
        return [next(writer, done) for _ in range(chance.randint(1, many))][-1] is done

    done = object()
    between = Between(lambda: chance.random() < often and write())
    monkeypatch.setattr(tail_module, "os", between)
    monkeypatch.setattr(rotation_module, "os", between)
    while not write():
        got += text(tail.poll())
    got += text(drain(tail))
    assert got.replace(b"\0", b"").decode().split()[1::2] == [str(i) for i in range(lines)]


WRITER = """
import os, sys, logging.handlers
path, lines = sys.argv[1], int(sys.argv[2])
handler = logging.handlers.RotatingFileHandler(path, maxBytes=4000, backupCount=400)
handler.setFormatter(logging.Formatter("%(message)s"))
for i in range(1, lines):
    handler.emit(logging.makeLogRecord({"msg": "line %d" % i}))
    if i % 1500 == 700:  # and now and then: copied and truncated
        import shutil
        for n in range(390, 0, -1):
            if os.path.exists(f"{path}.{n}"):
                os.rename(f"{path}.{n}", f"{path}.{n + 1}")
        handler.flush()
        shutil.copy(path, path + ".1")
        handler.stream.truncate(0)
        handler.stream.seek(0)
"""


def test_a_real_writer_that_rotates_while_it_is_read(tmp_path):
    log = str(tmp_path / "train.log")
    Path(log).write_bytes(b"line 0\n")
    tail = Tail(log)
    got = text(tail.poll())
    writer = subprocess.Popen([sys.executable, "-c", WRITER, log, "8000"])
    while writer.poll() is None:
        got += text(tail.poll())
    got += text(drain(tail))
    assert writer.returncode == 0
    lines = got.replace(b"\0", b"").decode().split()[1::2]
    assert lines == [str(i) for i in range(8000)]
