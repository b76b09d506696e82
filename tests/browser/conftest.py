"""One browser for all pages; without one the tests are skipped, and say what to install."""

from __future__ import annotations

import pytest
from chromium import Browser, missing


@pytest.fixture(scope="session")
def browser():
    if why := missing():
        pytest.skip(why)
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def afresh(browser):
    """A desktop screen that prefers light, and no console message left unread."""
    browser.size(1280, 900)
    browser.media()
    yield
    assert browser.console() == []
