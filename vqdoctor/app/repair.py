"""`vqdoctor repair` as a use case: choose the quantiser and the rows, plan, write a proven copy, leave what undoes it.

The order on disk is the order of trust: the old rows first (`OUT.undo.npz`), then the copy, which takes its name only after it was
read back and proven, then the note that binds all of it by hashes (`OUT.repair.json`). Whatever stops the process, the source is as
it was.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from vqdoctor.app.finding import find
from vqdoctor.app.prescription import AUTO, Step, prescribed
from vqdoctor.app.repair_companions import SCHEMA, as_json, read_note, restored, undo_bytes, undoable
from vqdoctor.app.repair_course import Course
from vqdoctor.app.request import InspectRequest, Progress, Silent
from vqdoctor.app.sources import describe as about
from vqdoctor.app.sources import digest, features_for, only, open_checkpoint
from vqdoctor.app.targets import misnamed
from vqdoctor.checkpoint import CheckpointSource, Written, check_target, open_source, write_copy
from vqdoctor.errors import NoQuantizerError, UsageError, VerifyError, printable
from vqdoctor.model import TensorSource
from vqdoctor.safe_write import alone_beside, write_atomically
from vqdoctor.samples import Rows
from vqdoctor.treatment import Plan, TreatmentRequest, refuse_undoable, verify
from vqdoctor.treatment.patched import Undo, undo_of


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """Options of `vqdoctor repair` (contract §8).

    Attributes:
        treatment: what to do; of method `AUTO`: what the diagnosis prescribes, by the same options.
        features: (quantiser name or None, path or rows) pairs; without, those beside the checkpoint.
        quantizer: which one, where the file holds several. metric: where the file cannot say.
        rules: what the diagnosis judges by, as in [tool.vqdoctor.rules].
    """

    treatment: TreatmentRequest
    features: tuple[tuple[str | None, str | Rows], ...] = ()
    quantizer: str | None = None
    metric: str | None = None
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """Everything that would be written, and what it does.

    Attributes:
        path: the source. features: what it learned from, None where the file alone sufficed. plans: in the order of work.
        changes, undo: of all plans together. steps: why each treatment, in words ("VQ101: …"), for --auto.
        warnings: beyond those of the plans. rows: what the last plan was made from. sha256: of the source, None if it is large.
    """

    path: str
    features: str | None
    plans: tuple[Plan, ...] = field(repr=False)
    changes: Mapping[str, np.ndarray] = field(repr=False)
    undo: Mapping[str, Undo] = field(repr=False)
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rows: np.ndarray | None = field(default=None, repr=False)
    sha256: str | None = None

    @property
    def empty(self) -> bool:
        """True where there is nothing to write."""
        return not self.changes


@dataclass(frozen=True, slots=True)
class RepairResult:
    """A repair that was written. `note` is the content of OUT.repair.json."""

    plan: RepairPlan
    written: Written
    note: Mapping[str, Any] = field(default_factory=dict, repr=False)


def plan_repair(path: str, request: RepairRequest, progress: Progress | None = None) -> RepairPlan:
    """What a repair would do; nothing is written.

    Raises:
        VqdoctorError: the file or the rows cannot be read, or the treatment is refused, with the reason.
    """
    with open_checkpoint(path) as source:
        return _plan(source, path, request, progress or Silent())


def repair(
    path: str,
    out: str,
    request: RepairRequest,
    *,
    in_place: bool = False,
    backup: bool = True,
    progress: Progress | None = None,
    confirm: Any = None,
) -> RepairResult | RepairPlan:
    """Plans, writes and proves a repaired copy.

    Args:
        out: the new file; `path` itself with in_place. backup: the original then stays as ``<name>.bak``.
        confirm: called with the plan before anything is written; False ends it there.

    Returns:
        the result, or the plan where there was nothing to repair or it was not confirmed.

    Raises:
        VqdoctorError: as `plan_repair`; the target cannot be written.
        VerifyError: the copy is not what was promised, and was removed.
    """
    progress = progress or Silent()
    with open_checkpoint(path) as source:
        check_target(source, out, in_place=in_place, backup=backup)  # before anybody waits for a plan
        planned = _plan(source, path, request, progress)
        odd = None if in_place else misnamed(out, source.kind)
        planned = replace(planned, warnings=(*planned.warnings, odd)) if odd else planned
        if planned.empty or (confirm is not None and not confirm(planned)):
            return planned
        progress.start("writing and proving the copy", None)
        with alone_beside(out):
            check_target(source, out, in_place=in_place, backup=backup)  # another repair may have come first
            with undoable(f"{out}.undo.npz", undo_bytes(planned.undo)):
                written = write_copy(
                    path, out, planned.changes, in_place=in_place, backup=backup, since=source,
                    verify=lambda draft: _prove(source, draft, planned),
                )  # fmt: skip
                note = None if in_place else _noted(planned, written)
            if note is None:  # the checkpoint is the repaired one by now, and its old rows stay whatever happens to the note
                note = _noted(planned, written, in_place=True)
        progress.stop()
    return RepairResult(planned, written, note)


def undo(note_path: str, out: str) -> Written:
    """Writes the checkpoint as it was before the repair that `note_path` (OUT.repair.json) tells of.

    Raises:
        UsageError: it is no such note, or the repaired file has changed since.
    """
    note = read_note(note_path)
    repaired = note_path.removesuffix(".repair.json")
    if not os.path.isfile(repaired):
        raise UsageError(
            "the repaired file is not beside its note.", where=repaired, hint="Keep the two together, and OUT.undo.npz."
        )
    if digest(repaired) != note["target"].get("sha256"):
        raise UsageError("has changed since it was repaired, so that its old rows no longer fit.", where=repaired)
    side = f"{repaired}.undo.npz"
    if note.get("undo_sha256") is not None and os.path.isfile(side) and digest(side) != note["undo_sha256"]:
        raise UsageError("is not the file that this repair left, or has changed since: it undoes something else.", where=side)
    with open_source(repaired) as source, open_source(side) as old:
        changes = restored(old, source)
        written = write_copy(repaired, out, changes, since=source)
    if note["source"].get("sha256") not in (None, written.sha256):
        raise VerifyError("the restored file is not the original bit for bit; it was kept for you to look at.", where=out)
    return written


def describe(planned: RepairPlan, *, written: Written | None = None, id_map: str | None = None) -> dict[str, Any]:
    """`vqdoctor.repair/1` (contract §8): of a plan, or with `written` of a repair that was done."""
    first = planned.plans[0] if planned.plans else None
    levels = [
        {
            "quantizer": one.quantizer.name, "method": one.method, "index": level.index, "key": level.key, "codes": level.codes,
            "rows_changed": level.rows_changed.tolist(), "why": level.why, "before": dict(level.before), "after": dict(level.after),
            "flips": None if level.flips is None else {name: getattr(level.flips, name) for name in level.flips.__slots__},
            "survival": level.survival,
        }
        for one in planned.plans
        for level in one.levels
    ]  # fmt: skip
    return {
        "schema": SCHEMA,
        "source": {"path": planned.path, "sha256": written.source_sha256 if written else planned.sha256},
        "target": {"path": written.path, "sha256": written.sha256} if written else None,
        "method": "+".join(one.method for one in planned.plans),
        "seed": first.seed if first else 0,
        "features": planned.features,
        "levels": levels,
        "collisions": [{"before": dict(one.before), "after": dict(one.after)} for one in planned.plans if one.before],
        "ids_changed": max(_ids_changed(planned).values(), default=None),
        "id_map": id_map,
        "survival": {f"{one['quantizer']}[{one['index']}]": one["survival"] for one in levels if one["survival"]},
        "tensors": sorted(planned.changes),
        "steps": list(planned.steps),
        "warnings": [
            *planned.warnings,
            *(warning for one in planned.plans for warning in one.warnings),
            *(
                f"{printable(left)} was left by a run that was killed: delete it."
                for left in (written.leftovers if written else ())
            ),
        ],
        "recommendation": next((one.recommendation for one in planned.plans if one.recommendation), None),
        "training_on": max((asdict(one.aftercare) for one in planned.plans if one.aftercare), key=_memory, default=None),
        "undo": f"{written.path}.undo.npz" if written else None,
        "undo_sha256": digest(f"{written.path}.undo.npz") if written else None,
    }


def _ids_changed(planned: RepairPlan) -> dict[str, float]:
    """By quantiser; of several treatments the last tells of all."""
    return {one.quantizer.name: one.ids_changed for one in planned.plans if one.ids_changed is not None}


def _memory(care: Mapping[str, Any]) -> float:
    """The advice of the longest memory serves all quantisers."""
    return care["decay"] or 0.0


def _plan(source: CheckpointSource, path: str, request: RepairRequest, progress: Progress) -> RepairPlan:
    try:
        return _planned(source, path, request, progress)
    except UsageError as error:  # whatever cannot be done, cannot be done to this file
        error.where = error.where or path
        raise


def _planned(source: CheckpointSource, path: str, request: RepairRequest, progress: Progress) -> RepairPlan:
    found = only(find(source, InspectRequest(metric=request.metric)), request.quantizer)
    stored = [replace(one, metric=request.metric or one.metric) for one in found if one.levels]
    if not stored:
        raise NoQuantizerError("holds no stored codebook: there is nothing to repair.", where=path)
    warnings: list[str] = []
    given = features_for(path, stored, InspectRequest(features=request.features), warnings)
    course = Course(source, path, given, progress, unused=tuple(warnings))
    odd = [index for index in request.treatment.levels or () if all(index >= len(one.levels) for one in stored)]
    if odd:
        most = max(len(one.levels) for one in stored)
        raise UsageError(f"has no level {odd[0]}.", where=path, hint=f"Levels are 0 to {most - 1}.")
    steps = _steps(path, request, progress)
    if not steps and not given:
        warnings.append("only what the file itself says was judged: with --features real use is judged too.")
    for step in steps:
        course.treat(step, stored)
    if request.treatment.method != AUTO:
        refuse_undoable(course.plans, path)
    undone = undo_of(source, course.patched.arrays)
    changes = {name: course.patched.arrays[name] for name in undone}
    return RepairPlan(
        path, course.features, tuple(course.plans), changes, undone, tuple(dict.fromkeys(course.why)),
        (*warnings, *course.warnings), course.rows, about(source).sha256,
    )  # fmt: skip


def _steps(path: str, request: RepairRequest, progress: Progress) -> list[Step]:
    """What the user named; with `--auto` what an inspection by the same options prescribes."""
    if request.treatment.method != AUTO:
        return [Step(request.treatment)]
    looked = InspectRequest(features=request.features, quantizer=request.quantizer, metric=request.metric, rules=request.rules)
    return prescribed(path, request.treatment, looked, progress)


def _prove(source: TensorSource, draft: str, planned: RepairPlan) -> None:
    """Raises VerifyError where the draft is not what the plans promised."""
    with open_source(draft) as after:
        last = planned.plans[-1]
        problems = verify(source, after, replace(last, changes=planned.changes), planned.rows)
    if problems:
        raise VerifyError(f"the copy is not as planned: {'; '.join(problems[:3])}", where=draft)


def _noted(planned: RepairPlan, written: Written, *, in_place: bool = False) -> dict[str, Any]:
    """Writes which ID became which, and the note. Where that fails no new copy stays: without its note nothing undoes it."""
    maps = f"{written.path}.id_map.json"
    try:
        note = describe(planned, written=written, id_map=_write_maps(maps, planned))
        write_atomically(f"{written.path}.repair.json", as_json(note))
    except BaseException as error:
        if in_place and isinstance(error, UsageError):
            error.hint = f"{printable(written.path)} itself is repaired and proven; only this is missing beside it."
        for path in () if in_place else (*written.files, maps):
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    return note


def _write_maps(path: str, planned: RepairPlan) -> str | None:
    """To `path`, for each level the new code of each old one; None where no ID changed its meaning."""
    maps: dict[tuple[str, int], np.ndarray] = {}  # of several treatments the last is told from the checkpoint as it was
    for one in planned.plans:
        maps |= {(one.quantizer.name, level.index): level.id_map for level in one.levels if level.id_map is not None}
    written = {(one.quantizer.name, level.index) for one in planned.plans for level in one.levels if len(level.rows_changed)}
    levels = [
        {"quantizer": name, "index": index, "new_of_old": new.tolist()}
        for (name, index), new in maps.items()
        if (name, index) in written
    ]
    if not levels:
        return None
    write_atomically(path, as_json({"schema": "vqdoctor.id-map/1", "levels": levels}))
    return path
