"""A few hundred mutations of every parser's inputs in each run of the tests; `make fuzz` tries millions."""

from __future__ import annotations

import pytest
from fuzz_parsers import LOGS, PARSERS, log_name, survives
from fuzz_whole import COMMANDS
from hypothesis import given, settings
from hypothesis import strategies as st

MOST = 1 << 13
FUZZED = PARSERS | COMMANDS


@st.composite
def mutations(draw: st.DrawFn, parser):
    """A seed, with pieces cut, doubled, flipped, or replaced by words and chance."""
    data = draw(st.sampled_from(parser.seeds))[:MOST]
    pieces = st.one_of(st.binary(max_size=8), st.sampled_from(parser.words or (b"",)), st.sampled_from(parser.seeds))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 64)))
        data = data[:start] + draw(pieces) + data[draw(st.sampled_from((start, stop))) :]
    return data[: draw(st.integers(0, 2 * MOST))]


@pytest.mark.parametrize("name", FUZZED)
def test_only_our_own_errors(name):
    parser = FUZZED[name]

    @settings(max_examples=80, deadline=None, database=None)
    @given(mutations(parser))
    def check(data):
        survives(parser, data)

    check()


def test_seeds_are_read():
    """What cannot be read at all leads nowhere."""
    for parser in FUZZED.values():
        read = 0
        for seed in parser.seeds:
            try:
                parser.parse(seed)
                read += 1
            except Exception:
                continue
        assert read, parser.name


def test_every_log_format_has_its_parser():
    assert {f"log-{log_name(name)}" for name in LOGS} <= set(PARSERS)
