"""What `import vqdoctor` offers: one list in three places that agree, each name documented and typed, nothing loaded early."""

from __future__ import annotations

import ast
import inspect
import typing
from pathlib import Path

import numpy as np
import pytest

import vqdoctor

SOURCE = Path(vqdoctor.__file__)


def declared_to_type_checkers():
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_the_list_is_complete():
    assert set(vqdoctor.__all__) == set(vqdoctor._HOMES) == declared_to_type_checkers()
    assert set(vqdoctor.__all__) <= set(dir(vqdoctor))
    assert (SOURCE.parent / "py.typed").exists()


@pytest.mark.parametrize("name", vqdoctor.__all__)
def test_a_public_function_is_typed_and_documented(name):
    found = getattr(vqdoctor, name)
    assert len(found.__doc__) > 40
    if inspect.isfunction(found):
        assert set(typing.get_type_hints(found)) == {*inspect.signature(found).parameters, "return"}


@pytest.mark.parametrize("name", ["to_frame", "_repr_html_", "__rich__", "__repr__"])
def test_a_report_shows_itself(name):
    assert getattr(vqdoctor.Report, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'inspekt'"):
        _ = vqdoctor.inspekt


@pytest.mark.parametrize("features", [{"a": 1}.items(), b"abc", [[1.0], [1.0, 2.0]], object(), [["x"]]])
def test_features_that_are_neither_a_file_nor_rows_are_refused(features, ema_checkpoint):
    with pytest.raises(vqdoctor.VqdoctorError, match="name of a file, or rows of numbers"):
        vqdoctor.inspect(str(ema_checkpoint), features=features)


def test_rows_may_be_lists(ema_checkpoint, book):
    report = vqdoctor.inspect(ema_checkpoint, features=book.tolist())
    assert report.quantizers[0].levels[0].metrics["usage.used"] == len(book)


def test_an_unknown_lookup_is_refused_with_those_that_there_are(ema_checkpoint):
    with pytest.raises(vqdoctor.VqdoctorError, match="l2, cosine, dot"):
        vqdoctor.inspect(str(ema_checkpoint), metric="foo")


def test_what_a_prompt_echoes_fits_on_it(ema_checkpoint, book, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    assert len(repr(vqdoctor.watch_once(str(tmp_path / "log.jsonl")))) < 600
    assert len(repr(vqdoctor.repair(str(ema_checkpoint), np.random.default_rng(0).normal(size=(2000, 16)), method="kmeans"))) < 1000
