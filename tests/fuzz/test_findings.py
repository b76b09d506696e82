"""What fuzzing has found, so that it stays mended."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz_built import SIZES
from fuzz_parsers import PARSERS, survives
from fuzz_written import BASELINE, undo_of


def named(*tensors: tuple) -> bytes:
    """What the parser of layouts takes for a codebook of lucidrains with these sizes."""
    return b"\n".join(
        b"vq._codebook." + name.encode() + b"\t\0\2" + bytes(SIZES.index(size) for size in sizes) for name, *sizes in tensors
    )


DOTS = b"a" + b".a" * 100_000 + b"=1"
LAUGHS = b"b0: &b0 {x: 1}\n" + b"".join(
    b"b%d: &b%d {%s}\n" % (at, at, b", ".join(b"k%d: *b%d" % (key, at - 1) for key in range(9))) for at in range(1, 10)
)
FINDINGS = {
    "a map without rows beside a codebook": (
        "layouts",
        b"quantizer.quantizers.0.codebook.weight\t\0\x88\0-\nquantizer.quantizers.0.in_proj.weight\t\0\2(\4\0\0",
    ),
    "IDs a line after a form feed": ("ids-json", b'\x0c{"a":"0-3"}\n{"b":"1-3"}\n'),
    "an end of a zip archive in fewer bytes than it takes": ("zip", b"PPK\x05\x06\0\0\0\0\2\2\0"),
    "a header shorter than its rows": ("ids-csv", b"item,c0,c1\nx,1,2\nx,1,2\ny,3itqem,x,1;2\ny,3,it14\n\ny,34\n"),
    "a whole number that is infinite": ("recipe-toml", b"epochs = inf\n"),
    "a whole number that is infinite, in YAML": ("recipe-yaml", b"epochs: .inf\n"),
    "an alias for what it stands in": ("recipe-yaml", b"&a {x: *a}"),
    "a billion values in a few lines": ("recipe-yaml", LAUGHS),
    "a list as a key": ("recipe-py", b"a = {[]: 1}"),
    "a name that acts on a terminal": ("recipe-json", b'{"\x1b[2J": {"decay": []}}'.replace(b"\x1b", b"\\u001b")),
    "a name that cannot be written": ("recipe-json", b'{"\\ud800": {"decay": []}}'),
    "nested brackets": ("recipe-py", b"a=" + b"(" * 5000),
    "a key of very many parts": ("recipe-toml", DOTS),
    "a key of very many parts in a project": ("project", DOTS),
    "nested arrays in a project": ("project", b"a=" + b"[" * 100_000),
    "a number of very many digits in a project": ("project", b"a=" + b"9" * 100_000),
    "nested arrays in a baseline": ("baseline", b"a=" + b"[" * 100_000),
    "a key of very many parts in a baseline": ("baseline", DOTS),
    "a number of very many digits in a baseline": ("baseline", b"a=" + b"9" * 100_000),
    "a number beyond all floats in a baseline": ("baseline", BASELINE[0] + b"a=1" + b"0" * 400),
    "old values outside their tensor": ("repair-undo", undo_of(b"a", np.array([9]), np.array([0.0], np.float32))),
    "old values before their tensor": ("repair-undo", undo_of(b"a", np.array([-3]), np.array([0.0], np.float32))),
    "more old values than places": ("repair-undo", undo_of(b"a", np.array([0]), np.zeros(2, np.float32))),
    "old values of another type": ("repair-undo", undo_of(b"a", np.array([0]), np.zeros(1, np.complex128))),
    "places of another type": ("repair-undo", undo_of(b"a", np.array([0.0]), np.zeros(1, np.float32))),
    "a name that is no text": ("repair-undo", undo_of(b"\xff", np.array([0]), np.zeros(1, np.float32))),
    "fewer members than an undo has": ("repair-undo", undo_of(b"a", np.array([0]), np.zeros(1, np.float32))[:-200]),
    "data that is no text in a recording": (
        "recording",
        b'{"schema":"vqdoctor.recording/1"}\n{"at":0,"kind":"log","path":"a","data":5}\n',
    ),
    "a level that is a list in a recording": (
        "recording",
        b'{"schema":"vqdoctor.recording/1"}\n{"at":0,"kind":"found","run":"a","found":[{"event":"usage","detail":{"level":[1]}}]}\n',
    ),
    "a level that is a list in a log": (
        "log-any",
        b'\2{"schema":"vqdoctor.log/1","kind":"usage","step":1,"level":[0],"codes":8,"counts":[[0,5]]}\n',
    ),
    "a list that ends in a comma and a tab": ("log-text", b"loss: [1,\t]\n"),
    "a list with a separator that Python's float does not skip": ("log-text", b"loss=[\x1d70]\n"),
    "counts of one book beside two": (
        "layouts",
        named(("embed", 2, 16, 8), ("embed_avg", 1, 16, 8), ("cluster_size", 1, 16), ("initted", 1)),
    ),
    "numbers that float32 cannot hold": ("layouts", b"vq._codebook.embed\t\6\5\0\4\3\nvq._codebook.initted\t\0\1\0"),
    "sums of no book beside three": (
        "layouts",
        named(("embed", 3, 2, 8), ("embed_avg", 2, 8), ("cluster_size", 2), ("initted", 1)),
    ),
    "a title that could be cut in many ways": ("ids-csv", b"a" * 64 + b"!,c0\nx,1\n"),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("finding", FINDINGS)
def test_stays_mended(finding):
    name, data = FINDINGS[finding]
    survives(PARSERS[name], data)


@pytest.mark.parametrize("name", ["recipe-toml", "recipe-yaml", "project"])
def test_what_is_large_and_small_at_once_is_refused(name):
    with pytest.raises(Exception, match=r"aliases|parts"):
        PARSERS[name].parse(LAUGHS if name == "recipe-yaml" else DOTS)
