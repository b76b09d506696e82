"""What every rule owes, over the whole registry: a firing case, a near miss, silence on healthy books, a page, known names."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import vqdoctor.diagnosis.case as case_module
import vqdoctor.diagnosis.live as live_module
from vqdoctor.diagnosis import HEADINGS, LEAD, RULES, Case, LiveRun, diagnose, page
from vqdoctor.logs.alias_table import OWN_SCALARS

BENCHES = Path(__file__).parents[1] / "diagnosis"
BENCH, LIVE_BENCH = (runpy.run_path(str(BENCHES / name)) for name in ("rule_cases.py", "live_cases.py"))
CASES, LIVE, healthy, healthy_ids = BENCH["CASES"], LIVE_BENCH["LIVE"], BENCH["case"], BENCH["ids"]
FACTS = set(re.findall(r"^``(.+?)``|[,;] ``(.+?)``", case_module.__doc__ + live_module.__doc__, re.M))
KNOWN_FACTS = {name for pair in FACTS for name in pair if name} | {"dtype", "layout"} | OWN_SCALARS
METRIC = re.compile(r"(usage|ema|geometry|distortion|match|collision|levels)\.[a-z_0-9]+")

rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


judged = [
    pytest.param(rule, bench, id=f"{rule.id}-{kind.__name__}")
    for kind, bench in ((Case, CASES), (LiveRun, LIVE))
    for rule in RULES
    if kind in (rule.subject, *rule.also)
]
each_check = pytest.mark.parametrize(("rule", "bench"), judged)


def found(rule, subject):
    return [finding for finding in diagnose(subject) if finding.rule == rule.id]


@each_check
def test_every_check_has_cases(rule, bench):
    assert rule.id in bench, "give the rule a firing and a near-miss case in tests/diagnosis/rule_cases.py or live_cases.py"


@each_check
def test_fires(rule, bench):
    findings = found(rule, bench[rule.id][0])
    assert findings
    for finding in findings:
        assert finding.name == rule.name
        assert finding.severity in ("info", "warning", "error") and finding.confidence in ("certain", "likely", "possible")
        assert finding.where in ("q", "codebook", *OWN_SCALARS) or re.fullmatch(r"(q|codebook)\[\d\]", finding.where)
        assert finding.message.endswith(".") and "None" not in finding.message
        assert len(finding.remedy.text) > 20


@each_check
def test_is_silent_on_the_near_miss(rule, bench):
    assert not found(rule, bench[rule.id][1])


@each_check
def test_a_live_finding_says_when(rule, bench):
    for finding in found(rule, bench[rule.id][0]) if bench is LIVE else ():
        first, last = finding.evidence["span"]
        assert 0 < first <= finding.evidence["onset_step"] <= last <= 1000


@rules
@pytest.mark.parametrize(
    "subject",
    [healthy(), healthy(levels=3), healthy_ids(), LIVE_BENCH["healthy"]()],
    ids=["single", "residual", "ids", "log"],
)
def test_is_silent_on_healthy(rule, subject):
    assert not found(rule, subject)


@rules
def test_page_has_every_section_and_every_threshold(rule):
    text = page(rule)
    assert text.startswith(f"# {rule.id} {rule.name}\n\n{rule.title}\n")
    sections = dict(re.findall(r"^## (.+?)\n+(.+?)(?=^## |\Z)", text, re.M | re.S))
    assert tuple(sections) == HEADINGS
    assert all(len(body.strip()) > 60 for body in sections.values())
    for name, limit in rule.thresholds.items():
        assert f"| `{name}` | {limit.default:g} |" in sections["Evidence and thresholds"]
    assert "{" not in text.replace(f"`{rule.id} = {{", "")


@each_check
def test_evidence_speaks_in_known_names(rule, bench):
    names = set(rule.needs) | {name for finding in found(rule, bench[rule.id][0]) for name in finding.evidence}
    assert names, "a rule says what it reads and what its finding rests on"
    for name in names:
        assert name in KNOWN_FACTS or (METRIC.fullmatch(name) and name in BENCH["LEVEL"] | BENCH["TOGETHER"] | EXTRA), name


EXTRA = dict.fromkeys(  # contract names that the healthy bench leaves out
    ("collision.after_suffix", "usage.batch_perplexity", "usage.batch_entropy_bits", "usage.batch_entropy_normalized",
     "usage.batch_utilization")
)  # fmt: skip


@rules
def test_declares_itself(rule):
    assert re.fullmatch(r"VQ[1-5]\d\d", rule.id) and re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.lead in LEAD
    assert all(limit.unit and limit.meaning for limit in rule.thresholds.values())
    assert set(rule.yields_to) <= {other.id for other in RULES} - {rule.id}


def test_ids_and_names_are_unique():
    assert len({rule.id for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)


def test_no_page_without_a_rule():
    pages = Path(case_module.__file__).parent / "pages"
    assert {path.stem for path in pages.glob("*.md")} == {rule.id for rule in RULES}
