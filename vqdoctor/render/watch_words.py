"""The vital signs of a watch in words, the same on every face; a face lays them out and folds them into what it can show."""

from __future__ import annotations

from collections.abc import Mapping

from vqdoctor.errors import printable
from vqdoctor.model import Finding
from vqdoctor.render.figures import count, share
from vqdoctor.render.vital_signs import Level, gravest, onset

MEASURED = ("real", "perplexity", "entropy")


def since_words(finding: Finding, unit: str = "step ") -> str:
    """``since step 11 200``; "" where it has no step. unit: "" where there is little room."""
    step = onset(finding)
    return "" if step is None else f"since {unit}{count(round(step))}"


def finding_words(finding: Finding, more: int = 0, unit: str = "step ") -> str:
    """``collapse-onset since step 11 200 +1``, safe to print. more: how many others there are."""
    words = (printable(finding.name, 40), since_words(finding, unit), f"+{more}" if more else "")
    return " ".join(word for word in words if word)


def level_state(level: Level, behind: int, unit: str = "step ") -> tuple[str, str]:
    """The severity of the gravest finding about a level and its words, or "healthy" or "unknown" and why.

    What nobody could judge is not called healthy: a log that holds running counts only, or that is not yet read to its end.

    Args:
        behind: bytes of the log that are not yet read. unit: as in `since_words`.
    """
    worst = gravest(level.findings)
    if worst is not None:
        return worst.severity, finding_words(worst, len(level.findings) - 1, unit)
    if not any((reading := level.readings.get(role)) and reading.of != "EMA" for role in MEASURED):
        return "unknown", "real use not logged"
    return ("unknown", "not all read yet") if behind else ("healthy", "no finding")


def unused_words(level: Level, values: Mapping[str, float | None]) -> tuple[str, str]:
    """How many codes are dead, and what to say behind it; where more are merely unseen (too few rows to call them dead), these.

    Args:
        values: "dead" and "unseen" at the step in view.
    """
    dead, unseen = values["dead"], values["unseen"]
    if unseen is not None and (dead is None or unseen > dead):
        return count(unseen), "unseen"
    return count(dead), level.word("dead")


def id_words(values: Mapping[str, float | None]) -> list[str]:
    """``unique 3 359 of 3 883``, ``collisions 13.5 % (floor 0.2 %)``, ``largest group 9``: what is known; [] where nothing is.

    Args:
        values: of the collision metrics by their short names, those that the log has.
    """
    unique, items, rate, excess, group, floor = map(values.get, ("unique", "items", "rate", "excess", "max_group", "floor_excess"))
    words = []
    if unique is not None:
        words.append(f"unique {count(unique)}" + (f" of {count(items)}" if items else ""))
    if rate is not None:
        words.append(f"collisions {share(rate)}" + (f" (floor {share(floor / items)})" if floor is not None and items else ""))
    elif excess is not None:
        words.append(f"{count(excess)} items over" + (f" ({share(excess / items)})" if items else ""))
    if group is not None:
        words.append(f"largest group {count(group)}")
    return words
