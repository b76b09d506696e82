"""Project settings: the nearest file that has some, and an error that names file and key."""

import pytest

from vqdoctor.cli.config import project_rules, project_table
from vqdoctor.errors import LimitExceeded, UsageError


def test_nearest_file_with_our_table_wins(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.vqdoctor.rules]\nVQ103 = 'error'\n")
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert project_table("rules", inner) == ({"VQ103": "error"}, tmp_path / "pyproject.toml")
    (tmp_path / "a" / "vqdoctor.toml").write_text("[tool.vqdoctor.rules]\nVQ103 = 'off'\n")
    assert project_rules(inner) == {"VQ103": {"severity": "off"}}
    assert project_table("gate", inner) == ({}, tmp_path / "a" / "vqdoctor.toml")


def test_no_file_is_no_setting(tmp_path, monkeypatch):
    monkeypatch.setattr("vqdoctor.cli.config._candidates", lambda folder: iter(()))
    assert project_table("rules", tmp_path) == ({}, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rules\n", "not valid TOML"),
        ("[ruls]\n", "Did you mean 'rules'?"),
        ("rules = 3\n", "must be a table"),
        ("[tool]\nvqdoctor = 3\n", "must be a table"),
        ("[rules]\nVQ999 = 'off'\n", "VQ999"),
        ("[rules]\nVQ103 = 'loud'\n", "severity"),
        ("[rules]\nVQ103 = { warn = 'x' }\n", "no number"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(tmp_path, text, words):
    (tmp_path / "vqdoctor.toml").write_text(text)
    with pytest.raises(UsageError) as raised:
        project_rules(tmp_path)
    assert "vqdoctor.toml" in str(raised.value) and words in str(raised.value)


def test_bytes_that_are_no_text_and_a_huge_file_are_refused(tmp_path):
    (tmp_path / "vqdoctor.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        project_rules(tmp_path)
    (tmp_path / "vqdoctor.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(LimitExceeded, match="1 MiB"):
        project_rules(tmp_path)
