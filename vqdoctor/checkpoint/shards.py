"""A checkpoint that is spread over several files, by its index: ``model.safetensors.index.json`` and
``pytorch_model.bin.index.json``.

The index maps each tensor to a shard's plain file name in its own folder; anything that could point elsewhere is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from vqdoctor.checkpoint.extents import Extent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.safetensors import read_json
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.errors import CorruptInput, MissingInput, printable
from vqdoctor.model import TensorSpec

INDEX_MARK = b'"weight_map"'


def read_index(file: RegularFile, limits: Limits) -> dict[str, str]:
    """Tensor name → shard's file name. Raises CorruptInput, LimitExceeded."""
    limits.check("header_bytes", file.bytes)
    weight_map = read_json(file.read(0, file.bytes), limits).get("weight_map")
    if type(weight_map) is not dict or not weight_map:
        raise CorruptInput("a shard index whose weight_map is not a table of file names.")
    for shard in weight_map.values():
        if type(shard) is not str or shard in ("", ".", "..") or any(mark in shard for mark in "/\\\0"):
            raise CorruptInput(f"a shard index that points to {printable(shard, 80)}, which is not a plain file name.")
    limits.check("shards", len(set(weight_map.values())))
    return weight_map


def shard_paths(index: RegularFile, weight_map: dict[str, str]) -> list[str]:
    """The shards' paths, in the index's order."""
    folder = os.path.dirname(index.path)
    return [os.path.join(folder, shard) for shard in dict.fromkeys(weight_map.values())]


def open_shards(index: RegularFile, limits: Limits, open_one: Callable[[str], CheckpointSource]) -> CheckpointSource:
    """Opens all shards as one source. Tensors keep the names that the index gives them.

    Raises:
        MissingInput: shards are not there; the first is named. Otherwise as for each shard.
    """
    weight_map = read_index(index, limits)
    paths = shard_paths(index, weight_map)
    missing = [os.path.basename(path) for path in paths if not os.path.isfile(path)]
    if missing:
        raise MissingInput(
            f"{len(missing):,} of its {len(paths):,} shards are missing (first: {printable(missing[0])}).",
            hint="Put them into the folder of the index.",
        )
    shards: list[CheckpointSource] = []
    try:
        for path in paths:
            shards.append(open_one(path))
        return _joined(index, weight_map, shards, limits)
    except BaseException:
        for shard in shards:
            shard.close()
        raise


def _joined(index: RegularFile, weight_map: dict[str, str], shards: list[CheckpointSource], limits: Limits) -> CheckpointSource:
    specs: dict[str, TensorSpec] = {}
    extents: dict[str, Extent] = {}
    warnings: list[str] = []
    for shard in shards:
        file_name = os.path.basename(shard.path)
        mapped = {name: spec for name, spec in shard.specs.items() if weight_map.get(name, file_name) == file_name}
        if len(mapped) < len(shard.specs):
            others = len(shard.specs) - len(mapped)
            warnings.append(f"{others:,} tensors of {printable(file_name)} were left out: the index has them in another shard.")
        specs |= {name: replace(spec, storage=f"{file_name}:{spec.storage}") for name, spec in mapped.items()}
        extents |= {f"{file_name}:{storage}": extent for storage, extent in shard.extents.items()}
        warnings.extend(f"{printable(file_name)}: {warning}" for warning in shard.warnings)
    lost = [name for name in weight_map if name not in specs]
    if lost:
        warnings.append(f"{len(lost):,} tensors of the index are not in the shards it names (first: {printable(lost[0])}).")
    limits.check("tensors", len(specs))
    kind = "safetensors-sharded" if all(shard.kind == "safetensors" for shard in shards) else "torch-sharded"
    files = [file for shard in shards for file in shard.files]
    return CheckpointSource(files, kind, specs, extents, limits, path=index.path, info=shards[0].info, warnings=warnings)
