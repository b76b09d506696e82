"""Models to watch: quantisers that return their codes in each of the ways that repositories have, inside a small network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


class Net(nn.Module):
    """An encoder and a quantiser; `input_grad` lets gradients flow."""

    def __init__(self, quantizer: nn.Module, width: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Linear(width, width)
        self.quantizer = quantizer

    def forward(self, rows: Tensor) -> object:
        return self.quantizer(self.encoder(rows))


class HandWritten(nn.Module):
    """A plain VQ layer as in a notebook: channels first, indices flattened and deep inside a tuple."""

    def __init__(self, codes: int = 16, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[float, None, Tensor]]:
        rows = images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
        codes = torch.cdist(rows, self.embedding.weight).argmin(1)
        values = self.embedding(codes).reshape(images.shape[0], *images.shape[2:], -1).permute(0, 3, 1, 2)
        return images + (values - images).detach(), F.mse_loss(images, values), (1.0, None, codes[:, None])


class OneHot(nn.Module):
    """As zalando's notebook: no indices at all, one-hot rows instead."""

    def __init__(self, codes: int = 16, width: int = 8) -> None:
        super().__init__()
        self._embedding = nn.Embedding(codes, width)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        codes = torch.cdist(rows, self._embedding.weight).argmin(1)
        shares = F.one_hot(codes, len(self._embedding.weight)).float()
        return F.mse_loss(rows, self._embedding(codes)), self._embedding(codes), shares


@dataclass
class Output:
    """What a modern library returns."""

    values: Tensor
    info: dict[str, Tensor]


class LevelsFirst(nn.Module):
    """Residual levels on the first axis, (L, B, T), inside a dict inside a dataclass; its names say nothing to a layout."""

    def __init__(self, levels: int = 2, codes: int = 16, width: int = 8) -> None:
        super().__init__()
        self.tables = nn.ParameterList([nn.Parameter(torch.randn(codes, width) / 2**i) for i in range(levels)])
        self.codebook_size = codes

    def forward(self, rows: Tensor) -> Output:
        rest, codes = rows, []
        for table in self.tables:
            codes.append(torch.cdist(rest, table).argmin(-1))
            rest = rest - table[codes[-1]]
        return Output(rows - rest, {"lengths": torch.tensor([99]), "codes": torch.stack(codes)})


class Secretive(nn.Module):
    """A quantiser that keeps its codes to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(16, 8))

    def forward(self, rows: Tensor) -> Tensor:
        return self.codebook[torch.cdist(rows, self.codebook).argmin(-1)]


class Growing(nn.Module):
    """A book that can be doubled while it is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(4, 8))

    def grow(self) -> None:
        self.codebook = nn.Parameter(torch.cat([self.codebook.detach(), self.codebook.detach() + 1]))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        codes = torch.cdist(rows, self.codebook).argmin(-1)
        return self.codebook[codes], codes


class Operations(TorchDispatchMode):
    """Notes what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


WAITING = {"_local_scalar_dense", "nonzero", "item", "is_nonzero", "bincount", "_unique2", "unique_dim", "masked_select", "equal"}
"""What makes the host wait for the device, or has a size that only the device knows."""


def lines(path: Path, kind: str | None = None) -> list[dict]:
    """The log's lines, of one kind."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in found if kind in (None, line["kind"])]


def hooks(model: nn.Module) -> int:
    """How many hooks hang on a model."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """The model's attributes, hooks and modes are the same after the block as before."""
    before = [(dict(module.__dict__), module.training) for module in model.modules()], hooks(model)
    yield
    after = [(dict(module.__dict__), module.training) for module in model.modules()], hooks(model)
    assert [sorted(state) for state, _ in before[0]] == [sorted(state) for state, _ in after[0]]
    assert [mode for _, mode in before[0]] == [mode for _, mode in after[0]]
    assert before[1] == after[1] == 0
