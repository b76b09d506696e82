"""Features, assigned codes and semantic IDs: files in, plain arrays out, streamed in blocks.

The room checks that a file holds what it should (rows of one width, whole numbers, one ID an item) and says which row or item
does not. It measures nothing and knows no quantiser; containers that only `checkpoint` can open (`.pt`, `.safetensors`, `.npz`)
are opened by a function that the caller passes in, because rooms on one floor do not import each other.
"""

from vqdoctor.samples.codes import CodeTable, read_codes
from vqdoctor.samples.features import ArrayRows, Rows, Shards, open_part, open_rows
from vqdoctor.samples.id_certainty import is_surely_ids
from vqdoctor.samples.parts import Part, part_rows
from vqdoctor.samples.semantic_ids import SemanticIds, read_assigned, read_ids, sniff_ids
from vqdoctor.samples.sidecar import Sidecar, find_sidecar
from vqdoctor.samples.stored import OpenSource, StoredArray

__all__ = [
    "ArrayRows", "CodeTable", "OpenSource", "Part", "Rows", "SemanticIds", "Shards", "Sidecar", "StoredArray", "find_sidecar",
    "is_surely_ids",    "open_part", "open_rows", "part_rows", "read_assigned", "read_codes", "read_ids", "sniff_ids",
]  # fmt: skip
