"""A command on the screen as it can be copied into a shell."""

from __future__ import annotations

import shlex

from rich.cells import cell_len


def shell_lines(command: str, width: int) -> list[str]:
    """A command to copy: whole, over as many lines as it takes, broken between arguments as a shell wants it."""
    try:
        words = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:  # no command that a shell would take
        words = [command]
    lines = words[:1]
    for word in words[1:]:
        if cell_len(lines[-1]) + cell_len(word) + 1 <= width - 6:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(word)
    return [f"  {' ' if number else '$'} {line}" for number, line in enumerate(lines)]
