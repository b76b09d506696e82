"""The layout of a made-up family, the "acme tokenizer": everything that a layout states, in one table of facts.

Its checkpoints hold, for each level i of a residual quantiser::

    tokenizer.levels.0.table    (D, K)   the codes, in columns
    tokenizer.levels.0.hits     (K,)     decayed hits of each code, decay 0.99, zeros at first
    tokenizer.levels.0.mass     (D, K)   decayed sums of the rows that chose it
"""

from vqdoctor.layouts.family import Family
from vqdoctor.model import EmaFacts, Initialisation


def drawn(codes: int, dim: int) -> Initialisation:
    """A fresh book is N(0, 0.02): rows that still look so were never trained (VQ204)."""
    return Initialisation("normal", 0.02, "N(0, 0.02)")


ACME = Family(
    name="acme-tokenizer",
    about="acme's residual tokenizer (the example of CONTRIBUTING)",
    book=r"(?P<stem>(?P<name>(?:.*\.)?tokenizer)\.levels\.(?P<level>\d+)\.)table",
    structure="residual",
    axis="dk",
    count="hits",
    total="mass",
    needs=("hits", "mass"),
    ema=EmaFacts(relation="laplace", decay=0.99, start_mass=0.0, threshold=1.0),
    start=drawn,
)
