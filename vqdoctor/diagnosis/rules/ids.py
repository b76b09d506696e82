"""VQ401–VQ405: what the levels do together: semantic IDs that several items share, and levels that add nothing.

A collision is counted as excess items, (items − distinct IDs) / items, without a de-dup token; what identical inputs force is taken
off first. Sources: LC-Rec and MiniOneRec (the formula), Kuai et al. 2024 arXiv 2407.21488 (hourglass), Zheng et al. 2605.06207 (how
much entropy is left for later levels).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import ge, gt, lt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.remedy import refit
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade, gravest
from vqdoctor.diagnosis.stated_ids import StatedIds, ids_of
from vqdoctor.diagnosis.words import number, percent, sentences
from vqdoctor.model import Finding, Remedy

_ITEMS = "This reads each row as one item: --population says that they are."
_FRAMES = "Rows that are frames or patches may well share their codes; if each is an item of a catalogue, say so: --population."


def check_collisions(case: Case, limits: Limits) -> Iterator[Finding]:
    """Several items share one ID, beyond what identical inputs force."""
    items, rate = case.value("collision.items") or 0, case.value("collision.rate")
    if rate is None or items < limits["items"]:
        return
    floor, uniform = (case.value("collision.floor_excess") or 0) / items, (case.value("collision.expected_excess") or 0) / items
    avoidable = rate - floor
    beyond = avoidable > limits["uniform"] * uniform and avoidable > limits["least"]
    severity = grade(avoidable, limits, gt) or (
        "warning" if beyond and case.value("collision.expected_excess") is not None else None
    )
    if severity is None:
        return
    catalogue = case.population or case.quantizer is None or case.quantizer.items
    yield COLLISIONS.finding(
        case.name,
        severity if catalogue else "info",
        sentences(_shared(case, items, rate), _baseline(case, items), _reading(case, catalogue)),
        evidence=case.evidence(*COLLISIONS.needs),
        confidence="certain" if case.population else "likely",
        remedy=_fewer_collisions(case, limits) if catalogue else None,
        next="Look at the largest groups (groups in the report): near-identical items want de-duplication, unrelated ones a "
        "better book.",
    )


def _fewer_collisions(case: Case, limits: Limits) -> Remedy:
    """Refitting frees IDs only where codes lie idle; where all are in use the items crowd, and only more IDs tell them apart."""
    idle = any((level.share("usage.unseen") or 0) > limits["idle"] for level in case.levels)
    if idle or any(level.value("usage.unseen") is None for level in case.levels):
        return refit(_COLLISION_REMEDY, case, "--kmeans")
    effective = math.prod(level.value("usage.perplexity") or 1 for level in case.levels)
    crowded = f"The codes of all levels are in use, so fitting them anew tells few items apart: {_room(effective)}. "
    return Remedy(_COLLISION_CAUSES + crowded + _MORE_IDS[0].upper() + _MORE_IDS[1:])


def _room(effective: float) -> str:
    return f"their perplexities multiply to {number(effective)} IDs that are really at hand"


_COLLISION_CAUSES = (
    "Causes first: duplicate items in the catalogue (VQ402), a collapsed or idle level (VQ101, VQ405), too small an ID space "
    "(VQ403), items that are much alike (VQ104, VQ404), a learning rate that is too high. "
)
_REFITTED = "Then EMA or k-means codebooks with dead-code replacement, "
_MORE_IDS = (
    "one more level or a larger K, Sinkhorn on the last level for what still collides; a de-dup token last, since it makes IDs "
    "unique without making them mean more."
)
_COLLISION_REMEDY = _COLLISION_CAUSES + _REFITTED + _MORE_IDS


def _reading(case: Case, catalogue: bool) -> str | None:
    """What the rows are taken for, where nothing says that they are all the items there are."""
    return None if case.population else _ITEMS if catalogue else _FRAMES


def _shared(case: Case, items: float, rate: float) -> str:
    unique, group = case.value("collision.unique"), case.value("collision.max_group")
    told = f"{percent(rate)} of {number(items)} items are in excess of their IDs"
    told += f" ({number(unique)} distinct)" if unique is not None else ""
    return told + (f"; the largest group holds {number(group)}." if group is not None else ".")


def _baseline(case: Case, items: float) -> str:
    floor, uniform = case.value("collision.floor_excess"), case.value("collision.expected_excess")
    unknown = "How much of that identical inputs force is not known"
    forced = unknown if floor is None else f"Of that identical inputs force {percent(floor / items)}"
    chance = "" if uniform is None else f"; uniform random IDs would give {percent(uniform / items)}"
    after = case.value("collision.after_suffix")
    suffix = "" if after is None else f" With the de-dup token {number(after)} remain."
    return f"{forced}{chance}.{suffix}"


def check_live_collisions(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The same in a log, where it stands now. A run that goes on is not judged by its first few numbers: they begin high."""
    for ids in ids_of(run):
        rate, items = ids.stated.get("collision.rate"), ids.stated.get("collision.items")
        early = ids.goes_on and ids.points < limits["points"]
        if rate is None or early or (items is not None and items < limits["items"]):
            continue
        floor = ids.stated.get("collision.floor_excess", 0) / items if items else 0.0
        severity = grade(rate - floor, limits, gt)
        if severity is not None:
            yield COLLISIONS.finding(
                ids.where,
                severity,
                _logged(ids, rate),
                evidence=when(ids.since(limits["warn"]), ids.last_step)
                | {name: value for name, value in ids.stated.items() if name in COLLISIONS.needs},
                confidence="likely",
                remedy=run.repair(_COLLISION_REMEDY, "--kmeans"),
                next="Inspect the file of IDs that the run wrote (vqdoctor inspect items.index.json): its largest groups tell "
                "near-identical items from a poor book.",
            )


def _logged(ids: StatedIds, rate: float) -> str:
    items, unique, group = (ids.stated.get(f"collision.{name}") for name in ("items", "unique", "max_group"))
    told = f"{percent(rate)} of {'the' if items is None else number(items)} items are in excess of their IDs"
    told += f" ({number(unique)} distinct)" if unique is not None else ""
    told += f"; the largest group holds {number(group)}" if group is not None else ""
    floor = "collision.floor_excess" in ids.stated
    return sentences(f"{told}, as the log has it.", None if floor else "How much of that identical inputs force it does not say.")


def check_duplicates(case: Case, limits: Limits) -> Iterator[Finding]:
    """Items whose inputs are identical must collide."""
    items, floor = case.value("collision.items") or 0, case.value("collision.floor_excess") or 0
    if items < 1 or floor < limits["items"]:
        return
    yield DUPLICATE_INPUTS.finding(
        case.name,
        grade(floor / items, limits, gt) or "info",
        f"{number(floor)} of {number(items)} inputs ({percent(floor / items)}) repeat another exactly: no book can give them IDs "
        "of their own.",
        evidence=case.evidence(*DUPLICATE_INPUTS.needs),
        remedy=Remedy(
            "De-duplicate the catalogue, or give the items text or images that differ; look for empty or placeholder fields that "
            "embed alike. Where they are truly the same item, let them share an ID and rank inside the group."
        ),
        next="Print the items of one such group: the same product twice, or different products with the same (empty) description?",
    )


def check_capacity(case: Case, limits: Limits) -> Iterator[Finding]:
    """As many items as there are IDs. Only where rows are items: frames of audio share IDs by design."""
    items, capacity = case.value("collision.items") or 0, case.value("collision.capacity")
    if not case.population or not capacity or capacity <= 0 or items < limits["items"]:
        return
    load = items / capacity
    severity = grade(load, limits, gt)
    if severity is None:
        return
    expected = case.value("collision.expected_excess")
    chance = f" Even uniform random IDs would leave {percent(expected / items)} in excess." if expected is not None else ""
    yield CAPACITY.finding(
        case.name,
        severity,
        f"{number(items)} items for {number(capacity)} possible IDs ({number(load)} items an ID).{chance}",
        evidence=case.evidence(*CAPACITY.needs),
        remedy=Remedy(
            "Add a level, or enlarge K: each level multiplies the IDs by K, at one more token to generate. Aim at 100 IDs an item "
            "or more; levels with dead codes have less room than K says."
        ),
        next="Multiply the perplexities of the levels: that is how many IDs are really at hand.",
    )


def check_hourglass(case: Case, limits: Limits) -> Iterator[Finding]:
    """A middle level concentrates where the outer ones stay spread."""
    depth, levels = case.value("levels.hourglass"), case.levels
    enough = all(level.rows >= limits["rows_per_code"] * level.codes for level in levels)
    if depth is None or len(levels) < 3 or not enough:
        return
    uneven = _unevenness(levels)
    severity = grade(depth, limits, ge)
    if severity is None or (severity == "warning" and (uneven is None or uneven < limits["gini"])):
        return
    waist = min(levels[1:-1], key=lambda level: _or(level.value("usage.entropy_normalized"), math.inf))
    gini = f", its Gini {uneven:.2f} above theirs" if uneven is not None else ""
    yield HOURGLASS.finding(
        waist.where,
        severity,
        f"Normalised entropy here is {depth:.2f} under that of the first and last level{gini}: few paths lead through the middle.",
        evidence={**case.evidence(*HOURGLASS.needs), **waist.evidence("usage.entropy_normalized", "usage.gini")},
        confidence=case.trust,
        remedy=Remedy(
            "Causes first: residuals after the first level that are small and alike, a long tail in the items themselves. Then "
            "drop the head tokens of the middle level (IDs of variable length) or the level itself, or balance its k-means."
        ),
        next="Compare levels.conditional_entropy_bits with log2 of the items: if earlier levels already tell items apart, it is "
        "arithmetic.",
    )


def _unevenness(levels: tuple[Level, ...]) -> float | None:
    """Gini of the most uneven middle level above the more uneven outer one."""
    ginis = [level.value("usage.gini") for level in levels]
    known = [gini for gini in ginis if gini is not None]
    return max(known[1:-1]) - max(known[0], known[-1]) if len(known) == len(levels) else None


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def check_idle(case: Case, limits: Limits) -> Iterator[Finding]:
    """A level that adds nothing to those before it."""
    levels = case.levels
    gains, entropies = case.values("levels.gain_db"), case.values("levels.conditional_entropy_bits")
    if len(levels) < 2:
        return
    for place, level in enumerate(levels):
        gain = gains[place] if len(gains) == len(levels) and level.rows >= limits["rows"] else None
        silent = _silent(level, place, entropies, limits) if len(entropies) == len(levels) else None
        constant = _constant(level, levels, limits)
        severity = gravest(grade(gain, limits, lt), "warning" if silent or constant else None)
        if severity is None:
            continue
        yield IDLE.finding(
            level.where,
            severity,
            sentences(_gains(gain, limits), silent, constant),
            evidence=_told(level, place, gain, entropies),
            confidence=case.trust,
            remedy=refit(_IDLE_REMEDY, case, "--kmeans", level=level),
            next="Encode with the levels before this one only: if distortion and IDs stay the same, the level can go.",
        )


_IDLE_REMEDY = (
    "Causes first: levels started by k-means on one batch, whose residuals are already near zero (start them one after another), a "
    "level that collapsed (VQ101) or is stale, features of fewer dimensions than the levels before already code. Then refit this "
    "level on its residuals, use quantiser dropout in training, or leave the level out."
)


def _gains(gain: float | None, limits: Limits) -> str | None:
    if gain is None or gain >= limits["warn"]:
        return None
    return f"The level {'makes the reconstruction worse' if gain < 0 else 'hardly lowers the residual'}: {gain:.2f} dB."


def _silent(level: Level, place: int, entropies: tuple[float | None, ...], limits: Limits) -> str | None:
    """Given the levels before it is determined, although the rows would have left it entropy to carry (at most log2 n in all)."""
    own, before = entropies[place], [_or(bits, math.inf) for bits in entropies[:place]]
    if own is None or own >= limits["bits"] or level.rows < limits["rows"]:
        return None
    left = math.log2(level.rows) - sum(before)
    if left < 1:
        return None
    return f"Given the levels before, it carries {own:.2f} bits where {left:.1f} are left to tell."


def _constant(level: Level, levels: tuple[Level, ...], limits: Limits) -> str | None:
    alive = any((other.value("usage.used") or 0) > 1 for other in levels)
    stuck = level.value("usage.used") == 1 and level.codes > 1 and level.rows >= limits["rows"]
    return "Every row gets the same code here while other levels are alive." if stuck and alive else None


def _told(level: Level, place: int, gain: float | None, entropies: tuple[float | None, ...]) -> dict[str, object]:
    """This level's entries of the lists."""
    bits = entropies[place] if place < len(entropies) else None
    entries = {"levels.gain_db": gain, "levels.conditional_entropy_bits": bits}
    return {
        **{name: value for name, value in entries.items() if value is not None},
        **level.evidence("usage.used", "usage.perplexity"),
    }


COLLISIONS = Rule(
    id="VQ401",
    name="id-collisions",
    title="Several items share one semantic ID.",
    lead="collisions",
    check=check_collisions,
    also={LiveRun: check_live_collisions},
    thresholds={
        "warn": Threshold(0.05, "collision.rate − floor", "above: warning"),
        "error": Threshold(0.3, "collision.rate − floor", "above: error"),
        "uniform": Threshold(20, "× the rate of uniform random IDs", "above, and above `least`: warning"),
        "least": Threshold(0.02, "collision.rate − floor", "at most this: never judged against uniform"),
        "items": Threshold(100, "items", "fewer: not judged"),
        "idle": Threshold(0.05, "share of a level's codes", "more of them unused: refitting is named as a remedy"),
        "points": Threshold(5, "points", "of a run that goes on; fewer: not judged (logs)"),
    },
    needs=(
        "collision.rate", "collision.items", "collision.unique", "collision.excess", "collision.max_group",
        "collision.floor_excess", "collision.expected_excess", "collision.after_suffix",
    ),
)  # fmt: skip

DUPLICATE_INPUTS = Rule(
    id="VQ402",
    name="duplicate-inputs",
    title="Identical inputs, which must share an ID.",
    lead="collisions",
    check=check_duplicates,
    thresholds={
        "items": Threshold(1, "inputs in excess", "at or above: info"),
        "warn": Threshold(0.05, "share of the items", "above: warning"),
    },
    needs=("collision.floor_excess", "collision.items", "collision.excess"),
)

CAPACITY = Rule(
    id="VQ403",
    name="id-capacity",
    title="Nearly as many items as there are IDs.",
    lead="collisions",
    check=check_capacity,
    thresholds={
        "warn": Threshold(0.1, "items per possible ID", "above: warning (uniform random IDs then leave about 5 % in excess)"),
        "error": Threshold(1.0, "items per possible ID", "above: error"),
        "items": Threshold(100, "items", "fewer: not judged"),
    },
    needs=("collision.items", "collision.capacity", "collision.expected_excess"),
)

HOURGLASS = Rule(
    id="VQ404",
    name="hourglass",
    title="A middle level concentrates while the outer ones stay spread.",
    lead="levels",
    check=check_hourglass,
    thresholds={
        "warn": Threshold(0.1, "levels.hourglass", "at or above, and `gini` too: warning"),
        "error": Threshold(0.25, "levels.hourglass", "at or above: error"),
        "gini": Threshold(0.1, "usage.gini, middle over outer", "below: no warning"),
        "rows_per_code": Threshold(10, "rows per code", "fewer: not judged"),
    },
    needs=("levels.hourglass",),
)

IDLE = Rule(
    id="VQ405",
    name="idle-level",
    title="A level that adds nothing to those before it.",
    lead="levels",
    check=check_idle,
    thresholds={
        "warn": Threshold(0.1, "dB", "levels.gain_db below: warning"),
        "error": Threshold(0.0, "dB", "levels.gain_db below: error"),
        "bits": Threshold(0.05, "bits", "conditional entropy below, with a bit or more left to tell: warning"),
        "rows": Threshold(100, "rows", "fewer: not judged"),
    },
    needs=("levels.gain_db", "levels.conditional_entropy_bits", "usage.used", "usage.perplexity", "usage.n"),
)
