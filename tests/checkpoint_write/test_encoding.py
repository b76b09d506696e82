"""Numbers become the bytes that torch would store, and what a type cannot hold is refused."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.checkpoint.dtypes import QUANTISED, STORED_AS, numbers, stored_dtype
from vqdoctor.checkpoint.encoding import encode
from vqdoctor.errors import UnsupportedInput

ROUNDED = [
    "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip
INTEGERS = ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]


def zeros(values, word):
    return np.zeros(np.shape(values), stored_dtype(word))


def encoded(values, word):
    return encode(np.asarray(values), word, zeros(values, word))


def by_torch(values, word):
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(getattr(torch, word))
    return np.frombuffer(bytes(tensor.contiguous().view(torch.uint8).flatten().tolist()), stored_dtype(word)).reshape(values.shape)


def finite_numbers(word):
    """float64: every finite value of a type of one or two bytes, ascending."""
    patterns = np.arange(1 << 8 * stored_dtype(word).itemsize, dtype=np.uint32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values = numbers(patterns.astype(f"<u{stored_dtype(word).itemsize}").view(stored_dtype(word)), word).astype(np.float64)
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize("word", ROUNDED)
def test_rounds_as_torch_does_at_and_around_every_midpoint(word):
    values = finite_numbers(word)
    middle = (values[1:] + values[:-1]) / 2
    tested = np.concatenate([values, middle, *(np.nextafter(middle.astype("f4"), side) for side in (np.inf, -np.inf))])
    if word == "float8_e8m0fnu":
        tested = tested[tested >= 2.0**-126]  # below, torch takes some for nearer to the larger neighbour than they are
    tested = tested[tested.astype(np.float32) == tested].astype(np.float32)
    assert len(tested) > len(values)
    np.testing.assert_array_equal(encoded(tested, word).view(np.uint8), by_torch(tested, word).view(np.uint8))


@pytest.mark.parametrize("word", ROUNDED)
def test_rounds_float64_once(word):
    """By way of float32, a value just beyond a midpoint would be rounded onto it, and then the other way."""
    values = finite_numbers(word)
    low, high = values[:-1], values[1:]
    middle = (low + high) / 2
    kept = (low > 0) & (np.nextafter(middle, np.inf) > middle)
    above, below = np.nextafter(middle[kept], np.inf), np.nextafter(middle[kept], -np.inf)
    np.testing.assert_array_equal(numbers(encoded(above, word), word), high[kept])
    np.testing.assert_array_equal(numbers(encoded(below, word), word), low[kept])
    np.testing.assert_array_equal(encoded(-above, word), encoded(-high[kept], word)) if word != "float8_e8m0fnu" else None


@pytest.mark.parametrize("word", [*ROUNDED, "float32", "float64"])
def test_every_pattern_returns_to_itself(word):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, 4096 * stored_dtype(word).itemsize, dtype=np.uint8).view(stored_dtype(word))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values = numbers(raw, word)
    assert encode(values, word, raw).tobytes() == raw.tobytes()  # NaNs with their payload


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("float16", [65520.0]), ("float16", [1e300]), ("bfloat16", [3.4e38]), ("bfloat16", [-1e300]), ("float32", [3.5e38]),
        ("float8_e4m3fn", [465.0]), ("float8_e4m3fn", [np.inf]), ("float8_e4m3fnuz", [248.0]), ("float8_e5m2", [61440.0]),
        ("float8_e5m2fnuz", [61440.0]), ("float8_e8m0fnu", [0.0]), ("float8_e8m0fnu", [-1.0]), ("float8_e8m0fnu", [2.6e38]),
        ("int8", [128]), ("int8", [-129.0]), ("uint8", [-1]), ("int64", [2.0**63]), ("int64", [np.uint64(1 << 63)]),
        ("uint64", [-1]), ("int32", [0.5]), ("int32", [np.nan]), ("int64", np.array([-np.inf], "f2")), ("int16", [np.inf]),
        ("bool", [2]), ("bool", [0.5]), ("bool", [np.nan]), ("float32", [1j]), ("float32", ["1"]),
        ("complex64", [1e300 + 0j]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_named(word, values):
    with pytest.raises(UnsupportedInput, match=word):
        encoded(values, word)


@pytest.mark.parametrize(
    ("word", "values", "expected"),
    [
        ("float16", [65519.0, -65519.0], [65504.0, -65504.0]),
        ("float8_e4m3fn", [464.0], [448.0]),
        ("float8_e5m2", [np.inf, -np.inf], [np.inf, -np.inf]),
        ("float8_e4m3fnuz", [-0.0, -1e-9], [0.0, 0.0]),
        ("bfloat16", [np.inf, -np.inf, 1], [np.inf, -np.inf, 1]),
        ("int64", [-(2.0**63), 5.0], [-(1 << 63), 5]),
        ("uint64", np.array([(1 << 64) - 1], np.uint64), np.array([(1 << 64) - 1], np.uint64)),
        ("bool", [True, 0, 1.0], [True, False, True]),
        ("complex64", [1.5], [1.5 + 0j]),
    ],
)
def test_what_fits_is_held(word, values, expected):
    np.testing.assert_array_equal(numbers(encoded(values, word), word), expected)


@pytest.mark.parametrize("word", ROUNDED)
def test_a_new_nan_is_a_nan(word):
    assert np.isnan(numbers(encoded([np.nan, 1.0], word), word)).tolist() == [True, False]


def test_truths_that_are_not_spelled_one_keep_their_bytes():
    assert encode(np.array([True, False, True]), "bool", np.array([7, 7, 0], np.uint8)).tolist() == [7, 0, 1]


@pytest.mark.parametrize("word", [*sorted(QUANTISED), "complex32"])
def test_types_whose_integers_stand_for_something_else_are_refused(word):
    with pytest.raises(UnsupportedInput, match="read and not written"):
        encoded([1], word)


def test_big_endian():
    stored = encode(np.array([1.0, -2.5]), "bfloat16", np.zeros(2, stored_dtype("bfloat16", big_endian=True)))
    assert stored.tobytes() == bytes.fromhex("3f80c020")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(INTEGERS), st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1))
def test_integers_arrive_or_are_refused(word, values):
    bounds = np.iinfo(STORED_AS[word])
    if all(bounds.min <= value <= bounds.max for value in values):
        assert encoded(np.array(values, np.int64), word).tolist() == values
    else:
        with pytest.raises(UnsupportedInput):
            encoded(np.array(values, np.int64), word)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ROUNDED[:-1]), st.lists(st.floats(width=32), min_size=1))
def test_any_float_is_rounded_as_torch_does_or_refused(word, values):
    array = np.array(values, np.float32)
    try:
        stored = encoded(array, word)
    except UnsupportedInput:
        theirs = torch.from_numpy(array).to(getattr(torch, word)).float().numpy()
        limit = torch.finfo(getattr(torch, word)).max
        assert any(np.abs(array) > limit) or not np.isfinite(theirs[np.isfinite(array)]).all()
        return
    ours, theirs = numbers(stored, word), torch.from_numpy(array).to(getattr(torch, word)).float().numpy()
    np.testing.assert_array_equal(ours, theirs)
