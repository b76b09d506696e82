"""JSON read a stretch at a time says what the whole file says, in whatever form it is written; memory is that of a stretch."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.errors import CorruptInput, InputError, LimitExceeded, SampleError
from vqdoctor.samples import json_stretches, read_ids, tokens

CODES = [[row % 7, row % 5, row % 3, row] for row in range(300)]
NASTY = 'a, b], "c"}, [{\\'
FORMS = {
    "tokens": {str(row): [f"<a_{code[0]}>", f"<b_{code[3]}>"] for row, code in enumerate(CODES)},
    "numbers": {str(row): code for row, code in enumerate(CODES)},
    "strings": {f"{NASTY}{row}": "-".join(map(str, code)) for row, code in enumerate(CODES)},
    "lists": CODES,
    "joined": ["".join(f"<a_{one}>" for one in code) for code in CODES],
    "records": [{"item_id": f"i{row}", "codes": code, "title": NASTY, "more": {"x": [1, {}]}} for row, code in enumerate(CODES)],
    "under a key": {"levels": 4, "of": "x", "items": {str(row): code for row, code in enumerate(CODES)}, "after": [1, [2]]},
    "a list under a key": {"semantic_ids": CODES, "names": [NASTY] * 50},
    "behind something else": {"about": {"levels": [4, 4]}, "items": CODES},
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=6, deadline=None)
@given(stretch=st.integers(200, 5000), indent=st.sampled_from([None, 0, 3]))
def test_the_same_items_as_from_the_whole(form, stretch, indent, tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / "x.json"
    path.write_text(json.dumps(FORMS[form], indent=indent))
    whole = read_ids(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stretches, "STRETCH", stretch)
        found = read_ids(path)
    assert np.array_equal(found.codes, whole.codes) and found.dialect == whole.dialect and found.letters == whole.letters
    assert [found.name(row) for row in range(300)] == [whole.name(row) for row in range(300)]


def outcome(path):
    try:
        return read_ids(path, suffix=False).codes.tolist()
    except (InputError, SampleError) as error:
        return type(error)


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(sorted(FORMS)),
    at=st.integers(0, 5000),
    byte=st.sampled_from(['"', "[", "]", "{", "}", ",", "\\", "0", "\0", ""]),
    stretch=st.integers(150, 900),
)
def test_damage_means_what_it_means_to_the_whole(form, at, byte, stretch, tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / "x.json"
    text = json.dumps(dict(list(FORMS[form].items())[:60]) if isinstance(FORMS[form], dict) else FORMS[form][:60])
    at %= len(text)
    path.write_text(text[:at] + byte + text[at + 1 :])
    whole = outcome(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stretches, "STRETCH", stretch)
        found = outcome(path)
    assert found == whole or (isinstance(found, type) and issubclass(found, SampleError) and isinstance(whole, list))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(json_stretches, "STRETCH", 400)


@pytest.mark.parametrize("cut", [0, 1, 700, 2500])
def test_a_file_that_is_cut_off_is_no_json(small, tmp_path, cut):
    text = json.dumps(FORMS["tokens"])
    (tmp_path / "x.json").write_text(text[: len(text) - 1 - cut])
    with pytest.raises(CorruptInput, match=r"is no JSON: .* after \d+ bytes"):
        read_ids(tmp_path / "x.json")


def test_a_broken_place_is_told(small, tmp_path):
    text = json.dumps(FORMS["tokens"])
    at = text.index('"200"')
    (tmp_path / "x.json").write_text(text[:at] + "?" + text[at + 1 :])
    with pytest.raises(CorruptInput, match=f"after {at} bytes"):
        read_ids(tmp_path / "x.json")


def test_an_item_that_comes_again_much_later_is_told(small, tmp_path):
    text = json.dumps(FORMS["tokens"])
    (tmp_path / "x.json").write_text(text[:-1] + ', "3": ["<a_1>", "<b_1>"], "5": ["<a_1>", "<b_2>"]}')
    with pytest.raises(SampleError, match="names 2 of its 302 items again"):
        read_ids(tmp_path / "x.json")


def test_two_lists_of_items_are_not_chosen_between(small, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"items": CODES, "semantic_ids": CODES[:3]}))
    with pytest.raises(SampleError, match="holds items under items and semantic_ids"):
        read_ids(tmp_path / "x.json")


def test_what_cannot_be_cut_is_read_whole_up_to_a_limit(small, tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text(json.dumps(FORMS["behind something else"]))
    monkeypatch.setattr(json_stretches, "LARGEST_WHOLE", 1000)
    with pytest.raises(LimitExceeded, match="not item after item"):
        read_ids(tmp_path / "x.json")


def test_memory_is_that_of_a_stretch(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stretches, "STRETCH", 1 << 16)
    monkeypatch.setattr(tokens, "_CHUNK", 1 << 10)

    def peak(n):
        (tmp_path / "x.json").write_text(json.dumps({str(row): [f"<a_{row % 7}>", f"<b_{row % 256}>"] for row in range(n)}))
        tracemalloc.start()
        try:
            assert read_ids(tmp_path / "x.json", suffix=False).n == n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1000)
    few, many = peak(6000), peak(36_000)
    assert few > 1 << 20
    assert many < 1.2 * few + (2 << 20)  # names and numbers: beyond some more they go to files
