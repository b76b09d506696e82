"""Books and semantic IDs as files: what rq-kmeans leaves for RQ-Kmeans+ and for a recommender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vqdoctor.safe_write import writing
from vqdoctor.samples.id_writing import level_marks, slices_of, write_ids
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer


def save_books(path: Path, quantizer: ResidualQuantizer) -> None:
    """An .npz with `level_0`, `level_1`, …, each (K, D) float32."""
    books: dict[str, Any] = {
        f"level_{i}": level.codebook.detach().float().cpu().numpy() for i, level in enumerate(quantizer.levels)
    }
    with writing(path) as file:
        np.savez(file, **books)


def save_index(path: Path, codes: np.ndarray) -> None:
    """Codes (N, L) as a recommender's index file, 0-based, one token a level (contract §8)."""
    write_ids(str(path), len(codes), slices_of(codes), level_marks(codes.shape[1]))
