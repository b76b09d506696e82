"""The features that lie beside a checkpoint: written with a note that binds them to it, found by name, and only used where nothing
speaks against them.

`<stem>.features.npy` holds rows, `<stem>.codes.npy` the codes that the model itself gave the same rows, and
`<stem>.features.json` the note.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vqdoctor.safe_write import write_atomically, writing

SCHEMA = "vqdoctor.features/1"
HASHES = ("checkpoint_sha256", "checkpoint_hash", "sha256")  # as we write it, and as others may who write the note by hand
SLACK_SECONDS = 2.0  # a copy or a checkout may write the two files in any order


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``<checkpoint stem>.features.npy`` and what its ``.features.json`` says.

    Attributes:
        path: the features.
        objections: why not to use it, one sentence each; () means use it.
        proven: its JSON names the hash of this very checkpoint.
        facts: the JSON's values ("checkpoint_sha256", "population", …), {} where there is none.
        codes: the model's own codes of the same rows, None where there are none.
    """

    path: str
    objections: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    codes: str | None = None
    proven: bool = False


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
    stated = next((facts[name] for name in HASHES if isinstance(facts.get(name), str)), None)
    proven = False
    if stated is not None and digest is not None:
        proven = stated.lower() == digest()
        objections = () if proven else ("its JSON names another checkpoint (sha256 differs)",)
    elif path.stat().st_mtime < checkpoint.stat().st_mtime - SLACK_SECONDS:
        objections = ("it is older than the checkpoint",)
    else:
        objections = ()
    codes = checkpoint.with_name(f"{checkpoint.stem}.codes.npy")
    meant = bool(facts.get("codes", True))  # a note that says there are none: this file is of other rows
    return Sidecar(str(path), objections, facts, str(codes) if meant and codes.is_file() else None, proven)


def checkpoint_facts(checkpoint: str | os.PathLike[str]) -> dict[str, str]:
    """What binds features to a checkpoint: its file name and the sha256 of its bytes.

    Raises:
        OSError: it cannot be read.
    """
    import hashlib  # loads OpenSSL, which looking at features does not need

    path = Path(checkpoint)
    with path.open("rb") as file:
        return {"checkpoint": path.name, "checkpoint_sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def write_sidecar(stem: str | Path, features: np.ndarray, facts: Mapping[str, Any], *, codes: np.ndarray | None = None) -> Path:
    """Write features, codes and the note; the note last, so that none ever describes rows that are not there.

    Args:
        stem: path of the checkpoint without its suffix. features: (n, D). codes: (n,) or (n, L), of the same rows.
        facts: for the note, beside schema, rows, width and whether there are codes.

    Returns:
        the path of the features.

    Raises:
        UsageError: a file cannot be written.
    """
    path, own, note = (Path(f"{stem}.{ending}") for ending in ("features.npy", "codes.npy", "features.json"))
    note.unlink(missing_ok=True)
    own.unlink(missing_ok=True)
    for target, rows in ((path, features), (own, codes)):
        if rows is not None:
            with writing(target) as file:
                np.save(file, rows)
    said = {"schema": SCHEMA, "rows": len(features), "width": features.shape[1], "codes": codes is not None}
    write_atomically(note, json.dumps(said | dict(facts), indent=2).encode("utf-8"))
    return path


def _facts(path: Path) -> dict[str, Any]:
    """The JSON's values; {} where there is no such file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        facts = json.loads(file.read(1 << 20))
    if not isinstance(facts, dict):
        raise ValueError("not an object")
    return facts
