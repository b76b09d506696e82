"""Help pages on any screen: every metric and rule has one, and none needs a terminal to be read."""

import re

import pytest

from vqdoctor.diagnosis import RULES, page
from vqdoctor.metrics.registry import METRICS
from vqdoctor.render import Screen
from vqdoctor.render.explanation import metric_page, show_markdown

PAGES = {rule.id: page(rule) for rule in RULES} | {metric.name: metric_page(metric) for metric in METRICS}


@pytest.mark.parametrize("name", PAGES)
def test_page_reads_in_black_and_white_and_in_ascii(name):
    text = show_markdown(PAGES[name], Screen(width=80))
    assert name in text.splitlines()[0]
    assert "\x1b" not in text and "\n\n\n" not in text
    assert show_markdown(PAGES[name], Screen(width=80, unicode=False)).isascii()


def test_passport_says_formula_unit_range_direction_and_needs():
    text = metric_page(next(metric for metric in METRICS if metric.name == "usage.utilization"))
    for word in ("**formula**", "**unit**", "**range**", "**better**: higher", "**needs**", "LlamaGen"):
        assert word in text


def test_colour_is_only_style():
    source = "# a\n\n[here](https://example.org) `b`\n"
    colored = show_markdown(source, Screen(width=80, color=True))
    assert "\x1b[" in colored and "\x1b]8" not in colored and "https://example.org" in colored


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_page_leaves_no_field_out(metric):
    page = metric_page(metric)
    for field in ("formula", "unit", "range", "better", "needs", "also known as"):
        assert re.search(rf"^- \*\*{field}\*\*: \S", page, re.MULTILINE), field
