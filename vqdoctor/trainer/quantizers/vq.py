"""One codebook: nearest (or drawn) code, its losses, its EMA statistics, and the one way to write rows into it.

Whatever changes rows, be it k-means, a reset or expansion, goes through `write`, so that codes, counts and sums never disagree
(theory §7.2: mass m = ΣN/K and sum = m·e make the next normalisation the identity). Sources: van den Oord et al. 2017 (arXiv
1711.00937); Razavi et al. 2019 (EMA, arXiv 1906.00446); Fifty et al. 2024 (rotation trick, arXiv 2410.06424).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqdoctor.trainer.distributed import summed
from vqdoctor.trainer.quantizers.sinkhorn import balanced
from vqdoctor.trainer.settings import QuantizerSettings

EPSILON = 1e-5  # of the Laplace smoothing, as in all EMA codebooks since sonnet's

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Quantized(NamedTuple):
    """values: what the rows became, (N, D). codes: (N,) int64, or (N, L) of a residual quantiser. losses: scalars, unweighted."""

    values: Tensor
    codes: Tensor
    losses: dict[str, Tensor]


class VectorQuantizer(nn.Module):
    """A codebook of K codes in D dimensions.

    State: `codebook` (K, D), a parameter under gradient update; `ema_count` (K,) decayed hits a step, from ones; under EMA update
    also `ema_sum` (K, D) with codebook = sum / smoothed count; `initialised`, 0 until a k-means start has come.
    """

    codebook: Tensor
    ema_count: Tensor
    ema_sum: Tensor
    initialised: Tensor

    def __init__(self, codes: int, dim: int, settings: QuantizerSettings, *, sinkhorn_epsilon: float = 0.0) -> None:
        super().__init__()
        self.settings = settings
        self.sinkhorn_epsilon = sinkhorn_epsilon
        self.decay = settings.decay
        self.pools_ranks = True  # statistics are summed over ranks; off, each rank trains a book of its own
        self.after_write: Callable[[Tensor], None] = lambda rows: None  # the loop drops what its optimiser remembers of these rows
        self.after_resize: Callable[[], None] = lambda: None  # the loop gives its optimiser rows for the new codes
        book = _first_book(codes, dim, settings.codebook_init)
        dtype = DTYPES[settings.state_dtype]
        if self.learns:
            self.codebook = nn.Parameter(book, requires_grad=settings.book_moves)
        else:
            self.register_buffer("codebook", book.to(dtype))
            self.register_buffer("ema_sum", book.to(dtype, copy=True))
        self.register_buffer("ema_count", torch.ones(codes, dtype=dtype))
        self.register_buffer("initialised", torch.tensor(settings.codebook_init != "zeros", dtype=torch.uint8))

    @property
    def learns(self) -> bool:
        """True where the codebook is a parameter that gradients move."""
        return self.settings.update == "gradient"

    def book(self) -> Tensor:
        """What rows are compared with and become, (K, D) float32: the codes, of unit length under cosine."""
        book = self.codebook.float()
        return F.normalize(book, dim=1) if self.settings.metric == "cosine" else book

    def scaled(self, rows: Tensor) -> Tensor:
        """Rows as the lookup sees them: of unit length under cosine."""
        return F.normalize(rows, dim=1) if self.settings.metric == "cosine" else rows

    def distances(self, rows: Tensor) -> Tensor:
        """Squared Euclidean distances of rows (N, D) to the book, (N, K), float32."""
        rows, book = self.scaled(rows.float()), self.book()
        if not self.training:  # about the book's middle: a large common offset then costs no digits, as in `vqdoctor.nearest`
            middle = book.mean(0)
            rows, book = rows - middle, book - middle
        return (rows.square().sum(1, keepdim=True) + book.square().sum(1) - 2 * rows @ book.T).clamp_min(0)

    def assign(self, distances: Tensor) -> Tensor:
        """Codes (N,) int64: in training drawn by temperature or balanced by Sinkhorn where asked, else the nearest."""
        temperature = self.settings.temperature
        if not self.training or (temperature <= 0 and self.sinkhorn_epsilon <= 0):
            return distances.argmin(1)
        if self.sinkhorn_epsilon > 0:
            return balanced(distances, self.sinkhorn_epsilon, self.settings.sinkhorn_iters)
        logits = -distances / temperature
        if self.settings.sampling == "gumbel":
            return (logits - torch.empty_like(logits).exponential_().log()).argmax(1)
        return torch.multinomial(logits.softmax(1), 1).squeeze(1)

    def forward(self, rows: Tensor) -> Quantized:
        """Quantise rows (N, D); does not update the statistics (see `update`)."""
        distances = self.distances(rows)
        codes = self.assign(distances.detach())
        target = self.scaled(rows.float())
        chosen = F.embedding(codes, self.book())
        losses = {"commitment": F.mse_loss(target, chosen.detach()), "codebook": F.mse_loss(chosen, target.detach())}
        losses["entropy"] = entropy_loss(distances, self.settings.temperature or 1.0)
        return Quantized(chosen, codes, losses)

    @torch.no_grad()
    def update(self, rows: Tensor, codes: Tensor) -> None:
        """Move counts, and under EMA sums and codes, by one step's rows (N, D) and codes (N,) of all ranks."""
        hits = self._pooled(torch.bincount(codes, minlength=len(self.ema_count)).float())
        self._decay_into(self.ema_count, hits)
        if self.learns:
            return
        totals = torch.zeros(self.codebook.shape, device=rows.device).index_add_(0, codes, self.scaled(rows.float()))
        self._decay_into(self.ema_sum, self._pooled(totals))
        if self.settings.book_moves:  # a new tensor: the step's backward pass still needs the old one
            self.codebook = (self.ema_sum.float() / smoothed(self.ema_count.float())[:, None]).to(self.codebook.dtype)

    def _pooled(self, tensor: Tensor) -> Tensor:
        return summed(tensor) if self.pools_ranks else tensor

    def _decay_into(self, state: Tensor, now: Tensor) -> None:
        """state ← γ·state + (1−γ)·now, in the state's own precision."""
        state.mul_(self.decay).add_(now.to(state.dtype), alpha=1 - self.decay)

    @torch.no_grad()
    def write(self, rows: Tensor, values: Tensor, *, mass: Tensor | None = None, sums: Tensor | None = None) -> None:
        """Set codes `rows` (r,) to `values` (r, D), with count and sum to match and the optimiser's memory of them gone.

        Args:
            mass: counts to store, (r,); default the mean count, at which the next normalisation leaves the codes where they are.
            sums: instead of mass·values; only to reproduce a known defect.
        """
        total = self.ema_count.float().sum()
        count = (total / len(self.ema_count)).clamp_min(EPSILON).expand(len(rows)) if mass is None else mass
        self.codebook.data[rows] = values.to(self.codebook.dtype)
        self.ema_count[rows] = count.to(self.ema_count.dtype)
        if not self.learns:
            self.ema_sum[rows] = (values * count[:, None] if sums is None else sums).to(self.ema_sum.dtype)
        self.initialised.fill_(1)
        self.after_write(rows)


def smoothed(counts: Tensor) -> Tensor:
    """Laplace-smoothed counts (K,): (N + ε) / (ΣN + K·ε) · ΣN, so that no code divides by zero."""
    total = counts.sum()
    return (counts + EPSILON) / (total + len(counts) * EPSILON) * total


def entropy_loss(distances: Tensor, temperature: float) -> Tensor:
    """mean H(code | row) − H(mean code) in nats under softmax(−d²/T): sure about each row, even over the book (LFQ, arXiv
    2310.05737).
    """
    log_share = (-distances / temperature).log_softmax(1)
    share = log_share.exp()
    mean = share.mean(0)
    return -(share * log_share).sum(1).mean() + (mean * mean.clamp_min(1e-12).log()).sum()


def rotated(rows: Tensor, values: Tensor) -> Tensor:
    """Rows turned and stretched onto `values`, gradients turned with them instead of copied: both (N, D)."""
    lengths = rows.norm(dim=1, keepdim=True).clamp_min(1e-6), values.norm(dim=1, keepdim=True)
    start, end = (rows / lengths[0]).detach(), F.normalize(values, dim=1).detach()
    middle = F.normalize(start + end, dim=1).detach()
    turned = rows - 2 * (rows * middle).sum(1, keepdim=True) * middle + 2 * (rows * start).sum(1, keepdim=True) * end
    return turned * (lengths[1] / lengths[0]).detach()


def _first_book(codes: int, dim: int, kind: str) -> Tensor:
    if kind == "uniform":
        return torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes)
    return torch.zeros(codes, dim) if kind == "zeros" else torch.randn(codes, dim)
