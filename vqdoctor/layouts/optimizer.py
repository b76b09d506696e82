"""What the optimiser remembers of a book: under Adam a row that no step ever selected has a second moment of exactly zero.

Only for books trained by gradient, and only a signal: Adam with L2 weight decay moves every row, AdamW does not (measured;
layouts reference §3). The optimiser knows parameters by number, not by name, so moments are matched to books by shape, in order.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.layouts.state import NOT_WEIGHTS
from vqdoctor.model import Codebook, TensorSource, TensorSpec

MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")  # of Adam and its kin, and of SGD


def never_selected(source: TensorSource, level: Codebook) -> np.ndarray | None:
    """Codes whose second moment is exactly zero, (K,) bool; None where the file holds no matching moment, or an ambiguous one."""
    moment = moments_of(source, level).get("exp_avg_sq")
    if moment is None:
        return None
    rows = level.stored.view(source.read(moment.name))
    return np.asarray(~rows.reshape(rows.shape[0], -1).any(axis=1))


def moments_of(source: TensorSource, level: Codebook) -> dict[str, TensorSpec]:
    """The tensors that the optimiser keeps for a book, by kind (`MOMENTS`), each of the book's own shape and order of axes."""
    book = source.specs[level.stored.name]
    alike = [spec for spec in source.specs.values() if spec.shape == book.shape]
    books = [spec for spec in alike if spec.container == book.container]
    found = {}
    for key in MOMENTS:
        moments = [spec for spec in alike if spec.key == key and NOT_WEIGHTS.search(spec.container)]
        # One a parameter, both in the model's order; a frozen or tied parameter breaks the count, and then nothing is claimed.
        if len(moments) == len(books):
            found[key] = moments[books.index(book)]
    return found
