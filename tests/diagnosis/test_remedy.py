"""Commands that can be pasted: quoted, printable, only where one helps."""

from __future__ import annotations

import shlex

import pytest
from rule_cases import CASES, TWO_CODES, case, ids, quantizer

from vqdoctor.diagnosis import diagnose


def command(subject, rule="VQ101"):
    return next(finding.remedy.command for finding in diagnose(subject) if finding.rule == rule)


def test_names_the_features_where_they_are_known():
    assert command(case(TWO_CODES)) == "vqdoctor repair ckpt.pt --kmeans --features f.npy -o repaired.pt"
    assert command(case(TWO_CODES, features=None)) == "vqdoctor repair ckpt.pt --kmeans --features FEATURES.npy -o repaired.pt"


def test_keeps_the_format_of_the_source():
    assert command(case(TWO_CODES, path="a.safetensors")).endswith("-o repaired.safetensors")
    assert command(case(TWO_CODES, path="epoch.ckpt")).endswith("-o repaired.pt")


@pytest.mark.parametrize("path", ["my runs/last one.pt", "a'; rm -rf ~; '.pt", "$(reboot).pt", "-rf.pt", "ключ.pt"])
def test_survives_a_shell(path):
    words = shlex.split(command(case(TWO_CODES, path=path)))
    assert words[:2] == ["vqdoctor", "repair"]
    assert words[2] == (f"./{path}" if path.startswith("-") else path)


def test_shows_no_control_characters():
    shown = command(case(TWO_CODES, path="a\x1b[2J\n\u202eb.pt", features="f\x07.npy"))
    assert shown.isprintable()


def test_names_level_and_quantiser_where_there_are_several():
    several = case(TWO_CODES, levels=2, alone=False)
    assert "--quantizer q --level 0 -o" in command(several)
    assert "--level" not in command(case(TWO_CODES)) and "--quantizer" not in command(case(TWO_CODES))


def test_a_semantic_id_file_has_nothing_to_repair():
    sick = ids(**{"collision.rate": 0.5, "collision.excess": 2000})
    assert [finding.remedy.command for finding in diagnose(sick)] == [None]


def test_no_refit_where_search_does_not_give_the_models_codes():
    logits = quantizer(searchable="codes are the argmax of logits")
    assert command(case(TWO_CODES, quantizer=logits)) is None


def test_data_free_repairs_ask_for_no_features():
    for rule, option in {"VQ201": "--sanitize", "VQ301": "--sync-ema", "VQ303": "--freeze-init"}.items():
        assert command(CASES[rule][0], rule) == f"vqdoctor repair ckpt.pt {option} -o repaired.pt"
