"""The command line: one file a command. Each parses, calls a use case of `vqdoctor.app`, renders, and leaves with an exit status.

The border: this room alone knows click, the terminal, the environment and the working directory; it computes nothing. It must start
fast: a command's module is imported when it is called, and numpy, rich and everything heavy inside the command's function.
"""

from vqdoctor.cli.entry import main

__all__ = ["main"]
