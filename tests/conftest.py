"""For all tests: what a machine, a shell or chance happens to be like decides nothing.

Properties are tried on the same examples each time, since a change is judged by what it does; new examples are tried by
`make properties`. No example is timed: on a busy machine any of them takes longer than hypothesis' 200 ms now and then. Control-C
reaches the programs under test: a shell starts what it runs in the background with that signal ignored, and every child would
inherit it.
"""

from __future__ import annotations

import os
import signal

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("chance", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
