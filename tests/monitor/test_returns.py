"""Rows and codes are found by structure, wherever a quantiser puts them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_models import Output

from vqdoctor.monitor.returns import plan


def test_codes_of_a_sequence_with_levels_last() -> None:
    rows, codes = torch.randn(2, 5, 8), torch.randint(0, 16, (2, 5, 3))
    found = plan((rows, {}), (rows, codes, torch.zeros(3)), [16] * 3, [8])
    assert found is not None
    assert torch.equal(found.inputs((rows, {})), rows.reshape(10, 8))
    assert torch.equal(found.indices((rows, codes)), codes.reshape(10, 3).T)


@pytest.mark.parametrize("shape", [(3, 2, 5), (2, 3, 5)], ids=["levels first", "levels in the middle"])
def test_levels_on_another_axis(shape: tuple[int, ...]) -> None:
    rows, codes = torch.randn(2, 8, 5), torch.randint(0, 16, shape)
    found = plan((rows, {}), (codes,), [16] * 3, [8])
    assert found is not None
    expected = codes.movedim(shape.index(3), 0).reshape(3, 10)
    assert torch.equal(found.indices((codes,)), expected)
    assert torch.equal(found.inputs((rows, {})), rows.transpose(1, 2).reshape(10, 8))


@pytest.mark.parametrize("flat", [(32,), (32, 1), (2, 16)])
def test_codes_of_images_may_come_flattened(flat: tuple[int, ...]) -> None:
    images, codes = torch.randn(2, 8, 4, 4), torch.randint(0, 16, flat)
    found = plan((images, {}), (images, 0.1, (None, None, codes)), [16], [8])
    assert found is not None and found.channels == 1
    assert torch.equal(found.indices((images, 0.1, (None, None, codes))), codes.reshape(1, 32))


def test_numbers_that_are_no_codes_are_passed_over() -> None:
    rows, lengths, codes = torch.randn(2, 5, 8), torch.tensor([[900] * 5] * 2), torch.randint(0, 16, (2, 5))
    returned = Output(rows, {"lengths": lengths, "codes": codes})
    found = plan((rows, {"mask": None}), returned, [16], [8])
    assert found is not None and found.codes == ("info", "codes")
    assert plan((rows, {}), (rows, lengths), [16], [8]) is None
    assert plan((rows, {}), (rows, codes[:1]), [16], [8]) is None


def test_rows_given_by_name_are_found() -> None:
    rows, codes = torch.randn(6, 8), torch.randint(0, 16, (6,))
    found = plan(({"x": rows, "temperature": torch.ones(())},), codes, [16], [8])
    assert found is not None and torch.equal(found.inputs(({"x": rows},)), rows)


def test_one_hot_rows_stand_for_codes() -> None:
    rows, codes = torch.randn(6, 8), torch.randint(0, 16, (6,))
    shares = torch.nn.functional.one_hot(codes, 16).float()
    found = plan((rows, {}), (rows, shares), [16], [8])
    assert found is not None and torch.equal(found.indices((rows, shares))[0], codes)
    assert plan((rows, {}), (rows, shares * 0.5), [16], [8]) is None


def test_what_the_module_says_of_its_channels_decides_a_square() -> None:
    square, codes = torch.randn(2, 8, 8), torch.randint(0, 16, (2, 8))
    for first, expected in [(True, square.transpose(1, 2)), (False, square), (None, square)]:
        found = plan((square, {}), (codes,), [16], [8], channels_first=first)
        assert found is not None and torch.equal(found.inputs((square, {})), expected.reshape(16, 8))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(1, 3), st.integers(5, 9), st.booleans(), st.integers(0, 2**31)
)
def test_codes_come_back_in_the_order_of_their_rows(shape: list[int], levels: int, width: int, first: bool, seed: int) -> None:
    """Each row holds its own codes in its columns, so that any mix-up shows."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 16, (*shape, levels), generator=generator)
    rows = torch.zeros(*shape, width)
    rows[..., :levels] = codes.float()
    given_rows = rows.movedim(-1, 1) if first and len(shape) > 1 else rows
    returned = codes[..., 0] if levels == 1 else codes
    found = plan((given_rows, {}), (returned,), [16] * levels, [width], channels_first=first and len(shape) > 1)
    assert found is not None
    assert torch.equal(found.inputs((given_rows, {}))[:, :levels].T.long(), found.indices((returned,)))
