"""What is trained on: a file of embeddings, or data that needs no download, as rows in a fixed order.

Rows with NaN or Inf are left out and listed, never repaired. Generated mixtures carry their answer: the centre of each row, and
the distortion that no codebook of that many codes can beat in expectation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vqdoctor.checkpoint import open_source
from vqdoctor.errors import MissingInput, UsageError
from vqdoctor.samples import open_rows
from vqdoctor.trainer.settings import DataSettings

ALIKE = 1e-3


@dataclass(frozen=True, slots=True)
class Dataset:
    """rows: (N, *shape) float32. dropped: rows left out; dropped_rows: their numbers in the source, the first 10,000.

    answer: true centre of each row, (N,), floor: expected squared distance of a row to it; None where unknown.
    """

    name: str
    rows: np.ndarray
    dropped: int = 0
    dropped_rows: tuple[int, ...] = ()
    answer: np.ndarray | None = None
    floor: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.rows.shape[1:]


def load(settings: DataSettings) -> Dataset:
    """The rows that `settings` names.

    Raises:
        InputError, SampleError: the file cannot be used. UsageError: nothing is left to train on.
    """
    built = BUILT_IN.get(settings.data)
    if built is None and not Path(settings.data).exists():
        raise MissingInput("there is no such file", where=settings.data, hint=f"Built in are {', '.join(sorted(BUILT_IN))}.")
    found = built() if built is not None else _from_file(settings.data)
    rows = found.rows[: settings.rows]
    if len(rows) < 2:
        raise UsageError(f"{len(rows)} rows of data are not enough to train on", where=settings.data)
    if settings.normalize_input:
        norms = np.linalg.norm(rows.reshape(len(rows), -1), axis=1).reshape(-1, *[1] * (rows.ndim - 1))
        rows = rows / np.maximum(norms, 1e-12)
    return replace(found, rows=rows, answer=None if found.answer is None else found.answer[: len(rows)])


def alike(rows: np.ndarray) -> int:
    """Rows (N, *shape) that equal another one to a thousandth of a value's usual spread, each group's first not counted.

    Equal inputs that came through a factorisation in another order differ by rounding: no codebook can tell them apart.
    """
    flat = rows.reshape(len(rows), -1)
    step = ALIKE * float(np.sqrt(flat.var(axis=0, dtype=np.float64).mean()))
    return len(flat) - len(np.unique(np.round(flat / step), axis=0) if step else flat[:1])


def digits() -> Dataset:
    """scikit-learn's 1797 handwritten digits as rows of 64 values in [0, 1]."""
    from sklearn.datasets import load_digits

    return Dataset("digits", (load_digits().data / 16).astype(np.float32))


def photographs() -> Dataset:
    """scikit-learn's two sample photographs as 8480 patches of 8 × 8 pixels, 192 values in [0, 1], none overlapping."""
    return Dataset("photographs", np.concatenate([_patches(image, 8, 8).reshape(-1, 192) for image in _images()]))


def crops() -> Dataset:
    """The same photographs as crops (3, 32, 32), a crop every 16 pixels: 1950 of them, overlapping."""
    return Dataset("crops", np.concatenate([_patches(image, 32, 16).transpose(0, 3, 1, 2) for image in _images()]))


def mixture(centres: int = 32, rows: int = 4096, width: int = 16, spread: float = 0.2, seed: int = 0) -> Dataset:
    """Gaussian clouds of equal size around known centres: `answer` says which, `floor` is width·spread²."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, width))
    answer = rng.permutation(np.arange(rows) % centres)
    noisy = middle[answer] + spread * rng.normal(size=(rows, width))
    return Dataset("mixture", noisy.astype(np.float32), answer=answer, floor=width * spread**2)


def tailed(rows: int = 8192, width: int = 16, seed: int = 0) -> Dataset:
    """Points of a plane in `width` dimensions around 32 centres: nine in ten lie close (0.01), one in ten far (0.3).

    After a level that finds the centres most residuals are tiny, so the next level spends its codes on the few large ones.
    """
    rng = np.random.default_rng(seed)
    middle, plane = rng.normal(size=(32, 2)) * 3, np.linalg.qr(rng.normal(size=(width, 2)))[0]
    answer = rng.permutation(np.arange(rows) % 32)
    spread = np.where(rng.random(rows) < 0.9, 0.01, 0.3)[:, None]
    points = middle[answer] + spread * rng.normal(size=(rows, 2))
    return Dataset("tailed", (points @ plane.T).astype(np.float32), answer=answer)


BUILT_IN: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "photographs": photographs,
    "crops": crops,
    "mixture": mixture,
    "tailed": tailed,
}


def _images() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return [image.astype(np.float32) / 255 for image in load_sample_images().images]


def _patches(image: np.ndarray, size: int, step: int) -> np.ndarray:
    """Squares of an image (H, W, C), (n, size, size, C) in reading order."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))[::step, ::step]
    return np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2)).reshape(-1, size, size, image.shape[2])


def _from_file(path: str) -> Dataset:
    """The finite rows of a file or folder of embeddings."""
    rows = open_rows(path, open_source=open_source)
    blocks = list(rows.blocks(65536))
    if not blocks:
        raise UsageError("no row of it is finite", where=path)
    return Dataset(Path(path).name, np.concatenate(blocks), rows.dropped, tuple(rows.dropped_rows))
