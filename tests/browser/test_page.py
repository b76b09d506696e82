"""The HTML report in a real browser: what clicking, searching, a phone, a screen reader, a printer and a hostile name do to it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "render"))

from gates import failed
from nasty_reports import REPORTS, hostile

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.render import renderer

SAMPLES = sorted(path.name for path in (ROOT / "sample_checkpoints").glob("*.pt"))
ATTACK = "</title></script><script>window.attacked=1</script><img src=x onerror=window.attacked=2><svg onload=window.attacked=3>"
CODES = "[...document.querySelectorAll('table.codes tbody tr')]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports by name, as files."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name, reports, gate=None):
        path = folder / f"{name}.html"
        path.write_text(renderer("html").render(reports, None, gate), encoding="utf-8")
        return path

    made = {name: write(name, inspect([str(ROOT / "sample_checkpoints" / name)], InspectRequest(details=True))) for name in SAMPLES}
    made |= {name: write(name, [make()]) for name, make in REPORTS.items()}
    quantizer = replace(hostile().quantizers[0], name=ATTACK, evidence=ATTACK, notes=(ATTACK,))
    finding = replace(hostile().findings[0], where=ATTACK, message=ATTACK, evidence={ATTACK: ATTACK})
    source = replace(hostile().source, path=ATTACK, info={ATTACK: ATTACK}, warnings=(ATTACK,))
    attacked = replace(hostile(), source=source, quantizers=(quantizer,), findings=(finding,))
    made["attacked"] = write("attacked", [attacked], failed())
    made["several"] = write("several", [make() for make in REPORTS.values()], failed())
    return made


@pytest.fixture
def sick(browser, pages):
    browser.open(pages["ema-illusion.pt"])
    return browser


def column(browser, number):
    """The words of a column of the table of codes, rows that are shown."""
    return browser.run(f"return {CODES}.filter(r => !r.hidden).map(r => r.cells[{number}].textContent)")


def test_every_sample_opens_without_a_console_message_and_is_small(browser, pages):
    for name in SAMPLES:
        browser.open(pages[name])
        assert browser.run("return document.querySelector('h1').textContent").endswith(name)
        assert browser.console() == []
        assert pages[name].stat().st_size < 1_500_000


def test_a_click_sorts_by_number_and_a_second_one_turns_it_round(sick):
    sick.click("table.codes thead th:nth-child(5) button")
    norms = [float(each) for each in column(sick, 4)]
    assert norms == sorted(norms, reverse=True) and len(norms) == 256
    assert sick.run("return document.querySelector('table.codes th:nth-child(5)').ariaSort") == "descending"
    sick.click("table.codes thead th:nth-child(5) button")
    assert [float(each) for each in column(sick, 4)] == sorted(norms)
    sick.click("table.codes thead th:nth-child(8) button")
    assert column(sick, 7)[0] == "live"


def test_search_finds_a_code_by_number_and_codes_by_verdict(sick):
    sick.type("input[type=search]", "live")
    assert set(column(sick, 7)) == {"live"}
    assert sick.run("return document.querySelector('output').textContent") == "1 of 256 codes"
    sick.run("const f = document.querySelector('input[type=search]'); f.value = ''; f.dispatchEvent(new Event('input'))")
    assert len(column(sick, 0)) == 256
    sick.type("input[type=search]", "70")
    assert "70" in column(sick, 0) and "170" not in column(sick, 0)


def test_copy_puts_the_command_on_the_clipboard(sick):
    sick.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    sick.click(".finding .copy")
    sick.until("return document.querySelector('.finding .copy').textContent === 'Copied'")
    told = sick.run("return navigator.clipboard.readText()")
    assert told.startswith("vqdoctor repair ") and told.endswith("-o repaired.pt")


def test_the_theme_follows_the_system_until_it_is_chosen(sick):
    back = "return getComputedStyle(document.body).backgroundColor"
    light = sick.run(back)
    sick.media(scheme="dark")
    dark = sick.run(back)
    assert light != dark
    sick.click("#theme")
    assert sick.run(back) == light
    assert sick.run("return document.getElementById('theme').ariaPressed") == "false"
    sick.run("localStorage.removeItem('vqdoctor-theme')")


def test_the_saved_json_is_the_report(sick):
    told = json.loads(sick.run("return document.getElementById('report-data').textContent"))
    assert [each["verdict"] for each in told] == ["sick"] and told[0]["schema"] == "vqdoctor.report/1"
    sick.click("#save")


@pytest.mark.parametrize("name", ["ema-illusion.pt", "hourglass.pt", "attacked", "several", "blind"])
def test_a_phone_scrolls_down_and_never_sideways(browser, pages, name):
    browser.size(390, 844, phone=True)
    browser.open(pages[name])
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    wide = browser.run(
        "return [document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')]"
        ".filter(e => !e.closest('.scroll') && !e.closest('svg') && !e.closest('.skip') && e.getBoundingClientRect().right > 391)"
        ".map(e => e.outerHTML.slice(0, 80))]"
    )
    assert wide == [390]


def test_scripts_in_names_are_shown_and_do_not_run(browser, pages):
    browser.open(pages["attacked"])
    assert browser.run("return window.attacked") is None
    assert browser.run("return document.querySelector('h1').textContent") == ATTACK
    assert browser.run("return document.querySelectorAll('img, main script').length") == 0
    assert browser.run("return document.body.innerText.includes('<script>window.attacked=1</script>')")


def test_a_screen_reader_is_told_of_landmarks_headings_figures_and_tables(sick):
    told = sick.accessibility()
    roles = [role for role, _ in told]
    assert {"banner", "navigation", "main", "contentinfo"} <= set(roles)
    headings = ["sample_checkpoints/ema-illusion.pt", "Vital signs", "Findings"]
    assert [Path(name).name for role, name in told if role == "heading"][:3] == [Path(name).name for name in headings]
    pictures = [name for role, name in told if role in ("image", "img", "graphics-document")]
    assert "Use of the codes of quantizer" in pictures and "Where the codes of quantizer lie" in pictures
    assert ("searchbox", "Search the codes of quantizer") in told
    assert all(name for role, name in told if role in ("button", "link", "searchbox", "region", "table"))
    assert {"table", "columnheader", "rowheader"} <= set(roles)


def test_print_shows_all_and_hides_what_needs_a_mouse(sick):
    sick.run("dispatchEvent(new Event('beforeprint'))")
    assert sick.run("return document.querySelectorAll('details:not([open])').length") == 0
    sick.media("print", "dark")
    assert sick.run("return getComputedStyle(document.querySelector('header')).display") == "none"
    assert sick.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(sick.devtools("Page.printToPDF")["data"]) > 10_000


def test_without_scripts_all_is_there_but_the_buttons(browser, pages):
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages["ema-illusion.pt"])
        told = browser.accessibility()
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert not [name for role, name in told if role in ("button", "searchbox")]
    assert sum(role == "rowheader" for role, _ in told) > 256
