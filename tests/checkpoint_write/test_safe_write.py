"""A file that is written is the old one whole or the new one whole, whatever happens."""

import errno
import os

import pytest

from vqdoctor.errors import UsageError
from vqdoctor.safe_write import Draft, leftovers, write_atomically


def test_new_file_has_the_usual_mode_and_an_old_one_keeps_its_own(tmp_path):
    old = tmp_path / "old.json"
    old.write_bytes(b"before")
    old.chmod(0o604)
    write_atomically(old, b"after")
    assert old.read_bytes() == b"after" and old.stat().st_mode & 0o777 == 0o604
    mask = os.umask(0o022)
    try:
        write_atomically(tmp_path / "new.json", b"x")
    finally:
        os.umask(mask)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.json", "old.json"]


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call, error):
    target = tmp_path / "report.json"
    target.write_bytes(b"before")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt) as raised:
        write_atomically(target, b"after")
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    if isinstance(error, OSError):
        assert "report.json" in str(raised.value) and "no space left" in str(raised.value)


@pytest.mark.parametrize("place", ["missing/report.json", ".", "/dev/null", "x" * 300])
def test_what_is_no_place_for_a_file_is_said_so(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        write_atomically(place, b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_what_it_pointed_to_is_kept(tmp_path):
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_bytes(b"before")
    link.symlink_to(kept)
    write_atomically(link, b"after")
    assert kept.read_bytes() == b"before" and link.read_bytes() == b"after" and not link.is_symlink()


def test_a_draft_that_is_not_published_is_gone(tmp_path):
    with Draft(str(tmp_path / "a")) as draft:
        draft.write(b"x", 0)
        assert os.path.exists(draft.path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_is_respected(tmp_path, monkeypatch, links):
    def no_links(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for name in ("a", "b"):
        with Draft(str(tmp_path / name)) as draft:
            draft.write(b"mine", 0)
            draft.close()
            if name == "b":
                (tmp_path / "b").write_bytes(b"theirs")
                with pytest.raises(UsageError, match="exists already"):
                    draft.publish(replace=False)
            else:
                draft.publish(replace=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"mine", "b": b"theirs"}


def test_drafts_of_dead_processes_are_named_and_those_in_use_are_not(tmp_path):
    dead = tmp_path / ".vqd-0123456789abcdef"
    dead.write_bytes(b"half")
    (tmp_path / ".vqd-link").symlink_to(dead)
    with Draft(str(tmp_path / "a")) as draft:
        assert os.path.exists(draft.path)
        assert leftovers(str(tmp_path)) == (str(dead),)
    assert leftovers(str(tmp_path / "missing")) == ()


def test_a_folder_that_cannot_be_synced_is_told_with_the_file_in_place(tmp_path, monkeypatch):
    real = os.fsync

    def fail(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match="is written and in place, but"):
        write_atomically(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_file_system_that_cannot_sync_folders_is_fine(tmp_path, monkeypatch):
    real = os.fsync

    def fail(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail)
    write_atomically(tmp_path / "a", b"x")
