"""What a user can ask of a watch: the border between the use case and its faces (command line, dashboard, Python)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Options of `vqdoctor watch` that change what is seen.

    Attributes:
        bindings: the user's own meanings, name as the log spells it → metric of ours.
        checkpoints: also look at checkpoints as they appear in the folders of the logs.
        rules: thresholds and severities by rule id, as in [tool.vqdoctor.rules].
    """

    bindings: Mapping[str, str] = field(default_factory=dict)
    checkpoints: bool = True
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
