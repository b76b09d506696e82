"""For all tests: no example is timed. On a busy machine any of them takes longer than hypothesis' 200 ms now and then."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
