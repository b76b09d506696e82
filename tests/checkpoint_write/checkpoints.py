"""Checkpoints of every container, as the writers of the world make them, and what must be true of a copy."""

import json
import struct
import zipfile

import numpy as np
import safetensors.torch
import torch

from vqdoctor.checkpoint import open_source

LEGACY = {"_use_new_zipfile_serialization": False}
FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64]


def model():
    """A state dict among other values: a book of each type, views of every kind, an object that nobody imports."""
    torch.manual_seed(0)
    shared = torch.arange(60.0).reshape(12, 5)
    state = {str(dtype).removeprefix("torch."): torch.randn(6, 4).to(dtype) for dtype in FLOATS}
    state |= {str(dtype).removeprefix("torch."): torch.arange(12).reshape(3, 4).to(dtype) for dtype in WHOLE}
    state |= {
        "bool": torch.tensor([True, False, True]),
        "complex64": torch.randn(3, 2, dtype=torch.complex64),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 4),
        "transposed": torch.randn(7, 3).T,
        "stepped": torch.randn(8, 6)[::2, 1::3],
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "head": shared[:4],
        "tail": shared[4:],
        "column": torch.randn(9, 4)[:, 2],
        "beside": torch.arange(5.0),
    }
    return {"epoch": 3, "state_dict": state, "hparams": {"lr": 1e-4, "name": "vq"}, "state": [1, (2, "x")]}


def flat():
    """The same tensors by themselves, contiguous."""
    return {name: tensor.contiguous().clone() for name, tensor in model()["state_dict"].items()}


def save_npz(tensors, path):
    np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items() if "bfloat16" not in name and "float8" not in name})


def save_big_endian(value, path):
    """As torch.save writes on a big-endian machine."""
    little = path.with_suffix(".little")
    torch.save(value, little)
    sizes = {spec.storage: torch_itemsize(spec.dtype) for spec in open_source(str(little)).specs.values()}
    with zipfile.ZipFile(little) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            data, name = old.read(member), member.filename.rpartition("/")
            if name[0].endswith("/data") and data:
                data = np.frombuffer(data, np.uint8).reshape(-1, sizes[name[2]])[:, ::-1].tobytes()
            new.writestr(member.filename, b"big" if name[2] == "byteorder" else data)
    little.unlink()


def torch_itemsize(word):
    kind = getattr(torch, word)
    return kind.itemsize // 2 if kind.is_complex else kind.itemsize


def save_module(value, path):
    torch.save({"model": torch.nn.ModuleDict({"quantize": torch.nn.Embedding(16, 4), "norm": torch.nn.BatchNorm1d(4)})}, path)


def save_arrays_in_a_pickle(value, path):
    book = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    torch.save({"book": book, "other": np.asfortranarray(book * 2), "n": 4}, path, pickle_protocol=4)


CONTAINERS = {
    "torch-zip": lambda path: torch.save(model(), path),
    "torch-zip4": lambda path: torch.save(model(), path, pickle_protocol=4),
    "torch-legacy": lambda path: torch.save(model(), path, **LEGACY),
    "torch-big-endian": lambda path: save_big_endian(model(), path),
    "torch-module": lambda path: save_module(None, path),
    "torch-module-legacy": lambda path: torch.save({"net": torch.nn.Linear(3, 2)}, path, **LEGACY),
    "arrays": lambda path: save_arrays_in_a_pickle(None, path),
    "safetensors": lambda path: safetensors.torch.save_file(flat(), path, metadata={"step": "4", "tied.weight": "float32"}),
    "npz": lambda path: save_npz(flat(), path),
    "npy": lambda path: np.save(path, np.random.default_rng(0).normal(size=(9, 4)).astype(">f4")),
    "npy-fortran": lambda path: np.save(path, np.asfortranarray(np.random.default_rng(0).normal(size=(9, 4)))),
}


def new_values(spec, seed=1):
    """Values of the tensor's shape that its type can hold, exactly or after rounding."""
    rng = np.random.default_rng(seed)
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    if spec.dtype.startswith("complex"):
        return rng.normal(size=spec.shape) + 1j * rng.normal(size=spec.shape)
    if "int" in spec.dtype:
        return rng.integers(0, 100, spec.shape)
    return rng.normal(size=spec.shape)


def rounded(values, word):
    """What torch makes of float64 `values` of this type, as numpy gets it."""
    tensor = torch.from_numpy(np.ascontiguousarray(values)).reshape(np.shape(values)).to(getattr(torch, word))
    return (tensor.float() if word == "bfloat16" or word.startswith("float8") else tensor).numpy()


def members(path):
    """name → (position of its data, data) of a zip, by its local headers; every checksum has been tested."""
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = {}
        for member in archive.infolist():
            name_bytes, extra_bytes = struct.unpack_from("<2H", raw, member.header_offset + 26)
            at = member.header_offset + 30 + name_bytes + extra_bytes
            found[member.filename] = (at, raw[at : at + member.compress_size])
            if member.flag_bits & 8 and raw[at + member.compress_size :][:4] == b"PK\x07\x08":
                described = struct.unpack_from("<L", raw, at + member.compress_size + 4)[0]
                assert described == member.CRC
    return found


def positions_that_differ(path, other):
    one, two = (np.frombuffer(file.read_bytes(), np.uint8) for file in (path, other))
    assert one.shape == two.shape
    return np.flatnonzero(one != two)


def save_shards(folder, save=safetensors.torch.save_file, suffix="safetensors", name="model"):
    """Three tensors in two shards; the path of their index."""
    folder.mkdir(exist_ok=True)
    shards = {"a": {"book": torch.randn(8, 4), "count": torch.ones(8)}, "b": {"out": torch.randn(4, 4)}}
    weight_map = {}
    for shard, tensors in shards.items():
        file_name = f"{name}-{shard}.{suffix}"
        save(tensors, folder / file_name)
        weight_map |= dict.fromkeys(tensors, file_name)
    index = folder / f"{name}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 224}, "weight_map": weight_map}, indent=2) + "\n")
    return index
