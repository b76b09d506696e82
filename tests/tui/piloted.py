"""What every test under a pilot does: press keys, and tell whether the screen has changed."""

from __future__ import annotations

import os


async def press(pilot, keys):
    """Keys one after the other, each seen to before the next."""
    for key in keys.split():
        await pilot.press(key)
        await pilot.pause()


async def until(pilot, reached):
    """Wait for something that a thread or a timer does, half a minute at most."""
    for _ in range(1500):
        await pilot.pause(0.02)
        if reached():
            return
    raise AssertionError("it never came")


def look_of(app):
    """Everything by which a user could tell that a key did something."""
    cells = [(segment.text, str(segment.style)) for strip in app.screen._compositor.render_strips() for segment in strip]
    focused = app.screen.focused and app.screen.focused.id
    return cells, focused, len(app.screen_stack), app.look.name, app.clipboard, os.listdir(app.folder)
