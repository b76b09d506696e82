"""The cluster: joining it, handing out work in order, and saying in words what went wrong there.

Plain tasks, not Ray Data: what is handed out are a few hundred descriptions of parts, and what comes back is counted in the order
of the parts. Ray Data would bring readers of its own (that number no rows and drop none), and blocks in any order; what it does for
a lost worker, running its tasks again, is done by the tasks beneath it.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import ray

from vqdoctor.errors import MissingInput, UsageError, VqdoctorError, printable

AHEAD = 2
"""Parts that are handed out for each core: one is counted while the next waits at the door."""
RETRIES = 8
"""How often a task is done again when its worker is lost."""
ANSWERS_IN = 10.0
"""Seconds that the cluster of RAY_ADDRESS has to answer: Ray itself would go on trying for many minutes."""


class ClusterError(VqdoctorError):
    """The cluster could not do the work: its workers fail, or went one after the other."""


def join_cluster() -> None:
    """Joins the cluster of ``RAY_ADDRESS``, or starts one on this machine; nothing where that was done.

    Raises:
        UsageError: nobody answers at that address.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "")
    _knock(address)
    try:
        with _own_signals():
            ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    except KeyboardInterrupt:
        ray.shutdown()
        raise
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _nobody(address or "this machine", error) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """SIGTERM means to this process what it meant before, and waits while Ray starts.

    Half started, Ray aborts the process that ends; and its own handler, which is not let in, would end it with another status.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    theirs = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, before)
        if asked:
            ray.shutdown()
            signal.raise_signal(signal.SIGTERM)


def _knock(address: str) -> None:
    """Raises UsageError where an address names a host and a port at which nothing listens."""
    found = re.fullmatch(r"(?:ray://)?(?P<host>[^/:\s]+):(?P<port>\d{1,5})", address)
    if found is None:
        return
    try:
        socket.create_connection((found["host"], int(found["port"])), ANSWERS_IN).close()
    except (OSError, OverflowError) as error:
        raise _nobody(address, error) from None


def _nobody(address: str, error: Exception) -> UsageError:
    hint = "Set RAY_ADDRESS to the head of a running cluster (ray start --head), or unset it: one is then started here."
    return UsageError(f"no Ray cluster answers at {printable(address)}: {printable(error)}.", hint=hint)


def candid(results: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A task that returns an error, in the place of its first result, where it would have raised one.

    Ray shows a raised error of every task that nobody asks any more, with its traceback, and one bad file has many.
    """

    def returning(task: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(task)
        def done(*given: Any) -> Any:
            wrong = next((each for each in given if isinstance(each, VqdoctorError)), None)  # of a task before it
            try:
                if wrong is None:
                    return task(*given)
            except VqdoctorError as error:
                wrong = error
            except Exception as error:
                wrong = _failed(error)
                wrong.add_note(traceback.format_exc())  # for --debug
            return wrong if results == 1 else (wrong, *[None] * (results - 1))

        return done

    return returning


def answer(ref: Any) -> Any:
    """The result of a candid task.

    Raises:
        VqdoctorError: what it found wrong, as if it had been found here. ClusterError: it failed.
    """
    found = ray.get(ref)
    if isinstance(found, MissingInput):
        hint = "Workers read the features themselves: every node must see them at this path."
        raise MissingInput(found.what, where=found.where, hint=hint)
    if isinstance(found, VqdoctorError):
        raise found
    return found


@contextmanager
def _terminable() -> Iterator[None]:
    """Leaves the cluster when interrupted or terminated. Ray's waiting gives way to KeyboardInterrupt and to nothing else."""
    before = signal.getsignal(signal.SIGTERM)
    takes = callable(before) and threading.current_thread() is threading.main_thread()
    asked: list[Any] = []

    def ask(number: int, frame: Any) -> None:
        asked[:] = number, frame
        raise KeyboardInterrupt

    if takes:
        signal.signal(signal.SIGTERM, ask)
    try:
        yield
    except KeyboardInterrupt:
        ray.shutdown()  # before the interpreter ends: Ray would crash it
        if asked and callable(before):
            before(*asked)
        raise
    finally:
        if takes:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def explained() -> Iterator[None]:
    """Failures of workers and of the cluster in words; whoever is interrupted leaves the cluster before anything else ends."""
    try:
        with _terminable():
            yield
    except ray.exceptions.RayTaskError as error:
        raise _failed(error.cause) from error
    except ray.exceptions.RayError as error:
        what = f"the cluster lost its workers, {RETRIES} times and more: {type(error).__name__}: {printable(error)}"
        raise ClusterError(what, hint="Do the nodes have the memory? See: ray status.") from error


def _failed(error: BaseException) -> ClusterError:
    what = f"a worker failed: {type(error).__name__}: {printable(error)}."
    return ClusterError(what, hint="Is the same vqdoctor-ray installed on every node?")


def in_order(jobs: Iterable[Any], hand_out: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Each job with what `hand_out` gave for it (references), in order; a few are handed out ahead."""
    most = max(2, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque[tuple[Any, Any]] = deque()
    for job in jobs:
        waiting.append((job, hand_out(job)))
        if len(waiting) >= most:
            yield waiting.popleft()
    yield from waiting
