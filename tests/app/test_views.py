"""What a browser of a report is given beyond the report: every ID, who has it, how IDs branch, a map of each level."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.metrics import branches
from vqdoctor.render import renderer

IDS = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)


@given(ids=IDS, depth=st.integers(0, 2), at=st.integers(0, 39))
def test_branches_are_what_counting_by_hand_gives(ids: list[tuple[int, ...]], depth: int, at: int) -> None:
    prefix = ids[at % len(ids)][:depth]
    items = Counter(ids)
    table = sorted(items)
    found = branches(np.array(table), np.array([items[one] for one in table]), prefix)
    inside = [one for one in ids if one[:depth] == prefix]
    held = Counter(one[depth] for one in inside)
    assert dict(zip(found.codes.tolist(), found.items.tolist(), strict=True)) == held
    assert found.items.tolist() == sorted(held.values(), reverse=True)
    distinct = Counter(one[depth] for one in set(inside))
    assert dict(zip(found.codes.tolist(), found.ids.tolist(), strict=True)) == distinct


def test_nothing_follows_a_prefix_that_no_item_has() -> None:
    assert branches(np.array([[0, 1], [2, 1]]), np.array([1, 1]), (1,)).codes.size == 0


def write_ids(path: Path, ids: list[list[int]]) -> Path:
    path.write_text(json.dumps({f"item-{i}": [f"<{'abc'[j]}_{code}>" for j, code in enumerate(row)] for i, row in enumerate(ids)}))
    return path


def test_every_group_of_a_file_of_ids_can_be_looked_into(tmp_path: Path) -> None:
    path = write_ids(tmp_path / "x.index.json", [[1, 2], [0, 0], [1, 2], [1, 3], [1, 2], [1, 3]])
    (report,) = inspect([str(path)], InspectRequest(sizes=(4, 4), views=True, details=True))
    browser = report.quantizers[0].facts["ids"]
    shared = browser.shared()
    assert [(browser.codes[at].tolist(), int(browser.items[at])) for at in shared] == [([1, 2], 3), ([1, 3], 2)]
    assert browser.members(int(shared[0]), 2) == ("item-0", "item-2")
    assert browser.members(int(shared[1]), 10) == ("item-3", "item-5")
    details = report.quantizers[0].levels[0].facts["details"]
    assert details["count"].tolist() == [1, 5, 0, 0]
    assert details["verdict"][1] == "live"


def test_without_k_the_codes_of_ids_get_no_verdict(tmp_path: Path) -> None:
    path = write_ids(tmp_path / "x.index.json", [[1, 2], [0, 0], [1, 2]])
    (report,) = inspect([str(path)], InspectRequest(details=True))
    details = report.quantizers[0].levels[1].facts["details"]
    assert details["count"].tolist() == [1, 0, 2]
    assert "verdict" not in details


def test_every_level_gets_a_map_with_and_without_rows(rq_checkpoint: Path, tmp_path: Path) -> None:
    bare = inspect([str(rq_checkpoint)], InspectRequest(views=True))[0].quantizers[0]
    assert [level.facts["map"]["features"] for level in bare.levels] == [None] * 3
    assert bare.facts == {}
    rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    np.save(tmp_path / "f.npy", rows)
    fed = inspect([str(rq_checkpoint)], InspectRequest(features=((None, str(tmp_path / "f.npy")),), views=True))[0].quantizers[0]
    for level in fed.levels:
        drawn = level.facts["map"]
        assert (len(drawn["codes"]), len(drawn["code_rows"]), len(drawn["features"])) == (16, 16, 200)
    assert fed.levels[0].facts["map"]["codes"] == fed.map["codes"]


def test_what_a_browser_is_given_stays_out_of_the_json(rq_checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32))
    given_rows = ((None, str(tmp_path / "f.npy")),)
    plain = inspect([str(rq_checkpoint)], InspectRequest(features=given_rows))
    full = inspect([str(rq_checkpoint)], InspectRequest(features=given_rows, views=True, details=True))
    assert renderer("json").render(full) == renderer("json").render(plain)
