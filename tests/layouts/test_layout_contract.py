"""One contract for every layout: on a checkpoint of its shapes it finds what is there, reads it right, and can write it back."""

from __future__ import annotations

import importlib
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from synthetic import Expected, FakeSource, Level, Specimen

from vqdoctor.layouts import LAYOUTS, codes, ema_counts, find_quantizers, flag, lookup, state_for
from vqdoctor.model import Codebook, Quantizer

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("specimens_*.py"))
SPECIMENS: list[Specimen] = [one for module in MODULES for one in importlib.import_module(module).SPECIMENS]
MOVABLE = [one for one in SPECIMENS if one.plain]


def _of(specimens: list[Specimen]):
    return pytest.mark.parametrize("specimen", specimens, ids=[one.id for one in specimens])


@_of(SPECIMENS)
def test_finds_exactly_what_is_there(specimen: Specimen) -> None:
    found = find_quantizers(specimen.source())
    told = [(q.name, q.layout, q.structure, q.metric, q.metric_basis, q.container, len(q.levels)) for q in found]
    wanted = [(e.name, e.layout, e.structure, e.metric, e.metric_basis, e.container, len(e.levels)) for e in specimen.expected]
    assert told == wanted
    for quantizer, expected in zip(found, specimen.expected, strict=True):
        assert quantizer.columns == expected.columns
        assert (quantizer.searchable is None) == expected.searchable, quantizer.searchable
        assert quantizer.evidence
        assert expected.width in (None, quantizer.width)
        for fact, value in expected.facts.items():
            assert attrgetter(fact)(quantizer) == value, fact


@_of(SPECIMENS)
def test_reads_the_effective_codes_and_counts(specimen: Specimen) -> None:
    source = specimen.source()
    for quantizer, expected in zip(find_quantizers(source), specimen.expected, strict=True):
        for i, (level, known) in enumerate(zip(quantizer.levels, expected.levels, strict=True)):
            assert level.index == i
            _check_level(source, quantizer, level, known)


def _check_level(source: FakeSource, quantizer: Quantizer, level: Codebook, known: Level) -> None:
    assert (level.codes, level.dim) == known.codes.shape
    assert level.shared_with == known.shared_with
    assert level.data_dependent == known.data_dependent
    read = codes(source, level, eps=_eps(quantizer))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, known.codes, rtol=1e-4, atol=1e-5)
    counts = ema_counts(source, level)
    assert (counts is None) == (known.counts is None)
    if known.counts is not None:
        np.testing.assert_array_equal(counts, known.counts)
        assert level.keys["ema_count"] == source.specs[level.ema_count.name].key
    assert flag(source, level) == known.flag


@_of(SPECIMENS)
def test_the_lookup_holds_the_codes_or_says_why_there_is_none(specimen: Specimen) -> None:
    source = specimen.source()
    for quantizer, expected in zip(find_quantizers(source), specimen.expected, strict=True):
        if not expected.searchable:
            assert quantizer.searchable.strip()
            continue
        arrays = lookup(source, quantizer)
        assert arrays.metric in ("l2", "cosine", "dot")
        assert len(arrays.stages) == len(expected.levels)
        for stage, known in zip(arrays.stages, expected.levels, strict=True):
            np.testing.assert_allclose(stage.codes, known.codes, rtol=1e-4, atol=1e-5)
            if stage.project_in is not None:
                assert stage.project_in.weight.shape[0] == stage.codes.shape[1]


@_of(SPECIMENS)
def test_writing_what_was_read_changes_nothing(specimen: Specimen) -> None:
    source = specimen.source()
    before = {name: array.copy() for name, array in source.arrays.items()}
    for quantizer, level in _writable(source):
        read = codes(source, level, eps=_eps(quantizer))
        _write(source, quantizer, level, np.arange(level.codes), read, _counts(source, level))
        if level.flag is not None:  # but that a book that was written is an initialised one
            assert flag(source, level) == 1
            before[level.flag.name] = source.arrays[level.flag.name]
    for name, array in source.arrays.items():
        np.testing.assert_allclose(array, before[name], rtol=2e-4, atol=2e-5, err_msg=name)


@_of(SPECIMENS)
def test_written_rows_are_read_back(specimen: Specimen) -> None:
    source = FakeSource(_copied(specimen), kind=specimen.kind, dtypes=specimen.dtypes)
    rng = np.random.default_rng(7)
    for quantizer, level in _writable(source):
        rows = np.array([level.codes - 1, 0])[: level.codes]
        new = rng.standard_normal((len(rows), level.dim), dtype=np.float32)
        if quantizer.metric == "cosine" and quantizer.ema is not None:
            new /= np.linalg.norm(new, axis=1, keepdims=True)
        before = codes(source, level, eps=_eps(quantizer))
        _write(source, quantizer, level, rows, new, np.full(len(rows), 3.0))
        after = codes(source, level, eps=_eps(quantizer))
        np.testing.assert_allclose(after[rows], new, rtol=1e-3, atol=1e-4)
        untouched = np.setdiff1d(np.arange(level.codes), rows)
        np.testing.assert_array_equal(after[untouched], before[untouched])
        if quantizer.ema is not None and quantizer.ema.counts in ("ema", "smoothed", "probability", "cumulative"):
            np.testing.assert_allclose(ema_counts(source, level)[rows], 3.0)


def _writable(source: FakeSource) -> list[tuple[Quantizer, Codebook]]:
    return [(q, one) for q in find_quantizers(source) for one in q.levels if one.shared_with is None and not one.data_dependent]


def _write(
    source: FakeSource, quantizer: Quantizer, level: Codebook, rows: np.ndarray, new: np.ndarray, counts: np.ndarray
) -> None:
    for write in state_for(source, quantizer, level, rows, new, counts):
        write.apply(source.arrays[write.where.name])


def _copied(specimen: Specimen) -> dict:
    """The specimen's tensors, copied once per storage so that sharing stays."""
    copies: dict[int, np.ndarray] = {}

    def copy(tree):
        return {k: copy(v) if isinstance(v, dict) else copies.setdefault(id(v), np.array(v)) for k, v in tree.items()}

    return copy(specimen.tensors)


def _eps(quantizer: Quantizer) -> float:
    return quantizer.ema.eps if quantizer.ema else 1e-5


def _counts(source: FakeSource, level: Codebook) -> np.ndarray:
    counts = ema_counts(source, level)
    return np.ones(level.codes) if counts is None or counts.shape != (level.codes,) else counts


@_of(MOVABLE)
def test_wrappers_change_nothing_but_the_name(specimen: Specimen) -> None:
    """DDP in front, torch.compile in the middle."""

    def wrap(key: str) -> str:
        head, dot, tail = key.partition(".")
        return f"module.{head}{dot}{'_orig_mod.' if dot else ''}{tail}"

    def wrapped(tree):
        return {(k if isinstance(v, dict) else wrap(k)): wrapped(v) if isinstance(v, dict) else v for k, v in tree.items()}

    dtypes = {wrap(name): dtype for name, dtype in specimen.dtypes.items()}
    found = find_quantizers(FakeSource(wrapped(specimen.tensors), kind=specimen.kind, dtypes=dtypes))
    _same_but_for_place(found, specimen.expected)
    assert all(q.name.startswith("module") for q in found)


@_of(MOVABLE)
def test_nesting_changes_nothing_but_the_container(specimen: Specimen) -> None:
    source = FakeSource(
        {"state": {"model": specimen.tensors}},
        kind=specimen.kind,
        dtypes={f"state.model.{name}": dtype for name, dtype in specimen.dtypes.items()},
    )
    found = find_quantizers(source)
    _same_but_for_place(found, specimen.expected)
    assert [q.name for q in found] == [e.name for e in specimen.expected]
    assert all(q.container.startswith("state.model") for q in found)


def _same_but_for_place(found: list[Quantizer], expected: tuple[Expected, ...]) -> None:
    told = [(q.layout, q.structure, q.metric, [(one.codes, one.dim) for one in q.levels]) for q in found]
    assert told == [(e.layout, e.structure, e.metric, [one.codes.shape for one in e.levels]) for e in expected]


def test_every_layout_has_a_specimen() -> None:
    shown = {expected.layout for one in SPECIMENS for expected in one.expected}
    assert {layout.name for layout in LAYOUTS} - shown == set()


def test_layout_names_are_unique_and_each_says_what_it_is_about() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    assert all(layout.about.strip() for layout in LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: one.name)
def test_odd_shapes_and_types_are_no_match_but_never_an_error(layout) -> None:
    """Every specimen's keys with each tensor made a scalar, emptied, of integers, and with one axis more."""
    changes = (
        lambda a: np.zeros((), np.float32),
        lambda a: np.zeros((0, *a.shape[1:]), np.float32),
        lambda a: np.zeros(a.shape, np.int64),
        lambda a: np.zeros((1, *a.shape, 1), np.float32),
        lambda a: np.full(a.shape, np.nan, np.float32),
    )

    def changed(tree, change):
        return {k: changed(v, change) if isinstance(v, dict) else change(np.asarray(v)) for k, v in tree.items()}

    for specimen in SPECIMENS:
        for change in changes:
            source = FakeSource(changed(specimen.tensors, change), kind=specimen.kind)
            for quantizer in find_quantizers(source, layouts=(layout,)):
                for level in quantizer.levels:
                    assert level.codes > 0 and level.dim > 0


def test_sharing_survives_the_copy_used_here() -> None:
    book = np.ones((2, 2), np.float32)
    copied = _copied(Specimen("x", (), {"a": book, "b": {"c": book}}, ()))
    assert copied["a"] is copied["b"]["c"] and copied["a"] is not book
