"""Everything that a run can be told, as one frozen value.

Sections keep related fields together in `config.toml`; a field's name is unique over all sections, so that ``--set decay=0.9``
needs none. Steps count optimiser steps, epochs passes over the training rows. Where 0 and None differ, None means "never".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from vqdoctor.errors import UsageError


@dataclass(frozen=True, slots=True)
class DataSettings:
    """data: one that is built in, or a file. rows: only the first so many. normalize_input: rows to unit length."""

    data: str = "photographs"
    rows: int | None = None
    val_ratio: float = 0.1
    normalize_input: bool = False


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """network "residual" is Z = X + MLP(X). code_dim 0: the width of the data. weight_start "normal": Linear from N(0, 0.02).

    whiten: the encoder sees its rows along their principal axes at unit variance and length √D, see `whitening`.
    """

    network: str = "mlp"
    hidden_dim: tuple[int, ...] = (256, 128)
    code_dim: int = 32
    dropout: float = 0.0
    batch_norm: bool = False
    weight_start: str = "normal"
    loss_type: str = "mse"
    whiten: bool = False


@dataclass(frozen=True, slots=True)
class QuantizerSettings:
    """update: "ema" or "gradient". codebook_init: "uniform" (±1/K), "normal" (N(0, 1)) or "zeros" (until k-means comes).

    temperature 0 takes the nearest code; above, training draws from softmax(−d²/T), as `sampling` "softmax" or "gumbel".
    sinkhorn_epsilons: one a level, 0 is off. state_dtype: of the running statistics. codebooks: an .npz with a book a level.
    book_moves: off, neither the optimiser nor the running means know the codes, the fault of many a first training loop.
    """

    levels: int = 1
    codes: tuple[int, ...] = (256,)
    shared: bool = False
    update: str = "ema"
    metric: str = "l2"
    decay: float = 0.99
    codebook_init: str = "normal"
    codebooks: str | None = None
    temperature: float = 0.0
    sampling: str = "softmax"
    sinkhorn_epsilons: tuple[float, ...] = ()
    sinkhorn_iters: int = 50
    straight_through: bool = True
    rotation: bool = False
    book_moves: bool = True
    state_dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights of reconstruction, commitment (β), codebook, entropy and uniformity terms; quantization_weight scales the middle
    three together.

    commitment_warmup_epochs: β grows linearly from 0. beta_on_codebook: β weighs the codebook term and commitment has weight 1,
    as in VQFR's code (its text says the opposite) and taming's legacy=True. uniformity_sharpness: how much nearer than usual two
    latents must be for the uniformity term to push them apart. *_scale: "mean" over values, "sum" over a row's values, or of the
    reconstruction "relative": in units of the error of always answering the mean row, so that weights mean the same on any data.
    """

    reconstruction_weight: float = 1.0
    commitment_weight: float = 0.25
    codebook_weight: float = 1.0
    quantization_weight: float = 1.0
    entropy_weight: float = 0.0
    uniformity_weight: float = 0.0
    uniformity_sharpness: float = 20.0
    commitment_warmup_epochs: float = 0.0
    beta_on_codebook: bool = False
    reconstruction_scale: str = "mean"
    quantization_scale: str = "mean"


@dataclass(frozen=True, slots=True)
class ReinitSettings:
    """k-means start at the first step of epoch `kmeans_epoch` (None: never), then re-estimation from the reservoir.

    kmeans_rows: latents that the start is fitted on, None: those of the step's own batch.
    reinit_interval: steps between re-estimations, None: never. They happen when `warmup_steps` end, every interval from
    `reinit_start` and at `reinit_stop` inclusive. warmup_steps: steps without quantisation. reinit_threshold: only codes with
    less than this share of the uniform rate are replaced; None: all. centroid_sum: "consistent", or "bare" as encodec has it
    (shrinks the book).
    """

    kmeans_epoch: int | None = None
    kmeans_iters: int = 50
    kmeans_rows: int | None = None
    reinit_interval: int | None = None
    reinit_start: int = 0
    reinit_stop: int | None = None
    reinit_threshold: float | None = None
    reservoir_size: int = 16384
    warmup_steps: int = 0
    centroid_sum: str = "consistent"


@dataclass(frozen=True, slots=True)
class RevivalSettings:
    """Dead codes take the place of training rows. reset_unit: "absolute" hits a step, or "uniform": times the mean count.

    lowest_share of the codes is reset every `lowest_interval` epochs. revival: "consistent", or "undone": the sums are left stale.
    """

    reset_threshold: float | None = None
    reset_unit: str = "absolute"
    reset_interval: int = 1
    lowest_share: float = 0.0
    lowest_interval: int = 1
    revival: str = "consistent"


@dataclass(frozen=True, slots=True)
class ExpansionSettings:
    """Every `expansion_interval` epochs (None: never) each book is doubled, up to `expansion_limit`.

    It is refused while real utilisation is under `expansion_minimum`, unless `expansion_force`.
    """

    expansion_interval: int | None = None
    expansion_limit: int = 65536
    expansion_minimum: float = 0.5
    expansion_force: bool = False


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """schedule: "constant" or "linear" (down to final_rate), both after `warmup_epochs`. clip: largest gradient norm."""

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    final_rate: float = 0.0
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    amp: bool = False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """select: "collision.rate", "usage.perplexity" or "loss". patience: evaluations without a better one. ranks_agree: off, they
    diverge.

    threads: of torch on the CPU, 0: its own choice. One, because these models are small: more of them wait for each other, and sums
    that are cut another way end in other bits.
    """

    epochs: int = 10
    batch_size: int = 256
    eval_interval: int = 1
    log_every: int = 20
    patience: int | None = None
    select: str = "loss"
    keep: int = 1
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    ranks_agree: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """A run's settings by section."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    quantizer: QuantizerSettings = field(default_factory=QuantizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    reinit: ReinitSettings = field(default_factory=ReinitSettings)
    revival: RevivalSettings = field(default_factory=RevivalSettings)
    expansion: ExpansionSettings = field(default_factory=ExpansionSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    run: RunSettings = field(default_factory=RunSettings)

    @property
    def sizes(self) -> tuple[int, ...]:
        """K of each level."""
        codes = self.quantizer.codes
        return codes * self.quantizer.levels if len(codes) == 1 else codes

    def flat(self) -> dict[str, Any]:
        """Every field by its name."""
        return {name: value for section in fields(self) for name, value in _items(getattr(self, section.name))}

    def nested(self) -> dict[str, dict[str, Any]]:
        """Sections of plain values, as `config.toml` and checkpoints hold them: tuples as lists, None left out."""
        return {
            section.name: {
                n: list(v) if isinstance(v, tuple) else v for n, v in _items(getattr(self, section.name)) if v is not None
            }
            for section in fields(self)
        }

    def but(self, **changes: Any) -> Config:
        """A copy with fields of any section changed, by name.

        Raises:
            UsageError: no section has a field of that name.
        """
        found = self
        for name, value in changes.items():
            section = SECTION_OF.get(name)
            if section is None:
                raise UsageError(f"there is no setting {name!r}")
            found = replace(found, **{section: replace(getattr(found, section), **{name: value})})
        return found


def _items(section: Any) -> Iterator[tuple[str, Any]]:
    return ((one.name, getattr(section, one.name)) for one in fields(section))


SECTION_OF = {one.name: section.name for section in fields(Config) for one in fields(getattr(Config(), section.name))}

CHOICES: dict[str, tuple[str, ...]] = {
    "network": ("mlp", "conv", "residual", "none"),
    "weight_start": ("normal", "torch"),
    "loss_type": ("mse", "l1"),
    "update": ("ema", "gradient"),
    "metric": ("l2", "cosine"),
    "codebook_init": ("uniform", "normal", "zeros"),
    "sampling": ("softmax", "gumbel"),
    "state_dtype": ("float32", "bfloat16", "float16"),
    "reconstruction_scale": ("mean", "sum", "relative"),
    "quantization_scale": ("mean", "sum"),
    "centroid_sum": ("consistent", "bare"),
    "reset_unit": ("absolute", "uniform"),
    "revival": ("consistent", "undone"),
    "optimizer": ("adamw", "adam", "sgd", "adagrad", "rmsprop"),
    "schedule": ("constant", "linear"),
    "select": ("collision.rate", "usage.perplexity", "usage.utilization", "loss"),
}

LIMITS: dict[str, tuple[float | None, float | None]] = {  # least and largest value, None: no limit
    "rows": (2, None), "val_ratio": (0, 0.9), "hidden_dim": (1, None), "code_dim": (0, None), "dropout": (0, 0.99),
    "levels": (1, 64),
    "codes": (1, None), "decay": (0, 1), "temperature": (0, None), "sinkhorn_epsilons": (0, None), "sinkhorn_iters": (1, None),
    "commitment_warmup_epochs": (0, None), "uniformity_weight": (0, None), "uniformity_sharpness": (0, None),
    "kmeans_epoch": (0, None), "kmeans_iters": (1, None), "kmeans_rows": (1, None),
    "reinit_interval": (1, None), "reinit_start": (0, None), "reinit_stop": (0, None), "reinit_threshold": (0, None),
    "reservoir_size": (1, None), "warmup_steps": (0, None), "reset_interval": (1, None), "lowest_share": (0, 1),
    "lowest_interval": (1, None),
    "expansion_interval": (1, None), "expansion_limit": (1, None), "expansion_minimum": (0, 1), "learning_rate": (0, None),
    "final_rate": (0, None),
    "warmup_epochs": (0, None), "weight_decay": (0, None), "clip": (0, None), "epochs": (0, None), "batch_size": (1, None),
    "eval_interval": (1, None), "log_every": (1, None), "patience": (1, None), "keep": (0, None), "seed": (0, None),
    "threads": (0, None),
}  # fmt: skip
