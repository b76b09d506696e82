"""Files as a whole command looks at them, through every rule and view: no parsers, and too slow for millions of tries.

What they read is parsed by the parsers beside this file; here it is what becomes of anything that these let through.
"""

from __future__ import annotations

import json
import re
import runpy

from fuzz_base import JSON_WORDS, TESTS, Parser, folder, written
from fuzz_built import NAME_WORDS, NAMED, tensors

from vqdoctor.app.inspect import inspect
from vqdoctor.app.watching.once import look_once
from vqdoctor.app.watching.reports import reports_of
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.errors import NoQuantizerError, UnsupportedInput
from vqdoctor.render import renderer, watch_json, watch_text
from vqdoctor.render.screen import Screen

hostile = runpy.run_path(str(TESTS / "checkpoint" / "hostile_files.py"))
OWN = runpy.run_path(str(TESTS / "logs" / "samples.py"))["LOGS"]["vqdoctor.log/1"][1]

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")  # on a terminal, or cannot be written
SHOWN = ("html", "markdown", "junit", "github", "sarif", "bench")
STORED = {
    "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL", "float64": "F64", "uint8": "U8",
    "int32": "I32", "float8_e4m3fn": "F8_E4M3",
}  # fmt: skip


def watch(data: bytes) -> None:
    """Through the rules that judge a run and every view that shows one."""
    path = folder("watched") / "log.jsonl"
    path.write_bytes(data)
    try:
        view = look_once([str(path)], WatchRequest())
    except UnsupportedInput:  # nothing in it
        return
    json.loads(watch_json.render(view, Screen()))
    reports = reports_of(view, "0")
    shown = [watch_text.render(view, Screen()), *(renderer(form).render(reports, Screen()) for form in SHOWN)]
    assert not ACTS.search("".join(shown))


def look(data: bytes) -> None:
    """Tensors of any names and shapes, through every layout, metric and rule."""
    entries, stored = {}, b""
    for name, dtype, shape, values in tensors(data):
        size = len(values) // WIDER.get(dtype, 1)
        if name != "__metadata__":
            entries[name] = {"dtype": STORED[dtype], "shape": shape, "data_offsets": [len(stored), len(stored) + size]}
            stored += values[:size]
    path = written(hostile["safetensors"](entries, stored), "named.safetensors")
    try:
        [report] = inspect([str(path)])
    except NoQuantizerError as error:
        assert all(line.isprintable() for line in str(error).splitlines())
        return
    assert report.verdict in ("healthy", "at-risk", "sick", "unknown")


WIDER = {"bfloat16": 2, "float8_e4m3fn": 4}  # what stands in for them, in their own bytes

WATCHED = tuple(
    b'{"kind":"metrics","step":%d,"quantizer":"q","level":0,"values":{"ema.active":4,"usage.batch_utilization":0.5}}\n' % step
    + b'{"kind":"event","step":%d,"event":"%b","detail":{"quantizer":"q","level":0,%b}}\n' % (step, kind, said)
    for step, (kind, said) in enumerate((
        (b"kmeans-reinit", b'"samples":64,"codes":8,"min":0.5,"seconds":1'), (b"dead-reset", b'"codes":3'), (b"skipped", b'"reason":"too few samples","samples":3'),
        (b"expanded", b'"codes_before":4,"codes":8'), (b"digest", b'"rank":0,"hash":"a"'), (b"checkpoint", b'"file":"a.pt","measured":true,"rules":["VQ101"]'),
        (b"end", b'"reason":"error"'), (b"non-finite", b'"series":"loss","value":"nan"'),
    ))
)  # fmt: skip
WATCHED_WORDS = (
    b'"detail"', b'"codes"', b'"rank"', b'"hash"', b'"measured"', b'"rules"', b'"utilization"', b'"epoch"', b'"config"', b'"counts"',
    b'"usage"',
)  # fmt: skip

COMMANDS = {
    command.name: command
    for command in (
        Parser("watch", watch, (OWN, *WATCHED), (*JSON_WORDS, *WATCHED_WORDS)),
        Parser("inspect", look, NAMED, NAME_WORDS),
    )
}
"""By name: what `make fuzz PARSER=…` takes beside the parsers."""
