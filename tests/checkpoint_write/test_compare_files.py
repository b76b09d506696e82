"""The proof finds every byte that differs where none may."""

import re
import zipfile

import numpy as np
import pytest
import torch
from checkpoints import members

from vqdoctor.checkpoint import compare_files, open_source, write_copy
from vqdoctor.errors import MissingInput, UsageError, VerifyError

CHANGES = {"book": np.ones((8, 4)), "column": np.full(6, 2.0)}


@pytest.fixture
def pair(tmp_path):
    """(original, copy): two tensors changed, one of them a column of a storage."""
    wide = torch.randn(6, 5)
    torch.save({"book": torch.zeros(8, 4), "column": wide[:, 2], "count": torch.ones(8), "epoch": 3}, tmp_path / "a.pt")
    write_copy(str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), CHANGES)
    return tmp_path / "a.pt", tmp_path / "b.pt"


def refused(pair, changed, words="."):
    with pytest.raises(VerifyError, match=words):
        compare_files(*map(str, pair), changed)


def test_names_and_values(pair):
    compare_files(*map(str, pair), {"book", "column"})
    compare_files(*map(str, pair), CHANGES)
    compare_files(*map(str, pair), {"book", "column", "count"})
    refused(pair, {"book"}, "byte")
    refused(pair, {"column"}, "byte")
    refused(pair, set(), "byte")
    refused(pair, CHANGES | {"book": np.zeros((8, 4))}, "tensor book")
    with pytest.raises(UsageError, match="no such tensor"):
        compare_files(*map(str, pair), {"missing"})


def test_every_byte_counts(pair):
    """Each byte of the copy flipped in turn: refused, unless it belongs to a changed tensor and only names were promised."""
    original, copy = pair
    raw = copy.read_bytes()
    with open_source(str(copy)) as source:
        book = source.extents[source.specs["book"].storage].place()[1]
        wide = source.extents[source.specs["column"].storage].place()[1]
    own = set(range(book, book + 128)) | {wide + 20 * row + 8 + byte for row in range(6) for byte in range(4)}
    rng = np.random.default_rng(0)
    for at in [*rng.choice(len(raw), 250, replace=False), *sorted(own)[::9], wide, wide + 12, len(raw) - 1]:
        broken = bytearray(raw)
        broken[at] ^= 0x40
        copy.write_bytes(broken)
        with pytest.raises(Exception) as caught:
            compare_files(str(original), str(copy), CHANGES)
        assert "VqdoctorError" in {kind.__name__ for kind in type(caught.value).__mro__}


def test_checksums_must_fit(pair):
    original, copy = pair
    raw = copy.read_bytes()
    with zipfile.ZipFile(copy) as archive:
        stale = archive.getinfo("b/data/0" if "b/data/0" in archive.namelist() else "a/data/0").CRC.to_bytes(4, "little")
    assert raw.count(stale) == 2  # descriptor and directory: torch leaves the local header's empty
    for found in re.finditer(re.escape(stale), raw):
        copy.write_bytes(raw[: found.start()] + b"\0\0\0\0" + raw[found.end() :])
        refused(pair, set(CHANGES), "checksum")
    members(original)


def test_another_structure(pair):
    original, copy = pair
    for value in ({"book": torch.zeros(8, 4)}, {"book": torch.zeros(4, 8), "column": torch.zeros(6), "count": torch.ones(8)}):
        torch.save(value, copy)
        refused(pair, {"book"}, "not those of the original")
    copy.unlink()
    with pytest.raises(MissingInput):
        compare_files(str(original), str(copy), {"book"})


def test_longer_file(pair):
    copy = pair[1]
    copy.write_bytes(copy.read_bytes() + b"\0")
    refused(pair, CHANGES, "bytes instead of")


def test_a_row_that_stays_stays_to_the_bit(tmp_path):
    book = np.zeros((4, 2), np.float32)
    book.view(np.uint32)[1] = 0x7FC00001
    torch.save({"book": torch.from_numpy(book)}, tmp_path / "a.pt")
    values = book.copy()
    values[3] = 1
    write_copy(str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), {"book": values})
    raw = (tmp_path / "b.pt").read_bytes()
    (tmp_path / "a.pt").rename(tmp_path / "kept")
    torch.save({"book": torch.from_numpy(np.where(np.isnan(values), np.float32("nan"), values))}, tmp_path / "a.pt")
    (tmp_path / "c.pt").write_bytes((tmp_path / "a.pt").read_bytes())
    compare_files(str(tmp_path / "kept"), str(tmp_path / "b.pt"), {"book": values})
    refused((tmp_path / "kept", tmp_path / "c.pt"), {"book": values}, "tensor book")
    assert raw != (tmp_path / "c.pt").read_bytes()


def test_a_tied_tensor_has_to_be_named(tmp_path):
    base = torch.zeros(4, 2)
    torch.save({"a": base, "b": base, "c": torch.ones(2)}, tmp_path / "a.pt")
    write_copy(str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), {"a": np.ones((4, 2))})
    refused((tmp_path / "a.pt", tmp_path / "b.pt"), {"a"}, "tensor b changed too")
    compare_files(str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), {"a", "b"})
