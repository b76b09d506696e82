"""From the shell to a command and back: streams, signals, and an exit status for whatever happens (contract §2)."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from vqdoctor.cli.command import LazyGroup, option
from vqdoctor.cli.streams import prepare_streams, write_out
from vqdoctor.errors import ExitCode, VqdoctorError, printable

COMMANDS = {
    "inspect": ("vqdoctor.cli.inspect", "open a checkpoint, measure its codebooks, say what is wrong"),
    "watch": ("vqdoctor.cli.watch", "follow live or finished training logs: a dashboard, lines, or one frame"),
    "repair": ("vqdoctor.cli.repair", "treat codebooks in a proven copy, with the way back"),
    "gate": ("vqdoctor.cli.gate", "thresholds and rules to an exit status, for CI"),
    "compare": ("vqdoctor.cli.compare", "codes moved, died, revived between checkpoints; a folder as a time line"),
    "train": ("vqdoctor.cli.train", "run the bundled reference trainer: every disease, every cure"),
    "encode": ("vqdoctor.cli.encode", "write codes or semantic IDs for each row"),
    "explain": ("vqdoctor.cli.explain", "what a finding or a metric means, offline"),
    "plugins": ("vqdoctor.cli.plugins", "layouts, log readers, rules and engines: built in and installed"),
}
EXAMPLES = (
    ("What is in this checkpoint, and is it well?", "vqdoctor inspect model.ckpt"),
    ("Judge by real use, not by what training counted", "vqdoctor inspect model.ckpt --features latents.npy"),
    ("See a codebook collapse, and what its statistics say meanwhile", "vqdoctor train vq-ema-illusion"),
    ("Follow a training run, live", "vqdoctor watch runs/"),
    ("What does a finding mean, and what helps?", "vqdoctor explain VQ103"),
)
_HINTS = {
    errno.EACCES: " Check its permissions, or name another place.",
    errno.EROFS: " Name another place.",
    errno.ENOSPC: " Free some space, or name another place.",
}
"""What to do where the system says no and nobody nearer knew what to say."""
VERBOSE = "vqdoctor.verbose"
EPILOG = "Exit status: 0 looked, 1 findings at --fail-on, 2 could not look, 3 no quantiser found, 4 a bug of ours."


def show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, with -v the environment too, and leave."""
    if not wanted:
        return
    if ctx.meta.get(VERBOSE):
        from vqdoctor.cli.environment import environment

        click.echo(environment(), nl=False)
    else:
        from vqdoctor import __version__

        click.echo(f"vqdoctor {__version__}")
    ctx.exit()


def note_verbose(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Before --version is looked at, wherever on the line -v stands."""
    ctx.meta[VERBOSE] = wanted


@click.group(
    cls=LazyGroup, table=COMMANDS, examples=EXAMPLES, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@option(
    "--version", is_flag=True, expose_value=False, callback=show_version, help="Show the version; with -v, what a report needs."
)
@option("-v", "--verbose", is_flag=True, is_eager=True, expose_value=False, callback=note_verbose, help="More, with --version.")
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def commands() -> None:
    """The doctor for codebooks of vector-quantised models."""


def main() -> NoReturn:
    """Runs the command line of this process and ends it."""
    # Before numpy loads: OpenBLAS's threads begin, and end each product, with a wait of 2^26 cycles in a busy loop.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    gc.set_threshold(50_000)  # the tree of a checkpoint is hundreds of thousands of objects, and no garbage
    status = run(sys.argv[1:])
    gc.freeze()  # the process ends here: no last search for cycles
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status; every error becomes one line on standard error."""
    try:
        _listen()
        prepare_streams()
        status = commands.main(args=list(arguments), prog_name="vqdoctor", standalone_mode=False)
        write_out("")
        return int(status or ExitCode.OK)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", ExitCode.INTERRUPTED)
    except _Terminated:
        return int(ExitCode.TERMINATED)
    except SystemExit:
        # click's way out when the reader of its help has gone away; its own status, 1, would read as a finding.
        return int(ExitCode.OK)
    except Exception as error:
        if "--debug" in arguments:
            _show_traceback(error)
        return _explained(error, arguments)


def _explained(error: Exception, arguments: Sequence[str]) -> int:
    """One line for `error`, and its exit status."""
    match error:
        case VqdoctorError():
            # Our own words: the list of what to type instead has a line each.
            return _fail(f"error: {error}", error.exit_code, lines=True)
        case NoArgsIsHelpError():
            sys.stderr.write(error.format_message() + "\n")
            return int(ExitCode.UNUSABLE)
        case click.UsageError() if error.ctx:
            return _fail(f"error: {error.format_message()} See: {error.ctx.command_path} --help", ExitCode.UNUSABLE)
        case click.ClickException():
            return _fail(f"error: {error.format_message()}", ExitCode.UNUSABLE)
        case MemoryError():
            return _fail("error: not enough memory.", ExitCode.UNUSABLE)
        case FileNotFoundError() if not error.filename:
            return _fail("error: the working directory is gone. Change to a folder that is there.", ExitCode.UNUSABLE)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return _fail(f"error: {where}{error.strerror or error}.{_HINTS.get(error.errno or 0, '')}", ExitCode.UNUSABLE)
        case _:
            from vqdoctor.cli.bug import bug_line

            return _fail(bug_line(error, arguments), ExitCode.BUG)


def _fail(words: str, status: int, lines: bool = False) -> int:
    """Say `words` on one line, or on as many as they have."""
    parts = words.split("\n") if lines else [words]
    with contextlib.suppress(OSError):
        sys.stderr.write("vqdoctor: " + "\n".join(printable(part, 2000) for part in parts) + "\n")
    return int(status)


def _show_traceback(error: Exception) -> None:
    import traceback

    for line in traceback.format_exception(error):
        sys.stderr.write("\n".join(printable(part, 2000) for part in line.split("\n")))


def _listen() -> None:
    """Signals as exceptions, so that temporary files are removed on the way out. What the shell said to ignore is ignored."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, _terminate)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


class _Terminated(BaseException):
    """SIGTERM as an exception."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated
