"""Pickles that want to run, to expand or to lie: read where they can be, refused by name where not, never run."""

import contextlib
import subprocess
import sys
import textwrap
import time
import tracemalloc

import hostile_files as hostile
import numpy as np
import pytest

from vqdoctor.checkpoint import Limits, open_source
from vqdoctor.errors import CorruptInput, LimitExceeded, UnsupportedInput

CONTAINERS = {"zip": hostile.archive, "legacy": hostile.legacy}


@pytest.fixture(params=CONTAINERS)
def opened(request, tmp_path, monkeypatch):
    """Writes a pickle into a container and opens it, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def open_pickle(pickled, **limits):
        path = tmp_path / "hostile.pt"
        path.write_bytes(CONTAINERS[request.param](pickled))
        return open_source(str(path), limits=Limits(**limits))

    return open_pickle


@pytest.mark.parametrize("name", hostile.EXECUTING)
def test_nothing_runs_and_the_book_is_read(opened, name, tmp_path):
    source = opened(hostile.with_book(hostile.EXECUTING[name]))
    np.testing.assert_array_equal(source.read("book"), [[1, 2], [3, 4]])
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pt"]
    assert "evil_module_that_must_not_be_imported" not in sys.modules
    assert all(warning.isprintable() for warning in source.warnings)


def test_what_would_run_is_named(opened):
    assert "os.system" in opened(hostile.with_book(hostile.EXECUTING["reduce"])).warnings[0]


def test_preamble_is_not_run_and_named(tmp_path):
    path = tmp_path / "preamble.pt"
    path.write_bytes(hostile.all_hostile_files()["preamble.pt"])
    source = open_source(str(path))
    assert source.read("book").sum() == 10
    assert "os.system" in source.warnings[0]


@pytest.mark.parametrize("name", hostile.EXPANDING)
def test_expanding_values_cost_little(opened, name):
    began = time.process_time()
    source = opened(hostile.with_book(hostile.EXPANDING[name]))
    assert source.read("book").sum() == 10
    for spec in list(source.specs):
        if spec != "book":
            with pytest.raises((CorruptInput, LimitExceeded), match="tensor x0"):
                source.read(spec)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", hostile.UNBOUNDED)
def test_limits_are_named(opened, name):
    with pytest.raises(LimitExceeded, match=r"would pass the limit \w+ = "):
        opened(hostile.UNBOUNDED[name])


@pytest.mark.parametrize(
    ("limit", "pickled"),
    [
        ("pickle_ops", b"\x80\x02" + b"N0" * 600 + b"N."),
        ("memo_entries", b"\x80\x02N" + b"".join(b"r" + at.to_bytes(4, "little") for at in range(40_000)) + b"."),
        ("literal_bytes", b"\x80\x02]" + hostile.text("x" * 1000) * 200 + b"."),
        ("nodes", b"\x80\x02](" + b"]" * 2000 + b"e."),
        ("tensors", b"\x80\x02](" + hostile.tensor() * 1100 + b"e."),
        ("name_characters", b"\x80\x02}" + hostile.text("k" * 990) + b"](" + hostile.tensor() * 2 + b"es."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit(opened, limit, pickled):
    with pytest.raises(LimitExceeded, match=limit):
        opened(pickled, **{limit: 1000})


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_refused_in_one_line(opened, name):
    with pytest.raises((CorruptInput, UnsupportedInput)) as caught:
        opened(hostile.REFUSED[name])
    assert str(caught.value).isprintable()
    assert caught.value.where.endswith("hostile.pt")


def test_storage_types_and_sizes_that_cannot_be(opened):
    with pytest.raises(CorruptInput):
        opened(hostile.with_book(hostile.tensor(elements=b"J\xff\xff\xff\xff")))


def test_bytes_after_the_pickle_are_told(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(hostile.archive(hostile.with_book() + b"cos\nsystem\n"))
    assert "ignored" in open_source(str(path)).warnings[0]


def test_small_files_stay_small_in_memory(tmp_path):
    files = hostile.all_hostile_files()
    tracemalloc.start()
    try:
        for name, data in files.items():
            path = tmp_path / name
            path.write_bytes(data)
            tracemalloc.reset_peak()
            with contextlib.suppress(CorruptInput, UnsupportedInput, LimitExceeded):
                open_source(str(path), limits=Limits(nodes=200_000)).close()
            assert tracemalloc.get_traced_memory()[1] < 96 << 20, name
    finally:
        tracemalloc.stop()


AUDITED = """
import codecs, os, sys
import numpy
from vqdoctor.checkpoint import open_source
from vqdoctor.errors import VqdoctorError

for codec in ("raw-unicode-escape", "latin-1", "cp437"):
    codecs.lookup(codec)
seen = []

def watch(event, args):
    if event in ("import", "exec", "compile", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
        seen.append((event, str(args[:1])))
    elif event.startswith(("subprocess.", "socket.", "ctypes.", "shutil.", "os.remove", "os.rename", "os.mkdir", "os.chmod")):
        seen.append((event, str(args[:1])))
    elif event == "open" and (args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)):
        seen.append((event, str(args)))

paths = [os.path.join(sys.argv[1], name) for name in os.listdir(sys.argv[1])]
read = 0
sys.addaudithook(watch)
for path in paths:
    try:
        with open_source(path) as source:
            for name in source.specs:
                try:
                    read += source.read(name).size > 0
                except VqdoctorError:
                    pass
    except VqdoctorError as error:
        str(error)
happened = list(seen)
print(read, happened)
sys.exit(1 if happened else 0)
"""


def test_audit_hook_sees_nothing_happen(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in hostile.all_hostile_files().items():
        (folder / name).write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AUDITED), str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert int(ran.stdout.split()[0]) > 2 * len(hostile.EXECUTING)


def test_opening_imports_no_heavy_library():
    heavy = ("torch", "scipy", "sklearn", "zipfile", "safetensors", "orjson")
    code = f"import sys, vqdoctor.checkpoint; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
