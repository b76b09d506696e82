"""Whatever is missing, undefined or odd in a report, a diagnosis comes out, and it is fit to print and to store."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import EMA, FACTS, LEVEL, TOGETHER, case, quantizer

from vqdoctor.diagnosis import diagnose, verdict
from vqdoctor.model.report import VERDICTS

numbers = st.one_of(
    st.none(), st.integers(-1, 10**6), st.floats(0, 2), st.floats(-1e6, 1e6), st.just(float("nan")), st.just(10**30), st.just(True)
)
lists = st.one_of(st.none(), st.lists(numbers, max_size=4))
kinds = st.sampled_from(["nonfinite", "zero", "untouched", "inconsistent"])
facts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FACTS, numbers),
        "ema.dtype": st.sampled_from(["bfloat16", "float16", "float32", None]),
        "rows": st.one_of(st.none(), st.dictionaries(kinds, st.one_of(st.none(), st.lists(numbers)))),
        "optimizer.untouched": numbers,
        "ema.inconsistent_dead": numbers,
        "ema.thresholds": st.just({"1e-05": 1.0}),
        "init": st.sampled_from(["±1/K", "", None]),
    },
)
families = st.builds(
    replace,
    st.just(EMA),
    counts=st.sampled_from(["ema", "smoothed", "probability", "ring", "cumulative", "countdown", "stale", "scales"]),
    decay=st.sampled_from([None, 0.0, 0.5, 0.99, 0.9999, 1.0, 2.0, -1.0]),
    threshold=st.sampled_from([None, 0.0, 1e-5, 2.0]),
    threshold_unit=st.sampled_from(["absolute", "uniform"]),
    revival=st.sampled_from(["resets", "undone", "late", "none"]),
    centroid_start=st.booleans(),
    basis=st.sampled_from(["stated", "family"]),
)


@st.composite
def cases(draw):
    levels = draw(st.integers(0, 4))
    kept = draw(st.sets(st.sampled_from(sorted(LEVEL))))
    sick = draw(st.dictionaries(st.sampled_from(sorted(LEVEL)), numbers))
    together = draw(
        st.fixed_dictionaries({}, optional={name: lists if "gain" in name or "cond" in name else numbers for name in TOGETHER})
    )
    found = quantizer(levels, ema=draw(st.one_of(st.none(), families)), kmeans_start=draw(st.booleans()))
    known = case(levels=levels, population=draw(st.booleans()), quantizer=draw(st.sampled_from([found, None])))
    metrics = {name: value for name, value in LEVEL.items() if name in kept} | sick
    books = tuple(
        replace(level, metrics=metrics, facts=draw(facts), codes=draw(st.sampled_from([1, 2, 4, 256, 16384])))
        for level in known.report.levels
    )
    metric = draw(st.sampled_from(["l2", "cosine", "dot", "logits", "unknown"]))
    known = replace(known, report=replace(known.report, levels=books, metrics=together, metric=metric))
    return draw(st.sampled_from([known, replace(known, sample=None)]))


@settings(max_examples=400, deadline=None)
@given(cases())
def test_any_report_is_judged(subject):
    findings = diagnose(subject)
    assert verdict(findings, [subject]) in VERDICTS
    for finding in findings:
        assert "None" not in finding.message and not {"nan", "nan.", "inf"} & set(finding.message.split())
        assert finding.message.isprintable() and finding.remedy.text
        json.dumps(finding.evidence)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_judgement_does_not_depend_on_when_it_is_made(subject):
    assert diagnose(subject) == diagnose(subject)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from(sorted(LEVEL))), st.sets(st.sampled_from(sorted(TOGETHER))))
def test_a_healthy_report_stays_without_defects_whatever_is_missing(unmeasured, unmeasured_together):
    whole = case(dict.fromkeys(unmeasured), together=dict.fromkeys(unmeasured_together), levels=3)
    assert not [finding for finding in diagnose(whole) if finding.severity != "info"]
