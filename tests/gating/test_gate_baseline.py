"""The file of what is known: round trip, acceptance, shrinking, merging."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import even, level, subject

from vqdoctor.errors import UsageError
from vqdoctor.gating import Baseline, judge, metric_ask, parse_baseline
from vqdoctor.gating.asks import RuleAsk, asks_of
from vqdoctor.gating.baseline import as_text
from vqdoctor.model import Finding
from vqdoctor.model.gate import Check

POOR = level(even(16, 640).tolist() + [0] * 48)
FINDING = Finding("VQ102", "dead-codes", "warning", "q[0]", "48 dead.")
TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**9), 10**9))
KNOWN = st.one_of(NUMBERS, st.sampled_from(["error", "warning"]))


@given(st.dictionaries(st.builds(lambda name: Baseline().key(Check("a", name, "usage.used")), TEXT), KNOWN))
def test_what_is_written_is_read_again_whatever_a_name_holds(entries):
    text = as_text(Baseline(entries))
    assert parse_baseline(text.encode(), "b.toml", several=False).entries == entries
    assert text.count("\n") == len(entries) + 2  # one entry a line
    keys = text.splitlines()[2:]
    assert len(set(keys)) == len(keys)


def test_entries_are_sorted_and_ascii_control_is_escaped():
    text = as_text(Baseline({"q[1] usage.used": 1.0, "q[0] usage.used": 2.0, 'a "\\\x7f b': "error"}))
    assert text.splitlines()[2:] == ['"a \\"\\\\\\u007f b" = "error"', '"q[0] usage.used" = 2.0', '"q[1] usage.used" = 1.0']


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'schema = "vqdoctor.baseline/1"\n"a b" = 1.0\n"a b" = 2.0\n', "keep one line of each entry"),
        (b'<<<<<<< ours\nschema = "vqdoctor.baseline/1"\n', "keep one line of each entry"),
        (b'schema = "other"\n', "other"),
        (b"", "expected"),
        (b"\xff\xfe", "not a baseline"),
        (b'schema = "vqdoctor.baseline/1"\n"a b" = true\n', "neither a number nor a severity"),
        (b'schema = "vqdoctor.baseline/1"\n"a b" = nan\n', "neither a number nor a severity"),
        (b'schema = "vqdoctor.baseline/1"\n"a b" = "fatal"\n', "neither a number nor a severity"),
    ],
)
def test_a_file_that_is_no_baseline_is_told(data, words):
    with pytest.raises(UsageError) as raised:
        parse_baseline(data, "b.toml", several=False)
    assert words in str(raised.value) and str(raised.value).startswith("b.toml")


def outcome(entries, findings=(FINDING,)):
    asks = asks_of([metric_ask("min", "usage.utilization=0.9", "--min")], [RuleAsk("VQ102")])
    about = subject(POOR, findings=findings, judged=frozenset({"VQ102"}))
    return judge(about, asks, baseline=Baseline(entries))


@pytest.mark.parametrize(
    ("entries", "statuses"),
    [
        ({}, ["fail", "fail"]),
        ({"q[0] usage.utilization": 0.25}, ["pass", "fail"]),
        ({"q[0] usage.utilization": 0.24}, ["pass", "fail"]),
        ({"q[0] usage.utilization": 0.26}, ["fail", "fail"]),  # it has become worse
        ({"q[0] usage.utilization": "error"}, ["fail", "fail"]),
        ({"q[0] VQ102": "warning"}, ["fail", "pass"]),
        ({"q[0] VQ102": "error"}, ["fail", "pass"]),
        ({"q[0] VQ102": "info"}, ["fail", "fail"]),  # it was graver than this
        ({"q[1] VQ102": "error", "q[1] usage.utilization": 0.1}, ["fail", "fail"]),
    ],
)
def test_known_failures_pass_while_they_get_no_worse(entries, statuses):
    checks = outcome(entries).checks
    assert [check.status for check in checks] == statuses
    assert [check.known is not None for check in checks] == [status == "pass" for status in statuses]


def test_what_has_no_value_is_never_accepted():
    missing = Check("a", "q[0]", "usage.utilization", op="min", threshold=0.9, status="fail")
    assert not Baseline({"q[0] usage.utilization": 0.1}).accepts(missing)


def test_shrinking_drops_what_is_gone_and_tightens_what_is_better():
    entries = {"q[0] usage.utilization": 0.2, "q[0] VQ102": "warning", "q[0] VQ101": "error", "q[7] usage.utilization": 0.1}
    healthy = outcome(entries, findings=())
    shrunk = Baseline(entries).shrunk(healthy.seen, {"VQ102"})
    assert shrunk.entries == {"q[0] usage.utilization": 0.25, "q[0] VQ101": "error", "q[7] usage.utilization": 0.1}
    worse = Baseline({"q[0] usage.utilization": 0.9, "q[0] VQ102": "warning"})
    assert worse.shrunk(outcome({}).seen, {"VQ102"}).entries == worse.entries  # never more, never looser


def test_of_several_sources_an_entry_names_its_own():
    check = Check("runs/a.pt", "q[0]", "usage.used", value=3.0)
    assert Baseline(several=True).key(check) == "a.pt: q[0] usage.used"
    assert Baseline().key(replace(check, source="b.pt")) == "q[0] usage.used"


@pytest.mark.skipif(shutil.which("git") is None, reason="merges with git")
def test_two_branches_that_touch_different_entries_merge(tmp_path):
    base = {f"q[{index}] usage.used": float(index) for index in range(9)}
    versions = {"base": base, "ours": {**base, "q[1] usage.used": 5.0}, "theirs": {**base, "q[7] VQ102": "warning"}}
    for name, entries in versions.items():
        (tmp_path / name).write_text(as_text(Baseline(entries)), encoding="utf-8")
    merged = subprocess.run(["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=tmp_path, capture_output=True, check=True)
    assert parse_baseline(merged.stdout, "merged", several=False).entries == {**versions["ours"], "q[7] VQ102": "warning"}
