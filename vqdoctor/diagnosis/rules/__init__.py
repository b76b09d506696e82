"""Every built-in rule. To add one: write it in the file of its kind, name it here, write `pages/<id>.md`, and give it a firing and
a near-miss case in tests/contract/test_rules.py, which fails until all of them are there.

Within one place of the lead order the order of this tuple decides what is read first.
"""

from typing import Any

from vqdoctor import plugins
from vqdoctor.diagnosis.rule import Rule
from vqdoctor.diagnosis.rules.agreement import AGREEMENT
from vqdoctor.diagnosis.rules.collapse import COLLAPSE, DEAD, SAMPLE, SKEW
from vqdoctor.diagnosis.rules.ema import INCONSISTENT, INFEASIBLE, PRECISION, SHRUNKEN, UNDONE, UNINITIALISED
from vqdoctor.diagnosis.rules.geometry import FIT, ORPHANS, RANK, SCALE
from vqdoctor.diagnosis.rules.ids import CAPACITY, COLLISIONS, DUPLICATE_INPUTS, HOURGLASS, IDLE
from vqdoctor.diagnosis.rules.illusion import ILLUSION
from vqdoctor.diagnosis.rules.live_books import FROZEN, RANKS
from vqdoctor.diagnosis.rules.live_collapse import EXPANSION, ONSET, RELAPSE
from vqdoctor.diagnosis.rules.live_reinit import NEVER, OFTEN, SKIPPED
from vqdoctor.diagnosis.rules.live_training import BLOW_UP, STALLED
from vqdoctor.diagnosis.rules.live_training import NONFINITE as NONFINITE_LOSS
from vqdoctor.diagnosis.rules.rows import DUPLICATES, NONFINITE, UNTOUCHED, ZEROS

RULES: tuple[Rule, ...] = (
    COLLAPSE, DEAD, ILLUSION, SKEW, SAMPLE,
    NONFINITE, DUPLICATES, ZEROS, UNTOUCHED, RANK, SCALE, ORPHANS, FIT, AGREEMENT,
    INCONSISTENT, INFEASIBLE, UNINITIALISED, PRECISION, SHRUNKEN, UNDONE,
    COLLISIONS, DUPLICATE_INPUTS, CAPACITY, HOURGLASS, IDLE,
    ONSET, SKIPPED, RELAPSE, NONFINITE_LOSS, BLOW_UP, EXPANSION, STALLED, NEVER, OFTEN, RANKS, FROZEN,
)  # fmt: skip


def known_rules() -> tuple[Rule, ...]:
    """The built-in rules, with those of installed plugins behind them."""
    return (*RULES, *plugins.load_all("rules", _is_no_rule))


def _is_no_rule(found: Any) -> str | None:
    """Why an object of a plugin cannot judge, None where it can."""
    if not isinstance(found, Rule):
        return "is no rule: one is a vqdoctor.diagnosis.Rule."
    taken = next((rule for rule in RULES if rule.id.upper() == found.id.upper() or rule.name == found.name), None)
    return f"has an id or a name that is taken by {taken.id} {taken.name}." if taken else None
