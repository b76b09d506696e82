"""Checkpoints that were read and hold no quantiser: the message says what they hold instead, and what to do."""

import numpy as np
import pytest
import torch

import vqdoctor
from vqdoctor.errors import NoQuantizerError


def refusal(path, value):
    torch.save(value, path)
    with pytest.raises(NoQuantizerError) as caught:
        vqdoctor.inspect(str(path))
    return str(caught.value)


def test_tensors_on_meta_have_no_values(tmp_path):
    nowhere = {"quantize.embedding.weight": torch.empty(64, 4, device="meta"), "w": torch.empty(4, device="meta")}
    words = refusal(tmp_path / "m.pt", {"state_dict": nowhere})
    assert "2 tensors are on the meta device (first: state_dict.quantize.embedding.weight)" in words
    words = refusal(tmp_path / "m.pt", nowhere | {"w": torch.zeros(4)})
    assert "holds no quantiser that is known. 1 tensor is on the meta device" in words


@pytest.mark.parametrize("wrap", [lambda codes: codes, lambda codes: {"codes": codes}])
def test_a_lone_table_of_whole_numbers_is_codes(tmp_path, wrap):
    words = refusal(tmp_path / "c.pt", wrap(torch.from_numpy(np.arange(12).reshape(4, 3))))
    assert "whole numbers (4 × 3): codes, not a codebook" in words and "--codes" in words and ".npy" in words


@pytest.mark.parametrize(
    "book", [torch.zeros(64, 8, dtype=torch.int8), torch.quantize_per_tensor(torch.randn(64, 8), 0.1, 0, torch.qint8)]
)
def test_a_book_of_whole_numbers_is_a_quantised_one(tmp_path, book):
    words = refusal(tmp_path / "q.pt", {"quantize.embedding.weight": book, "quantize.embedding.scale": torch.tensor(0.1)})
    assert "quantize.embedding.weight holds whole numbers" in words and "dequantised" in words and "--codes" not in words


def test_nothing_at_all(tmp_path):
    assert "no tensors at all. Is it the right file?" in refusal(tmp_path / "n.pt", {"epoch": 3})
