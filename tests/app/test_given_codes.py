"""The model's own codes of kept rows: read in blocks, the rows that were kept and no others."""

import numpy as np
import pytest

from vqdoctor.app import inspect as use_case
from vqdoctor.samples import read_codes


@pytest.mark.parametrize("numbers", [[0], [9], [0, 2, 3, 8], [3, 4, 5], list(range(10))])
def test_rows_are_picked_across_blocks(tmp_path, monkeypatch, numbers):
    monkeypatch.setattr(use_case, "BLOCK", 3)
    codes = np.arange(20).reshape(10, 2)
    np.save(tmp_path / "c.npy", codes)
    table = read_codes(tmp_path / "c.npy")
    assert np.array_equal(use_case._rows_of(table, np.array(numbers)), codes[numbers])
