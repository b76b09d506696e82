"""Files to `TensorSource`: opened lazily, interpreted and never executed, without torch; and new values into a copy of a file.
What the tensors mean is not known here.

The room's parts, from the bytes up: `files` · `extents` (runs of bytes) · `values` (views to numbers) · `zip_archive` ·
`pickle_machine`, `pickle_opcodes` (pickles as data) · `torch_values`, `numpy_values`, `python_values` (what their calls stand
for) · `naming` (state dicts) · one reader a container · `sniffing`, `strangers` (what a file is) · `opening`. Writing: `encoding`
(numbers to bytes) · `patching` (where they go) · `zip_patch` (checksums) · `cloning` · `comparing` (the proof) · `copy_steps`,
`shard_copies`, `copying`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vqdoctor.checkpoint.limits import Limits, default_limits
from vqdoctor.checkpoint.opening import list_broken, list_checkpoints, open_source, sniff
from vqdoctor.checkpoint.source import CheckpointSource

if TYPE_CHECKING:
    from vqdoctor.checkpoint.comparing import compare_files
    from vqdoctor.checkpoint.copy_steps import STEPS
    from vqdoctor.checkpoint.copying import check_target, write_copy
    from vqdoctor.checkpoint.written import Written

__all__ = [
    "STEPS", "CheckpointSource", "Limits", "Written", "check_target", "compare_files", "default_limits", "list_broken",
    "list_checkpoints", "open_source", "sniff", "write_copy",
]  # fmt: skip

_WRITING = {
    "STEPS": "copy_steps", "Written": "written", "check_target": "copying", "compare_files": "comparing", "write_copy": "copying",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What writes copies is imported on first use: most commands only read."""
    if name not in _WRITING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WRITING[name]}"), name)
