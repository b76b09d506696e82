"""Files behind a URL that the user typed, through fsspec: `s3://`, `gs://`, `hf://`, `https://`, ….

The lowest room that knows of networks, and the only one. A URL is followed where it stands on the command line or in a call, never
where it stands in a file; what a message or report shows of it has neither passwords nor the signed part behind "?".
"""

from __future__ import annotations

import re
from typing import Any

from vqdoctor.errors import MissingInput, UnsupportedInput

SCHEMES = ("s3", "gs", "gcs", "hf", "http", "https", "az", "abfs", "abfss", "sftp", "hdfs", "webhdfs", "memory", "file")
"""Those that name bytes at a place. Others that fsspec has open what a file points to, or run something."""
BLOCK_BYTES, BLOCKS = 1 << 20, 32  # read at a time, and kept for the next read
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")


def is_url(path: object) -> bool:
    """True for ``scheme://…``."""
    return isinstance(path, str) and _URL.match(path) is not None


def shown(url: str) -> str:
    """`url` without user, password, query and fragment."""
    scheme, rest = url.split("://", 1)
    host, slash, inner = rest.partition("/")
    inner = re.split(r"[?#]", inner, maxsplit=1)[0]
    return f"{scheme}://{re.split(r'[?#]', host.rpartition('@')[2], maxsplit=1)[0]}{slash}{inner}"


def local_path(url: str) -> str | None:
    """The path of a ``file://`` URL on this machine; None for any other."""
    from urllib.parse import unquote

    return unquote(url.removeprefix("file://")) if url.startswith("file:///") else None


def open_url(url: str) -> tuple[Any, int]:
    """A file behind `url`, binary and seekable, read in ranges; and its bytes.

    Raises:
        UnsupportedInput: the scheme is not known, fsspec or what it needs for it is missing, or its server gives no ranges.
        MissingInput: it is not there, or cannot be reached.
    """
    name = shown(url)
    scheme = url.split("://", 1)[0]
    if scheme not in SCHEMES or "::" in url:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise UnsupportedInput("is a URL of a kind that is not opened.", where=name, hint=f"Known are {known}.")
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        wants = f" ({error.name})" if error.name else ""
        hint = f"pip install 'vqdoctor[remote]', for {scheme}:// also what fsspec wants for it{wants}."
        raise UnsupportedInput(
            "URLs need fsspec and its part for this kind, which is not installed.", where=name, hint=hint
        ) from None
    try:
        size = system.size(path)
        if size is None:
            raise UnsupportedInput(
                "its server does not say how long it is, or gives no parts of it.", where=name, hint="Download it."
            )
        kept = {"maxblocks": BLOCKS}
        return system.open(path, "rb", block_size=BLOCK_BYTES, cache_type="blockcache", cache_options=kept), int(size)
    except FileNotFoundError:
        hint = "Is the address right, and is the network there?"
        raise MissingInput("there is no such file, or no way to it.", where=name, hint=hint) from None
    except (IsADirectoryError, UnsupportedInput):
        raise
    except Exception as error:  # each kind has its own, and their words may hold what `shown` leaves out
        raise MissingInput(f"cannot be reached ({type(error).__name__}).", where=name, hint=_hint(error)) from None


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError) or "credential" in type(error).__name__.lower():
        return "Credentials come from the environment, as that service's own tools read them."
    return "Is the address right, and is the network there?"
