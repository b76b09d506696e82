"""Semantic IDs: one short sequence of codes an item, in the formats that people's indexing scripts write.

MiniOneRec, LC-Rec and LETTER write ``{"0": ["<a_236>", "<b_231>", …], …}`` (0-based, one length; or 1-based with an extra token on
colliding items only); others write lists, dictionaries of strings, tables or an (N, L) array. All become one value: 0-based
codes, a de-duplication token kept apart so that it can hide no collision, and in words what was decided and on what grounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vqdoctor.errors import InputError, SampleError
from vqdoctor.samples.codes import CodeTable, read_codes
from vqdoctor.samples.dedup import Distinct, base_of, distinct_in_memory, suffix_of, survey
from vqdoctor.samples.id_files import csv_items, json_items, parquet_items
from vqdoctor.samples.id_records import MOST_TOKENS
from vqdoctor.samples.id_sniffing import HEAD, looks_like_ids
from vqdoctor.samples.id_writing import DEDUP
from vqdoctor.samples.json_stretches import BOM
from vqdoctor.samples.offsets import offsets_of
from vqdoctor.samples.stored import StoredArray, npy_array, regular_file
from vqdoctor.samples.tokens import Items, TokenTable, table_of


@dataclass(frozen=True, slots=True)
class SemanticIds:
    """The IDs of a catalogue, read in blocks.

    Attributes:
        table: the tokens as written. path: the file. dialect: how it spells IDs, in words.
        levels: L. highest: of each level, 0-based.
        top_suffix: the highest de-duplication token; None where the file has no such token.
        suffix_basis: why the last token is, or is not, a de-duplication token.
        base: 0 or 1, the smallest code as written. base_basis: on what grounds.
        offsets: what the writer added to the codes of each level beside the base, () for nothing. offsets_basis: how that shows.
        letters: how each level's tokens are marked ("a", "b", …); () for bare numbers.
        ragged: True where the suffix is on some items only.
        names: the items as the file names them; None: by row number.
    """

    table: TokenTable
    path: str
    dialect: str
    levels: int
    highest: tuple[int, ...]
    top_suffix: int | None
    suffix_basis: str
    base: int
    base_basis: str
    letters: tuple[str, ...] = ()
    ragged: bool = False
    names: Sequence[str] | None = None
    offsets: tuple[int, ...] = ()
    offsets_basis: str = ""

    @property
    def n(self) -> int:
        """Items."""
        return self.table.n

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """(b, L) integers, 0-based codes; (b, L + 1) with the de-duplication token where there is one, as written, −1 for none."""
        shift = np.zeros(self.table.width, np.int32)
        shift[: self.levels] = np.add(self.base, self.offsets) if self.offsets else self.base
        for block in self.table.blocks(size):
            yield block - shift if shift.any() else block

    @property
    def codes(self) -> np.ndarray:
        """All codes at once, (n, L) int32."""
        return np.concatenate([block[:, : self.levels] for block in self.blocks(1 << 16)]).astype(np.int32)

    @property
    def suffix(self) -> np.ndarray | None:
        """All de-duplication tokens at once, (n,) int32; None where there are none."""
        if self.top_suffix is None:
            return None
        return np.concatenate([block[:, -1] for block in self.blocks(1 << 16)]).astype(np.int32)

    def name(self, row: int) -> str:
        """What the file calls item `row`."""
        return str(row) if self.names is None else str(self.names[row])


def read_ids(
    path: str | Path,
    *,
    suffix: bool | None = None,
    sizes: Sequence[int] | None = None,
    distinct: Distinct = distinct_in_memory,
    seen: Callable[[int], None] = lambda n: None,
) -> SemanticIds:
    """Reads a semantic-ID file. Arrays stay where they are; what is text is set aside as numbers, on disk where it is much.

    Args:
        suffix: whether the last token is a de-duplication token; None: decided by what it looks like.
        sizes: K per level where known; they can settle whether codes count from 0 or 1.
        distinct: counts the IDs where that decision needs it. seen: told of items read, and again as they are looked through.

    Raises:
        MissingInput, CorruptInput, UnsupportedInput: the file cannot be read.
        SampleError: it holds no IDs; the message names the item or line.
    """
    table = _table(regular_file(path), seen)
    columns = survey(table, seen)
    if suffix is None and _is_marked(table):
        has_suffix, suffix_basis = True, f'the last token is marked "{DEDUP}"'
    else:
        has_suffix, suffix_basis = suffix_of(table, columns, suffix, distinct)
    levels = table.width - has_suffix
    top, columns = int(columns.highest[-1]), columns.first(levels)
    offsets, offsets_basis = (None if len(set(table.letters)) > 1 else offsets_of(columns, sizes)) or ((), "")
    columns = columns.without(offsets)
    base, base_basis = base_of(columns, table.n, table.ragged, sizes)
    return SemanticIds(
        table=table,
        path=table.path,
        dialect=table.dialect,
        levels=levels,
        highest=tuple((columns.highest - base).tolist()),
        top_suffix=top if has_suffix else None,
        suffix_basis=suffix_basis,
        base=base,
        base_basis=base_basis,
        letters=table.letters[:levels],
        ragged=table.ragged,
        names=table.names,
        offsets=offsets,
        offsets_basis=offsets_basis,
    )


def _is_marked(table: TokenTable) -> bool:
    """The file itself says that the last token is a de-duplication token, as ours do."""
    return table.width > 1 and table.letters[-1:] == (DEDUP,)


def read_assigned(path: str | Path) -> CodeTable:
    """Codes that a model assigned, written as IDs: as they stand, from 0, a de-duplication token left out where it is marked.

    Raises:
        as `read_ids`.
    """
    table = _table(regular_file(path), lambda n: None)
    levels = table.width - _is_marked(table)
    array = StoredArray(table.path, "", (table.n, levels), "int32", lambda start, stop: table.read(start, stop)[:, :levels])
    return CodeTable(table.path, table.n, levels, "int32", array)


def _table(path: Path, seen: Callable[[int], None]) -> TokenTable:
    """The tokens of the file. seen: told of entries read."""
    kind = path.suffix.lower()
    if kind == ".npy":
        codes = read_codes(path)
        if codes.levels > MOST_TOKENS:
            hint = "One item a row: transpose it if the levels are rows. Features go to --features."
            raise SampleError(f"has {codes.levels} columns; IDs have a few levels", where=str(path), hint=hint)
        return TokenTable(codes.n, codes.levels, codes.levels, codes.read, (), None, "an array of codes", str(path))
    return _read(
        {".parquet": parquet_items, ".csv": csv_items, ".tsv": csv_items, ".txt": csv_items}.get(kind, json_items), path, seen
    )


def _read(items: Callable[[Path], Items], path: Path, seen: Callable[[int], None]) -> TokenTable:
    """The tokens of a file, by columns where it has them; what is wrong with it is said by who reads entry by entry."""
    source = items(path)
    if source.blocks is not None:
        with suppress(InputError, SampleError, ValueError, TypeError):
            return table_of(source, seen)
        source = replace(items(path), blocks=None)
    return table_of(source, seen)


def sniff_ids(path: str | Path) -> str | None:
    """Whether a file looks like semantic IDs: "json", "csv", "npy" or "parquet"; None if not. Reads a few kilobytes."""
    path = Path(path)
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # whoever opens it next says why it cannot be
        return None
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"\x93NUMPY":
        return "npy" if _integer_table(path) else None
    if head.removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
        return "json" if looks_like_ids(head) else None
    return "csv" if path.suffix.lower() in (".csv", ".tsv", ".txt") and _reads_as_csv(path) else None


def _integer_table(path: Path) -> bool:
    try:
        array = npy_array(path)
    except InputError:
        return False
    return "int" in array.dtype and len(array.shape) in (1, 2)


def _reads_as_csv(path: Path) -> bool:
    try:
        next(iter(csv_items(path).items), None)
    except (InputError, SampleError):
        return False
    return True
