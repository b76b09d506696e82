"""`vqdoctor explain`: every rule and metric by each of its names, and the nearest for a name that is none."""

import pytest
from click.testing import CliRunner
from command_line import shell

from vqdoctor.cli.entry import commands
from vqdoctor.cli.explain import complete_topic, contents, page_of, topics
from vqdoctor.diagnosis import RULES
from vqdoctor.errors import UsageError
from vqdoctor.metrics.registry import METRICS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_has_a_page_by_id_and_by_name(rule):
    assert page_of(rule.id.lower()) == page_of(rule.name)
    assert page_of(rule.id).startswith(f"# {rule.id} {rule.name}")


def test_every_metric_has_a_page_and_the_contents_list_all():
    listed = contents()
    for metric in METRICS:
        assert page_of(metric.name).startswith(f"# {metric.name}: ")
        assert f"`{metric.name}`" in listed
    assert all(f"`{rule.id}`" in listed for rule in RULES)


@pytest.mark.parametrize("topic", ["collision", "collision.*", "COLLISION."])
def test_a_family_is_a_list(topic):
    text = page_of(topic)
    assert text.startswith("# collision.*") and "`collision.rate`" in text and "usage." not in text


def test_the_word_of_another_program_finds_ours():
    assert "`usage.utilization`" in page_of("codebook_usage")


@pytest.mark.parametrize(
    ("topic", "nearest"), [("usage.perplexty", "usage.perplexity"), ("ema-ilusion", "ema-illusion"), ("VQ1O3", "VQ103")]
)
def test_the_nearest_names_are_told(topic, nearest):
    with pytest.raises(UsageError) as raised:
        page_of(topic)
    assert nearest in str(raised.value)


def test_topics_complete_in_a_shell():
    command = commands.get_command(None, "explain")
    offered = [item.value for item in complete_topic(None, command.params[0], "vq10")]
    assert offered == [rule.id for rule in RULES if rule.id.startswith("VQ10")]
    done = shell(_VQDOCTOR_COMPLETE="bash_complete", COMP_WORDS="vqdoctor explain ema-il", COMP_CWORD="2")
    assert done.stdout.strip() == "plain,ema-illusion"


def test_names_are_unambiguous():
    names = [name for name, _ in topics()]
    assert len(names) == len(set(names))


def test_text_and_source():
    runner = CliRunner()
    text = runner.invoke(commands, ["explain", "VQ103"]).output
    source = runner.invoke(commands, ["explain", "VQ103", "--format", "markdown"]).output
    assert source.startswith("# VQ103") and text.startswith("VQ103") and "\x1b" not in text


def test_presets_of_gate_have_pages():
    for preset in ("recommended", "strict", "codec", "semantic-ids"):
        done = shell("explain", preset, "--format", "markdown")
        assert done.returncode == 0 and done.stdout.startswith(f"# {preset}\n")
    assert "`collision.rate` ≤ 0.05" in done.stdout and "semantic-ids" in shell("explain").stdout
