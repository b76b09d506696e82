"""For all tests: what a machine or a shell happens to be like decides nothing.

No example is timed: on a busy machine any of them takes longer than hypothesis' 200 ms now and then. Control-C reaches the programs
under test: a shell starts what it runs in the background with that signal ignored, and every child would inherit it.
"""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
