"""Checkpoints with known codes, for the use-case tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

Save = Callable[..., Path]


@pytest.fixture
def book() -> np.ndarray:
    """64 codes in 16 dimensions, far apart."""
    return np.random.default_rng(0).normal(scale=3.0, size=(64, 16)).astype(np.float32)


@pytest.fixture
def ema_checkpoint(tmp_path: Path, book: np.ndarray) -> Path:
    """A taming EMA quantiser whose counters call every code active and agree with its codes."""
    count = np.full(len(book), 0.5, np.float32)
    count[:2] = 500.0
    smoothed = (count + 1e-5) / (count.sum() + len(book) * 1e-5) * count.sum()
    path = tmp_path / "vq.safetensors"
    save_file(
        {
            "quantize.embedding.weight": book,
            "quantize.embedding.cluster_size": count,
            "quantize.embedding.embed_avg": book * smoothed[:, None],
            "encoder.conv.weight": np.zeros((8, 3, 3, 3), np.float32),
        },
        str(path),
    )
    return path


@pytest.fixture
def rq_checkpoint(tmp_path: Path) -> Path:
    """A residual quantiser of three levels, each a tenth of the one before."""
    rng = np.random.default_rng(3)
    path = tmp_path / "rq.safetensors"
    save_file(
        {f"rq.vq_layers.{i}.embedding.weight": (10.0 * 0.1**i * rng.normal(size=(16, 8))).astype(np.float32) for i in range(3)},
        str(path),
    )
    return path


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A book of 16 codes, 14 of them out of reach of the rows beside it."""
    rng = np.random.default_rng(0)
    book = np.concatenate([rng.normal(size=(2, 4)), 50 + rng.normal(size=(14, 4))])
    np.savez(tmp_path / "a.npz", **{"quantize.embedding.weight": book.astype(np.float32)})
    np.save(tmp_path / "a.features.npy", rng.normal(size=(400, 4)).astype(np.float32))
    return tmp_path / "a.npz"
