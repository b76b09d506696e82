"""What each family's tensors mean: from a `TensorSource` to the quantisers in it.

A layout knows keys, axes and habits, never files. To add one: a small file with a `Family` (or anything with `name`, `about` and
`match(state)`), its place in `LAYOUTS`, and a synthetic checkpoint in tests/layouts. Order matters: a layout that needs telling
siblings stands before one that takes the bare key, and the generic recogniser comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from vqdoctor import plugins
from vqdoctor.layouts.arrays import Write, codes, ema_counts, ema_sums, flag, lookup, state_for, stored_rows
from vqdoctor.layouts.discrete_vaes import DALLE, DALLE_PYTORCH
from vqdoctor.layouts.encodec import (
    AUDIOCRAFT,
    ENCODEC,
    ENCODEC_SINGLE,
    ENCODEC_UNFLAGGED,
    FUNCODEC,
    HF_ENCODEC,
    HF_XCODEC,
    WAVTOKENIZER,
    XCODEC,
)
from vqdoctor.layouts.factorised_codecs import BIGCODEC, DAC, SNAC
from vqdoctor.layouts.generic import GENERIC
from vqdoctor.layouts.grouped_codecs import HIFICODEC
from vqdoctor.layouts.image_tokenisers import BEIT2, DOME272, GLM_IMAGE, IBQ, LLAMAGEN, TITOK, TITOK_PIXELS, VAR, VIT_VQGAN
from vqdoctor.layouts.jukebox import JUKEBOX
from vqdoctor.layouts.kakaobrain import KAKAOBRAIN
from vqdoctor.layouts.lookup_free import FSQ, LATENT, LFQ
from vqdoctor.layouts.lucidrains import (
    LUCIDRAINS,
    LUCIDRAINS_2D,
    LUCIDRAINS_2D_RESIDUAL,
    LUCIDRAINS_COLUMNS,
    LUCIDRAINS_COLUMNS_RESIDUAL,
    LUCIDRAINS_HIERARCHICAL,
    LUCIDRAINS_RANDOM_PROJECTION,
    LUCIDRAINS_RESIDUAL,
    LUCIDRAINS_RESIDUAL_UNFLAGGED,
    LUCIDRAINS_UNFLAGGED,
    SIM_VQ_LUCIDRAINS,
    SIM_VQ_LUCIDRAINS_LEGACY,
    TIME_VQVAE,
)
from vqdoctor.layouts.mimi import HF_MIMI, MIMI, MIMI_LEGACY
from vqdoctor.layouts.motion import MOMASK, T2M_GPT, T2M_GPT_VQ
from vqdoctor.layouts.restoration import CVQ, VQFR
from vqdoctor.layouts.select import likeliest, select_quantizer
from vqdoctor.layouts.semantic_id_models import GRID, LC_REC, OPEN_ONEREC, RQ_KMEANS, RQ_VAE_RECOMMENDER
from vqdoctor.layouts.sim_vq import SIM_VQ
from vqdoctor.layouts.state import StateDict, state_dicts
from vqdoctor.layouts.structures import FOLDTOKEN, FOLDTOKEN_BITS, LAPA, VIDEOGPT
from vqdoctor.layouts.taming import TAMING, TAMING_EMA, TAMING_GUMBEL, VQ_DIFFUSION
from vqdoctor.layouts.twins import copies, settle
from vqdoctor.layouts.vq_vae import ROSINALITY, ZALANDO, ZALANDO_EMA
from vqdoctor.layouts.vqdoctor_trainer import VQDOCTOR_TRAINER
from vqdoctor.layouts.vqtorch import VQTORCH
from vqdoctor.layouts.wav2vec import WAV2VEC, WAV2VEC_KMEANS
from vqdoctor.model import Quantizer, TensorSource


class Layout(Protocol):
    """Recognises the quantisers of one family. `name` is shown and stable; `about` says repository and class."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    def match(self, state: StateDict) -> Iterable[Quantizer]:
        """The family's quantisers in one state dict; nothing where there are none. Never raises on odd shapes."""
        ...


LAYOUTS: tuple[Layout, ...] = (
    VQDOCTOR_TRAINER,
    LUCIDRAINS_RANDOM_PROJECTION, LUCIDRAINS_HIERARCHICAL, LUCIDRAINS_RESIDUAL, LUCIDRAINS, TIME_VQVAE, LUCIDRAINS_2D_RESIDUAL,
    LUCIDRAINS_2D, LUCIDRAINS_COLUMNS_RESIDUAL, LUCIDRAINS_COLUMNS, SIM_VQ_LUCIDRAINS, SIM_VQ_LUCIDRAINS_LEGACY,
    AUDIOCRAFT, XCODEC, WAVTOKENIZER, ENCODEC, ENCODEC_SINGLE, HF_ENCODEC, HF_XCODEC, FUNCODEC, MIMI, MIMI_LEGACY, HF_MIMI,
    SNAC, DAC, BIGCODEC, HIFICODEC, JUKEBOX, WAV2VEC, WAV2VEC_KMEANS, DALLE, DALLE_PYTORCH, VQTORCH, LATENT, LFQ, FSQ,
    LC_REC, RQ_KMEANS, RQ_VAE_RECOMMENDER, GRID, OPEN_ONEREC,
    SIM_VQ, VAR, BEIT2, TITOK, LLAMAGEN, CVQ, GLM_IMAGE, IBQ, TAMING_EMA, TAMING_GUMBEL, VQ_DIFFUSION, TAMING, TITOK_PIXELS,
    VQFR, VIT_VQGAN, T2M_GPT, T2M_GPT_VQ, MOMASK, KAKAOBRAIN, ZALANDO_EMA, ZALANDO, ROSINALITY,
    VIDEOGPT, FOLDTOKEN, FOLDTOKEN_BITS, LAPA, DOME272,
    LUCIDRAINS_RESIDUAL_UNFLAGGED, LUCIDRAINS_UNFLAGGED, ENCODEC_UNFLAGGED, GENERIC,
)  # fmt: skip
_OURS = frozenset(map(id, LAYOUTS))

__all__ = [
    "LAYOUTS", "Layout", "StateDict", "Write", "codes", "copies", "ema_counts", "ema_sums", "find_quantizers", "flag",
    "known_layouts", "likeliest", "lookup", "select_quantizer", "state_dicts", "state_for", "stored_rows",
]  # fmt: skip


def known_layouts() -> tuple[Layout, ...]:
    """The built-in layouts, behind those of installed plugins: who installs one for a family means it to be used."""
    return (*plugins.load_all("layouts", _is_no_layout), *LAYOUTS)


def find_quantizers(source: TensorSource, *, layouts: Sequence[Layout] | None = None) -> list[Quantizer]:
    """All quantisers of a checkpoint, in file order; the first layout that matches a book claims it, and twins count once.

    Args:
        layouts: which to ask, `known_layouts` if not given.
    """
    states = list(state_dicts(source))
    asked = known_layouts() if layouts is None else layouts
    return settle(states, [quantizer for state in states for quantizer in _matched(state, asked)])


def _is_no_layout(found: Any) -> str | None:
    """Why an object of a plugin cannot be asked, None where it can."""
    worded = all(isinstance(getattr(found, name, None), str) for name in ("name", "about"))
    return None if worded and callable(getattr(found, "match", None)) else "is no layout: one has name, about and match(state)."


def _asked(layout: Layout, state: StateDict) -> list[Quantizer]:
    """What a layout finds; a stranger's that raises, or yields something else, is left out from then on."""
    if id(layout) in _OURS:
        return list(layout.match(state))
    try:
        found = list(layout.match(state))
        if not all(isinstance(one, Quantizer) for one in found):
            raise TypeError("match yields values of vqdoctor.model.Quantizer")
    except Exception as error:
        plugins.leave_out(layout, error)
        return []
    return found


def _matched(state: StateDict, layouts: Sequence[Layout]) -> list[Quantizer]:
    found: list[tuple[int, Quantizer]] = []
    place = {spec.name: i for i, spec in enumerate(state.specs.values())}
    for layout in layouts:
        for quantizer in _asked(layout, state):
            tensors = _tensors(state, quantizer)
            if not tensors & state.claimed:
                state.claimed.update(tensors)
                found.append((min((place[name] for name in tensors), default=len(place)), quantizer))
    return [quantizer for _, quantizer in sorted(found, key=lambda one: one[0])]


def _tensors(state: StateDict, quantizer: Quantizer) -> set[str]:
    """The tensors that are the quantiser's: books and running sums; all of its module where it has no books."""
    if not quantizer.levels:
        return {spec.name for key, spec in state.specs.items() if key.startswith(f"{quantizer.name}.")}
    return {where.name for level in quantizer.levels for where in (level.stored, level.ema_sum) if where is not None}
