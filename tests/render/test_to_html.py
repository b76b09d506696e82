"""The page as a browser's parser reads it: closed tags, no markup of a name's making, nothing loaded, ordered headings."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from gates import failed
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_reports import REPORTS, healthy, hostile, ids, sick

from vqdoctor.model import Group, LevelReport
from vqdoctor.render import Screen, renderer
from vqdoctor.render.html.markup import data, el, escape
from vqdoctor.render.html.page import asset
from vqdoctor.render.notebook import fragment

VOID = {"meta", "input", "br"}
SCRIPTS = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)><!--"
HANDLER = re.compile(r"on\w+$")


class Reader(HTMLParser):
    """Tags with their attributes in order, words by the tag that holds them; raises where a tag is not closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.words, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, words):
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.words).append(words)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(*reports, gate=None):
    return renderer("html").render(reports, Screen(), gate)


def read(*reports, gate=None):
    return Reader(page(*reports, gate=gate))


def scripted():
    """Scripts wherever a file or a rule chooses the words."""
    report = hostile()
    quantizer = replace(report.quantizers[0], name=SCRIPTS, evidence=SCRIPTS, layout=SCRIPTS, notes=(SCRIPTS,))
    finding = replace(report.findings[0], where=SCRIPTS, message=SCRIPTS, rule=SCRIPTS, name=SCRIPTS, evidence={SCRIPTS: SCRIPTS})
    source = replace(report.source, path=SCRIPTS, info={SCRIPTS: SCRIPTS}, warnings=(SCRIPTS,))
    return replace(report, quantizers=(quantizer,), findings=(finding,), source=source)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_well_formed_with_unique_ids_and_ordered_headings(name):
    for reader in (read(REPORTS[name](), gate=failed()), read(REPORTS[name](), healthy())):
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        named = [attributes["aria-labelledby"] for _, attributes in reader.tags if "aria-labelledby" in attributes]
        links = [attributes["href"].removeprefix("#") for attributes in reader.all("a")]
        assert {*named, *links} <= set(ids)


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_loaded_and_nothing_runs_but_what_the_policy_names(name):
    reader = read(REPORTS[name](), gate=failed())
    asked = {key for _, attributes in reader.tags for key in attributes if key in ("src", "srcset", "style") or HANDLER.match(key)}
    assert not asked and {tag for tag, _ in reader.tags}.isdisjoint({"link", "iframe", "img", "object", "base", "form"})
    assert all(attributes["href"].startswith("#") for attributes in reader.all("a"))
    policy = next(each["content"] for each in reader.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    run = [asset("report.css"), asset("report.js")]
    hashes = ["sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert f"style-src '{hashes[0]}'; script-src '{hashes[1]}';" in policy and policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and all(text in reader.scripts for text in run)


def test_scripts_in_names_are_words():
    plain, attacked = read(hostile(), gate=failed()), read(scripted(), gate=failed())
    assert [tag for tag, _ in plain.tags if tag == "script"] == [tag for tag, _ in attacked.tags if tag == "script"]
    assert {tag for tag, _ in attacked.tags} == {tag for tag, _ in plain.tags}
    assert any(SCRIPTS in words for words in attacked.words)
    told = json.loads(next(text for text in attacked.scripts if text.startswith("[{")))
    assert told[0]["quantizers"][0]["name"] == SCRIPTS


@given(st.text(st.characters(), max_size=60))
@settings(deadline=None)
def test_any_words_come_back_as_they_were_printed(words):
    reader = Reader(el("p", words, title=words))
    shown = "".join(reader.words)
    assert (
        shown
        == reader.tags[0][1]["title"]
        == "".join(c if c.isprintable() or c in "\xa0\u202f\n" else ascii(c)[1:-1] for c in words)
    )
    assert reader.tags[0][0] == "p" and len(reader.tags) == 1


@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers() | st.lists(st.text())))
@settings(deadline=None)
def test_data_in_a_script_comes_back_and_closes_nothing(value):
    text = data(value)
    assert json.loads(text) == value
    assert not re.search(r"[<>&]", text)


@given(st.text(st.characters(), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_name_of_a_file_leaves_the_page_whole(name):
    report = replace(ids(), source=replace(ids().source, path=name, info={name: name}, warnings=(name,)))
    quantizer = replace(report.quantizers[0], name=name, evidence=name, groups=(Group((1, 2), 3, (name,)),))
    finding = replace(hostile().findings[0], where=f"{name}[0]", message=name, evidence={name: name})
    plain = [tag for tag, _ in read(replace(report, quantizers=(replace(quantizer, name="q"),), findings=(finding,))).tags]
    assert [tag for tag, _ in read(replace(report, quantizers=(quantizer,), findings=(finding,))).tags] == plain


def test_escape_leaves_markup_alone_and_nothing_else():
    assert escape(el("b", "<")) == "<b>&lt;</b>"
    assert escape("<b>") == "&lt;b&gt;"


def test_the_verdict_comes_first_and_every_figure_says_the_same_in_words():
    reader = read(sick())
    words = [each.strip() for each in reader.words if each.strip()]
    places = [words.index("sick"), words.index("Vital signs"), max(i for i, word in enumerate(words) if word == "Findings")]
    assert places == sorted(places)
    figures = [each for each in reader.all("svg") if each.get("role") == "img"]
    assert figures and all(each["aria-labelledby"] and each["aria-describedby"] for each in figures)
    said = " ".join(words)
    assert "2 of 512 codes take 65\u202f533 rows. The most used takes 99.3\xa0%" in said and "never hit: 510" in said


def test_tables_have_headers_and_captions():
    reader = read(sick(), healthy())
    tables = len(reader.all("table"))
    assert tables == len(reader.all("caption")) > 3
    assert all(each.get("scope") in ("col", "row") for each in reader.all("th"))


def test_a_book_too_large_to_list_shows_both_ends_of_its_ranking():
    counts = {code: code + 1 for code in range(5000)}
    level = replace(sick().quantizers[0].levels[0], codes=5000, counts=counts)
    report = replace(sick(), quantizers=(replace(sick().quantizers[0], levels=(level,)),))
    text = page(report)
    assert "1\u202f000 of 5\u202f000 codes" in text and ">4999<" in text and ">0<" in text and ">2500<" not in text
    assert len(text) < 500_000


def test_32_levels_of_many_codes_stay_small_enough_to_send():
    counts = {code: 1 + code % 7 for code in range(2048)}
    levels = tuple(
        LevelReport(i, f"q.{i}", 2048, 8, "float32", sick().quantizers[0].levels[0].metrics, counts=counts) for i in range(32)
    )
    report = replace(sick(), quantizers=(replace(sick().quantizers[0], levels=levels),))
    assert len(page(report).encode()) < 1_500_000


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_what_lies_behind_them(theme):
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", asset("report.css"))
    colours = {name: found[theme] for name, *found in pairs}
    states = ("sick", "risk", "well", "dunno")
    written = [(ink, back) for ink in ("ink", "soft", "link") for back in ("page", "card", "tint")]
    written += [(state, back) for state in states for back in ("card", f"{state}-tint")]
    written += [(ink, f"{state}-tint") for ink in ("ink", "soft") for state in states] + [
        ("risk", f"{state}-tint") for state in states
    ]
    assert {pair: ratio for pair in written if (ratio := contrast(*(colours[name] for name in pair))) < 4.5} == {}
    assert min(contrast(colours[mark], colours["card"]) for mark in ("bar", "ema")) >= 3


@pytest.mark.parametrize("make", [*REPORTS.values(), scripted], ids=[*REPORTS, "scripted"])
def test_a_notebooks_fragment_is_well_formed_and_runs_nothing(make):
    reader = Reader(fragment(make()))
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "img", "iframe", "h1", "h2", "body"})
    assert not any(HANDLER.match(key) or key == "id" for _, attributes in reader.tags for key in attributes)
