"""The values that every room speaks: frozen, plain, importing nothing of vqdoctor but its errors.

`tensors` what a checkpoint holds · `quantizer` which of it is a codebook, and what its family does with it ·
`lookup` the arrays that turn features into codes · `sample` what was looked at · `series` what a log says ·
`report` what was found · `listing` what could be measured · `extension` what does the finding.
"""

from vqdoctor.model.extension import Extension
from vqdoctor.model.listing import Listing
from vqdoctor.model.lookup import Linear, Lookup, Stage
from vqdoctor.model.quantizer import Codebook, EmaFacts, Initialisation, Projection, Quantizer, Slice, laplace
from vqdoctor.model.report import (
    Finding,
    Group,
    LevelReport,
    QuantizerReport,
    Remedy,
    Report,
    Source,
    Unmeasured,
)
from vqdoctor.model.sample import Sample
from vqdoctor.model.series import Event, Meaning, Points, Series, SeriesKey
from vqdoctor.model.tensors import Opaque, TensorSource, TensorSpec

__all__ = [
    "Codebook", "EmaFacts", "Event", "Extension", "Finding", "Group", "Initialisation", "LevelReport", "Linear", "Listing",
    "Lookup", "Meaning", "Opaque", "Points", "Projection", "Quantizer", "QuantizerReport", "Remedy", "Report", "Sample", "Series",
    "SeriesKey", "Slice", "Source", "Stage", "TensorSource", "TensorSpec", "Unmeasured", "laplace",
]  # fmt: skip
