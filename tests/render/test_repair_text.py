"""The text of a repair: what is so of several levels is said once, and small numbers are words."""

from __future__ import annotations

from typing import Any

from vqdoctor.render import Screen
from vqdoctor.render.repair_text import show_repair


def note(**others: Any) -> dict[str, Any]:
    levels = [
        {
            "quantizer": "q", "method": "kmeans", "index": i, "key": f"q.{i}.embed", "codes": 8, "rows_changed": [0], "why": None,
            "before": {}, "after": {}, "survival": None,
        }
        for i in range(3)
    ]  # fmt: skip
    plain: dict[str, Any] = {
        "source": {"path": "a.pt"}, "target": None, "method": "kmeans", "features": None, "levels": levels, "collisions": [],
        "id_map": None, "tensors": ["q.0.embed"], "steps": [], "warnings": [], "recommendation": None, "training_on": None,
    }  # fmt: skip
    return plain | others


def shown(**others: Any) -> str:
    return " ".join(show_repair(note(**others), Screen(), nothing=False).split())


def test_what_is_so_of_several_levels_is_said_once() -> None:
    same = [f"q.{i}.embed: few rows a code." for i in range(3)]
    text = shown(warnings=[*same, "q.1.embed: another thing.", "other: few rows a code."])
    assert text.count("few rows a code") == 2
    assert "! q.0.embed and 2 more: few rows a code. ! q.1.embed: another thing. ! other: few rows a code." in text


def test_one_tensor_is_one() -> None:
    assert "1 tensor would change" in shown()
    assert "2 tensors would change" in shown(tensors=["a", "b"])


def test_training_on_names_only_what_is_to_be_changed() -> None:
    whole = shown(training_on={"learning_rate_factor": 0.3, "decay": 0.95, "replace_below": 0.05})
    assert "learning rate to 0.3 × what it was, the decay of the running means to 0.95, let training replace codes under" in whole
    rate_alone = shown(training_on={"learning_rate_factor": 0.3, "decay": None, "replace_below": None})
    assert "learning rate to 0.3 × what it was, until the loss has settled" in rate_alone
    assert "when training goes on" not in shown()


def test_no_line_breaks_between_a_number_and_its_percent_sign() -> None:
    for length in range(40, 80):
        lines = show_repair(note(warnings=[f"{'x' * length} y 89.8 % of the rows"]), Screen(width=80), nothing=False).split("\n")
        assert not any(line.lstrip().startswith("%") for line in lines)
