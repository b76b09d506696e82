"""The codebooks of a file, named and not measured."""

from __future__ import annotations

from dataclasses import dataclass

from vqdoctor.model.quantizer import Quantizer
from vqdoctor.model.report import Source


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found in one checkpoint."""

    source: Source
    quantizers: tuple[Quantizer, ...]
