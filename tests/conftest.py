"""For all tests: properties are tried on the same examples each time, and no example is timed.

A change is judged by what it does, not by an example that came up by chance; those are looked for with `make properties`. And on a
busy machine any example takes longer than hypothesis' 200 ms now and then.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("chance", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
