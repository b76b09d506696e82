"""SimVQ as its authors store it: a frozen random table and the linear map that makes codes of it.

`quantize.embedding.weight` looks exactly like taming's; `embedding_proj` beside it flips the meaning: codes are the map of
the table. Source: youngsheen/SimVQ taming/modules/vqvae/quantize.py.
"""

from vqdoctor.layouts.family import Family, frozen_normal
from vqdoctor.layouts.taming import QUANTIZE

SIM_VQ = Family(
    name="simvq",
    about="SimVQ, youngsheen",
    book=QUANTIZE + r"embedding\.weight",
    start=frozen_normal,
    linear="embedding_proj",
    needs=("embedding_proj.weight",),
    notes=("the stored table is frozen noise; what is measured is embedding_proj applied to it",),
)
