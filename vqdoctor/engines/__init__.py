"""Engines: where rows are encoded and counted. One pass, constant memory, everything that the measures need.

A sample is shared out in parts, each is counted by whoever reads it (`share`), and what the parts leave behind is put together in
their order (`assemble`). `local` does all of it in this process; a plugin may do the counting on a cluster, as long as it is an
:class:`Engine` and returns the same `Tally`. Nothing is judged here; `spill` alone writes: IDs that memory does not hold.
"""

from vqdoctor.engines.assemble import assemble, row_numbers, shared_out
from vqdoctor.engines.choose import ENGINES, encoder_named, engine_named, known_engines
from vqdoctor.engines.coding import CodedPart, code_part, encode_rows
from vqdoctor.engines.ids import CountedIds, DistinctIds, IdGroup, IdTable
from vqdoctor.engines.local import distinct_ids, measure_rows, tally_codes
from vqdoctor.engines.share import Share, count_part, join, nothing
from vqdoctor.engines.tally import Engine, Kept, LevelTally, Tally, level_inputs, unseen_distances

__all__ = [
    "ENGINES",
    "CodedPart",
    "CountedIds",
    "DistinctIds",
    "Engine",
    "IdGroup",
    "IdTable",
    "Kept",
    "LevelTally",
    "Share",
    "Tally",
    "assemble",
    "code_part",
    "count_part",
    "distinct_ids",
    "encode_rows",
    "encoder_named",
    "engine_named",
    "join",
    "known_engines",
    "level_inputs",
    "measure_rows",
    "nothing",
    "row_numbers",
    "shared_out",
    "tally_codes",
    "unseen_distances",
]  # fmt: skip
