"""What `import vqdoctor` offers: one list in three places that agree, each name documented and typed, nothing loaded early."""

from __future__ import annotations

import ast
import inspect
import typing
from pathlib import Path

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
