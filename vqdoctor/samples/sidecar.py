"""The features that lie beside a checkpoint: found by name, and only used where nothing speaks against them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLACK_SECONDS = 2.0  # a copy or a checkout may write the two files in any order


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``<checkpoint stem>.features.npy`` and what its ``.features.json`` says.

    Attributes:
        path: the features.
        objections: why not to use it, one sentence each; () means use it.
        facts: the JSON's values ("checkpoint_sha256", "population", …), {} where there is none.
    """

    path: str
    objections: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def find_sidecar(checkpoint: str | Path, digest: Callable[[], str] | None = None) -> Sidecar | None:
    """The features beside a checkpoint, None where there are none.

    Args:
        checkpoint: path of the checkpoint.
        digest: its sha256 in hex; called only where the JSON names one. A matching hash outweighs the files' times.
    """
    checkpoint = Path(checkpoint)
    path = checkpoint.with_name(f"{checkpoint.stem}.features.npy")
    if not path.is_file() or not checkpoint.is_file():
        return None
    try:
        facts = _facts(path.with_suffix(".json"))
    except (OSError, ValueError, RecursionError) as error:
        return Sidecar(str(path), (f"{path.with_suffix('.json').name} cannot be read ({type(error).__name__})",))
    stated = facts.get("checkpoint_sha256")
    if stated is not None and digest is not None:
        objections = () if stated == digest() else ("its JSON names another checkpoint (sha256 differs)",)
    elif path.stat().st_mtime < checkpoint.stat().st_mtime - SLACK_SECONDS:
        objections = ("it is older than the checkpoint",)
    else:
        objections = ()
    return Sidecar(str(path), objections, facts)


def _facts(path: Path) -> dict[str, Any]:
    """The JSON's values; {} where there is no such file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        facts = json.loads(file.read(1 << 20))
    if not isinstance(facts, dict):
        raise ValueError("not an object")
    return facts
