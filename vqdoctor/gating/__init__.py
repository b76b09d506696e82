"""Thresholds, baselines, verdicts: from what was measured and what was asked to pass, fail or inconclusive. Measures nothing.

`asks` what can be asked · `settings` reads it from a table · `presets` ready-made asks · `subject` what is judged ·
`bands` how sure each number is · `judge` asks to checks · `baseline` what was known before.
The border: numbers come in as reports or as values that a log states, so a gate can never disagree with what inspect shows; files,
screens and exit codes are others' work. (The command and the public function are called `gate`; the room is not, or the module
would hide the function.)
"""

from vqdoctor.gating.asks import Asks, MetricAsk, RuleAsk, metric_ask, rule_ask
from vqdoctor.gating.baseline import Baseline, parse_baseline, with_drops, written
from vqdoctor.gating.judge import judge, verdict_of
from vqdoctor.gating.presets import PRESETS, Preset, preset
from vqdoctor.gating.settings import parse_gate
from vqdoctor.gating.subject import Place, Subject, of_report

__all__ = [
    "PRESETS", "Asks", "Baseline", "MetricAsk", "Place", "Preset", "RuleAsk", "Subject", "judge", "metric_ask", "of_report",
    "parse_baseline", "parse_gate", "preset", "rule_ask", "verdict_of", "with_drops", "written",
]  # fmt: skip
