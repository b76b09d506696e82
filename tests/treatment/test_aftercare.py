"""What a repair says of training on: when it says anything, and that its numbers follow from the book and the tokens of a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sick_books import collapsed, mixture, one_sick, opened, told, trainer_level
from synthetic import FakeSource

from vqdoctor.layouts import find_quantizers
from vqdoctor.metrics.ema import CHURN, chance_below
from vqdoctor.treatment import TreatmentRequest, plan
from vqdoctor.treatment.aftercare import HITS, QUICKEST, RATE, STARVED, Aftercare, shortest_memory


@given(st.floats(1, 1e6), st.integers(1, 1 << 16))
def test_an_even_code_is_hit_often_enough_before_it_counts_as_starved(tokens: float, codes: int) -> None:
    decay = shortest_memory(tokens, codes)
    assert decay >= QUICKEST
    hits = tokens / codes / (1 - decay) if decay < 1 else math.inf
    assert hits >= HITS * (1 - 1e-9)
    assert chance_below(tokens / codes, decay, STARVED * tokens / codes) <= CHURN  # so that VQ302 does not object to it


def test_a_book_that_lost_a_few_codes_is_trained_on_as_it_was() -> None:
    source, quantizer, rows = one_sick(codes=32, live=28)
    assert plan(source, quantizer, rows, TreatmentRequest("reset-dead")).aftercare is None


@pytest.mark.parametrize("method", ["kmeans", "reset-dead", "split"])
def test_a_collapsed_book_is_trained_on_gently(method: str) -> None:
    source, quantizer, rows = one_sick(codes=64, live=2)
    assert plan(source, quantizer, rows, TreatmentRequest(method)).aftercare == Aftercare(RATE, 0.9, STARVED)


@pytest.mark.parametrize(
    ("tokens", "decay", "revival", "said"),
    [
        (1024.0, 0.9, "consistent", (None, STARVED)),  # it forgets as fast already
        (32.0, 0.99, "consistent", (0.9, STARVED)),
        (13.0, 0.999, "consistent", (0.9, STARVED)),
        (6.0, 0.99, "consistent", (0.954, STARVED)),  # a tenth of a token a code and step: a shorter memory would hold no hit
        (1.2, 0.99, "consistent", (None, STARVED)),
        (1024.0, 0.99, "undone", (0.9, None)),  # what the family replaces is put back by its sums
    ],
)
def test_the_memory_is_as_long_as_the_tokens_need(
    tokens: float, decay: float, revival: str, said: tuple[float | None, float | None]
) -> None:
    rows = mixture(6000, 6, 60)
    state = trainer_level(collapsed(rows, 64, 2), 2, tokens=tokens)
    source, quantizer = opened(state, told(decay=decay, revival=revival))
    care = plan(source, quantizer, rows, TreatmentRequest("kmeans")).aftercare
    assert care is not None
    assert (care.decay, care.replace_below) == said


def test_a_book_without_running_means_has_no_decay_to_set() -> None:
    rng = np.random.default_rng(0)
    book = rng.normal(size=(64, 8)).astype(np.float32)
    book[1:] += 50
    source = FakeSource({"quantize.embedding.weight": book})
    (quantizer,) = find_quantizers(source)
    rows = (book[0] + 0.5 * rng.normal(size=(20_000, 8))).astype(np.float32)
    care = plan(source, quantizer, rows, TreatmentRequest("kmeans")).aftercare
    assert care is not None
    assert care.decay is None
