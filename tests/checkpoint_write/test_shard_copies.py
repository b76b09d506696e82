"""A sharded checkpoint: new shards first, the index last, the old set whole whatever happens."""

import errno
import json
import os

import numpy as np
import pytest
import safetensors.torch
import torch
from checkpoints import save_shards

from vqdoctor.checkpoint import STEPS, compare_files, open_source, write_copy
from vqdoctor.errors import UsageError, VerifyError

BOOK = {"book": np.full((8, 4), 3.0)}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("save", "suffix"), [(safetensors.torch.save_file, "safetensors"), (torch.save, "bin")], ids=["safetensors", "torch"]
)
def test_into_another_folder_under_the_same_names(tmp_path, save, suffix):
    index = save_shards(tmp_path / "a", save, suffix)
    (tmp_path / "b").mkdir()
    before, out = content(tmp_path / "a"), tmp_path / "b" / index.name
    written = write_copy(str(index), str(out), BOOK)
    compare_files(str(index), str(out), BOOK)
    assert content(tmp_path / "a") == before
    after = content(tmp_path / "b")
    assert sorted(after) == sorted(before)
    assert {name for name in before if after[name] != before[name]} == {f"model-a.{suffix}"}
    assert (tmp_path / "b" / f"model-b.{suffix}").stat().st_nlink == 1  # a copy, not a link
    assert set(written.files) == {str(tmp_path / "b" / name) for name in before}
    assert (open_source(str(out)).read("book") == 3).all()


def test_into_the_same_folder_beside_what_stays(tmp_path):
    index = save_shards(tmp_path)
    before = content(tmp_path)
    out = tmp_path / "repaired.index.json"
    write_copy(str(index), str(out), BOOK)
    compare_files(str(index), str(out), BOOK)
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"model-a.copy-1.safetensors", out.name}
    old, new = (json.loads(path.read_text()) for path in (index, out))
    assert new["weight_map"] == old["weight_map"] | dict.fromkeys(("book", "count"), "model-a.copy-1.safetensors")
    assert out.read_text() == index.read_text().replace("model-a.", "model-a.copy-1.")
    write_copy(str(out), str(tmp_path / "again.json"), BOOK)
    assert (tmp_path / "model-a.copy-1.copy-1.safetensors").exists()


def test_in_place_the_old_index_is_kept_and_names_the_old_set(tmp_path):
    index = save_shards(tmp_path)
    before = content(tmp_path)
    write_copy(str(index), str(index), BOOK, in_place=True)
    assert (open_source(str(index)).read("book") == 3).all()
    after = content(tmp_path)
    assert after[f"{index.name}.bak"] == before[index.name]
    assert all(after[name] == raw for name, raw in before.items() if name != index.name)
    assert open_source(f"{index}.bak").read("book").tobytes() == old_book(before)


def old_book(files):
    return safetensors.torch.load(files["model-a.safetensors"])["book"].numpy().tobytes()


def test_an_index_with_odd_spelling_is_written_anew(tmp_path):
    index = save_shards(tmp_path / "a")
    index.write_text(index.read_text().replace('"model-a', '"mod\\u0065l-a'))
    out = tmp_path / "a" / "out.json"
    write_copy(str(index), str(out), BOOK)
    compare_files(str(index), str(out), BOOK)
    assert json.loads(out.read_text())["metadata"] == {"total_size": 224}


@pytest.mark.parametrize("step", [step for step in STEPS if step != "kept"])
def test_interrupted_at_each_step(tmp_path, step):
    index = save_shards(tmp_path)
    before = content(tmp_path)

    def stop(name):
        if name == step:
            raise KeyboardInterrupt

    out = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        write_copy(str(index), str(out), BOOK, step=stop)
    if step == "published":
        compare_files(str(index), str(out), BOOK)
    else:
        assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("call", "turn"), [("fsync", 1), ("fsync", 2), ("fsync", 3), ("link", 1), ("link", 2), ("replace", 1), ("copy_file_range", 1)]
)
def test_a_failing_call_leaves_the_old_set_and_nothing_else(tmp_path, monkeypatch, call, turn):
    index = save_shards(tmp_path)
    before, real, calls = content(tmp_path), getattr(os, call), []

    def fail(*args, **options):
        calls.append(args)
        if len(calls) == turn:
            raise OSError(errno.EIO, "Input/output error")
        return real(*args, **options)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UsageError, match="input/output error"):
        write_copy(str(index), str(index), BOOK, in_place=True)
    assert content(tmp_path) == before


def test_once_the_new_index_is_in_place_its_shards_stay(tmp_path, monkeypatch):
    index, real, calls = save_shards(tmp_path), os.fsync, []

    def fail(handle):
        calls.append(handle)
        if len(calls) == 4:  # shard, folder, index, folder
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match="is written and in place, but"):
        write_copy(str(index), str(tmp_path / "out.json"), BOOK)
    compare_files(str(index), str(tmp_path / "out.json"), BOOK)


def test_a_refused_proof_removes_the_shards(tmp_path):
    index = save_shards(tmp_path)
    before = content(tmp_path)

    def refuse(path):
        assert (open_source(path).read("book") == 3).all()
        raise VerifyError("no")

    with pytest.raises(VerifyError):
        write_copy(str(index), str(tmp_path / "out.json"), BOOK, verify=refuse)
    assert content(tmp_path) == before


def test_a_shard_is_no_place_for_the_index(tmp_path):
    index = save_shards(tmp_path)
    before = content(tmp_path)
    for name in ("model-a.safetensors", index.name):
        with pytest.raises(UsageError, match="is the checkpoint itself"):
            write_copy(str(index), str(tmp_path / name), BOOK, overwrite=True)
    assert content(tmp_path) == before
