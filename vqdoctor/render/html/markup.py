"""The only way in which a tag comes to be: `el` escapes every word it is given, so nothing that a file says can become markup.

A child or attribute is text unless it is a `Markup`, and only `el`, `join` and `raw` make one. `raw` is for our own style sheet and
script, which stand in the package and are named in the page's content security policy by their hash.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from vqdoctor.errors import printable
from vqdoctor.render.screen import GAP, LONGEST, SPACE

_OURS = {GAP, SPACE, "\n"}  # what our own figures hold beside printable characters
_VOID = {"meta", "input", "br"}
_HARMLESS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def say(words: object) -> str:
    """What a file has worded, on one line, control characters as escapes; `el` still escapes it for HTML."""
    return printable(words, LONGEST)


def escape(words: object) -> Markup:
    """`words` as text between tags or within a quoted attribute; no control character is left."""
    if isinstance(words, Markup):
        return words
    shown = str(words)
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() or c in _OURS else ascii(c)[1:-1] for c in shown)
    return Markup(html.escape(shown, quote=True))


def raw(text: str) -> Markup:
    """Our own `text`, as it is."""
    return Markup(text)


def join(parts: Iterable[object], between: str = "") -> Markup:
    """`parts` one after the other, each escaped; empty ones are left out."""
    return Markup(escape(between).join(escape(part) for part in parts if part not in ("", None)))


def el(name: str, /, *children: object, **attributes: Any) -> Markup:
    """An element. `class_` is spelled ``class``, ``data_v`` ``data-v``; None and False leave it out, True writes it bare."""
    told = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    start = f"<{name}{told}>"
    return Markup(start if name in _VOID and not children else f"{start}{join(children)}</{name}>")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{str(escape(value)).replace(chr(10), "&#10;")}"'


def data(value: Any) -> Markup:
    """`value` as JSON within a script element: no ``</script>``, comment or entity can come of a name."""
    return Markup(json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_HARMLESS))
