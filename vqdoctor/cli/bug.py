"""What is left when we are wrong: a small file for an issue, with versions and the place, and nothing of the user's tensors."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Sequence

from vqdoctor.cli.environment import versions
from vqdoctor.errors import printable


def bug_line(error: Exception, arguments: Sequence[str]) -> str:
    """Write the report and say in one line what happened and where it is."""
    what = f"bug: {type(error).__name__}: {printable(error)}"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="vqdoctor-bug-", suffix=".txt", delete=False) as file:
            file.write(bug_report(error, arguments))
    except OSError:
        return f"{what}. Please report it, with the output of the same command and --debug."
    return f"{what}. This is our mistake; please attach {file.name} to an issue."


def bug_report(error: Exception, arguments: Sequence[str]) -> str:
    """Versions, the command line and the stack. No local variables, no environment, no values: a message is cut short."""
    lines = [f"vqdoctor {' '.join(printable(each) for each in arguments)}", "", *versions(), ""]
    link: BaseException | None = error
    while link:
        lines += [f"{type(link).__name__}: {printable(link)}", *traceback.format_tb(link.__traceback__)]
        link = link.__cause__ or link.__context__
    return "\n".join(lines)
