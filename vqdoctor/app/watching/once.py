"""One look at what there is, for programs: the same view as the faces show, and an error where there is nothing to see."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from vqdoctor.app.watching.refusals import refuse_others
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.view import WatchView
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.errors import MissingInput, UnsupportedInput


def look_once(paths: Sequence[str | os.PathLike[str]], request: WatchRequest) -> WatchView:
    """All that is at `paths` now, read to the end and judged.

    Raises:
        InputError: as `refuse_others` and `refuse_nothing`.
    """
    refuse_others([os.fspath(path) for path in paths])
    with Watcher(paths, request, clock=time.time) as watcher:
        view = watcher.finish()
        refuse_nothing(watcher, view, [os.fspath(path) for path in paths])
    return view


def refuse_nothing(watcher: Watcher, view: WatchView, paths: Sequence[str]) -> None:
    """Refuse a look that saw nothing.

    Args:
        paths: what the user named.

    Raises:
        MissingInput: a path is not there or cannot be read. UnsupportedInput: nothing there is a log, or holds anything yet.
    """
    if view.missing:
        hint = "Check the path, or follow it (without --once) until it is there."
        raise MissingInput("there is no such file or folder.", where=view.missing[0], hint=hint)
    for path, why in watcher.failures.items():
        if path in paths:
            hint = "Check its permissions." if os.path.isfile(path) else "Name a file, or a folder of runs."
            raise MissingInput(f"cannot be read ({why}).", where=path, hint=hint)
    if not view.runs:
        named = paths[0] if paths else None
        folder = named is not None and os.path.isdir(named)
        if folder and named is not None and not os.access(named, os.R_OK | os.X_OK):
            raise MissingInput("cannot be read.", where=named, hint="Check its permissions.")
        what = "this folder holds no log and no checkpoint." if folder else "nothing has been written to it yet."
        raise UnsupportedInput(what, where=named, hint="Name the log itself, or its folder.")
