"""pytest run on small test files: what passes, what fails and with which words."""

from __future__ import annotations

import numpy as np
import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def checkpoint(pytester):
    """A book of 16 codes; rows near all of them, and rows near one."""
    rng = np.random.default_rng(0)
    book = rng.normal(scale=4, size=(16, 4)).astype("f4")
    np.savez(pytester.path / "vq.npz", **{"quantize.embedding.weight": book})
    for name, codes in (("all", np.arange(16)), ("one", np.zeros(1, int))):
        np.save(pytester.path / f"{name}.npy", book[np.resize(codes, 4000)] + 0.01 * rng.normal(size=(4000, 4)).astype("f4"))


def run(pytester, body, marker=""):
    pytester.makepyfile(f"import pytest\n{marker}\ndef test_it(assert_healthy):\n    {body}\n")
    return pytester.runpytest_inprocess("-q", "--strict-markers")


def test_a_healthy_one_passes_and_gives_the_result(checkpoint, pytester):
    body = "assert assert_healthy('vq.npz', features='all.npy').verdict == 'pass'"
    run(pytester, body).assert_outcomes(passed=1)


def test_a_sick_one_fails_with_its_findings_and_no_traceback(checkpoint, pytester):
    result = run(pytester, "assert_healthy('vq.npz', features='one.npy')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*verdict is fail*", "*VQ101*"])
    result.stdout.no_fnmatch_line("*raise_for_failure*")


def test_bounds_are_asked(checkpoint, pytester):
    result = run(pytester, "assert_healthy('vq.npz', features='all.npy', max={'usage.utilization': 0.5})")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*usage.utilization*"])


@pytest.mark.parametrize(("own", "outcome"), [("", "failed"), (", max={'usage.utilization': 1}", "passed")])
def test_a_marker_asks_and_a_call_overrides_it(checkpoint, pytester, own, outcome):
    body = f"assert_healthy('vq.npz'{own})"
    marker = "@pytest.mark.vqdoctor(features='all.npy', max={'usage.utilization': 0.5})"
    run(pytester, body, marker).assert_outcomes(**{outcome: 1})


def test_a_marker_with_a_path_is_refused(checkpoint, pytester):
    run(pytester, "assert_healthy('vq.npz')", "@pytest.mark.vqdoctor('vq.npz')").assert_outcomes(errors=1)


def test_a_file_that_is_not_there_is_no_healthy_one(pytester):
    run(pytester, "assert_healthy('nowhere.pt')").assert_outcomes(failed=1)
