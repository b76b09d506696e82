"""YAML that anybody may have written: as plain values, or only its scalars with the keys that lead to them.

Below the rooms, beside `toml_text`, because a configuration of the trainer and the settings that lie beside a log are both read,
and neither may do more than say something: no tag constructs anything, and no alias stands for what is elsewhere, since a few lines
of them can stand for a billion values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DEEPEST = 32  # containers inside containers, for `scalars`

Path = tuple[str | int, ...]
"""Keys, and places in lists, from the outside in."""


def parse(text: str) -> Any:
    """The value of a text without aliases and without tags of other kinds than YAML's own.

    Raises:
        ValueError: it is none. RecursionError: it is nested too deeply.
    """
    import yaml

    class Plain(yaml.SafeLoader):
        """Without aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases (*name) are not read: write the value out")
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Plain)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def scalars(text: str) -> Iterator[tuple[Path, str]]:
    """The unquoted scalars of the first document, as text, with the keys that lead to each.

    Nothing is constructed: tags, as Lightning writes them for a tuple or a Namespace, are passed over, and an alias is no scalar.

    Raises:
        ValueError: it is no YAML, or has more than `DEEPEST` containers inside each other.

    Example:
        >>> list(scalars("model: !!python/object:a.B\\n  sizes: [8, 16]\\n  name: '8'"))
        [(('model', 'sizes', 0), '8'), (('model', 'sizes', 1), '16')]
    """
    import yaml

    open_ones: list[_Container] = []
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(open_ones) == DEEPEST:
                    raise ValueError("it is too deeply nested")
                if open_ones and open_ones[-1].awaits_key:  # a container for a key: a name that nobody looks for
                    open_ones[-1].key = ""
                open_ones.append(_Container(isinstance(event, yaml.MappingStartEvent)))
            elif isinstance(event, yaml.CollectionEndEvent):
                open_ones.pop()
                _done(open_ones)
            elif isinstance(event, yaml.DocumentEndEvent):
                return
            elif isinstance(event, yaml.AliasEvent):
                _done(open_ones)
            elif isinstance(event, yaml.ScalarEvent):
                if open_ones and open_ones[-1].awaits_key:
                    open_ones[-1].key = event.value
                elif event.implicit[0] and not any(one.awaits_key for one in open_ones):
                    yield tuple(one.key for one in open_ones), event.value
                _done(open_ones)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


class _Container:
    """A mapping or a list that is being read. key: of what is read now; of a mapping, or the place in a list."""

    def __init__(self, mapping: bool) -> None:
        self.key: str | int = "" if mapping else 0
        self.awaits_key = mapping
        self._mapping = mapping

    def advance(self) -> None:
        """What was read is whole."""
        if self._mapping:
            self.awaits_key = not self.awaits_key
        elif isinstance(self.key, int):
            self.key += 1


def _done(open_ones: list[_Container]) -> None:
    """A key, a value or an element has been read."""
    if open_ones:
        open_ones[-1].advance()
