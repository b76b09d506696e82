"""From findings to steps: broken rows first, one book treatment a quantiser, and what else is prescribed in its stead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vqdoctor.app import repair as use_case
from vqdoctor.app import repair_course
from vqdoctor.app.prescription import Step, prescribed_by
from vqdoctor.app.repair import RepairRequest, plan_repair
from vqdoctor.errors import SampleError
from vqdoctor.model import Finding, Remedy
from vqdoctor.treatment import TreatmentRequest
from vqdoctor.treatment import plan as planned

AUTO = TreatmentRequest("auto")


def finding(rule: str, where: str, *options: str, severity: str = "warning") -> Finding:
    command = f"vqdoctor repair a.npz {' '.join(options)} -o repaired.npz" if options else None
    return Finding(rule, "name", severity, where, "message", remedy=Remedy("text", command))


def chain(step: Step) -> list[str]:
    methods = [step.request.method]
    while step.otherwise is not None:
        step = step.otherwise
        methods.append(step.request.method)
    return methods


def test_one_book_treatment_a_quantiser_and_the_others_in_its_stead() -> None:
    found = [
        finding("VQ202", "a[0]", "--split"), finding("VQ102", "a[1]", "--reset-dead"), finding("VQ206", "a[1]", "--kmeans"),
        finding("VQ101", "a[0]", "--kmeans"), finding("VQ102", "b[0]", "--reset-dead"), finding("VQ201", "b[0]", "--sanitize"),
        finding("VQ301", "a[0]", "--sync-ema"), finding("VQ401", "a", "--kmeans", severity="info"), finding("VQ104", "a[0]"),
    ]  # fmt: skip
    steps = prescribed_by(found)
    assert [(one.quantizer, chain(one)) for one in steps] == [
        ("b", ["sanitize"]), ("a", ["kmeans", "reset-dead", "split"]), ("b", ["reset-dead"]), ("a", ["sync-ema"]),
    ]  # fmt: skip
    assert steps[1].why == "--kmeans of a: VQ206 name"


def test_steps_have_the_options_that_were_given_and_only_levels_in_question_count() -> None:
    found = [finding("VQ201", "a[0]", "--sanitize"), finding("VQ102", "a[1]", "--reset-dead"), finding("VQ401", "a", "--kmeans")]
    asked = TreatmentRequest("auto", levels=(1,), seed=7, keep_optimizer=True)
    (step,) = prescribed_by(found, asked)
    assert chain(step) == ["kmeans", "reset-dead"]
    assert step.request == TreatmentRequest("kmeans", levels=(1,), seed=7, keep_optimizer=True)


def prescribing(monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, Any]) -> list[str]:
    """`--auto` prescribes all of `outcomes`, by method: None, a sentence (it is worse), or an error. Returns what was planned."""
    name, tried = "quantize", []
    monkeypatch.setattr(
        use_case, "prescribed", lambda *_: prescribed_by(finding("VQ102", f"{name}[0]", f"--{method}") for method in outcomes)
    )

    def plan(source: Any, quantizer: Any, features: Any, request: TreatmentRequest) -> Any:
        from dataclasses import replace

        tried.append(request.method)
        outcome = outcomes[request.method]
        if isinstance(outcome, Exception):
            raise outcome
        return replace(planned(source, quantizer, features, request), worse=outcome)

    monkeypatch.setattr(repair_course, "plan", plan)
    return tried


def test_what_is_worse_or_refused_gives_way_to_the_next(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {"kmeans": SampleError("too few rows."), "reset-dead": "the error grows.", "split": None}
    tried = prescribing(monkeypatch, outcomes)
    made = plan_repair(str(sick), RepairRequest(AUTO))
    assert tried == ["kmeans", "reset-dead", "split"]
    assert [one.method for one in made.plans] == ["split"] and made.changes
    reasons = [warning.partition(": prescribed, and left out: ")[2] for warning in made.warnings]
    assert reasons == ["too few rows.", "the error grows."]
    assert made.steps == ("--split of quantize: VQ102 name, since --kmeans and --reset-dead were left out",)


def test_a_remedy_that_serves_is_the_last(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = prescribing(monkeypatch, {"kmeans": None, "reset-dead": None})
    assert plan_repair(str(sick), RepairRequest(AUTO)).steps == ("--kmeans of quantize: VQ102 name",)
    assert tried == ["kmeans"]


def test_where_all_are_worse_nothing_is_done_and_where_all_are_refused_that_is_raised(
    sick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prescribing(monkeypatch, {"kmeans": "worse.", "reset-dead": SampleError("too few rows.")})
    made = plan_repair(str(sick), RepairRequest(AUTO))
    assert made.empty and len(made.warnings) == 2 and made.steps == ()
    prescribing(monkeypatch, {"kmeans": SampleError("first."), "reset-dead": SampleError("second.")})
    with pytest.raises(SampleError, match=r"first\."):
        plan_repair(str(sick), RepairRequest(AUTO))
