"""Files whose names are made to cost: looking for quantisers takes room and time with the length of the names, not its square."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from synthetic import FakeSource

from vqdoctor.errors import LimitExceeded
from vqdoctor.layouts import find_quantizers
from vqdoctor.layouts.state import DEEPEST, state_dicts
from vqdoctor.layouts.twins import MOST_BOOKS

BOOK = np.ones((4, 2), np.float32)


def test_keys_of_very_many_parts_are_no_modules():
    source = FakeSource({f"{i}" + ".a" * 500 + ".codebook": BOOK for i in range(200)} | {"vq.codebook": BOOK * 2})
    tracemalloc.start()
    try:
        found = find_quantizers(source)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert [one.levels[0].key for one in found] == ["vq.codebook"]


def test_the_deepest_key_that_is_looked_at():
    for parts, seen in ((DEEPEST, True), (DEEPEST + 1, False)):
        assert any(state_dicts(FakeSource({"a." * parts + "codebook": BOOK}))) is seen


def test_more_codebooks_than_any_model_has_are_refused():
    names = [f"q{i}.codebook" for i in range(MOST_BOOKS + 1)]
    books = {name: np.full((2, 2), i, np.float32) for i, name in enumerate(names)}
    with pytest.raises(LimitExceeded, match="more than 2,048 codebooks"):
        find_quantizers(FakeSource(books))


def test_each_of_many_books_is_compared_by_what_is_known_of_it_already(monkeypatch):
    import vqdoctor.layouts.twins as twins

    asked = []
    monkeypatch.setattr(twins, "unwrapped", lambda key: asked.append(key) or key)
    twins._marked.cache_clear()
    books = {f"module{i}.codebook": np.full((2, 2), i, np.float32) for i in range(200)}
    assert len(find_quantizers(FakeSource(books))) == 200
    assert len(asked) < 10 * len(books)
