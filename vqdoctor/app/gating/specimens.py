"""Small checkpoints with one defect each, and healthy ones: what a gate's test of itself is run on.

They are made here and now, the same from the same seed, rather than shipped: an installed package has them without a file, they
take milliseconds and no download, and the defect is written down as code beside the gates that must see it. The really trained
samples of the repository (`sample_checkpoints/`) are judged by the project's own tests. Books are EnCodec's in name and arithmetic,
so that the file itself carries counts, sums and the initialised flag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vqdoctor.app.request import InspectRequest

CODES, WIDTH, ROWS, LEVELS = 64, 8, 64 * 96, 3
COUNT = 20.0
"""EMA count of each code: far above the family's threshold of 2."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Files:
    """What is put on disk: tensors of a checkpoint, rows beside it, the model's own codes; or a table of IDs."""

    tensors: Arrays = field(default_factory=dict)
    features: np.ndarray | None = None
    codes: np.ndarray | None = None
    ids: np.ndarray | None = None
    request: InspectRequest = field(default_factory=lambda: InspectRequest(population=True))

    def write(self, folder: Path, name: str) -> Path:
        """Writes them; the path to gate."""
        path = folder / f"{name}{'.npz' if self.ids is None else '.npy'}"
        if self.ids is not None:
            np.save(path, self.ids)
            return path
        np.savez(path, **self.tensors)  # type: ignore[arg-type]  # names of tensors are no other parameters of it
        for what, array in (("features", self.features), ("codes", self.codes)):
            if array is not None:
                np.save(path.with_name(f"{name}.{what}.npy"), array)
        return path


@dataclass(frozen=True, slots=True)
class Specimen:
    """name: of the file. sick: in what way, in words; "" where it is healthy. make: Generator → its files."""

    name: str
    sick: str
    make: Callable[[np.random.Generator], Files]


def _key(level: int, part: str) -> str:
    return f"quantizer.vq.layers.{level}._codebook.{part}"


def _single(rng: np.random.Generator) -> Files:
    """One book, every code in even use, statistics that agree with it."""
    book = rng.normal(scale=3.0, size=(CODES, WIDTH)).astype(np.float32)
    hits = np.arange(ROWS) % CODES
    rows = book[hits] + rng.normal(scale=0.05, size=(ROWS, WIDTH))
    return Files(_state(0, book), rows.astype(np.float32))


def _residual(rng: np.random.Generator) -> Files:
    """Three books, each a tenth as large as the one before, as the residuals are."""
    books = [(3.0 * 0.1**level * rng.normal(size=(CODES, WIDTH))).astype(np.float32) for level in range(LEVELS)]
    hits = np.stack([rng.permutation(np.arange(ROWS) % CODES) for _ in books], axis=1)
    rows = sum(book[hits[:, level]] for level, book in enumerate(books))
    tensors: Arrays = {}
    for level, book in enumerate(books):
        tensors |= _state(level, book)
    return Files(tensors, np.asarray(rows, np.float32), request=InspectRequest())


def _state(level: int, book: np.ndarray, count: float = COUNT) -> Arrays:
    counts = np.full(len(book), count, np.float32)
    smoothed = (counts + 1e-5) / (counts.sum() + len(book) * 1e-5) * counts.sum()
    return {
        _key(level, "embed"): book,
        _key(level, "embed_avg"): (book * smoothed[:, None]).astype(np.float32),
        _key(level, "cluster_size"): counts,
        _key(level, "inited"): np.ones(1, np.float32),
    }


def _ids(rng: np.random.Generator) -> Files:
    """Items with IDs of their own, mostly, levels in even use."""
    table = np.stack([rng.permutation(np.arange(ROWS) % CODES) for _ in range(LEVELS)], axis=1)
    return _table(table)


def _table(table: np.ndarray) -> Files:
    return Files(ids=table.astype(np.int32), request=InspectRequest(sizes=(CODES,) * LEVELS, suffix=False))


def _with(files: Files, level: int = 0, **parts: np.ndarray) -> Files:
    """With parts of one level's state in the place of its own."""
    return replace(files, tensors={**files.tensors, **{_key(level, part): array for part, array in parts.items()}})


def _book(files: Files) -> np.ndarray:
    return files.tensors[_key(0, "embed")].copy()


def _rebooked(files: Files, book: np.ndarray) -> Files:
    """With another book and statistics that agree with it."""
    return replace(files, tensors=_state(0, book.astype(np.float32)))


def _collapsed(rng: np.random.Generator) -> Files:
    files = _single(rng)
    return replace(files, features=(_book(files)[:1] + rng.normal(scale=0.05, size=(ROWS, WIDTH))).astype(np.float32))


def _some_dead(rng: np.random.Generator) -> Files:
    files = _single(rng)
    hits = np.arange(ROWS) % (CODES * 3 // 4)
    rows = _book(files)[hits] + rng.normal(scale=0.05, size=(ROWS, WIDTH))
    return replace(files, features=rows.astype(np.float32))


def _skewed(rng: np.random.Generator) -> Files:
    files = _single(rng)
    shares = 0.8 ** np.arange(CODES)
    hits = rng.choice(CODES, size=ROWS, p=shares / shares.sum())
    hits[:CODES] = np.arange(CODES)
    return replace(files, features=_book(files)[hits] + rng.normal(scale=0.05, size=(ROWS, WIDTH)).astype(np.float32))


def _not_finite(rng: np.random.Generator) -> Files:
    files = _single(rng)
    book = _book(files)
    book[5] = np.nan
    return replace(_with(files, embed=book), features=None)


def _duplicated(rng: np.random.Generator) -> Files:
    files = _single(rng)
    book = _book(files)
    book[CODES // 2 :] = book[: CODES // 2]
    return _rebooked(files, book)


def _zeros(rng: np.random.Generator) -> Files:
    files = _single(rng)
    book = _book(files)
    book[:8] = 0.0
    return _rebooked(files, book)


def _untouched(rng: np.random.Generator) -> Files:
    files = _single(rng)
    book = _book(files)
    bound = (6.0 / WIDTH) ** 0.5  # kaiming_uniform_ of a (K, D) book
    book[: CODES // 2] = rng.uniform(-bound, bound, size=(CODES // 2, WIDTH))
    return _rebooked(files, book)


def _flat(rng: np.random.Generator) -> Files:
    files = _single(rng)
    line = np.linspace(-3.0, 3.0, CODES)[:, None] * rng.normal(size=(1, WIDTH))
    return replace(_rebooked(files, line), features=rng.normal(scale=3.0, size=(ROWS, WIDTH)).astype(np.float32))


def _misscaled(rng: np.random.Generator) -> Files:
    files = _single(rng)
    return _rebooked(files, 0.02 * _book(files))


def _orphaned(rng: np.random.Generator) -> Files:
    files = _some_dead(rng)
    book = _book(files)
    book[CODES * 3 // 4 :] *= 40.0
    return _rebooked(files, book)


def _poor(rng: np.random.Generator) -> Files:
    files = _single(rng)
    book = _book(files) + rng.normal(scale=0.5, size=(CODES, WIDTH))
    return replace(_rebooked(files, book), request=InspectRequest(population=True, fit=True))


def _disagreeing(rng: np.random.Generator) -> Files:
    files = _single(rng)
    codes = np.arange(ROWS) % CODES
    codes[: ROWS // 4] = (codes[: ROWS // 4] + 1) % CODES
    return replace(files, codes=codes[:, None])


def _fitted(rng: np.random.Generator) -> Files:
    """The healthy book with all that can be measured of it: a reference fit, and the model's own codes."""
    files = _single(rng)
    return replace(
        files, codes=(np.arange(ROWS) % CODES)[:, None], request=InspectRequest(population=True, fit=True, temperature=1.0)
    )


def _inconsistent(rng: np.random.Generator) -> Files:
    files = _single(rng)
    return _with(files, embed_avg=1.5 * files.tensors[_key(0, "embed_avg")])


def _infeasible(rng: np.random.Generator) -> Files:
    """Counts of a step with fewer rows than the threshold asks for, in lucidrains' spelling: that family really replaces codes."""
    files = _single(rng)
    counts = rng.uniform(1.0, 1.5, size=CODES).astype(np.float32)
    smoothed = (counts + 1e-5) / (counts.sum() + CODES * 1e-5) * counts.sum()
    state = {"embed": _book(files), "embed_avg": _book(files) * smoothed[:, None], "cluster_size": counts}
    tensors = {f"vq._codebook.{part}": array[None].astype(np.float32) for part, array in state.items()}
    tensors["vq._codebook.initted"] = np.ones(1, np.float32)
    return replace(files, tensors=tensors, request=InspectRequest(population=True, ema_threshold=2.0))


def _not_started(rng: np.random.Generator) -> Files:
    return _with(_single(rng), inited=np.zeros(1, np.float32))


def _half_precision(rng: np.random.Generator) -> Files:
    files = _single(rng)
    halves = {name: array.astype(np.float16) for name, array in files.tensors.items()}
    return replace(files, tensors=halves)


def _shrunken(rng: np.random.Generator) -> Files:
    files = _single(rng)
    return _with(files, embed_avg=_book(files))


def _undone(rng: np.random.Generator) -> Files:
    files = _some_dead(rng)
    book, counts = _book(files), np.full(CODES, COUNT, np.float32)
    counts[CODES * 3 // 4 :] = 0.01
    smoothed = (counts + 1e-5) / (counts.sum() + CODES * 1e-5) * counts.sum()
    return _with(files, cluster_size=counts, embed_avg=(book * smoothed[:, None]).astype(np.float32))


def _colliding(rng: np.random.Generator) -> Files:
    table = np.asarray(_ids(rng).ids)
    return _table(table[rng.integers(0, ROWS // 4, size=ROWS)])


def _crowded(rng: np.random.Generator) -> Files:
    files = _ids(rng)
    return replace(files, ids=np.asarray(files.ids) % 8, request=InspectRequest(sizes=(8,) * LEVELS, suffix=False))


def _bottleneck(rng: np.random.Generator) -> Files:
    table = np.asarray(_ids(rng).ids).copy()
    table[:, 1] = np.where(rng.random(ROWS) < 0.9, 0, table[:, 1])
    return _table(table)


def _idle_ids(rng: np.random.Generator) -> Files:
    table = np.asarray(_ids(rng).ids).copy()
    table[:, 1] = table[:, 0]
    return _table(table)


def _idle_level(rng: np.random.Generator) -> Files:
    files = _residual(rng)
    far = rng.normal(scale=3.0, size=(CODES, WIDTH)).astype(np.float32)
    return replace(files, tensors={**files.tensors, **_state(1, far)})


def _repeated(rng: np.random.Generator) -> Files:
    files = _residual(rng)
    rows = np.asarray(files.features)
    return replace(files, features=rows[rng.integers(0, ROWS // 4, size=ROWS)], request=InspectRequest(population=True))


SPECIMENS: tuple[Specimen, ...] = (
    Specimen("healthy-book", "", _single),
    Specimen("healthy-book-in-full", "", _fitted),
    Specimen("healthy-residual", "", _residual),
    Specimen("healthy-ids", "", _ids),
    Specimen("collapsed", "all rows take one code", _collapsed),
    Specimen("some-dead", "a quarter of the codes is never used", _some_dead),
    Specimen("skewed", "a few codes carry most rows", _skewed),
    Specimen("not-finite", "a code of NaN", _not_finite),
    Specimen("duplicated", "half the book repeats the other half", _duplicated),
    Specimen("zeros", "eight codes are zero", _zeros),
    Specimen("untouched", "half the codes lie as they were initialised", _untouched),
    Specimen("flat", "all codes on a line", _flat),
    Specimen("misscaled", "the book is fifty times smaller than the features", _misscaled),
    Specimen("orphaned", "a quarter of the codes far from every row", _orphaned),
    Specimen("poor", "a book far from the best of its size", _poor),
    Specimen("disagreeing", "a quarter of the model's own codes are not the nearest", _disagreeing),
    Specimen("inconsistent", "sums that the codes do not follow from", _inconsistent),
    Specimen("infeasible", "counts that healthy use cannot lift over the threshold", _infeasible),
    Specimen("not-started", "its initialised flag is 0", _not_started),
    Specimen("half-precision", "counts and sums in float16", _half_precision),
    Specimen("shrunken", "sums that are bare centroids beside counts of 20", _shrunken),
    Specimen("undone", "replaced codes that the same step puts back", _undone),
    Specimen("colliding", "a quarter of the IDs for all items", _colliding),
    Specimen("crowded", "more items than possible IDs", _crowded),
    Specimen("bottleneck", "a middle level with one code for nine items in ten", _bottleneck),
    Specimen("idle-ids", "a second level that repeats the first", _idle_ids),
    Specimen("idle-level", "a residual level that makes things worse", _idle_level),
    Specimen("repeated", "inputs that repeat each other", _repeated),
)
