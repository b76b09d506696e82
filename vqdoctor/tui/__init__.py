"""The terminal dashboard: Textual screens over the use cases of `app/`.

Nothing is measured, judged or read from a log here: a screen is given values (`WatchView`, `Report`) and draws them. What there is
to draw is worked out by plain functions without widgets (`vitals`, `chart`, `heat`, …), so that it can be tested and timed alone;
widgets only put lines on the screen, and only those that have changed. Above `app/`, below `cli/`, which imports this room as the
last step of a command: Textual costs 0.2 s to import and needs a terminal.
"""
