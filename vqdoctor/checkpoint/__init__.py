"""Files to `TensorSource`: opened lazily, interpreted and never executed, without torch. What the tensors mean is not known
here.

The room's parts, from the bytes up: `files` · `extents` (runs of bytes) · `values` (views to numbers) · `zip_archive` ·
`pickle_machine`, `pickle_opcodes` (pickles as data) · `torch_values`, `numpy_values`, `python_values` (what their calls stand
for) · `naming` (state dicts) · one reader a container · `sniffing`, `strangers` (what a file is) · `opening`.
"""

from vqdoctor.checkpoint.limits import DEFAULT_LIMITS, Limits
from vqdoctor.checkpoint.opening import list_checkpoints, open_source, sniff
from vqdoctor.checkpoint.source import CheckpointSource

__all__ = ["DEFAULT_LIMITS", "CheckpointSource", "Limits", "list_checkpoints", "open_source", "sniff"]
