"""How the peer tests look: a real library writes a file, our reader opens it, our search assigns codes through the lookup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vqdoctor.checkpoint import open_source
from vqdoctor.layouts import find_quantizers, lookup
from vqdoctor.model import Quantizer, TensorSource
from vqdoctor.nearest import encode


def saved(module, folder: Path) -> TensorSource:
    """The module's state dict as torch.save writes it, opened by us."""
    import torch

    path = folder / "model.pt"
    torch.save(module.state_dict(), path)
    return open_source(str(path))


def only(source: TensorSource) -> Quantizer:
    (found,) = find_quantizers(source)
    return found


def assigned(source: TensorSource, quantizer: Quantizer, rows: np.ndarray) -> np.ndarray:
    """(n, L) codes of (n, width) rows."""
    return encode(rows, lookup(source, quantizer)).codes
