"""The command line: one file a command. Each parses, calls a use case of `vqdoctor.app`, renders, and leaves with an exit status.

The border: this room alone knows click, the terminal, the environment and the working directory; it computes nothing. It must start
fast: a command's module is imported when it is called, and numpy, rich and everything heavy inside the command's function.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The console script. Until `entry` has taken over, a signal ends it at once: there is nothing yet to tidy up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background job does not hear Ctrl-C
            signal.signal(number, _leave)
    from vqdoctor.cli.entry import main as enter

    enter()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)
