"""Markdown from hostile names: whatever they hold, a parser finds our headings and tables, and nothing of theirs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nasty_reports import REPORTS

from vqdoctor.render import Screen, renderer
from vqdoctor.render.to_markdown import code, escape, fenced, table

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tokens_of(text):
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def shown(text):
    """The text that a reader sees, and the kinds of tokens that show it."""
    tokens = list(tokens_of(text))
    words = "".join(token.content for token in tokens if token.type in ("text", "code_inline", "text_special"))
    kinds = {token.type for token in tokens if not (token.type == "html_inline" and token.content == "<!-- -->")}
    return words, kinds


@pytest.mark.parametrize("name", REPORTS)
def test_no_html_link_or_image_comes_of_a_name(name):
    text = renderer("markdown").render([REPORTS[name]()], Screen())
    _, kinds = shown(text)
    assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image", "s_open", "em_open"})
    assert all(len(row.split(" | ")) in (6, 5, 8) for row in text.splitlines() if row.startswith("| "))


@given(st.text(alphabet=st.sampled_from("ab1 .)-+#>*_`|<>[]()!~$&@:/\\=\n\x1b"), min_size=1, max_size=30))
def test_escaped_words_are_shown_as_they_are(words):
    expected = words.strip(" ")
    text, kinds = shown(f"x {escape(expected)} y")
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert text.split() == f"x {expected} y".replace("\\", "\\").replace("\n", "\\n").replace("\x1b", "\\x1b").split()


@given(st.text(alphabet=st.sampled_from("ab `|\\<\n"), min_size=1, max_size=20))
def test_code_in_a_table_keeps_to_its_cell(words):
    text = table(["a", "b"], [[code(words), "end"]])
    cells = [token for token in PARSER.parse(text) if token.type == "td_open"]
    assert len(cells) == 2


@given(st.text(alphabet=st.sampled_from("ab `\n~"), max_size=30))
def test_a_command_cannot_close_its_fence(command):
    tokens = PARSER.parse(fenced(command) + "\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


def test_mentions_references_and_links_are_broken():
    words = escape("@everyone fixes #12 at https://evil.example and www.evil.example GH-7")
    assert "@everyone" not in words and "#12" not in words and "://" not in words and "www." not in words and "GH-7" not in words
