"""torch's own files: what we read is what torch.load reads, bit for bit, over types, strides, sharing, protocols and containers."""

import argparse
import collections
import enum
import functools
import pathlib
import pickle
import zipfile

import numpy as np
import pytest
import torch

from vqdoctor.checkpoint import open_source, sniff
from vqdoctor.errors import CorruptInput
from vqdoctor.model import Opaque, TensorSpec

EXOTIC = [
    torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]  # fmt: skip
PLAIN = [
    torch.float64, torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32,
    torch.uint64, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip
SAVES = {
    "zip2": {},
    "zip4": {"pickle_protocol": 4},
    "zip5": {"pickle_protocol": 5},
    "legacy2": {"_use_new_zipfile_serialization": False},
    "legacy4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
    "legacy5": {"_use_new_zipfile_serialization": False, "pickle_protocol": 5},
}


@pytest.fixture(params=SAVES)
def saved(request, tmp_path):
    """A function that saves an object in one of the ways and opens it."""

    def save(value):
        path = str(tmp_path / "checkpoint.any")
        torch.save(value, path, **SAVES[request.param])
        source = open_source(path)
        assert source.kind == ("torch-zip" if request.param.startswith("zip") else "torch-legacy") == sniff(path)
        return source

    return save


def arrived(tensor):
    """A torch tensor as numpy gets it: types it lacks widened to float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype in EXOTIC and tensor.dtype is not torch.float16 else tensor).contiguous().numpy()


def assert_equal(source, name, tensor):
    spec, ours, theirs = source.specs[name], source.read(name), arrived(tensor)
    assert (spec.shape, spec.dtype) == (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert ours.flags.c_contiguous
    if theirs.dtype.kind in "fc":
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
        ours, theirs = np.where(np.isnan(ours), 0, ours), np.where(np.isnan(theirs), 0, theirs)
    assert ours.tobytes() == theirs.tobytes()


def patterns(dtype):
    """Every bit pattern of the small types, many of the large ones."""
    raw = (
        torch.arange(256, dtype=torch.uint8)
        if dtype.itemsize == 1
        else torch.randint(0, 256, (4096 * dtype.itemsize,), dtype=torch.uint8)
    )
    return (raw > 127 if dtype is torch.bool else raw.view(dtype)).reshape(8, -1)


@pytest.mark.parametrize("dtype", EXOTIC + PLAIN, ids=str)
def test_every_type_bit_for_bit(tmp_path, dtype):
    torch.manual_seed(0)
    tensor = patterns(dtype)
    for index, options in enumerate(({}, {"_use_new_zipfile_serialization": False})):
        path = str(tmp_path / f"{index}.pt")
        torch.save({"codes": tensor}, path, **options)
        assert_equal(open_source(path), "codes", tensor)


@pytest.mark.filterwarnings("ignore")
def test_half_complex(tmp_path):
    tensor = torch.complex(torch.arange(6.0), -torch.arange(6.0)).to(torch.complex32)
    torch.save({"z": tensor}, tmp_path / "c.pt")
    np.testing.assert_array_equal(open_source(str(tmp_path / "c.pt")).read("z"), tensor.to(torch.complex64).numpy())


def test_views_of_every_kind(saved):
    base = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    tensors = {
        "scalar": torch.tensor(7.5),
        "empty": torch.empty(0, 4),
        "offset": base[1],
        "column": base[..., 2],
        "transposed": base[0, 0].T,
        "permuted": base.permute(3, 1, 0, 2),
        "stepped": base[:, ::2, 1::2],
        "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 5),
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "single": base[:1, :, :1],
    }
    source = saved(tensors)
    for name, tensor in tensors.items():
        assert_equal(source, name, tensor)
        assert source.specs[name].strides == tensor.stride()


def test_rows(saved):
    tensors = {"plain": torch.arange(60.0).reshape(12, 5), "transposed": torch.arange(60.0).reshape(5, 12).T}
    source = saved(tensors)
    for name, tensor in tensors.items():
        for start, stop in [(0, 3), (4, 9), (10, 99), (5, 5), (None, 2), (11, None), (-2, None), (7, 3)]:
            np.testing.assert_array_equal(source.read(name, start, stop), tensor[start:stop].numpy())


def test_large_strided_view_is_read_in_windows(tmp_path, monkeypatch):
    monkeypatch.setattr("vqdoctor.checkpoint.values._WINDOW", 512)
    base = torch.arange(40 * 30 * 7, dtype=torch.int32).reshape(40, 30, 7)
    tensors = {
        "a": base[:, ::3, 1],
        "b": base.permute(2, 0, 1),
        "c": base[::5].transpose(0, 2),
        "d": base[:, :1, ::2].expand(40, 9, 4),
    }
    torch.save(tensors, tmp_path / "w.pt")
    source = open_source(str(tmp_path / "w.pt"))
    for name, tensor in tensors.items():
        assert_equal(source, name, tensor)


def test_shared_storage_keeps_its_identity(saved):
    book = torch.randn(16, 4)
    source = saved({"layers.0.embed": book, "layers.1.embed": book, "tail": book[8:], "other": torch.randn(16, 4)})
    first, second, tail, other = source.specs.values()
    assert first.storage == second.storage == tail.storage != other.storage
    assert (first.offset, tail.offset) == (0, 32)
    assert_equal(source, "tail", book[8:])


class Colour(enum.Enum):
    RED = 3


class Settings:
    def __init__(self):
        self.rate = 0.5
        self._content = {"codes": 256, "nested": argparse.Namespace(dim=4)}


class SlottedSettings:
    __slots__ = ("rate",)


class Table(dict):
    pass


def test_what_weights_only_refuses(saved):
    slotted = SlottedSettings()
    slotted.rate = 3
    table = Table(a=1)
    table.note = "x"
    source = saved({
        "epoch": 7, "best_loss": np.float64(0.25), "best_collision_rate": np.float32(0.5), "steps": np.int64(9),
        "args": argparse.Namespace(num_emb_list=[256, 256], beta=0.25), "cfg": Settings(), "slotted": slotted, "table": table,
        "kind": Colour.RED, "path": pathlib.PurePosixPath("/a/b"), "counts": collections.Counter("abca"),
        "default": collections.defaultdict(list, {"k": [1]}), "ordered": collections.OrderedDict(b=1, a=2),
        "set": {1, 2}, "frozen": frozenset({3}), "size": torch.Size([2, 3]), "dtype": torch.float16,
        "device": torch.device("cuda:1"), "z": 1 + 2j, "bytes": b"\xff\x00", "array": bytearray(b"ab"),
        "partial": functools.partial(print, 1), "slice": slice(1, 2), "tuple": (1, (2, 3)), "big": 1 << 100, "none": None,
        "state_dict": {"w": torch.ones(2)},
    })  # fmt: skip
    tree = source.tree
    assert source.info == {
        "epoch": 7,
        "best_loss": 0.25,
        "best_collision_rate": 0.5,
        "steps": 9,
        "device": "cuda:1",
        "dtype": "torch.float16",
    }
    assert tree["args"].name == "argparse.Namespace"
    assert tree["args"].state == {"num_emb_list": [256, 256], "beta": 0.25}
    assert tree["cfg"].state["_content"]["nested"].state == {"dim": 4}
    assert tree["slotted"].state == {"rate": 3}
    assert tree["table"].state == {"a": 1, "note": "x"}
    assert tree["kind"].name.endswith("Colour")
    assert tree["kind"].args == (3,)
    assert tree["counts"] == {"a": 2, "b": 1, "c": 1}
    assert tree["default"] == {"k": [1]}
    assert list(tree["ordered"].items()) == [("b", 1), ("a", 2)]
    assert (sorted(tree["set"]), tree["frozen"], tree["size"], tree["tuple"]) == ([1, 2], [3], [2, 3], [1, [2, 3]])
    assert (tree["z"], tree["bytes"], tree["array"], tree["big"], tree["none"]) == (1 + 2j, b"\xff\x00", b"ab", 1 << 100, None)
    assert tree["partial"].name == "functools.partial"
    assert isinstance(tree["state_dict"]["w"], TensorSpec)
    assert list(source.specs) == ["state_dict.w"]


def test_containers_and_keys(saved):
    model = torch.nn.Linear(2, 3)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    source = saved({
        "state_dict": model.state_dict(), "optimizer": optimiser.state_dict(), "pytorch-lightning_version": "2.1", "global_step": 3,
        "hyper_parameters": {"lr": 0.1, "epochs": 4}, "shadow": [torch.ones(1), torch.zeros(1)],
        "pair": (torch.ones(3), {"x": torch.ones(4)}), "loops": {"fit": {"epoch": 4}},
    })  # fmt: skip
    found = {name: (spec.container, spec.key) for name, spec in source.specs.items()}
    assert found["state_dict.weight"] == ("state_dict", "weight")
    assert found["optimizer.state.0.exp_avg_sq"] == ("optimizer.state.0", "exp_avg_sq")
    assert found["shadow.1"] == ("shadow", "1")
    assert (found["pair.0"], found["pair.1.x"]) == (("pair", "0"), ("pair.1", "x"))
    assert source.info == {"pytorch-lightning_version": "2.1", "global_step": 3, "hyper_parameters.epochs": 4}
    assert source.tree["optimizer"]["param_groups"][0]["lr"] == 0.001
    for index, parameter in enumerate(model.parameters()):
        assert_equal(source, f"optimizer.state.{index}.exp_avg_sq", optimiser.state[parameter]["exp_avg_sq"])


def test_names_stay_unique(saved):
    source = saved({"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}, 0: torch.full((1,), 2.0), "0": torch.full((1,), 3.0)})
    assert [source.read(name)[0] for name in source.specs] == [0, 1, 2, 3]
    assert len({(spec.container, spec.key) for spec in source.specs.values()}) == 4


def test_bare_tensor_and_file_without_tensors(saved):
    assert_equal(saved(torch.arange(3)), "tensor", torch.arange(3))
    pointer = saved({"pretrained": "facebook/encodec_32khz", "exported": True})
    assert (pointer.specs, pointer.info) == ({}, {"pretrained": "facebook/encodec_32khz", "exported": True})


class Codebook(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Parameter(torch.randn(5, 2))
        self.register_buffer("count", torch.ones(5))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.unregistered = torch.full((2,), 9.0)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.absent = None
        self.register_parameter("nothing", None)
        self.levels = torch.nn.ModuleList([Codebook(), Codebook()])
        self.again = self.levels[0]
        self.options = argparse.Namespace(codes=5)


@pytest.mark.filterwarnings("ignore")
def test_whole_modules_have_the_keys_of_their_state_dict(saved):
    model = Model()
    source = saved(model)
    expected = model.state_dict()
    registered = [name for name in source.specs if "__dict__" not in name]
    assert registered == list(expected)
    for name, tensor in expected.items():
        assert_equal(source, name, tensor)
    assert source.specs["again.embed"].storage == source.specs["levels.0.embed"].storage
    assert source.specs["levels.0.__dict__.unregistered"].container == "levels.0.__dict__"
    nested = saved({"epoch": 1, "net": model, "twin": torch.nn.Linear(1, 1)})
    assert {spec.container for spec in nested.specs.values()} >= {"net", "twin"}
    assert_equal(nested, "net.levels.1.embed", expected["levels.1.embed"])


def test_subclasses_and_parameters(saved):
    parameter = torch.nn.Parameter(torch.randn(3))
    parameter.note = "kept as state"
    buffer = torch.nn.Buffer(torch.randn(2))
    source = saved({"p": parameter, "b": buffer, "plain": torch.nn.Parameter(torch.randn(2), requires_grad=False)})
    assert_equal(source, "p", parameter)
    assert_equal(source, "b", buffer)


@pytest.mark.filterwarnings("ignore")
def test_quantised_sparse_meta(saved):
    quantised = torch.quantize_per_tensor(torch.arange(6.0), 0.5, 3, torch.quint8)
    sparse = torch.eye(3).to_sparse()
    source = saved({"q": quantised, "s": sparse, "m": torch.empty(4, device="meta"), "book": torch.ones(2, 2)})
    np.testing.assert_array_equal(source.read("q"), quantised.int_repr().numpy())
    assert source.specs["q"].dtype == "quint8"
    assert type(source.tree["s"]) is type(source.tree["m"]) is Opaque
    assert len(source.warnings) == 3
    assert_equal(source, "book", torch.ones(2, 2))


def test_lazy_conjugate_is_told(tmp_path):
    torch.save({"z": torch.ones(2, dtype=torch.complex64).conj()}, tmp_path / "z.pt")
    assert "conjugate" in open_source(str(tmp_path / "z.pt")).warnings[0]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "?"])
def test_numpy_arrays_inside(saved, order, dtype):
    rng = np.random.default_rng(0)
    arrays = {
        "small": np.asarray(rng.integers(0, 9, (3, 4)).astype(dtype), order=order),
        "large": np.asarray(rng.integers(0, 255, (70, 50, 30)).astype(dtype), order=order),
        "scalar": np.array(3).astype(dtype),
        "empty": np.empty((0, 2), dtype),
    }
    source = saved({"codebooks": arrays, "objects": np.array([None, "x"], dtype=object), "text": np.array(["ab"])})
    assert list(source.specs) == [f"codebooks.{name}" for name in arrays]
    for name, array in arrays.items():
        np.testing.assert_array_equal(source.read(f"codebooks.{name}"), array)
        assert source.read(f"codebooks.{name}").dtype.isnative
    np.testing.assert_array_equal(source.read("codebooks.large", 20, 31), arrays["large"][20:31])


def test_dtensor_gives_its_local_part(tmp_path):
    local = torch.randn(4, 2)

    def stand_in(shape):
        wrapper = (
            torch._utils._rebuild_wrapper_subclass,
            (torch.Tensor, torch.float32, shape, (2, 1), 0, torch.strided, torch.device("cpu"), False),
        )
        return _Reduces(
            torch._tensor._rebuild_from_type_v2, (wrapper[0], _Reduces, wrapper[1], (None, {"_local_tensor": local, "_spec": 1}))
        )

    torch.save({"whole": stand_in((4, 2)), "part": stand_in((8, 2))}, tmp_path / "d.pt")
    source = open_source(str(tmp_path / "d.pt"))
    assert_equal(source, "whole", local)
    assert_equal(source, "part", local)
    assert "Tensor part is one part" in source.warnings[0]


class _Reduces:
    def __init__(self, callee, args):
        self._call = (callee, args)

    def __reduce__(self):
        return self._call


def test_a_real_module_of_1_dimensional_codes():
    path = pathlib.Path(__file__).parents[1] / "data" / "aktasumitt_latent_model.pth"
    with open_source(str(path)) as source:
        assert source.specs["embedding.weight"].shape == (512, 1)
        assert 0.9 < source.read("embedding.weight").std() < 1.1
        assert source.tree.name.endswith("Latent_Space")


def rewritten(source, target, *, change=lambda name, data: data, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return str(target)


def test_deflated_archive(tmp_path):
    tensors = {"book": torch.randn(300, 400), "zeros": torch.zeros(2000, 500), "array": np.arange(50_000)}
    torch.save(tensors, tmp_path / "a.pt")
    source = open_source(rewritten(tmp_path / "a.pt", tmp_path / "b.pt", compression=zipfile.ZIP_DEFLATED))
    assert_equal(source, "book", tensors["book"])
    np.testing.assert_array_equal(source.read("book", 250, 260), tensors["book"][250:260].numpy())
    np.testing.assert_array_equal(source.read("book", 10, 20), tensors["book"][10:20].numpy())
    assert_equal(source, "zeros", tensors["zeros"])
    np.testing.assert_array_equal(source.read("array"), tensors["array"])
    assert source.warnings == ()


def test_big_endian_archive(tmp_path):
    tensors = {"f": torch.randn(3, 4), "h": torch.randn(5).bfloat16(), "i": torch.arange(4), "b": torch.tensor([True, False])}
    torch.save(tensors, tmp_path / "a.pt")
    sizes = {"0": 4, "1": 2, "2": 8, "3": 1}

    def swap(name, data):
        folder, _, key = name.rpartition("/")
        if folder.endswith("/data"):
            return np.frombuffer(data, np.uint8).reshape(-1, sizes[key])[:, ::-1].tobytes()
        return b"big" if key == "byteorder" else data

    source = open_source(rewritten(tmp_path / "a.pt", tmp_path / "b.pt", change=swap))
    for name, tensor in tensors.items():
        assert_equal(source, name, tensor)


def test_damaged_storage_is_told(tmp_path):
    torch.save({"book": torch.zeros(1000)}, tmp_path / "a.pt")
    raw = bytearray((tmp_path / "a.pt").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        at = archive.getinfo("a/data/0").header_offset + 300
    raw[at] ^= 1
    (tmp_path / "a.pt").write_bytes(raw)
    source = open_source(str(tmp_path / "a.pt"))
    assert source.warnings == ()
    source.read("book")
    assert "checksum" in source.warnings[0]
    source.read("book")
    assert len(source.warnings) == 1


def test_damaged_pickle_is_told(tmp_path):
    torch.save({"epoch": 1, "book": torch.zeros(4)}, tmp_path / "a.pt")
    raw = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(raw.replace(b"epoch", b"epocx", 1))
    source = open_source(str(tmp_path / "a.pt"))
    assert source.info == {"epocx": 1}
    assert "checksum" in source.warnings[0]


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    torch.jit.script(model).save(str(tmp_path / "s.pt"))
    source = open_source(str(tmp_path / "s.pt"))
    expected = model.state_dict()
    assert set(expected) <= set(source.specs)
    for name in expected:
        assert_equal(source, name, expected[name])
    assert any("TorchScript" in warning for warning in source.warnings)


@pytest.mark.filterwarnings("ignore")
def test_legacy_views_and_module_records(tmp_path):
    """Streams of torch before 0.4 keep views of storages, and beside a module's class its source."""

    class Stream(pickle.Pickler):
        def persistent_id(self, value):
            return value.pid if isinstance(value, Pid) else None

    class Pid:
        def __init__(self, *pid):
            self.pid = pid

    view = Pid("storage", torch.FloatStorage, "77", "cpu", 10, ("78", 4, 6))
    module = Pid("module", argparse.Namespace, "model.py", "class Model: ...")
    path = tmp_path / "old.pt"
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        Stream(file, protocol=2).dump({"w": _Reduces(torch._utils._rebuild_tensor, (view, 1, (5,), (1,))), "class": module})
        pickle.dump(["77"], file, protocol=2)
        file.write((10).to_bytes(8, "little") + np.arange(10, dtype="<f4").tobytes())
    source = open_source(str(path))
    np.testing.assert_array_equal(source.read("w"), [5, 6, 7, 8, 9])
    assert source.tree["class"].name == "argparse.Namespace"


def test_zip_member_is_checked_against_other_tensors_only_when_read(tmp_path):
    torch.save({"a": torch.ones(4), "b": torch.zeros(4)}, tmp_path / "a.pt")
    path = rewritten(tmp_path / "a.pt", tmp_path / "b.pt", change=lambda name, data: data[:8] if name.endswith("data/1") else data)
    source = open_source(path)
    assert "1 of 2 tensors" in source.warnings[0]
    assert_equal(source, "a", torch.ones(4))
    with pytest.raises(CorruptInput, match="tensor b"):
        source.read("b")
    np.testing.assert_array_equal(source.read("a", 1, 3), [1, 1])
    with pytest.raises(KeyError):
        source.read("c")
