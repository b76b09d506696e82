"""safetensors, shard indexes, npz, npy: what they hold, and every way in which they can lie."""

import json
import os
import struct

import hostile_files as hostile
import numpy as np
import pytest
import safetensors.torch
import torch

from vqdoctor.checkpoint import Limits, list_checkpoints, open_source, sniff
from vqdoctor.errors import CorruptInput, LimitExceeded, MissingInput, UnsupportedInput


def written(path, data):
    path.write_bytes(data)
    return str(path)


# safetensors

SAFE_TYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64,
]  # fmt: skip


def test_safetensors_equals_the_library(tmp_path):
    torch.manual_seed(0)
    tensors = {str(dtype): torch.randn(5, 3).mul(9).to(dtype) for dtype in SAFE_TYPES} | {
        "scalar": torch.tensor(2.5),
        "none": torch.empty(0, 3),
    }
    path = str(tmp_path / "model.bin")
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt", "epoch": "12"})
    source = open_source(path)
    theirs = safetensors.torch.load_file(path)
    assert source.kind == "safetensors" == sniff(path)
    assert source.info == {"format": "pt", "epoch": "12"}
    assert set(source.specs) == set(theirs)
    for name, tensor in theirs.items():
        widened = tensor.float() if tensor.dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2) else tensor
        np.testing.assert_array_equal(source.read(name), widened.numpy())
        assert source.specs[name].dtype == str(tensor.dtype).removeprefix("torch.")
    np.testing.assert_array_equal(source.read("torch.float32", 1, 3), theirs["torch.float32"][1:3].numpy())


def test_names_that_save_model_drops_come_back(tmp_path):
    book = torch.nn.Embedding(8, 2)
    model = torch.nn.ModuleDict({"a": book, "b": book, "c": torch.nn.Linear(1, 1)})
    safetensors.torch.save_model(model, str(tmp_path / "m.safetensors"), metadata={"note": "kept"})
    source = open_source(str(tmp_path / "m.safetensors"))
    assert set(source.specs) == set(model.state_dict())
    assert source.specs["a.weight"].storage == source.specs["b.weight"].storage
    np.testing.assert_array_equal(source.read("b.weight"), book.weight.detach().numpy())
    assert source.info == {"note": "kept"}


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry(offsets=(0, 4))}, 4),  # shape needs more
        ({"a": entry(shape=(3,))}, 8),
        ({"a": entry(offsets=(4, 12))}, 12),  # gap at the beginning
        ({"a": entry(), "b": entry(offsets=(4, 12))}, 12),  # overlap
        ({"a": entry(), "b": entry(offsets=(12, 20))}, 20),  # gap
        ({"a": entry(offsets=(8, 0))}, 8),  # end before beginning
        ({"a": entry(offsets=(-8, 0))}, 8),
        ({"a": entry(offsets=(0, 8, 9))}, 8),
        ({"a": entry(offsets=(False, 8))}, 8),
        ({"a": entry(offsets=(0.0, 8))}, 8),
        ({"a": entry(shape=(-2,))}, 8),
        ({"a": entry(shape=(True, 2))}, 8),
        ({"a": entry(shape=(2.0,))}, 8),
        ({"a": entry(shape=(1 << 62, 1 << 62))}, 8),
        ({"a": entry(dtype="F33")}, 8),
        ({"a": entry(dtype=4)}, 8),
        ({"a": entry()}, 7),  # cut
        ({"a": entry()}, 9),  # more than belongs to tensors
        ({}, 4),
        ({"a": [0, 8]}, 8),
        ({"a": {"dtype": "F32", "shape": [2]}}, 8),
        ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, 8),
        ({"a": entry(), "__metadata__": {"x": 1}}, 8),
        ({"a": entry(), "__metadata__": []}, 8),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
        (b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', 8),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', 8),
        (b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", 8),
        (b'{"\xff":{}}', 0),
        (b"{", 8),
    ],
    ids=str,
)
def test_safetensors_that_lie(tmp_path, header, data):
    with pytest.raises(CorruptInput) as caught:
        open_source(written(tmp_path / "a.safetensors", hostile.safetensors(header, bytes(data))))
    assert str(caught.value).isprintable()


def test_safetensors_cut_in_its_header_and_limits(tmp_path):
    raw = hostile.safetensors({"a": entry()}, bytes(8))
    with pytest.raises(CorruptInput, match="cut off"):
        open_source(written(tmp_path / "a", raw[:20]))
    with pytest.raises(LimitExceeded, match="header_bytes"):
        open_source(written(tmp_path / "b", raw), limits=Limits(header_bytes=10))
    with pytest.raises(LimitExceeded, match="tensors"):
        open_source(written(tmp_path / "c", b"%b{%b}" % (struct.pack("<Q", 40_002), b"[],," * 10_000)), limits=Limits(tensors=1000))
    with pytest.raises(LimitExceeded, match="rank"):
        open_source(written(tmp_path / "d", hostile.safetensors({"a": entry(shape=(1,) * 65, offsets=(0, 4))}, bytes(4))))


def test_safetensors_oddities_that_are_accepted(tmp_path):
    header = {
        "e": entry(shape=(0,), offsets=(0, 0)),
        "a": entry(),
        "f": entry(shape=(2, 0), offsets=(8, 8)),
        "p": entry("F4", (2, 2), (8, 10)),
    }
    source = open_source(written(tmp_path / "a", hostile.safetensors(header, struct.pack("<2f", 1, 2) + b"\x12\x34")))
    np.testing.assert_array_equal(source.read("a"), [1, 2])
    assert source.read("f").shape == (2, 0)
    assert "p" not in source.specs
    assert "packs" in source.warnings[0]
    assert open_source(written(tmp_path / "b", hostile.safetensors(b"{}   "))).specs == {}


# shards


def sharded(folder, save, suffix):
    names = [f"model-0000{at}-of-00002{suffix}" for at in (1, 2)]
    save({"a": torch.ones(2, 2), "b": torch.zeros(1)}, str(folder / names[0]))
    save({"c": torch.full((3,), 5.0)}, str(folder / names[1]))
    index = folder / f"model{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 32}, "weight_map": {"a": names[0], "b": names[0], "c": names[1]}}))
    return index, names


@pytest.mark.parametrize(
    ("save", "suffix", "kind"),
    [(safetensors.torch.save_file, ".safetensors", "safetensors-sharded"), (torch.save, ".bin", "torch-sharded")],
)
def test_shards_are_one_source(tmp_path, save, suffix, kind):
    index, names = sharded(tmp_path, save, suffix)
    with open_source(str(index)) as source:
        assert source.kind == kind == sniff(str(index))
        assert list(source.specs) == ["a", "b", "c"]
        np.testing.assert_array_equal(source.read("c"), [5, 5, 5])
        assert source.read("a").sum() == 4
        assert source.path == str(index)
        assert source.bytes == sum(os.path.getsize(tmp_path / name) for name in names)
        assert len({spec.storage for spec in source.specs.values()}) == 3
        assert source.warnings == ()
    assert list_checkpoints(str(tmp_path)) == [str(index)]


def test_missing_shards_are_named(tmp_path):
    index, names = sharded(tmp_path, safetensors.torch.save_file, ".safetensors")
    os.remove(tmp_path / names[1])
    with pytest.raises(MissingInput, match=f"1 of its 2 shards are missing .first: {names[1]}"):
        open_source(str(index))


@pytest.mark.parametrize(
    "shard",
    ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", "", "a\0b", 3, None, "..\\x"],
)
def test_shard_names_that_point_elsewhere(tmp_path, shard):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(CorruptInput, match="not a plain file name"):
        open_source(str(index))


def test_index_of_itself(tmp_path):
    index = tmp_path / "a.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "a.index.json"}}))
    with pytest.raises(UnsupportedInput, match="where a shard should be"):
        open_source(str(index))
    assert list_checkpoints(str(tmp_path)) == []


def test_index_and_shards_that_disagree(tmp_path):
    index, names = sharded(tmp_path, safetensors.torch.save_file, ".safetensors")
    index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1], "z": names[1]}}))
    source = open_source(str(index))
    assert list(source.specs) == ["a", "c"]  # b is said to be in the other shard, c is not mentioned
    assert "1 tensors of model-00001-of-00002.safetensors were left out" in source.warnings[0]
    assert "2 tensors of the index are not in the shards it names (first: b)" in source.warnings[1]
    index.write_text('{"weight_map": []}')
    with pytest.raises(CorruptInput):
        open_source(str(index))
    with pytest.raises(LimitExceeded, match="shards"):
        sharded(tmp_path, safetensors.torch.save_file, ".safetensors")
        open_source(str(index), limits=Limits(shards=1))


# numpy

NUMPY_TYPES = ["<f8", ">f8", "<f4", ">f4", "<f2", "<i8", "<i4", ">i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1", "<c8", ">c16"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_npy_equals_numpy(tmp_path, dtype, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 2, order=order).astype(dtype, order=order)
    np.save(tmp_path / "book.npy", array)
    source = open_source(str(tmp_path / "book.npy"))
    assert (source.kind, list(source.specs)) == ("npy", ["array"])
    np.testing.assert_array_equal(source.read("array"), array)
    np.testing.assert_array_equal(source.read("array", 1), array[1:])
    assert source.read("array").dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_equals_numpy(tmp_path, save):
    arrays = {f"codebook_{at}": np.random.default_rng(at).normal(size=(300, 40)).astype("f4") for at in range(3)} | {
        "n": np.array(3)
    }
    save(tmp_path / "books.npz", **arrays, names=np.array(["a"]), objects=np.array([None]))
    source = open_source(str(tmp_path / "books.npz"))
    assert (source.kind, list(source.specs)) == ("npz", list(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(source.read(name), array)
    np.testing.assert_array_equal(source.read("codebook_1", 100, 110), arrays["codebook_1"][100:110])
    assert [warning.split(" ")[0] for warning in source.warnings] == ["names", "objects"]


def npy(header, data=b"", version=1, length=None):
    raw = header.encode()
    size = len(raw) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + raw + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_npy_versions(tmp_path, version):
    source = open_source(written(tmp_path / "a.npy", npy(GOOD, struct.pack("<2f", 1, 2), version)))
    np.testing.assert_array_equal(source.read("array"), [1, 2])


@pytest.mark.parametrize(
    "data",
    [
        npy(GOOD, bytes(7)),
        npy(GOOD, length=60_000),
        npy(GOOD, version=2, length=0xFFFFFFFF),
        npy(GOOD.replace("2", "-2"), bytes(8)),
        npy(GOOD.replace("2", "99999999999999999999999"), bytes(8)),
        npy(GOOD.replace("2", "9" * 19 + ", " + "9" * 19), bytes(8)),
        npy(GOOD.replace("(2,)", "(2, " + "1, " * 40 + "9999999)"), bytes(8)),
        npy(GOOD.replace("(2,)", "[2]"), bytes(8)),
        npy(GOOD.replace("False", "__import__('os')"), bytes(8)),
        npy("{}", bytes(8)),
        npy("(" * 50_000, bytes(8)),
        npy(GOOD.replace("2,", "1" * 60_000), bytes(8)),
        b"\x93NUMPY\x01\x00",
    ],
    ids=lambda data: str(data[10:60]),
)
def test_npy_that_lies(tmp_path, data):
    with pytest.raises(CorruptInput):
        open_source(written(tmp_path / "a.npy", data))


@pytest.mark.parametrize("descr", ["'|O'", "'<U4'", "'<M8[ns]'", "'|V3'", "[('a', '<f4')]"])
def test_npy_of_something_else_than_numbers(tmp_path, descr):
    with pytest.raises((UnsupportedInput, CorruptInput)):
        open_source(written(tmp_path / "a.npy", npy(GOOD.replace("'<f4'", descr), bytes(32))))


# a folder


def test_folder_in_order_of_age(tmp_path):
    names = ["b.pt", "a.ckpt", "c.any"]
    for age, name in enumerate(names):
        torch.save({"w": torch.ones(1)}, tmp_path / name)
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    np.save(tmp_path / "c.features.npy", np.ones(2))
    np.save(tmp_path / "c.codes.npy", np.ones(2))
    (tmp_path / "ids.index.json").write_text('{"0": ["<a_1>"]}')
    (tmp_path / "notes.txt").write_text("epoch,loss\n1,2\n")
    (tmp_path / ".hidden.pt").write_bytes((tmp_path / "b.pt").read_bytes())
    (tmp_path / "cut.pt").write_bytes((tmp_path / "b.pt").read_bytes()[:500])
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.pt").symlink_to(tmp_path / "a.ckpt")
    assert list_checkpoints(str(tmp_path)) == [str(tmp_path / name) for name in ["b.pt", "a.ckpt", "link.pt", "c.any"]]
    with pytest.raises(MissingInput):
        list_checkpoints(str(tmp_path / "b.pt"))
    assert list_checkpoints(str(tmp_path / "folder")) == []
