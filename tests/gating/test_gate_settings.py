"""The project's settings: every key by name, with file, line and the nearest valid name; options override."""

import pytest

from vqdoctor.cli import gate_config
from vqdoctor.cli.config import line_of
from vqdoctor.errors import UsageError
from vqdoctor.gating import parse_gate
from vqdoctor.gating.settings import SettingError

GOOD = """
[project]
name = "usage.utilization"

[tool.vqdoctor.rules]
VQ103 = { warn = 0.2 }

[tool.vqdoctor.gate]
preset = "codec"
inconclusive = "warn"
fail-on = "warning"
baseline = "known.toml"
at = "window:20"
require-n = true
"usage.utilization" = { min = 0.8, level = "warning", over = "each" }
"quantizer.vq[1]:usage.perplexity" = { min = 300, max = 900, max-drop = "5%" }
geometry.zero_rows = { max = 0 }
VQ206 = "off"
ema-illusion = "error"

[tool.vqdoctor.gate.'collision.rate']
max = 0.1
"""
OPTIONS = {
    "least": (), "most": (), "drops": (), "rules": (), "presets": (), "write_baseline": None, "shrink": False, "require_n": False,
    "fail_on": None, "inconclusive": None, "at": None, "baseline": None,
}  # fmt: skip


def project(folder, text):
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_table_is_read_whole(tmp_path):
    settings, path = gate_config.load(project(tmp_path, GOOD))
    assert path == tmp_path / "pyproject.toml"
    asks = settings.asks
    assert asks.presets == ("codec",)
    bounds = {(each.name, each.op, each.drop): each for each in asks.metrics.values()}
    assert bounds["usage.utilization", "min", False].level == "warning" and bounds["usage.utilization", "min", False].over == "each"
    assert bounds["quantizer.vq[1]:usage.perplexity", "min", True].relative
    assert bounds["geometry.zero_rows", "max", False].threshold == 0
    assert bounds["collision.rate", "max", False].origin == f"{path}:21"
    assert {rule: ask.level for rule, ask in asks.rules.items()} == {"VQ206": "off", "VQ103": "error"}
    assert settings.policies == {"inconclusive": "warn", "fail-on": "warning", "baseline": "known.toml", "at": "window:20",
                                 "require-n": True}  # fmt: skip


def test_every_value_says_its_file_and_line(tmp_path, capsys):
    folder = project(tmp_path, GOOD)
    told = {"most": ("collision.rate=0.2",), "rules": ("VQ101=error",), "inconclusive": "pass"}
    settled = gate_config.settle(folder, **OPTIONS | told)
    gate_config.show(settled)
    shown = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    origins = {line[0].strip(): line[-1].strip() for line in shown}
    file = f"{folder / 'pyproject.toml'}"
    assert origins["preset"] == f"{file}:9" and origins["baseline"] == f"{file}:12" and origins["at"] == f"{file}:13"
    assert origins["inconclusive"] == "--inconclusive" and origins["collision.rate"] == "--max" and origins["VQ101"] == "--rule"
    assert origins["usage.utilization"] == f"{file}:15" and origins["VQ206"] == f"{file}:18" and origins["VQ201"] == "preset codec"
    assert settled.request.baseline == str(folder / "known.toml")  # beside the file that names it
    assert str(settled.request.at) == "window:20" and settled.request.require_n


def test_without_settings_defaults_are_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vqdoctor.cli.config._candidates", lambda folder: iter(()))
    gate_config.show(gate_config.settle(tmp_path, **OPTIONS))
    out = capsys.readouterr().out
    assert "recommended" in out and "nothing is asked for" in out
    gate_config.show(gate_config.settle(tmp_path, **OPTIONS | {"presets": ("strict",)}))
    assert "preset strict" in capsys.readouterr().out  # who says that warnings fail
    assert gate_config.validate(tmp_path) == 0 and "no settings" in capsys.readouterr().out


def test_options_override_settings_of_the_same_key_only(tmp_path):
    folder = project(tmp_path, "[tool.vqdoctor.gate]\npreset='codec'\n'usage.used'={min=3}\n'usage.n'={min=9}\n")
    asks = gate_config.settle(folder, **OPTIONS | {"least": ("usage.used=7",), "presets": ("strict",)}).request.asks
    assert {each.metric: each.threshold for each in asks.metrics.values()} == {"usage.used": 7.0, "usage.n": 9.0}
    assert asks.presets == ("strict",)


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ('"usage.utilisation" = { min = 0.9 }', "gate.usage.utilisation", "Did you mean 'usage.utilization'?"),
        ('"usage.utilization" = { mim = 0.9 }', "gate.usage.utilization.mim", "Did you mean 'min'?"),
        ('"usage.utilization" = { min = "much" }', "gate.usage.utilization.min", "no number"),
        ('"usage.utilization" = { min = true }', "gate.usage.utilization.min", "no number"),
        ('"usage.utilization" = { level = "error" }', "gate.usage.utilization", "bounds nothing"),
        ('"usage.utilization" = 0.9', "gate.usage.utilization", "{ min = 0.9 }"),
        ('"usage.utilization" = { min = 0.9, level = "eror" }', "gate.usage.utilization.level", "Did you mean 'error'?"),
        ('"usage.utilization" = { min = 0.9, over = "worst" }', "gate.usage.utilization.over", "Did you mean 'worst-level'?"),
        ('"usage.utilization" = { max-drop = "-2%" }', "gate.usage.utilization.max-drop", "below 0"),
        ('VQ26 = "error"', "gate.VQ26", "Did you mean 'VQ206'?"),
        ('VQ206 = "loud"', "gate.VQ206", "One of error, warning, info, off"),
        ('presets = "codec"', "gate.presets", "Did you mean 'preset'?"),
        ('preset = "codek"', "gate.preset", "Did you mean 'codec'?"),
        ("preset = 3", "gate.preset", "no preset"),
        ('inconclusive = "maybe"', "gate.inconclusive", "fail, pass, warn"),
        ('require-n = "yes"', "gate.require-n", "true or false"),
        ('baselin = "x"', "gate.baselin", "Did you mean 'baseline'?"),
    ],
)
def test_what_nothing_reads_is_told_with_file_line_key_and_the_nearest_name(tmp_path, line, where, words):
    folder = project(tmp_path, f"[tool.vqdoctor]\n\n[tool.vqdoctor.gate]\n'usage.n' = {{min = 3}}\n{line}\n")
    with pytest.raises(UsageError) as raised:
        gate_config.validate(folder)
    assert f"pyproject.toml:5: {where}: " in str(raised.value) and words in str(raised.value)


def test_points_of_a_log_that_are_none_are_told(tmp_path):
    with pytest.raises(UsageError, match=r"toml:2.*last, best, window:N"):
        gate_config.validate(project(tmp_path, "[tool.vqdoctor.gate]\nat = 'window:0'\n"))


def test_tables_and_rules_that_nothing_reads_are_told_with_their_line(tmp_path):
    with pytest.raises(UsageError, match=r"pyproject.toml:2: nothing reads.*Did you mean 'gate'"):
        gate_config.validate(project(tmp_path, "\n[tool.vqdoctor.gat]\nx = 1\n"))
    with pytest.raises(UsageError, match=r"pyproject.toml:3: tool.vqdoctor.rules.VQ103.*Did you mean 'warn'"):
        gate_config.validate(project(tmp_path, "\n[tool.vqdoctor.rules]\nVQ103 = { warm = 1 }\n"))


def test_lines_are_found_however_a_key_is_spelt(tmp_path):
    file = tmp_path / "a.toml"
    for text, keys, line in (
        ("x = 1\n[gate]\n'usage.n' = {min=1}\n", ["gate", "usage.n", "min"], 3),
        ('[gate]\n[gate."usage.n"]\nmin = 1\n', ["gate", "usage.n", "min"], 3),
        ("[gate]\nusage.n = {min=1}\n", ["gate", "usage.n"], 2),
        ("gate = {at = 'x'}\n", ["gate", "at"], 1),
        ("[a]\n", ["gate", "at"], None),
    ):
        file.write_text(text)
        assert line_of(file, keys) == line


def test_a_table_need_not_be_of_a_file():
    with pytest.raises(SettingError) as raised:
        parse_gate({"usage.n": {"min": 1, "level": 3}})
    assert raised.value.key == ("usage.n", "level")
