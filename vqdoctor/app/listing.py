"""`vqdoctor inspect --list`: which codebooks a file holds. Only headers are read, nothing of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vqdoctor.app.finding import as_told, each_file, find
from vqdoctor.app.request import InspectRequest
from vqdoctor.app.sources import is_ids, only
from vqdoctor.app.unused import refuse_contradictions
from vqdoctor.checkpoint import open_source
from vqdoctor.errors import SampleError, VqdoctorError
from vqdoctor.model import Listing, Source


def list_codebooks(
    paths: Sequence[str],
    request: InspectRequest | None = None,
    left_out: Callable[[VqdoctorError], None] = lambda error: None,
) -> list[Listing]:
    """The quantisers of each file.

    Args:
        paths: files or folders. request: which quantiser, how the file is read; nothing else of it is looked at.
        left_out: as for :func:`vqdoctor.app.inspect.inspect`.

    Raises:
        VqdoctorError: a file that was named, or every file of the folders, cannot be read; NoQuantizerError: it holds none.
    """
    request = request or InspectRequest()
    refuse_contradictions(request)
    return each_file(paths, lambda path: _list_one(path, request), left_out)


def _list_one(path: str, request: InspectRequest) -> Listing:
    if is_ids(path, request):
        raise SampleError("holds semantic IDs, which have no codebooks to list.", where=path, hint="Leave --list away.")
    with open_source(path) as opened:
        found = tuple(as_told(one, request) for one in only(find(opened, request), request.quantizer))
        info = {name: value for name, value in opened.info.items() if isinstance(value, str | int | float | bool)}
        return Listing(Source(opened.path, opened.kind, opened.bytes, None, info, opened.warnings), found)
