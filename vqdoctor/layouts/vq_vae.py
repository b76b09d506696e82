"""The first VQ-VAEs in PyTorch and their many copies: rosinality's VQ-VAE-2 and zalando's notebook after DeepMind's Sonnet.

Source: rosinality/vq-vae-2-pytorch vqvae.py; zalandoresearch/pytorch-vq-vae vq-vae.ipynb.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.layouts.family import Family, Site, standard_normal, uniform_in_codes
from vqdoctor.layouts.tells import BOOK_READ
from vqdoctor.model import EmaFacts

UNDERSCORED = r"_embedding\.weight"


def _stands_in_columns(sites: list[Site]) -> bool:
    """True where the codes are columns: as many as counts, or, in a square table, where the running sums say so."""
    site = sites[0]
    counts, sums = site.sibling("cluster_size"), site.sibling("embed_avg")
    dim, codes = site.spec.shape
    if counts is None or sums is None or counts.shape != (codes,) or sums.shape != site.spec.shape:
        return False
    return dim != codes or site.spec.size > BOOK_READ or _columns_fit_better(site)


def _columns_fit_better(site: Site) -> bool:
    """In a square table, count × code = sum holds along one axis only; a tie is settled as the family stores it."""
    read = site.state.source.read
    beside = (site.sibling("cluster_size"), site.sibling("embed_avg"))
    book, counts, sums = (np.asarray(read(one.name), dtype=np.float64) for one in (site.spec, *beside) if one)
    with np.errstate(all="ignore"):
        columns, rows = (np.abs(book * scale - sums) for scale in (counts[None, :], counts[:, None]))
    readable = np.isfinite(columns) & np.isfinite(rows)
    return not columns[readable].sum() > rows[readable].sum()


ROSINALITY = Family(
    name="rosinality",
    about="rosinality VQ-VAE-2 Quantize, codes in columns",
    book=r"(?P<name>(?:.*\.)?(?!_?codebook\.)\w+)\.embed",
    axis="dk",
    count="cluster_size",
    total="embed_avg",
    needs=("cluster_size", "embed_avg"),
    lacks=("initted", "inited"),
    ema=EmaFacts(relation="laplace", decay=0.99, start_mass=0.0),
    start=standard_normal,
    when=_stands_in_columns,
)

ZALANDO_EMA = Family(
    name="zalando-ema",
    about="zalandoresearch VectorQuantizerEMA and its copies",
    book=rf"(?P<stem>(?:(?P<name>.*)\.)?){UNDERSCORED}",
    count="_ema_cluster_size",
    total="_ema_w",
    needs=("_ema_cluster_size", "_ema_w"),
    ema=EmaFacts(relation="ratio", counts="smoothed", decay=0.99, start_mass=0.0),
    start=standard_normal,
    notes=("its stored counts are Laplace-smoothed already",),
)

ZALANDO = Family(
    name="zalando",
    about="zalandoresearch VectorQuantizer and its copies",
    book=rf"(?P<stem>(?:(?P<name>(?:.*\.)?\w*(?i:vq|quanti|codebook)\w*)\.)){UNDERSCORED}",
    start=uniform_in_codes,
)
