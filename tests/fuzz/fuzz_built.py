"""Files that are built around the input, because no mutation would get their checksums, offsets or footers right by itself, and
files that are looked at as a whole command does.

Records of TensorBoard, tables of parquet, logs through every rule and view, and checkpoints of any names and shapes, which every
layout, metric and rule looks at.
"""

from __future__ import annotations

import json
import re
import runpy

from fuzz_base import FOLDER, JSON_WORDS, TESTS, Parser, folder, written

from vqdoctor.app.inspect import inspect
from vqdoctor.app.watching.once import look_once
from vqdoctor.app.watching.reports import reports_of
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.errors import NoQuantizerError, SampleError, UnsupportedInput
from vqdoctor.logs import SeriesStore
from vqdoctor.logs.readers.tensorboard import EventFile, masked_crc32c
from vqdoctor.render import renderer, watch_json, watch_text
from vqdoctor.render.screen import Screen
from vqdoctor.samples import open_rows, read_ids

hostile = runpy.run_path(str(TESTS / "checkpoint" / "hostile_files.py"))
LOGS = runpy.run_path(str(TESTS / "logs" / "samples.py"))["LOGS"]

# records of TensorBoard

HEADERS = [
    length.to_bytes(8, "little") + masked_crc32c(length.to_bytes(8, "little")).to_bytes(4, "little") for length in range(256)
]


def parse_records(data: bytes) -> None:
    """Payloads with right lengths around them; the first byte of each is its length. Their checksums are not looked at, as usual."""
    framed, at = [], 0
    while at < len(data):
        payload = data[at + 1 : at + 1 + data[at]]
        framed += [HEADERS[len(payload)], payload, b"\0\0\0\0"]
        at += 1 + data[at]
    store, reading = SeriesStore(), EventFile()
    store.add(reading.feed(b"".join(framed)))
    store.add(reading.finish())
    store.series()


def _payloads(log: bytes) -> bytes:
    """The inverse of what `parse_records` does to its input."""
    out, at = b"", 0
    while at < len(log):
        length = int.from_bytes(log[at : at + 8], "little")
        out += bytes([min(length, 255)]) + log[at + 12 : at + 12 + min(length, 255)]
        at += 16 + length
    return out


# tables of parquet


def parse_table(data: bytes) -> None:
    """A table of whatever columns the input spells, a line each: name, kind, values. Its bytes are Arrow's to read, not ours."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    columns = {}
    for line in data.split(b"\n")[:12]:
        name, kind, *values = line.split(b"\t")[:40] + [b""] * (2 - min(2, line.count(b"\t") + 1))
        columns[name.decode("utf-8", "replace")] = _column(arrow, kind[:1], values)
    rows = max(map(len, columns.values()), default=0)
    table = arrow.table(
        {name: arrow.concat_arrays([column, arrow.nulls(rows - len(column), column.type)]) for name, column in columns.items()}
    )
    path = FOLDER / "table.parquet"
    parquet.write_table(table, path)
    for read in (lambda: list(open_rows(path).blocks(3)), lambda: read_ids(path)):
        try:
            read()
        except SampleError as error:
            assert str(error).isprintable()


def _column(arrow, kind: bytes, values: list[bytes]):
    whole = [int.from_bytes(value[:7], "little", signed=True) if value else None for value in values]
    many = [None if value is None else list(value[:9]) for value in values]
    return {
        b"i": lambda: arrow.array(whole, arrow.int64()),
        b"f": lambda: arrow.array([None if value is None else value % (1 << 24) for value in whole], arrow.float32()),
        b"l": lambda: arrow.array(many, arrow.list_(arrow.float32())),
        b"L": lambda: arrow.array(many, arrow.large_list(arrow.int32())),
        b"F": lambda: arrow.array([None if not value else [*value, 0, 0][:2] for value in values], arrow.list_(arrow.float64(), 2)),
        b"d": lambda: arrow.array([value.decode("utf-8", "replace") for value in values]).dictionary_encode(),
        b"n": lambda: arrow.array([[item] for item in many], arrow.list_(arrow.list_(arrow.int8()))),
        b"b": lambda: arrow.array(values, arrow.binary()),
    }.get(kind, lambda: arrow.array([value.decode("utf-8", "replace") for value in values], arrow.string()))()


TABLES = (
    b"f\tl\t\x01\x02\t\x03\x04", b"c0\ti\t\x01\t\x02\nc1\ti\t\x03\t\x04", b"codes\tL\t\x01\x02\t\x03\x04\nitem\ts\ta\tb",
    b"codes\ts\t<a_1><b_2>\t<a_2><b_1>", b"x\tf\t\x01\ny\tf\t\x02", b"f\tF\t\x01\x02",
)  # fmt: skip

# logs, as a watch judges and shows them

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")  # on a terminal, or cannot be written
SHOWN = ("html", "markdown", "junit", "github", "sarif", "bench")


def parse_watched(data: bytes) -> None:
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


# checkpoints of any names and shapes

SIZES = (1, 2, 3, 4, 8, 16, 32, 64, 0, 5, 7, 12, 128, 255, 1, 2)
DTYPES = ("F32", "F32", "F16", "BF16", "I64", "BOOL", "F64", "U8", "I32", "F8_E4M3")
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "BOOL": 1, "F64": 8, "U8": 1, "I32": 4, "F8_E4M3": 1}


def parse_names(data: bytes) -> None:
    """Tensors as the input spells them, a line each: name, then a byte for the type, one for the values, one for each size."""
    entries, stored, at = {}, b"", 0
    for line in data.split(b"\n")[:40]:
        name, _, rest = line.partition(b"\t")
        kind, values, *sizes = (*rest[:6], *[0] * (2 - min(2, len(rest))))
        dtype, shape = DTYPES[kind % len(DTYPES)], [SIZES[size % len(SIZES)] for size in sizes]
        size = BYTES[dtype]
        for length in shape:
            size *= length
        if at + size > 1 << 16 or (text := name.decode("utf-8", "surrogateescape")) in entries or text == "__metadata__":
            continue
        entries[text] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        stored += PATTERNS[values % len(PATTERNS)][:size]
        at += size
    path = written(hostile["safetensors"](entries, stored), "named.safetensors")
    try:
        [report] = inspect([str(path)])
    except NoQuantizerError as error:
        assert all(line.isprintable() for line in str(error).splitlines())
        return
    assert report.verdict in ("healthy", "at-risk", "sick", "unknown")


PATTERNS = tuple(
    (pattern * (1 << 16))[: 1 << 16]
    for pattern in (
        b"\0", b"\x3f\x80\0\0"[::-1], bytes(range(1, 120)), b"\xff", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\1\0\0\0", b"\0\0\0\x3e\0\0\x80\x3d",
    )
)  # fmt: skip


def _lines(*tensors: tuple[str, int, int, tuple[int, ...]]) -> bytes:
    return b"\n".join(name.encode() + b"\t" + bytes([kind, values, *sizes]) for name, kind, values, sizes in tensors)


NAMED = (
    _lines(("vq._codebook.embed", 0, 2, (0, 5, 4)), ("vq._codebook.embed_avg", 0, 2, (0, 5, 4)), ("vq._codebook.cluster_size", 0, 6, (0, 5)), ("vq._codebook.initted", 0, 1, (0,))),
    _lines(("quantize.embedding.weight", 0, 2, (5, 4)), ("quantizer.layers.0._codebook.embed", 0, 7, (5, 3)), ("quantizer.layers.0._codebook.cluster_size", 0, 6, (5,))),
    _lines(("quantizer.vq.layers.0.codebook.embed", 0, 2, (5, 4)), ("quantizer.vq.layers.1.codebook.embed", 0, 3, (5, 4)), ("encoder.weight", 0, 1, (4, 4))),
    _lines(("rq.vq_layers.0.embedding.weight", 0, 2, (5, 4)), ("rq.vq_layers.1.embedding.weight", 0, 4, (5, 4))),
    _lines(("quantizer.quantizers.0.codebook.weight", 0, 2, (5, 4)), ("quantizer.quantizers.0.in_proj.weight_v", 0, 2, (4, 4, 0)), ("quantizer.quantizers.0.out_proj.weight_g", 0, 2, (4, 0, 0))),
)  # fmt: skip
NAME_WORDS = tuple(
    word.encode()
    for word in (
        "module.", "model.", "_orig_mod.", "quantizer", "quantize", "vq", "rq", "codebook", "_codebook", "embed", "embed_avg", "embedding", "weight",
        "cluster_size", "initted", "inited", "layers.0.", "layers.1.", "vq_layers.2.", "quantizers.3.", "ema_w", "_ema_cluster_size", "code_count",
        "codebooks", "implicit_codebook", "mask", "basis", "scale", "project_in", "levels", "rvqs.0.", "depth", "t_prev", "in_proj.weight_v",
        "out_proj.weight_g", "weight_proj", "vars.0", "logits", "acoustic_residual_vector_quantizer", "k", "k_sum", "k_elem", "\t\0\2\5\4\n", "\t\0\3\5\n",
    )
)  # fmt: skip

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
    b'"detail"',
    b'"codes"',
    b'"rank"',
    b'"hash"',
    b'"measured"',
    b'"rules"',
    b'"utilization"',
    b'"epoch"',
    b'"config"',
    b'"counts"',
    b'"usage"',
)

BUILT = (
    Parser("log-tensorboard-records", parse_records, (_payloads(LOGS["tensorboard"][1]),), (b"\x09", b"\x10", b"\x2a", b"\x12", b"\xff" * 9), False),
    Parser("watched", parse_watched, (LOGS["vqdoctor.log/1"][1], *WATCHED), (*JSON_WORDS, *WATCHED_WORDS)),
    Parser("tables", parse_table, TABLES, (b"\n", b"\t", b"codes\tl\t", b"c0\ti\t", b"item\ts\t", b"\x1b[2J")),
    Parser("tensors", parse_names, NAMED, NAME_WORDS),
)  # fmt: skip
