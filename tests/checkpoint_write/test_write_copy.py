"""A copy holds the new values, opens wherever the original opened, and is the same in every other byte."""

import hashlib
import io
import os
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from checkpoints import CONTAINERS, LEGACY, members, model, new_values, positions_that_differ, rounded
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.checkpoint import compare_files, open_source, write_copy
from vqdoctor.errors import CorruptInput, UnsupportedInput, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(params=CONTAINERS)
def saved(request, tmp_path):
    path = tmp_path / ("a.npy" if request.param.startswith("npy") else "a.npz" if request.param == "npz" else "a.pt")
    CONTAINERS[request.param](path)
    return path


def copied(path, changes, name="out", **options):
    out = path.with_name(name)
    written = write_copy(str(path), str(out), changes, **options)
    compare_files(str(path), str(out), changes if set(changes) == set(written.tensors_changed) else written.tensors_changed)
    return out, written


def own_bytes(spec, extent):
    """Positions in the file of every byte of a tensor, element by element."""
    _, start = extent.place()
    item = getattr(torch, spec.dtype).itemsize
    places = np.full(spec.shape, spec.offset)
    for axis, stride in enumerate(spec.strides):
        places = places + np.arange(spec.shape[axis]).reshape([-1 if at == axis else 1 for at in range(len(spec.shape))]) * stride
    return set((start + places.reshape(-1, 1) * item + np.arange(item)).ravel().tolist())


def test_each_tensor_alone_and_nothing_else(saved):
    with open_source(str(saved)) as source:
        for name, spec in source.specs.items():
            values = new_values(spec)
            out, written = copied(saved, {name: values}, overwrite=True)
            with open_source(str(out)) as copy:
                np.testing.assert_array_equal(copy.read(name), rounded(values, spec.dtype))
                allowed = own_bytes(spec, source.extents[spec.storage])
                others = [other for other in source.specs if other not in written.tensors_changed]
                assert all(copy.read(other).tobytes() == source.read(other).tobytes() for other in others)
            differing = set(positions_that_differ(saved, out).tolist()) - allowed
            assert len(differing) <= (12 if zipfile.is_zipfile(saved) else 0)
            if zipfile.is_zipfile(saved):
                data = {position + at for position, raw in members(saved).values() for at in range(len(raw))}
                assert not differing & data


def test_all_tensors_at_once(saved):
    with open_source(str(saved)) as source:
        changes = {name: new_values(spec) for name, spec in source.specs.items() if name != "tied.weight"}
        out, written = copied(saved, changes)
        with open_source(str(out)) as copy:
            assert list(copy.specs.items()) == list(source.specs.items())
            assert (copy.kind, copy.info) == (source.kind, source.info)
            for name, values in changes.items():
                np.testing.assert_array_equal(copy.read(name), rounded(values, source.specs[name].dtype))
            assert copy.warnings == source.warnings
    assert written.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert written.source_sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert (written.path, written.bytes, written.files) == (str(out), out.stat().st_size, {str(out): written.sha256})
    assert written.leftovers == ()


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 4}, LEGACY], ids=["zip2", "zip4", "legacy"])
def test_torch_loads_the_copy_with_every_other_value_equal(tmp_path, options):
    value = model()
    if options:  # what torch itself cannot load from these forms
        state = value["state_dict"]
        value["state_dict"] = {name: state[name] for name in state if not name.startswith(("uint", "float8"))}
    torch.save(value, tmp_path / "a.pt", **options)
    changes = {"state_dict.bfloat16": np.full((6, 4), 0.3), "state_dict.transposed": np.arange(21.0).reshape(3, 7)}
    out, _ = copied(tmp_path / "a.pt", changes)
    safe = options != {"pickle_protocol": 4}
    before, after = (torch.load(path, weights_only=safe) for path in (tmp_path / "a.pt", out))
    assert list(before["state_dict"]) == list(after["state_dict"])
    assert {name: value for name, value in before.items() if name != "state_dict"} == {
        name: value for name, value in after.items() if name != "state_dict"
    }
    for name, tensor in before["state_dict"].items():
        assert (tensor.dtype, tensor.stride()) == (after["state_dict"][name].dtype, after["state_dict"][name].stride())
        if f"state_dict.{name}" not in changes:
            assert torch.equal(bits(tensor), bits(after["state_dict"][name]))
    assert torch.equal(after["state_dict"]["bfloat16"], torch.full((6, 4), 0.3, dtype=torch.bfloat16))
    assert torch.equal(after["state_dict"]["transposed"], torch.arange(21.0).reshape(3, 7))
    assert after["state_dict"]["head"].untyped_storage().data_ptr() == after["state_dict"]["tail"].untyped_storage().data_ptr()


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def test_mapped_and_scripted_files_load(tmp_path):
    scripted = torch.jit.script(torch.nn.Linear(3, 2))
    scripted.save(str(tmp_path / "s.pt"))
    with open_source(str(tmp_path / "s.pt")) as source:
        name = next(name for name in source.specs if name.endswith("weight"))
    out, _ = copied(tmp_path / "s.pt", {name: np.eye(2, 3)})
    assert torch.equal(torch.jit.load(str(out))(torch.eye(3)), torch.eye(3, 2) + scripted.bias)
    torch.save({"book": torch.zeros(4, 2)}, tmp_path / "m.pt")
    out, _ = copied(tmp_path / "m.pt", {"book": np.ones((4, 2))}, "mapped")
    assert torch.equal(torch.load(out, weights_only=True, mmap=True)["book"], torch.ones(4, 2))


def test_safetensors_opens_the_copy(tmp_path):
    CONTAINERS["safetensors"](tmp_path / "a.safetensors")
    out, written = copied(tmp_path / "a.safetensors", {"float32": np.ones((6, 4)), "float8_e5m2": np.full((6, 4), 2.1)})
    before, after = (safetensors.torch.load_file(path) for path in (tmp_path / "a.safetensors", out))
    assert torch.equal(after["float32"], torch.ones(6, 4))
    assert torch.equal(after["float8_e5m2"].float(), torch.full((6, 4), 2.0))
    assert all(torch.equal(before[name], after[name]) for name in before if name in ("head", "int64", "float64"))
    assert written.tensors_changed == ("float32", "float8_e5m2", "tied.weight")  # a name that only the metadata has


def test_numpy_opens_the_copy(tmp_path):
    for name in ("npz", "npy", "npy-fortran"):
        CONTAINERS[name](tmp_path / f"a.{name[:3]}")
        tensor = {"npz": "float64"}.get(name, "array")
        shape = {"npz": (6, 4)}.get(name, (9, 4))
        out, _ = copied(tmp_path / f"a.{name[:3]}", {tensor: np.full(shape, 1.5)}, overwrite=True)
        loaded = np.load(out)
        np.testing.assert_array_equal(loaded[tensor] if name == "npz" else loaded, np.full(shape, 1.5))


def test_a_file_without_checksums_keeps_none(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"book": torch.zeros(8, 2)}, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    out, _ = copied(tmp_path / "a.pt", {"book": np.ones((8, 2))})
    assert len(positions_that_differ(tmp_path / "a.pt", out)) <= 64
    with zipfile.ZipFile(out) as archive:
        assert {member.CRC for member in archive.infolist()} == {0}
    assert torch.equal(torch.load(out, weights_only=True)["book"], torch.ones(8, 2))


def test_a_damaged_member_is_not_declared_sound(tmp_path):
    torch.save({"pair": torch.zeros(40)}, tmp_path / "a.pt")
    raw = bytearray((tmp_path / "a.pt").read_bytes())
    at = members(tmp_path / "a.pt")["a/data/0"][0]
    raw[at + 3] ^= 1
    (tmp_path / "a.pt").write_bytes(raw)
    out = tmp_path / "out"
    write_copy(str(tmp_path / "a.pt"), str(out), {"pair": np.ones(40)})
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() == "a/data/0"


def test_nans_and_other_rows_keep_their_bits(tmp_path):
    book = np.arange(12, dtype=np.float32).reshape(4, 3)
    book.view(np.uint32)[1] = [0x7FC00001, 0xFFC12345, 0x7FC00000]
    torch.save({"book": torch.from_numpy(book)}, tmp_path / "a.pt")
    with open_source(str(tmp_path / "a.pt")) as source:
        values = source.read("book")
    values[2] = 9
    out, _ = copied(tmp_path / "a.pt", {"book": values.astype(np.float64)})
    after = open_source(str(out)).read("book")
    assert after[[0, 1, 3]].tobytes() == book[[0, 1, 3]].tobytes()
    assert (after[2] == 9).all()


def test_tied_tensors_follow_and_are_told(tmp_path):
    base = torch.zeros(6, 4)
    torch.save({"book": base, "tied": base, "row": base[2], "away": base[5], "other": torch.zeros(2)}, tmp_path / "a.pt")
    values = np.zeros((6, 4))
    values[2] = 7
    out = tmp_path / "out"
    written = write_copy(str(tmp_path / "a.pt"), str(out), {"book": values})
    assert written.tensors_changed == ("book", "tied", "row")
    assert (open_source(str(out)).read("row") == 7).all()
    agreeing = {"book": values, "tied": values, "row": values[2]}
    assert write_copy(str(tmp_path / "a.pt"), str(tmp_path / "b"), agreeing).tensors_changed == tuple(agreeing)
    with pytest.raises(UsageError, match="shares memory"):
        write_copy(str(tmp_path / "a.pt"), str(tmp_path / "c"), {"book": values, "row": values[0]})
    assert not (tmp_path / "c").exists()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_view_of_a_storage(tmp_path_factory, data):
    """Also views whose own elements overlap: written where all agree, else refused."""
    folder = tmp_path_factory.mktemp("views")
    shape = data.draw(st.lists(st.integers(1, 4), max_size=3))
    strides = [data.draw(st.integers(0, 6)) for _ in shape]
    span = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    offset = data.draw(st.integers(0, 5))
    base = torch.arange(float(offset + span + 3))
    torch.save({"base": base, "view": torch.as_strided(base, shape, strides, offset)}, folder / "a.pt")
    values = data.draw(st.sampled_from([new_values, lambda spec: np.full(spec.shape, -1.0)]))(
        open_source(str(folder / "a.pt")).specs["view"]
    )
    expected, fits = base.numpy().copy(), True
    for index in np.ndindex(*shape):
        place = offset + sum(at * stride for at, stride in zip(index, strides, strict=True))
        fits &= expected[place] in (base[place].item(), np.float32(values[index]))
        expected[place] = values[index]
    if not fits:
        with pytest.raises(UsageError, match="shares memory"):
            write_copy(str(folder / "a.pt"), str(folder / "out"), {"view": values})
        return
    write_copy(str(folder / "a.pt"), str(folder / "out"), {"view": values})
    np.testing.assert_array_equal(open_source(str(folder / "out")).read("base"), expected)


def test_large_views_are_written_in_windows(tmp_path, monkeypatch):
    monkeypatch.setattr("vqdoctor.checkpoint.patching._WINDOW", 64)
    monkeypatch.setattr("vqdoctor.checkpoint.comparing._BLOCK", 100)
    base = torch.arange(40 * 30 * 7, dtype=torch.float64).reshape(40, 30, 7)
    torch.save({"base": base, "a": base[:, ::3, 1], "b": base.permute(2, 0, 1)[3:5], "c": torch.zeros(90, 70).T}, tmp_path / "a.pt")
    with open_source(str(tmp_path / "a.pt")) as source:
        changes = {name: new_values(source.specs[name]) for name in ("a", "b", "c")}
    out = tmp_path / "out"
    write_copy(str(tmp_path / "a.pt"), str(out), changes)
    expected = base.numpy().copy()
    expected[:, ::3, 1] = changes["a"]
    expected.transpose(2, 0, 1)[3:5] = changes["b"]
    with open_source(str(out)) as copy:
        np.testing.assert_array_equal(copy.read("base"), expected)
        np.testing.assert_array_equal(copy.read("c"), changes["c"].astype(np.float32))


def test_no_change_is_the_same_file(saved):
    out, written = copied(saved, {})
    assert out.read_bytes() == saved.read_bytes()
    assert written.sha256 == written.source_sha256


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"book": np.zeros((3, 4))}, UsageError, r"\(4, 4\)"),
        ({"bo\x1bok": np.zeros((4, 4))}, UsageError, r"bo\\x1bok.*no such tensor"),
        ({"half": np.full(2, 7e4)}, UnsupportedInput, "tensor half.*float16.*70000"),
        ({"flag": np.array(2)}, UnsupportedInput, "tensor flag.*bool"),
        ({"small": np.zeros(3)}, UnsupportedInput, "spelled out inside the file's pickle"),
        ({"words": np.zeros(400)}, UnsupportedInput, "spelled out inside the file's pickle"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_said_before_anything_is(tmp_path, changes, error, words):
    value = {
        "book": torch.zeros(4, 4), "half": torch.zeros(2, dtype=torch.float16), "flag": torch.tensor(False),
        "small": np.zeros(3), "words": np.full(400, 1e300),
    }  # fmt: skip
    torch.save(value, tmp_path / "a.pt", pickle_protocol=2)
    steps = []
    with pytest.raises(error, match=words):
        write_copy(str(tmp_path / "a.pt"), str(tmp_path / "out"), changes, step=steps.append)
    assert steps == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_compressed_members_are_refused_and_others_beside_them_are_not(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", book=np.zeros((4, 4)))
    with pytest.raises(UnsupportedInput, match=r"compressed inside the archive.*savez"):
        write_copy(str(tmp_path / "a.npz"), str(tmp_path / "out"), {"book": np.ones((4, 4))})
    np.savez(tmp_path / "stored.npz", plain=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "stored.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed.npy", npy_bytes(np.zeros(99)))
    out, _ = copied(tmp_path / "stored.npz", {"plain": np.ones(3)})
    assert np.load(out)["plain"].tolist() == [1, 1, 1]
    assert len(members(out)) == 2


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_missing_bytes_are_refused(tmp_path):
    torch.save({"a": torch.zeros(600), "b": torch.zeros(600)}, tmp_path / "a.pt", **LEGACY)
    raw = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(raw[:-100])
    with open_source(str(tmp_path / "a.pt")) as source:
        there, lost = sorted(source.specs, key=lambda name: source.specs[name].storage not in source.extents)
    with pytest.raises(CorruptInput, match=f"tensor {lost}"):
        write_copy(str(tmp_path / "a.pt"), str(tmp_path / "out"), {lost: np.ones(600)})
    write_copy(str(tmp_path / "a.pt"), str(tmp_path / "out"), {there: np.ones(600)})
    assert (open_source(str(tmp_path / "out")).read(there) == 1).all()


def test_the_copy_has_the_mode_of_the_original(tmp_path):
    torch.save({"a": torch.zeros(8)}, tmp_path / "a.pt")
    os.chmod(tmp_path / "a.pt", 0o640)
    out, _ = copied(tmp_path / "a.pt", {"a": np.ones(8)})
    assert out.stat().st_mode & 0o7777 == 0o640
