"""AcademiCodec's HiFi-Codec: a row is split into groups, each quantised in two residual stages.

The stage is spelt in the attribute (`quantizer_modules`, `quantizer_modules2`), the group is the number behind it. As splitting
commutes with subtracting, each group is a residual quantiser on columns of its own.
Source: yangdongchao/AcademiCodec academicodec/models/hificodec/models.py.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, of_columns, uniform_in_codes
from vqdoctor.model import Quantizer


def _as_group(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    site = sites[0]
    member = replace(quantizer, name=f"{quantizer.name}.{site.group}")
    return of_columns(member, site.state, site.name, site.group)


HIFICODEC = Family(
    name="hificodec",
    about="AcademiCodec HiFi-Codec, one quantiser a group",
    book=r"(?P<name>(?:.+\.)?quantizer_modules)(?P<level>2?)\.(?P<group>\d+)\.embedding\.weight",
    structure="residual",
    start=uniform_in_codes,
    refine=_as_group,
)
