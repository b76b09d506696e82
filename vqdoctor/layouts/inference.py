"""What a table of unknown family tells by itself: its axis, its counts and sums, how it was first drawn. Evidence, never habit.

Distributions are accepted by Kolmogorov's statistic: at p = 0.001 (1.95/√n) where the support's edge is seen too, at p = 0.01
(1.63/√n, and more entries) where there is none. Source: theory §6 (initialisations), §2.3 (smoothing).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from vqdoctor.layouts.family import FLOATS, Site
from vqdoctor.layouts.tells import BOOK_READ, parent
from vqdoctor.model import EmaFacts, Initialisation, TensorSpec

COUNTS = re.compile(r"cluster_?size|usage|counts?(?:_|$)|hits|prob|(?:^|_)N$")
SUMS = re.compile(r"avg|ema|sum|mean|(?:^|_)m$|(?:^|_)w$")
CONVERTER = re.compile(r"(?:pre|post)_?(?:quant|vq|codebook)\w*|quant(?:ize)?_?(?:conv|proj|linear)\w*|to_latents?")
LEAST_ENTRIES = 128  # to see an edge
LEAST_UNBOUNDED = 256
MOST_ENTRIES = 1 << 16
MOST_KIN = 2000  # tensors of one module that are looked at


def table_path(bare: str) -> str:
    """The module or parameter that is the table: `bare` without the ``.weight`` that nn.Embedding adds."""
    return bare.removesuffix(".weight")


def axis_of(site: Site) -> tuple[str, str | None]:
    """("kd" or "dk", what says so) for a table of two axes; None where nothing says and rows are taken for codes."""
    rows, columns = site.spec.shape[-2:]
    if rows == columns:
        return "kd", None
    for name, spec in _kin(site):
        if COUNTS.search(name) and spec.shape in {(rows,), (columns,)}:
            return ("kd" if spec.shape == (rows,) else "dk"), f"{name} has {spec.shape[0]} entries"
    if site.key.endswith(".weight"):
        return "kd", "an embedding's rows are its entries"
    for path, width in _converter_widths(site):
        if (width == rows) != (width == columns):
            return ("kd" if width == columns else "dk"), f"{path} is {width} wide"
    return "kd", None


def count_beside(site: Site, codes: int) -> TensorSpec | None:
    """The (K,) tensor beside the table that is named like a counter."""
    return next((spec for name, spec in _kin(site) if COUNTS.search(name) and spec.shape == (codes,)), None)


def sum_beside(site: Site) -> TensorSpec | None:
    """The tensor beside the table, of its shape, that is named like a running sum."""
    alike = ((name, spec) for name, spec in _kin(site) if spec.shape == site.spec.shape and spec.dtype in FLOATS)
    return next((spec for name, spec in alike if SUMS.search(name) and not COUNTS.search(name)), None)


def ema_facts(count: TensorSpec, book: np.ndarray | None, counts: np.ndarray | None, sums: np.ndarray | None) -> EmaFacts:
    """What an unknown family's counter means, as far as its name, its type and the identity of sums and codes tell.

    Args:
        book, sums: (K, D). counts: (K,). None where the file has none.
    """
    if "prob" in count.key.rpartition(".")[2]:
        return EmaFacts(counts="probability")
    if count.dtype not in FLOATS:
        return EmaFacts(counts="cumulative")
    if book is None or counts is None or sums is None:
        return EmaFacts()
    return EmaFacts(relation=_relation(book, counts, sums))


def _relation(book: np.ndarray, counts: np.ndarray, sums: np.ndarray, eps: float = 1e-5) -> str:
    """ "laplace" or "ratio", whichever makes codes of the sums (median relative error under 1e-3), else "none"."""
    total = counts.sum()
    divisors = {"laplace": (counts + eps) / (total + counts.size * eps) * total, "ratio": counts}
    errors = {}
    with np.errstate(all="ignore"):
        for name, divisor in divisors.items():
            error = np.abs(sums / divisor[:, None] - book).max(axis=1) / np.abs(book).max(axis=1)
            errors[name] = float(np.median(error[np.isfinite(error)])) if np.isfinite(error).any() else math.inf
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < 1e-3 else "none"


def first_draw(book: np.ndarray) -> tuple[Initialisation, str] | None:
    """How the book was first drawn, and what shows it; None where nothing does.

    Args:
        book: (K, D) float64.

    Returns:
        uniform(±1/K) where rows fill that support evenly up to its edge, which trained rows cannot do by chance; N(0, 1) where all
        entries together look drawn from it.
    """
    if shown := _evenly_filled(book):
        return Initialisation("uniform", 1 / book.shape[0], "1/K"), f"initialisation inferred as uniform(±1/K): {shown}"
    if _looks_standard_normal(book):
        return Initialisation("normal", 1.0, "N(0, 1)"), "initialisation inferred as N(0, 1): its entries look drawn from it"
    return None


def _evenly_filled(book: np.ndarray) -> str | None:
    codes = book.shape[0]
    scaled = np.abs(book) * codes
    inside = (scaled <= 1 + 1e-6).all(axis=1) & book.any(axis=1)
    entries = np.sort(scaled[inside], axis=None)
    if entries.size < LEAST_ENTRIES or not _drops_at_the_edge(scaled) or _distance(entries) > 1.95 / math.sqrt(entries.size):
        return None
    return f"{inside.sum()} of {codes} rows fill ±1/{codes} evenly up to its edge"


def _drops_at_the_edge(scaled: np.ndarray) -> bool:
    """True where fewer entries lie just outside ±1 than just inside (4 σ): the middle of a density is even, but has no edge."""
    before = np.count_nonzero((scaled > 0.8) & (scaled <= 1 + 1e-6))
    behind = np.count_nonzero((scaled > 1 + 1e-6) & (scaled <= 1.2))
    return bool(before > behind + 4 * math.sqrt(before + behind) + 3)


def _looks_standard_normal(book: np.ndarray) -> bool:
    flat = book.ravel()[:: max(1, book.size // MOST_ENTRIES)]
    if flat.size < LEAST_UNBOUNDED or not np.isfinite(flat).all():
        return False
    entries = np.sort([0.5 * math.erfc(-x / math.sqrt(2)) for x in flat])
    return _distance(entries) < 1.63 / math.sqrt(entries.size)


def small_enough(spec: TensorSpec) -> bool:
    """True where the table may be read to look at its values."""
    return spec.size <= BOOK_READ


def _distance(sorted_entries: np.ndarray) -> float:
    """Kolmogorov's distance of a sample from U(0, 1)."""
    steps = np.arange(sorted_entries.size + 1) / sorted_entries.size
    return float(max(np.max(steps[1:] - sorted_entries), np.max(sorted_entries - steps[:-1])))


def _kin(site: Site) -> Iterator[tuple[str, TensorSpec]]:
    """(name, tensor) of all that lies in the table's module, in the module around it, or at its number in a parallel list."""
    path = table_path(site.key)
    around, _, leaf = path.rpartition(".")
    found = dict(site.state.beside(path)) | dict(site.state.beside(around))
    numbered = dict(site.state.beside(around, leaf)) if leaf.isdigit() else {}
    for place, bare in sorted((found | numbered).items())[:MOST_KIN]:
        spec = site.state.specs[site.state.bare[bare]]
        home, _, name = table_path(bare).rpartition(".")
        if spec is not site.spec:
            yield (name if place in found else home.rpartition(".")[2]), spec


def _converter_widths(site: Site) -> Iterator[tuple[str, int]]:
    """(path, D as it would have it) of the layers that lead into or out of the quantiser."""
    state = site.state
    if CONVERTER.pattern not in state.looked_up:
        state.looked_up[CONVERTER.pattern] = [bare for bare in state.bare if _is_converter(*bare.rsplit(".", 2)[-2:])]
    for bare in state.looked_up[CONVERTER.pattern]:
        path = parent(bare)
        shape = state.specs[state.bare[bare]].shape
        if len(shape) >= 2:
            yield path, shape[1] if path.rpartition(".")[2].startswith("post") else shape[0]


def _is_converter(name: str, leaf: str = "") -> bool:
    return leaf == "weight" and CONVERTER.fullmatch(name) is not None
