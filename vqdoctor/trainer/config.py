"""Settings out of files, out of the seeds' own keys, and back into `config.toml`.

TOML, JSON (comments allowed), YAML and Python files of plain assignments are read, never executed.
Nesting does not matter: each leaf key is one of our fields or one that another project uses for the same thing. A key that is
neither is an error with the nearest name, because a setting that is silently ignored is a lost week.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from vqdoctor import toml_text, yaml_text
from vqdoctor.errors import CorruptInput, MissingInput, UnsupportedInput, UsageError, printable
from vqdoctor.small_files import read_small
from vqdoctor.trainer.aliases import ALIASES, UNUSED, precedence
from vqdoctor.trainer.settings import CHOICES, LIMITS, SECTION_OF, Config

LARGEST = 256 << 10  # bytes; a configuration is small, and the parsers are not made for more
TYPES = {name: kind for section in get_type_hints(Config).values() for name, kind in get_type_hints(section).items()}


def read(path: str) -> dict[str, Any]:
    """The mapping in a configuration file.

    Raises:
        MissingInput, CorruptInput, UnsupportedInput: it cannot be read as a mapping.
    """
    if not Path(path).is_file():
        raise MissingInput("there is no such configuration", where=path)
    parse = PARSERS.get(Path(path).suffix.lower())
    if parse is None:
        raise UnsupportedInput(f"a configuration is one of {', '.join(PARSERS)}", where=path)
    data = read_small(path, LARGEST, "a configuration")
    try:
        found = parse(data.decode("utf-8").replace("\r\n", "\n"))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:  # what parsers raise for broken or deep text
        raise CorruptInput(f"it cannot be parsed: {printable(error) or 'it is too deeply nested'}", where=path) from error
    if not isinstance(found, dict):
        raise CorruptInput("a configuration is a mapping of names to values", where=path)
    return found


def apply(config: Config, given: Mapping[str, Any]) -> tuple[Config, tuple[str, ...]]:
    """`config` with what `given` says, and a sentence for each key that is accepted and has no use here.

    Args:
        given: fields by name, by section, or the seeds' own keys, nested as they like.

    Raises:
        UsageError: an unknown key, or a value of the wrong kind.
    """
    notes: list[str] = []
    for path, key, value in sorted(_leaves(given), key=lambda leaf: precedence(leaf[1], leaf[2])):
        if key in UNUSED:
            notes.append(f"{path} is accepted and not used: {UNUSED[key]}")
            continue
        if key not in SECTION_OF and key not in ALIASES:
            raise UsageError(f"there is no setting {printable(path)!r}", hint=_nearest(key))
        changes = {key: value} if key in SECTION_OF else ALIASES[key](value)
        config = config.but(**{name: coerced(name, one, path) for name, one in changes.items()})
    return config, tuple(notes)


def assignments(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``("decay=0.9", "codes=64,64")`` as a mapping of names to text; sections in front of a name are dropped.

    Raises:
        UsageError: a pair without "=".
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set needs key=value, not {printable(pair)!r}")
        found[name.strip().rsplit(".", 1)[-1]] = value.strip()
    return found


def coerced(name: str, value: Any, path: str) -> Any:
    """`value` as the field `name` holds it; text from ``--set``, and the "1e-3" that YAML 1.1 takes for text, become numbers.

    Raises:
        UsageError: it cannot be that.
    """
    kind = TYPES[name]
    optional = type(None) in get_args(kind)
    if value is None or (isinstance(value, str) and optional and value.lower() in {"none", "null", "never"}):
        if optional:
            return None
        raise UsageError(f"{path} needs a value")
    inner = next((one for one in get_args(kind) if one is not type(None)), kind) if optional else kind
    try:
        return _within(name, _as(inner, value))
    except (ValueError, TypeError, OverflowError) as error:  # the last: a whole number cannot be infinite
        raise UsageError(f"{path} needs {_in_words(name, inner)}, not {printable(repr(value))}") from error


def as_toml(config: Config) -> str:
    """The whole configuration as TOML, a section a table; what is None is left out."""
    tables = []
    for section, values in config.nested().items():
        # JSON's spelling of booleans, numbers, text and lists is TOML's too
        tables.append(
            "\n".join([f"[{section}]", *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())])
        )
    return "\n\n".join(tables) + "\n"


def _leaves(given: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, Any]]:
    for key, value in given.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        else:
            yield printable(here), str(key), value


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, [*SECTION_OF, *ALIASES], n=1, cutoff=0.4)
    return f"Did you mean {close[0]!r}?" if close else "`vqdoctor explain` lists the settings of each recipe."


def _as(kind: Any, value: Any) -> Any:
    if get_args(kind):  # tuple[int, ...]
        parts = (
            value.strip("[]() ").split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        )
        return tuple(_as(get_args(kind)[0], part.strip() if isinstance(part, str) else part) for part in parts if part != "")
    if kind is bool:
        return _as_bool(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(value)
    if kind is str:
        if not isinstance(value, str):
            raise TypeError(value)
        return value
    number = float(value)
    if kind is int and number != int(number):
        raise ValueError(value)
    return int(number) if kind is int else number


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    return known[str(value).lower()] if str(value).lower() in known else _refuse(value)


def _refuse(value: Any) -> bool:
    raise ValueError(value)


def _within(name: str, value: Any) -> Any:
    """`value` if the field `name` allows it."""
    low, high = LIMITS.get(name, (None, None))
    for one in value if isinstance(value, tuple) else (value,):
        if (name in CHOICES and one not in CHOICES[name]) or (low is not None and one < low) or (high is not None and one > high):
            raise ValueError(one)
    return value


def _in_words(name: str, kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if name in CHOICES:
        return f"one of {', '.join(CHOICES[name])}"
    low, high = LIMITS.get(name, (None, None))
    limits = f" from {low}" * (low is not None) + f" to {high}" * (high is not None)
    return (words.get(kind) or f"a list, each {words[get_args(kind)[0]]}") + limits


def _json(text: str) -> Any:
    """JSON with // and /* */ comments and trailing commas; text inside quotes stays as it is."""
    bare = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda found: found[1] or "", text, flags=re.DOTALL)
    return json.loads(re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda found: found[1] or "", bare))


def _python(text: str) -> dict[str, Any]:
    """``NAME = {…}`` lines as a mapping; anything but literals is an error."""
    with warnings.catch_warnings():  # they would be printed, with what stands in the file
        warnings.simplefilter("ignore")
        parsed = ast.parse(text)
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in parsed.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


PARSERS: dict[str, Callable[[str], Any]] = {
    ".toml": toml_text.parse,
    ".json": _json,
    ".yaml": yaml_text.parse,
    ".yml": yaml_text.parse,
    ".py": _python,
}
