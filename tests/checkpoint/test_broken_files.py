"""Files that are cut, flipped, forged or something else: only our own errors, one line each, quickly and in little memory."""

import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from types import SimpleNamespace

import hostile_files as hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.checkpoint import Limits, open_source, sniff
from vqdoctor.checkpoint.extents import HeldExtent
from vqdoctor.checkpoint.pickle_machine import Machine
from vqdoctor.checkpoint.pickle_opcodes import run
from vqdoctor.checkpoint.python_values import PYTHON_BUILDERS
from vqdoctor.errors import CorruptInput, InputError, LimitExceeded, MissingInput, UnsupportedInput, UsageError, VqdoctorError

SMALL = Limits(read_bytes=1 << 20, header_bytes=1 << 20)


def npz_bytes():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, book=np.ones((3, 2), "f4"))
    return buffer.getvalue()


def npy_bytes():
    buffer = io.BytesIO()
    np.save(buffer, np.ones((3, 2), "f4"))
    return buffer.getvalue()


PICKLED = hostile.with_book(
    hostile.tensor(), b"K\x01", b"cargparse\nNamespace\n)\x81}" + hostile.text("lr") + b"G?\xf0\0\0\0\0\0\0sb"
)
VALID = {
    "torch-zip": hostile.archive(PICKLED, extra=[("a/byteorder", b"little")]),
    "torch-zip-deflated": hostile.archive(PICKLED, compression=zipfile.ZIP_DEFLATED),
    "torch-legacy": hostile.legacy(PICKLED),
    "safetensors": hostile.safetensors(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "I8", "shape": [1, 3], "data_offsets": [8, 11]},
        },
        bytes(11),
    ),
    "npz": npz_bytes(),
    "npy": npy_bytes(),
    "index": b'{"metadata": {}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}',
}


def open_and_read(path):
    """Opens and reads everything; True where that worked."""
    try:
        with open_source(path, limits=SMALL) as source:
            for name in source.specs:
                source.read(name)
        return True
    except VqdoctorError as error:
        assert str(error).isprintable()
        return False


@pytest.mark.parametrize("kind", VALID)
def test_cut_at_every_byte(tmp_path, kind):
    path, whole = tmp_path / "cut", VALID[kind]
    (tmp_path / "one.safetensors").write_bytes(VALID["safetensors"])
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if open_and_read(str(path)):
            pytest.fail(f"{size} of {len(whole)} bytes pass for the whole file")


@pytest.mark.parametrize("kind", VALID)
def test_every_byte_flipped(tmp_path, kind):
    path, whole = str(tmp_path / "flipped"), VALID[kind]
    with open(path, "wb") as file:
        file.write(whole)
    assert open_and_read(path) == (kind != "index")
    tracemalloc.start()
    try:
        with open(path, "r+b", buffering=0) as file:
            for at, byte in enumerate(whole):
                for mask in (0x01, 0x80, 0xFF):
                    os.pwrite(file.fileno(), bytes([byte ^ mask]), at)
                    open_and_read(path)
                os.pwrite(file.fileno(), bytes([byte]), at)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


# pickles by chance, and round trips

OPCODES = (
    b"().012FGIJKLMNQRSTUVX]abcdeghijlopqrstu}\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96"
)
PIECES = st.one_of(
    st.sampled_from([bytes([code]) for code in OPCODES]),
    st.binary(max_size=6),
    st.sampled_from(
        [hostile.BOOK, hostile.tensor(), hostile.text("key"), b"cos\nsystem\n", b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n"]
    ),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_any_opcodes_give_a_value_or_our_error(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "chance.pt"
    path.write_bytes(hostile.archive(b"\x80\x02" + b"".join(pieces) + b"."))
    open_and_read(str(path))


KEYS = st.one_of(st.text(max_size=8), st.integers(-(1 << 40), 1 << 40), st.binary(max_size=4), st.none())
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def plain(value):
    """As the reader gives it: tuples are lists."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return {key: plain(part) for key, part in value.items()} if isinstance(value, dict) else value


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(0, 5))
def test_plain_values_of_all_protocols(value, protocol):
    data = pickle.dumps(value, protocol=protocol)
    machine = Machine(HeldExtent(data), Limits(), builders=PYTHON_BUILDERS)
    assert run(machine) == plain(value)
    assert machine.position == len(data)


def test_values_longer_than_the_window():
    value = {
        "short": ["x" * 50_000] * 3 + [str(at) * 10_000 for at in range(30)],
        "long": "y" * 300_000,
        "bytes": b"z" * 200_000,
        "after": 7,
    }
    for protocol in range(2, 6):
        data = pickle.dumps(value, protocol=protocol)
        found = run(Machine(HeldExtent(data), Limits(), builders=PYTHON_BUILDERS))
        assert (found["short"], found["after"]) == (value["short"], 7)
        assert data[found["long"].position :][:300_000] == b"y" * 300_000
        assert (found["bytes"].bytes, data[found["bytes"].position :][:3]) == (200_000, b"zzz")


# zip archives that lie


def patched(old, new, data=VALID["torch-zip"], last=True):
    at = data.rfind(old) if last else data.find(old)
    assert at >= 0
    return data[:at] + new + data[at + len(old) :]


def directory_entry(name):
    """Position of a member's entry in the central directory of the valid zip."""
    data = VALID["torch-zip"]
    return data.rfind(b"PK\x01\x02", 0, data.rfind(name))


def with_field(name, offset, layout, value):
    data = bytearray(VALID["torch-zip"])
    struct.pack_into(layout, data, directory_entry(name) + offset, value)
    return bytes(data)


NAME = b"a/data/0"
LYING_ZIPS = {
    "encrypted": with_field(NAME, 8, "<H", 1),
    "strong encryption": with_field(NAME, 8, "<H", 0x40),
    "stored sizes differ": with_field(NAME, 24, "<L", 17),
    "ratio": with_field(NAME, 24, "<L", 0xFFFFFF00),
    "overlap": with_field(NAME, 20, "<L", 4000),
    "same place": with_field(NAME, 42, "<L", 0),
    "beyond the end": with_field(NAME, 42, "<L", 0x7FFFFFFF),
    "zip64 without its field": with_field(NAME, 42, "<L", 0xFFFFFFFF),
    "duplicate": patched(NAME, b"a/data.p", patched(b"a/data.pkl", b"a/data.pXX")).replace(b"a/byteorder", b"a/data.pklX"),
    "local name": patched(NAME, b"a/data/1", last=False),
    "local header": patched(b"PK\x03\x04", b"PK\x03\x05"),
    "count": patched(b"\x03\x00\x03\x00", b"\x04\x00\x04\x00"),
    "count in parts": patched(b"\x03\x00\x03\x00", b"\x02\x00\x03\x00"),
    "bytes in front": b"MZ" + VALID["torch-zip"],
    "inside": b"PK\x03\x04" + VALID["torch-zip"],
    "byteorder": patched(b"little", b"middle", last=False),
}


@pytest.mark.parametrize("name", LYING_ZIPS)
def test_zip_that_lies(tmp_path, name):
    (tmp_path / "a.pt").write_bytes(LYING_ZIPS[name])
    assert not open_and_read(str(tmp_path / "a.pt"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members(tmp_path):
    (tmp_path / "a.pt").write_bytes(hostile.archive(PICKLED, extra=[("a/data/0", hostile.VALUES)]))
    with pytest.raises(CorruptInput, match="two members are called a/data/0"):
        open_source(str(tmp_path / "a.pt"))


def test_unread_compression_is_told(tmp_path):
    (tmp_path / "a.pt").write_bytes(hostile.archive(PICKLED, compression=zipfile.ZIP_BZIP2))
    with pytest.raises(UnsupportedInput, match="method 12"):
        open_source(str(tmp_path / "a.pt"))


def test_deflate_bomb_is_bounded_by_what_is_asked(tmp_path):
    huge = hostile.tensor(shape=b"J\x00\x00\x00\x04K\x01\x86", strides=b"K\x01K\x01\x86", key="big", elements=b"J\x00\x00\x00\x04")
    data = hostile.archive(
        hostile.with_book(huge), [("0", hostile.VALUES), ("big", bytes(1 << 28))], compression=zipfile.ZIP_DEFLATED
    )
    (tmp_path / "a.pt").write_bytes(data)
    assert len(data) < 1 << 20
    tracemalloc.start()
    with open_source(str(tmp_path / "a.pt"), limits=SMALL) as source:
        assert source.read("book").sum() == 10
        assert source.read("x0", 1000, 1005).sum() == 0
        with pytest.raises(InputError, match="read_bytes"):
            source.read("x0")
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_bytes_after_the_archive_are_told(tmp_path):
    (tmp_path / "a.pt").write_bytes(VALID["torch-zip"] + b"junk")
    with open_source(str(tmp_path / "a.pt")) as source:
        assert "ignored" in source.warnings[0]


def test_cut_legacy_stream_keeps_what_is_there(tmp_path):
    (tmp_path / "a.pt").write_bytes(VALID["torch-legacy"][:-4])
    with open_source(str(tmp_path / "a.pt")) as source:
        assert any("end early" in warning for warning in source.warnings)
        with pytest.raises(CorruptInput, match="tensor book"):
            source.read("book")


def test_file_that_shrinks_while_open(tmp_path):
    (tmp_path / "a.npy").write_bytes(VALID["npy"])
    with open_source(str(tmp_path / "a.npy")) as source:
        os.truncate(tmp_path / "a.npy", 130)
        with pytest.raises(CorruptInput, match="ends at byte 130"):
            source.read("array")


# something else

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"45d8" * 16 + b"\nsize 26739253\n"


def tar_bytes(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def zip_bytes(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


STRANGERS = {
    "LFS": (LFS, UnsupportedInput, "Git LFS pointer to a file of 26,739,253 bytes.*git lfs pull --include=a.pt"),
    "html": (b"\n<!DOCTYPE html><html>sign in</html>", UnsupportedInput, "web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", UnsupportedInput, "XML"),
    "json": (b'{"error": "Repository not found"}', UnsupportedInput, "JSON.*error message"),
    "log lines": (b'{"step": 10, "loss": 0.5}\n', UnsupportedInput, "a training log.*vqdoctor watch"),
    "log list": (b'[{"train_loss": 7.0, "Epoch": 1}]', UnsupportedInput, "a training log.*vqdoctor watch"),
    "a report": (b'{"schema": "vqdoctor.report/1", "info": {"step": 5, "epoch": 1}}', UnsupportedInput, "a JSON text"),
    "ids": (b'{"0": ["<a_1>", "<b_2>"]}', UnsupportedInput, "JSON"),
    "text": (b"root:x:0:0:SECRET:/root", UnsupportedInput, "a text file"),
    "empty": (b"", CorruptInput, "an empty file"),
    "zeros": (bytes(5000), CorruptInput, "zero bytes"),
    "cut zip": (VALID["torch-zip"][:400], CorruptInput, "400 bytes.*cut off.*[Dd]ownload"),
    "cut safetensors": (VALID["safetensors"][:50], CorruptInput, "cut off"),
    "gzip": (b"\x1f\x8b\x08\x00abc", UnsupportedInput, "gzip.*Unpack"),
    "tar": (tar_bytes("model.pt"), UnsupportedInput, "tar archive.*Unpack"),
    "torch tar": (tar_bytes("sys_info"), UnsupportedInput, "torch 0.1"),
    "zip": (zip_bytes("photo.jpg"), UnsupportedInput, "zip archive"),
    "empty zip": (zip_bytes(), UnsupportedInput, "zip archive"),
    "package": (zip_bytes("p/.data/extern_modules", "p/models/model.pkl"), UnsupportedInput, "torch.package"),
    "old script": (zip_bytes("m/model.json", "m/tensors/0"), UnsupportedInput, "TorchScript archive of torch before 1.4"),
    "keras": (zip_bytes("config.json", "model.weights.h5"), UnsupportedInput, "Keras"),
    "gguf": (b"GGUF\x03\x00\x00\x00", UnsupportedInput, "GGUF"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\x00", UnsupportedInput, "HDF5"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", UnsupportedInput, "ONNX"),
    "parquet": (b"PAR1\x15\x00", UnsupportedInput, "parquet.*--features"),
    "tensorflow": (b"\x00\x01" * 9 + bytes.fromhex("57fb808b247547db"), UnsupportedInput, "TensorFlow"),
    "tensorflow list": (b'model_checkpoint_path: "model.ckpt-100"', UnsupportedInput, "TensorFlow"),
    "pickle": (pickle.dumps({"a": [1]}), UnsupportedInput, "plain Python pickle"),
    "pickle 0": (pickle.dumps(SimpleNamespace(a=1), protocol=0), UnsupportedInput, "plain Python pickle"),
    "pickle start": (b"\x80\x02", CorruptInput, "cut off"),
    "noise": (bytes(range(255, 0, -1)), UnsupportedInput, "not a checkpoint"),
    "torch version": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xea\x03.", UnsupportedInput, "version"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_recognised(tmp_path, name):
    data, error, words = STRANGERS[name]
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    with pytest.raises(error, match=words) as caught:
        open_source(str(path))
    assert "SECRET" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    if name != "torch version":
        assert sniff(str(path)) is None


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for path in [
        tmp_path / "pipe",
        tmp_path / "loop",
        tmp_path / "dangling",
        tmp_path / "absent",
        tmp_path,
        "/dev/zero",
        "/dev/tty",
        "a\0b",
        "",
    ]:
        with pytest.raises(MissingInput) as caught:
            open_source(str(path))
        assert str(caught.value).isprintable()
        assert sniff(str(path)) is None


def test_symlinks_to_files_open(tmp_path):
    (tmp_path / "blob").write_bytes(VALID["torch-zip"])
    (tmp_path / "model.pt").symlink_to(tmp_path / "blob")
    with open_source(str(tmp_path / "model.pt")) as source:
        assert source.read("book").shape == (2, 2)


def test_errors_escape_names_from_the_file(tmp_path):
    name = "\x1b]52;c;AA\x07\nPASS\u202e"
    (tmp_path / "a").write_bytes(hostile.safetensors({name: {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, bytes(4)))
    with pytest.raises(CorruptInput) as caught:
        open_source(str(tmp_path / "a"))
    assert str(caught.value).isprintable()
    (tmp_path / "b").write_bytes(hostile.archive(b"\x80\x02}" + hostile.text(name) + hostile.tensor(key="absent") + b"s."))
    with open_source(str(tmp_path / "b")) as source:
        assert all(warning.isprintable() for warning in source.warnings)
        with pytest.raises(CorruptInput) as caught:
            source.read(name)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_names_that_no_model_has_are_refused_in_every_container(kind, tmp_path):
    path = tmp_path / "a"
    if kind == "npz":
        np.savez(path.open("wb"), **{"x" * 2000: np.ones(2)})
    else:
        path.write_bytes(hostile.safetensors({"a." * 1000: {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}, bytes(1)))
    with pytest.raises(LimitExceeded, match="path_characters"):
        open_source(str(path))
    with open_source(str(path), limits=Limits(path_characters=4000)) as source:
        assert len(source.specs) == 1


def test_the_environment_raises_the_limit_that_an_error_names(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(VALID["safetensors"])
    monkeypatch.setenv("VQDOCTOR_LIMITS", "tensors=0, rank=8")
    with pytest.raises(LimitExceeded, match="VQDOCTOR_LIMITS=tensors="):
        open_source(str(path))
    monkeypatch.setenv("VQDOCTOR_LIMITS", "tensors=99")
    open_source(str(path)).close()


@pytest.mark.parametrize(
    "spelled", ["tensors", "tensors=", "tensors=-1", "tensors=1e3", "tensor=5", "tensors=5;rank=3", "=", "9" * 5000]
)
def test_a_limit_that_is_none_is_told(spelled, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(VALID["safetensors"])
    monkeypatch.setenv("VQDOCTOR_LIMITS", spelled)
    with pytest.raises(UsageError, match="no limit and its number"):
        open_source(str(path))
