"""Judges what was measured: rules over plain values, in the order in which a person should read them, and one word in the end.

Rules see a :class:`Case` (one quantiser's report and where its numbers come from) or a :class:`LiveRun` (the curves and events of
a log), and nothing else: no file, no clock, no screen.
That border lets inspect, watch, gate and the dashboard share them. `rules/` holds them by kind, `pages/` their help.
"""

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.engine import diagnose, in_reading_order
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.diagnosis.overrides import Overrides, parse_overrides, rule_named
from vqdoctor.diagnosis.pages import HEADINGS, page
from vqdoctor.diagnosis.rule import LEAD, Rule, Threshold
from vqdoctor.diagnosis.rules import RULES, known_rules
from vqdoctor.diagnosis.verdict import judged, verdict, worst

__all__ = [
    "HEADINGS", "LEAD", "RULES", "Case", "Level", "LiveRun", "Overrides", "Rule", "Threshold", "diagnose", "in_reading_order",
    "judged", "known_rules", "page", "parse_overrides", "rule_named", "verdict", "worst",
]  # fmt: skip
