"""Whatever goes wrong while a copy is written: the original is untouched, the target is as it was or whole, and no draft stays."""

import errno
import fcntl
import os
import resource
import signal

import numpy as np
import pytest
import torch

from vqdoctor.checkpoint import STEPS, compare_files, open_source, write_copy
from vqdoctor.errors import CorruptInput, UsageError, VerifyError

BOOK = {"book": np.full((512, 8), 3.0)}
ONE_FILE = [step for step in STEPS if step not in ("shard", "kept")]


@pytest.fixture
def original(tmp_path):
    torch.manual_seed(0)
    torch.save({"book": torch.randn(512, 8), "rest": torch.randn(4000)}, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def write(original, out="out.pt", **options):
    return write_copy(str(original), str(original.with_name(out)), BOOK, **options)


def failing(monkeypatch, call, code, turn=1, only=lambda *args: True):
    """Makes the given call of an `os` function fail."""
    real, calls = getattr(os, call), []

    def fail(*args, **options):
        if only(*args):
            calls.append(args)
            if len(calls) == turn:
                raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(os, call, fail)


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("call", "code", "turn"),
    [
        ("copy_file_range", errno.ENOSPC, 1), ("copy_file_range", errno.EIO, 1), ("fstatvfs", errno.EIO, 1),
        ("fchmod", errno.EPERM, 1), ("pwrite", errno.ENOSPC, 1), ("pwrite", errno.EIO, 2), ("pwrite", errno.EDQUOT, 3),
        ("fsync", errno.EIO, 1), ("fsync", errno.ENOSPC, 1), ("link", errno.EIO, 1), ("link", errno.EXDEV, 1),
    ],
)  # fmt: skip
def test_a_failing_call(original, monkeypatch, call, code, turn, exists):
    if exists:
        original.with_name("out.pt").write_bytes(b"old")
    if call == "link" and exists:
        call = "replace"  # a name that is taken changes hands by this call
    before = content(original.parent)
    failing(monkeypatch, call, code, turn)
    with pytest.raises(UsageError, match=r"out\.pt") as caught:
        write(original, overwrite=exists)
    assert os.strerror(code).lower() in str(caught.value)
    assert content(original.parent) == before


def test_a_close_that_reports_a_full_disk(original, monkeypatch):
    real, armed = os.close, []

    def close(handle):
        real(handle)
        if armed:
            armed.clear()
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "close", close)
    before = content(original.parent)
    with pytest.raises(UsageError, match="quota"):
        write(original, verify=lambda _: armed.append(1))
    assert content(original.parent) == before


def test_a_disk_that_is_too_full_is_told_before_copying(original, monkeypatch):
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda handle: full)
    steps = []
    with pytest.raises(UsageError, match="no space left"):
        write(original, step=steps.append)
    assert steps == ["created"]


@pytest.mark.parametrize(("share", "more"), [(0, 1), (0, 64), (0, 512), (0.25, 0), (0.5, 0), (1, -100), (1, -1)])
@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_limit_on_the_size_of_files(original, monkeypatch, share, more, in_kernel):
    limit = int(original.stat().st_size * share) + more
    if not in_kernel:
        monkeypatch.delattr(os, "copy_file_range")
    original.with_name("out.pt").write_bytes(b"old")
    before, soft_and_hard = content(original.parent), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, soft_and_hard[1]))
    try:
        with pytest.raises(UsageError, match=r"out\.pt.*file too large"):
            write(original, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft_and_hard)
    assert content(original.parent) == before


@pytest.mark.parametrize("step", ONE_FILE)
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_each_step(original, step, exists, number):
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    def hook(name):
        if name == step:
            os.kill(os.getpid(), number)

    if exists:
        original.with_name("out.pt").write_bytes(b"old")
    before, handler = content(original.parent), signal.signal(number, stop)
    try:
        with pytest.raises(Stopped):
            write(original, overwrite=exists, step=hook)
    finally:
        signal.signal(number, handler)
    if step == "published":
        compare_files(str(original), str(original.with_name("out.pt")), BOOK)
    else:
        assert content(original.parent) == before


def grown(path):
    with path.open("ab") as file:
        file.write(b"\0")


def rewritten(path):
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))


def replaced(path):
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [grown, rewritten, replaced, lambda path: path.unlink(), lambda path: os.truncate(path, 99)])
@pytest.mark.parametrize("step", ["created", "copied", "synced", "verified"])
def test_an_original_that_changes_meanwhile(original, change, step):
    def hook(name):
        if name == step:
            change(original)

    if step == "verified":
        with pytest.raises(CorruptInput, match="was changed while it was read"):
            write(original, verify=lambda _: change(original))
    else:
        with pytest.raises(CorruptInput, match="changed"):
            write(original, step=hook)
    assert set(content(original.parent)) <= {"a.pt"}


def test_an_original_that_changed_since_it_was_examined(original):
    with open_source(str(original)) as examined:
        assert write(original, since=examined).tensors_changed == ("book",)
        replaced(original)
        with pytest.raises(CorruptInput, match="changed since it was examined"):
            write(original, "other.pt", since=examined)


def hard_link(original, out):
    os.link(original, out)


def symbolic_link(original, out):
    out.symlink_to(original)


@pytest.mark.parametrize("make", [hard_link, symbolic_link])
@pytest.mark.parametrize("overwrite", [False, True])
def test_other_names_of_the_original(original, make, overwrite):
    make(original, original.with_name("out.pt"))
    before = content(original.parent)
    for options in ({}, {"in_place": True}):
        with pytest.raises(UsageError, match=r"is the checkpoint itself|is not the name of the checkpoint"):
            write(original, overwrite=overwrite, **options)
    with pytest.raises(UsageError, match="is the checkpoint itself"):
        write(original, "a.pt", overwrite=overwrite)
    assert content(original.parent) == before


def test_a_file_that_is_there_is_kept_unless_told_otherwise(original):
    out = original.with_name("out.pt")
    out.write_bytes(b"old")
    steps = []
    with pytest.raises(UsageError, match="exists already"):
        write(original, step=steps.append)
    assert (steps, out.read_bytes()) == ([], b"old")
    out.unlink()

    def appear(_):
        out.write_bytes(b"somebody else's")

    with pytest.raises(UsageError, match="exists already"):
        write(original, verify=appear)
    assert content(original.parent) == {"a.pt": original.read_bytes(), "out.pt": b"somebody else's"}
    write(original, overwrite=True)
    compare_files(str(original), str(out), BOOK)


def test_a_link_is_replaced_not_followed(original):
    kept, out = original.with_name("kept"), original.with_name("out.pt")
    kept.write_bytes(b"kept")
    out.symlink_to(kept)
    with pytest.raises(UsageError, match="exists already"):
        write(original)
    write(original, overwrite=True)
    assert kept.read_bytes() == b"kept" and not out.is_symlink()
    dangling = original.with_name("dangling")
    dangling.symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists already"):
        write(original, "dangling")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/dev/full", "pipe, socket or device"), ("/dev/null", "pipe, socket or device"), (".", "it is a folder"),
        ("missing/out.pt", "folder missing does not exist"), ("x" * 300, "too long"), ("a\0b", "not a usable path"),
        ("pipe", "pipe, socket or device"),
    ],
)  # fmt: skip
def test_no_place_for_a_file(original, monkeypatch, place, words):
    monkeypatch.chdir(original.parent)
    os.mkfifo("pipe")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=words) as caught:
            write_copy("a.pt", place, BOOK, overwrite=overwrite)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir()) == ["a.pt", "pipe"]


def test_a_folder_that_is_read_only(original, monkeypatch):
    failing(monkeypatch, "open", errno.EROFS, only=lambda path, flags, *rest: flags & os.O_CREAT)
    with pytest.raises(UsageError, match="read-only"):
        write(original)
    assert list(content(original.parent)) == ["a.pt"]


def test_verification_comes_before_the_rename(original):
    def refuse(path):
        compare_files(str(original), path, BOOK)
        assert not original.with_name("out.pt").exists()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write(original, verify=refuse)
    assert list(content(original.parent)) == ["a.pt"]


def test_a_copy_that_was_written_wrongly_is_removed(original, monkeypatch):
    real = os.pwrite

    def write_elsewhere(handle, data, position):
        return real(handle, data, position + 4 if len(data) > 4 else position)

    monkeypatch.setattr(os, "pwrite", write_elsewhere)
    with pytest.raises(VerifyError, match="tensor book: the copy was not put in place: it does not hold the values"):
        write(original)
    assert list(content(original.parent)) == ["a.pt"]


def test_damage_between_writing_and_reading_back_is_found(original):
    def damage(name):
        if name == "synced":
            (draft,) = original.parent.glob(".vqd-*")
            raw = bytearray(draft.read_bytes())
            raw[-3000] ^= 1
            draft.write_bytes(raw)

    with pytest.raises(VerifyError, match=r"out.pt: the copy was not put in place: byte") as caught:
        write(original, step=damage)
    assert caught.value.exit_code == 4
    assert list(content(original.parent)) == ["a.pt"]


# in place


def test_in_place_keeps_the_original(original):
    before = original.read_bytes()
    written = write(original, "a.pt", in_place=True)
    backup = original.with_name("a.pt.bak")
    assert backup.read_bytes() == before
    compare_files(str(backup), str(original), BOOK)
    assert written.path == str(original)
    with pytest.raises(UsageError, match="a backup is there already"):
        write(original, "a.pt", in_place=True)
    write(original, "a.pt", in_place=True, backup=False)
    assert backup.read_bytes() == before


def test_in_place_without_hard_links(original, monkeypatch):
    failing(monkeypatch, "link", errno.EPERM)
    before = original.read_bytes()
    write(original, "a.pt", in_place=True)
    assert original.with_name("a.pt.bak").read_bytes() == before
    compare_files(str(original.with_name("a.pt.bak")), str(original), BOOK)


def test_in_place_of_a_link_leaves_what_it_leads_to(original):
    link = original.with_name("last.pt")
    link.symlink_to("a.pt")
    before = original.read_bytes()
    write_copy(str(link), str(link), BOOK, in_place=True)
    assert original.read_bytes() == before
    assert not link.is_symlink() and original.with_name("last.pt.bak").resolve() == original
    compare_files(str(original), str(link), BOOK)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "shard"])
def test_in_place_interrupted_at_each_step(original, step):
    def hook(name):
        if name == step:
            raise KeyboardInterrupt

    before = content(original.parent)
    with pytest.raises(KeyboardInterrupt):
        write(original, "a.pt", in_place=True, step=hook)
    after = content(original.parent)
    if step == "published":
        assert after["a.pt.bak"] == before["a.pt"]
    else:
        assert after["a.pt"] == before["a.pt"]
        assert after == before
        write(original, "a.pt", in_place=True)  # nothing stands in the way


@pytest.mark.parametrize("call", ["replace", "link"])
def test_in_place_when_backup_or_rename_fails(original, monkeypatch, call):
    before = content(original.parent)
    failing(monkeypatch, call, errno.EIO)
    with pytest.raises(UsageError, match="input/output error"):
        write(original, "a.pt", in_place=True)
    assert content(original.parent) == before


# ways of copying


def no_such_call(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")


def few_bytes(real):
    return lambda source, target, count, *places: real(source, target, min(count, 1000), *places)


@pytest.mark.parametrize("way", ["shared blocks", "pieces", "no call", "through memory", "stops early"])
def test_every_way_of_copying(original, monkeypatch, way):
    real = os.copy_file_range
    if way == "shared blocks":
        monkeypatch.setattr(fcntl, "ioctl", lambda target, _, source: os.pwrite(target, os.pread(source, 1 << 20, 0), 0))
    elif way == "pieces":
        monkeypatch.setattr(os, "copy_file_range", few_bytes(real))
    elif way == "no call":
        monkeypatch.setattr(os, "copy_file_range", no_such_call)
    elif way == "through memory":
        monkeypatch.delattr(os, "copy_file_range")
        monkeypatch.setattr("vqdoctor.checkpoint.cloning._BUFFER", 777)
    else:
        copies = iter([few_bytes(real), lambda *_: 0])
        monkeypatch.setattr(os, "copy_file_range", lambda *args: next(copies)(*args))
    write(original)
    compare_files(str(original), str(original.with_name("out.pt")), BOOK)


# writers at once


def test_two_writers_of_one_target(original):
    """The second writes the whole of its copy while the first stands before its rename: the last rename wins, both are whole."""
    out = original.with_name("out.pt")

    def second(_):
        write_copy(str(original), str(out), {"book": np.zeros((512, 8))}, overwrite=True)
        assert (open_source(str(out)).read("book") == 0).all()

    written = write(original, overwrite=True, verify=second)
    compare_files(str(original), str(out), BOOK)
    assert written.leftovers == ()
    assert sorted(content(original.parent)) == ["a.pt", "out.pt"]


def test_a_reader_meanwhile_sees_the_old_or_the_new(original):
    out = original.with_name("out.pt")
    write(original)
    seen = set()

    def look(_):
        with open_source(str(out)) as copy:
            seen.add(copy.read("book")[0, 0].item())

    write_copy(str(original), str(out), {"book": np.zeros((512, 8))}, overwrite=True, step=look)
    assert seen == {3.0, 0.0}


def test_what_a_killed_run_left_is_named(original):
    left = original.with_name(".vqd-00112233")
    left.write_bytes(b"half")
    assert write(original).leftovers == (str(left),)
    assert left.read_bytes() == b"half"
