"""Semantic-ID files in every dialect, what is decided about them, and what is refused."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vqdoctor.errors import CorruptInput, InputError, SampleError
from vqdoctor.samples import SemanticIds, read_ids, sniff_ids

DATA = Path(__file__).parents[1] / "data"
CODES = [[0, 12, 3], [1, 0, 3], [0, 12, 3], [7, 5, 255]]


def tokens(codes: list[int], base: int = 0) -> list[str]:
    return [f"<{letter}_{code + base}>" for letter, code in zip("abcdef", codes, strict=False)]


def written(folder: Path, data: Any, name: str = "ids.json") -> SemanticIds:
    (folder / name).write_text(data if isinstance(data, str) else json.dumps(data))
    return read_ids(folder / name)


DIALECTS = {
    "tokens.index.json": json.dumps({str(i): tokens(c) for i, c in enumerate(CODES)}),
    "pretty.json": json.dumps({str(i): tokens(c) for i, c in enumerate(CODES)}, indent=4),
    "lists.json": json.dumps(CODES),
    "token_lists.json": json.dumps([tokens(c) for c in CODES]),
    "ints.json": json.dumps({str(i): c for i, c in enumerate(CODES)}),
    "dashes.json": json.dumps({str(i): "-".join(map(str, c)) for i, c in enumerate(CODES)}),
    "joined.json": json.dumps({str(i): "".join(tokens(c)) for i, c in enumerate(CODES)}),
    "items.json": json.dumps({"levels": 3, "items": {str(i): c for i, c in enumerate(CODES)}}),
    "item_list.json": json.dumps({"items": CODES}),
    "semantic_ids.json": json.dumps({"semantic_ids": {str(i): c for i, c in enumerate(CODES)}}),
    "framed.json": json.dumps({str(i): f"<|sid_begin|>{''.join(tokens(c))}<|sid_end|>" for i, c in enumerate(CODES)}),
    "framed.tsv": "pid\tsid\n" + "".join(f"{i}\t<|sid_begin|>{''.join(tokens(c))}<|sid_end|>\n" for i, c in enumerate(CODES)),
    "records.json": json.dumps([{"item_id": i, "codes": c} for i, c in enumerate(CODES)]),
    "tokens.jsonl": "".join(json.dumps(tokens(c)) + "\n" for c in CODES),
    "lists.jsonl": "\n".join(map(json.dumps, CODES)),
    "records.jsonl": "".join(json.dumps({"item": f"i{i}", "title": "a {b}", "codes": c}) + "\n" for i, c in enumerate(CODES)),
    "joined.jsonl": "".join(json.dumps({"sid": "".join(tokens(c)), "price": 1.5}) + "\n" for c in CODES),
    "pairs.jsonl": "".join(json.dumps({f"i{i}": tokens(c)}) + "\n" for i, c in enumerate(CODES)),
    "codes.json": json.dumps({"levels": 3, "codes": CODES}),
    "named.json": json.dumps({"item2sid": {f"i{i}": c for i, c in enumerate(CODES)}}),
    "marked.json": "\ufeff" + json.dumps({str(i): tokens(c) for i, c in enumerate(CODES)}),
    "described.json": json.dumps([{"title": "{}", "of": ["x", 1], "item_id": i, "sid": c} for i, c in enumerate(CODES)]),
    "inner.json": json.dumps({f"i{i}": {"title": "t", "codes": c} for i, c in enumerate(CODES)}),
    "spelled.json": json.dumps({f"i{i}": str(c) for i, c in enumerate(CODES)}),
    "digits.json": json.dumps({f"i{i}": list(map(str, c)) for i, c in enumerate(CODES)}),
    "level_fields.json": json.dumps([{"item": i + 7, "c0": a, "c1": b, "c2": c} for i, (a, b, c) in enumerate(CODES)]),
    "level_fields.jsonl": "".join(
        json.dumps({"item": i + 7, "c0": a, "c1": b, "c2": c, "c3": None}) + "\n" for i, (a, b, c) in enumerate(CODES)
    ),
    "lettered.json": json.dumps({f"i{i}": [f"{m}{c}" for m, c in zip("abc", code, strict=True)] for i, code in enumerate(CODES)}),
    "lettered.jsonl": "".join(json.dumps([f"{m}{c}" for m, c in zip("abc", code, strict=True)]) + "\n" for code in CODES),
    "whole.json": json.dumps({"item2sid": {f"i{i}": list(map(float, c)) for i, c in enumerate(CODES)}}),
    "whole.jsonl": "".join(json.dumps({"item": i, "sid": list(map(float, c))}) + "\n" for i, c in enumerate(CODES)),
    "columns.csv": "item,c0,c1,c2\n" + "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(CODES)),
    "bare.csv": "".join(f"{a},{b},{c}\n" for a, b, c in CODES),
    "numbered.csv": "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(CODES)),
    "joined.tsv": "".join(f"{''.join(tokens(c))}\ta title, with comma\t{i}\n" for i, c in enumerate(CODES)),
    "dashes.csv": "asin,sid\n" + "".join(f"B{i},{'-'.join(map(str, c))}\n" for i, c in enumerate(CODES)),
    "quoted.csv": "item_id,semantic_id\n" + "".join(f'{i},"[{", ".join(map(str, c))}]"\n' for i, c in enumerate(CODES)),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_says_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(DIALECTS[name])
    ids = read_ids(tmp_path / name)
    np.testing.assert_array_equal(ids.codes, CODES)
    assert (ids.base, ids.base_basis, ids.suffix, ids.ragged) == (0, "code 0 occurs", None, False)
    assert sniff_ids(tmp_path / name) == ("json" if ".json" in name else "csv")


def test_arrays_and_tables(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    np.save(tmp_path / "codes.npy", np.array(CODES, np.int32))
    np.testing.assert_array_equal(read_ids(tmp_path / "codes.npy").codes, CODES)
    assert sniff_ids(tmp_path / "codes.npy") == "npy"
    np.save(tmp_path / "book.npy", np.zeros((8, 4), np.float32))
    assert sniff_ids(tmp_path / "book.npy") is None
    for table in (
        {"pid": ["x", "y", "z", "w"], "codes": CODES},
        {"pid": ["x", "y", "z", "w"], **{f"level_{level}": [code[level] for code in CODES] for level in range(3)}},
    ):
        parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet", row_group_size=2)
        ids = read_ids(tmp_path / "t.parquet")
        np.testing.assert_array_equal(ids.codes, CODES)
        assert ids.name(2) == "z"
    assert sniff_ids(tmp_path / "t.parquet") == "parquet"


def test_names_and_letters_are_kept(tmp_path: Path) -> None:
    ids = written(tmp_path, {"B00X": tokens([1, 0]), "B00Y": tokens([0, 1])})
    assert (ids.name(1), ids.letters) == ("B00Y", ("a", "b"))
    assert written(tmp_path, CODES).name(3) == "3"


def test_lines_name_their_items_or_number_them(tmp_path: Path) -> None:
    assert written(tmp_path, DIALECTS["records.jsonl"]).name(2) == "i2"
    assert written(tmp_path, DIALECTS["pairs.jsonl"]).name(2) == "i2"
    assert written(tmp_path, DIALECTS["lists.jsonl"]).name(2) == "2"


def test_a_column_with_gaps_is_written_as_floats(tmp_path: Path) -> None:
    """As pandas does: the de-duplication token of colliding items only."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"item": list("wxyz"), **{f"c{level}": [code[level] for code in CODES] for level in range(3)}})
    table["c3"] = [0, None, 1, None]
    table.to_csv(tmp_path / "t.csv")
    table.to_parquet(tmp_path / "floats.parquet")
    table.astype({"c3": "Int64"}).to_parquet(tmp_path / "gaps.parquet")
    for name in ("t.csv", "floats.parquet", "gaps.parquet"):
        ids = read_ids(tmp_path / name)
        np.testing.assert_array_equal(ids.codes, CODES)
        assert ids.suffix is not None and ids.suffix.tolist() == [0, -1, 1, -1]


@pytest.mark.parametrize(
    ("first", "named"), [(lambda i: 500 + 3 * i, True), (lambda i: 7**i % 10**9 + 10**6, True), (lambda i: i % 7, False)]
)
def test_a_first_column_of_item_numbers_is_no_level(tmp_path: Path, first: Any, named: bool) -> None:
    rows = np.random.default_rng(0).integers(0, 16, (40, 3))
    (tmp_path / "t.csv").write_text("".join(",".join(map(str, [first(i), *row])) + "\n" for i, row in enumerate(rows.tolist())))
    assert read_ids(tmp_path / "t.csv").table.width == 3 + (not named)


def test_tokens_in_square_brackets(tmp_path: Path) -> None:
    assert written(tmp_path, [["[a_0]", "[b_1]"], ["[a_3]", "[b_0]"]]).codes.tolist() == [[0, 1], [3, 0]]


def test_a_constrained_writers_file_is_one_based_and_ragged(tmp_path: Path) -> None:
    """1-based, an extra <d_k> on colliding items only."""
    ids = written(
        tmp_path, {"0": [*tokens([4, 9, 2], 1), "<d_1>"], "1": tokens([8, 9, 3], 1), "2": [*tokens([4, 9, 2], 1), "<d_2>"]}
    )
    np.testing.assert_array_equal(ids.codes, [[4, 9, 2], [8, 9, 3], [4, 9, 2]])
    assert (ids.base, ids.ragged, ids.suffix.tolist()) == (1, True, [1, -1, 2])
    assert "only items that share" in ids.suffix_basis


@pytest.mark.parametrize("first", [0, 1])
def test_a_suffix_on_every_item_is_recognised(tmp_path: Path, first: int) -> None:
    ids = written(tmp_path, {"items": {"a": [3, 0, first], "b": [3, 0, first + 1], "c": [1, 2, first], "d": [3, 0, first + 2]}})
    np.testing.assert_array_equal(ids.codes, [[3, 0], [3, 0], [1, 2], [3, 0]])
    assert ids.suffix.tolist() == [first, first + 1, first, first + 2]
    assert f"from {first}" in ids.suffix_basis


def test_a_constant_last_column_is_a_collapsed_level(tmp_path: Path) -> None:
    ids = written(tmp_path, [[0, 1, 0], [1, 1, 0], [2, 0, 0]])
    assert ids.codes.shape == (3, 3)
    assert "collapsed level" in ids.suffix_basis


def test_the_users_word_on_the_suffix_counts(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([[0, 0], [0, 1], [1, 0]]))
    assert read_ids(tmp_path / "a.json").suffix is not None
    kept = read_ids(tmp_path / "a.json", suffix=False)
    assert (kept.codes.shape, kept.suffix, kept.suffix_basis) == ((3, 2), None, "as told by --suffix")
    assert read_ids(tmp_path / "a.json", suffix=True).codes.shape == (3, 1)
    (tmp_path / "r.json").write_text(json.dumps([[0, 0], [0, 0, 1]]))
    with pytest.raises(SampleError, match=r"r\.json: 1 IDs have 2 tokens and 1 have 3: the last token cannot be a level"):
        read_ids(tmp_path / "r.json", suffix=False)


def test_the_base_is_decided_over_all_levels_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, 256, 500), rng.integers(1, 3, 500), rng.integers(0, 256, 500)], axis=1)
    codes[0, 0] = 0
    assert written(tmp_path, codes.tolist()).base == 0  # level 1 never holds 0, by chance or collapse
    one = written(tmp_path, (codes + 1).tolist())
    assert one.base == 1
    np.testing.assert_array_equal(one.codes, codes)
    few = written(tmp_path, [[17, 200], [45, 9]])
    assert (few.base, few.codes.tolist()) == (0, [[17, 200], [45, 9]])
    assert "too few to tell" in few.base_basis
    (tmp_path / "s.json").write_text(json.dumps([[17, 256], [45, 9]]))
    assert read_ids(tmp_path / "s.json", sizes=(256, 256)).base == 1


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("deduplicated", [False, True])
def test_levels_that_share_one_vocabulary_are_told_apart(tmp_path: Path, base: int, sized: bool, deduplicated: bool) -> None:
    codes = np.random.default_rng(0).integers(0, 48, (500, 3))
    codes[1] = codes[0]
    rows = codes + base + np.array([0, 64, 128])
    if deduplicated:
        ranks: Counter[tuple[int, ...]] = Counter()
        last = []
        for row in codes.tolist():
            last.append(ranks[tuple(row)])
            ranks[tuple(row)] += 1
        rows = np.column_stack([rows, np.array(last) + base + 192])
    np.save(tmp_path / "ids.npy", rows)
    ids = read_ids(tmp_path / "ids.npy", sizes=(64, 64, 64) if sized else None)
    np.testing.assert_array_equal(ids.codes, codes)
    assert (ids.base, ids.offsets, ids.suffix is not None) == (base, (0, 64, 128), deduplicated)
    assert ids.offsets_basis


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 5, 20], [2, 6, 21]],  # too few to tell
        [[0, 1, 2], [1, 2, 3]] * 50,  # levels that share numbers
        [[value] for value in range(50)],
    ],
)
def test_plain_codes_are_left_as_they_are(tmp_path: Path, rows: list[list[int]]) -> None:
    np.save(tmp_path / "ids.npy", np.array(rows))
    assert read_ids(tmp_path / "ids.npy").offsets == ()


def test_sizes_of_several_kinds_are_taken_away_one_after_the_other(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([[3, 10, 70], [9, 73, 11 + 63], [0, 12, 74]]))
    assert read_ids(tmp_path / "ids.npy", sizes=(10, 64, 8)).offsets == ()  # 70 lies under 74, where the third would begin
    np.save(tmp_path / "ids.npy", np.array([[3, 10, 75], [9, 73, 81], [0, 12, 74]]))
    ids = read_ids(tmp_path / "ids.npy", sizes=(10, 64, 8))
    assert ids.offsets == (0, 10, 74)
    np.testing.assert_array_equal(ids.codes, [[3, 0, 1], [9, 63, 7], [0, 2, 0]])


@pytest.mark.parametrize(
    ("added", "basis"),
    [
        ((151_670, 151_686, 151_718), "where those of the levels before end, from 151670 on"),
        ((151_670, 151_926, 152_182), "begin at 256·l, from 151670 on"),
        ((1000, 2000, 3000), "begin at 1000·l"),
        ((3, 3, 3), "all levels count alike, from 3 on"),  # pad, begin and end come first
        ((500, 1337, 9999), "numbers of its own"),
    ],
)
def test_numbers_of_a_larger_vocabulary_are_told_with_the_sizes(tmp_path: Path, added: tuple[int, ...], basis: str) -> None:
    sizes = (16, 32, 8)
    codes = np.random.default_rng(0).integers(0, sizes, (600, 3))
    codes[0] = 0
    np.save(tmp_path / "ids.npy", codes + np.array(added))
    ids = read_ids(tmp_path / "ids.npy", sizes=sizes)
    np.testing.assert_array_equal(ids.codes, codes)
    assert basis in ids.offsets_basis and ids.base == 0


def test_codes_beyond_wrong_sizes_are_no_offsets(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).integers(0, 32, (600, 3)))
    assert read_ids(tmp_path / "ids.npy", sizes=(8, 8, 8)).offsets == ()


def test_two_lettered_tokens_are_an_id_where_their_name_says_so(tmp_path: Path) -> None:
    ids = written(tmp_path, {"semantic_ids": {"x": ["a1", "b0"], "y": ["a0", "b2"]}})
    assert sniff_ids(tmp_path / "ids.json") == "json"
    assert (ids.codes.tolist(), ids.letters) == ([[1, 0], [0, 2]], ("a", "b"))


def test_a_map_from_ids_to_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="Turn it round"):
        written(tmp_path, {"<a_1><b_2>": "0", "<a_3><b_2>": "1"})


def test_a_real_file_counts_as_a_few_plain_lines_count_it() -> None:
    path = DATA / "minionerec_industrial_part.index.json"
    plain = Counter(map(tuple, json.loads(path.read_text()).values()))
    ids = read_ids(path)
    ours = Counter(map(tuple, ids.codes.tolist()))
    assert Counter({tuple(tokens(list(code))): count for code, count in ours.items()}) == plain
    assert sum(plain.values()) - len(plain) == 16
    assert (ids.base, ids.suffix, ids.letters) == (0, None, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", CorruptInput, "is no JSON"),
        ("{", CorruptInput, "is no JSON"),
        ("[" * 5000, CorruptInput, "is no JSON"),
        ("{}", SampleError, "holds no semantic IDs"),
        ("[]", SampleError, "holds no semantic IDs"),
        ("3", SampleError, "holds no semantic IDs"),
        ('{"items": []}', SampleError, "holds no semantic IDs under"),
        ('{"a": [1, 2], "b": [1, "x"]}', SampleError, r"item b has no ID but \[1, 'x'\]"),
        ('{"a": [1, 2], "b": null}', SampleError, "item b has no ID but None"),
        ('{"a": [1, 2], "b": [-1, 2]}', SampleError, "item b has no ID"),
        ('{"a": [1, 2], "b": [1.5, 2]}', SampleError, "item b has no ID"),
        ('{"a": [1, 2], "b": [[1], 2]}', SampleError, "item b has no ID"),
        ('{"a": [1, 2], "b": []}', SampleError, "item b has an empty ID"),
        ('{"a": [1, 2], "b": [1, 2, 3, 4]}', SampleError, "item a has 2 tokens, item b has 4"),
        ('{"a": ["<a_1>", "<b_2>"], "b": ["<b_1>", "<a_2>"]}', SampleError, 'item b has a "b" token in place 1, item a a "a" one'),
        ('{"<a_1><b_2>": ["x"]}', SampleError, "maps IDs to items"),
        ('{"a": [0, 0], "b": [1, 0, 5], "c": [0, 1]}', SampleError, "item b has the extra token though no other item"),
        ("[1, 2]\n[1, 3\n", CorruptInput, "line 2 is no JSON"),
        ('[1, 2]\n[1, "x"]\n', SampleError, r"line 2 has no ID but \[1, 'x'\]"),
        ('{"\\u001b[2Ja": [1, null]}', SampleError, r"item \\x1b\[2Ja"),
    ],
)
def test_bad_files_name_the_item_and_what_to_do(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        written(tmp_path, text)
    assert "ids.json" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("e.csv", "", "holds no lines"),
        ("t.csv", "title,price\nfoo,1.5\nbar,2.5\n", "no column holds semantic IDs"),
        ("r.csv", "c0,c1,c2\n0,1,2\n0,1,x\n", r"line 3 has no ID but .*x"),
        ("n.npy", np.array([[0, 1], [-1, 2]]), "row 1 holds a negative code"),
        ("w.npy", np.zeros((3, 500), int), "500 columns"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, text: Any, words: str) -> None:
    if isinstance(text, str):
        (tmp_path / name).write_text(text)
    else:
        np.save(tmp_path / name, text)
    with pytest.raises(SampleError, match=words):
        read_ids(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        '{"loss": [0.5, 0.25]}',
        '[{"epoch": 1, "loss": 0.5}]',
        '{"weight_map": {"a": "b"}}',
        '{"a": 1}',
        "[0.1, 0.2]",
        '{"model": "<a_1>"',
        "hello",
        '{"0": [3.0, 12.0, 7.0], "1": [0.0, 5.0, 1.0]}',  # as likely features
        "[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]",
        '{"items": [[3.0, 12.0, 7.0]]}',
        '{"codes": [[0.5, 12.0], [1.0, 2.0]]}',
        '{"codes": [3.0, 4.0]}',
        '{"a": ["a1", "b2"]}',  # as likely squares of a board
        '{"a": ["v1", "v2", "v3"]}',
        '{"a": ["a1", "a2", "a3"]}',
        '{"a": ["A1", "B1", "C1"]}',
        '{"a": ["a1", "b2", "c3x"]}',
        '{"codes": [["h264", "mp4"]]}',
        '[{"step": 1, "tokens": [4096.0, 8192.0]}]',
    ],
)
def test_other_json_is_not_taken_for_ids(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert sniff_ids(tmp_path / "x.json") is None


@pytest.mark.parametrize(
    "line",
    ['{"step": 1, "layer0": 3, "layer1": 4}', '{"loss": 1}', '{"tokens": 4096, "step": 2}', "[0.5, 1]", "[true, false]", "[]"],
)
def test_lines_of_a_log_are_not_taken_for_ids(tmp_path: Path, line: str) -> None:
    (tmp_path / "log.jsonl").write_text(f"{line}\n{line}\n")
    assert sniff_ids(tmp_path / "log.jsonl") is None


def test_logs_are_not_taken_for_ids(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss\n0,10,0.5\n1,20,0.25\n")
    assert sniff_ids(tmp_path / "metrics.csv") is None
    assert sniff_ids(tmp_path / "none.json") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_escapes_as_another_error(tmp_path: Path, data: Any) -> None:
    (tmp_path / "x.json").write_text(json.dumps(data))
    sniff_ids(tmp_path / "x.json")
    try:
        read_ids(tmp_path / "x.json")
    except (InputError, SampleError) as error:
        assert "\n" not in str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_no_table_escapes_as_another_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode("utf-16" if len(text) % 7 == 0 else "utf-8", "surrogatepass"))
    sniff_ids(tmp_path / "x.csv")
    try:
        read_ids(tmp_path / "x.csv")
    except (InputError, SampleError) as error:
        assert "\n" not in str(error)


def test_a_large_catalogue_is_read_quickly(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (100_000, 3)).tolist()
    (tmp_path / "x.json").write_text(json.dumps({str(row): tokens(code) for row, code in enumerate(codes)}))
    begin = time.process_time()
    ids = read_ids(tmp_path / "x.json")
    assert time.process_time() - begin < 3
    np.testing.assert_array_equal(ids.codes, codes)
