"""What is built around the input, because no mutation would get its checksums, offsets or footers right by itself: records of
TensorBoard, tables of parquet, checkpoints of any names and shapes, before every layout.
"""

from __future__ import annotations

import contextlib
import runpy
from collections.abc import Iterator

import numpy as np
from fuzz_base import FOLDER, TESTS, Parser

from vqdoctor.errors import VqdoctorError
from vqdoctor.layouts import codes, ema_counts, ema_sums, find_quantizers, flag, lookup
from vqdoctor.logs import SeriesStore
from vqdoctor.logs.readers.tensorboard import EventFile, masked_crc32c
from vqdoctor.samples import open_rows, read_ids

samples = runpy.run_path(str(TESTS / "logs" / "samples.py"))
FakeSource = runpy.run_path(str(TESTS / "layouts" / "synthetic.py"))["FakeSource"]

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


RECORDS = (
    _payloads(samples["LOGS"]["tensorboard"][1]),
    *(_payloads(samples["scalar_event"]("vq/ppl", 1, 0.5, tensor=kind) + samples["scalar_event"]("loss", 2, 1.0)) for kind in ("", "f", "d")),
)  # fmt: skip

# tables of parquet


def parse_table(data: bytes) -> None:
    """A table of whatever columns the input spells, a line each: name, kind, values; its first byte says whether they are features
    or IDs. The file's bytes are Arrow's to read, not ours.
    """
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    columns = {}
    for line in data[1:].split(b"\n")[:12]:
        name, kind, *values = line.split(b"\t")[:40] + [b""] * (2 - min(2, line.count(b"\t") + 1))
        columns[name.decode("utf-8", "replace")] = _column(arrow, kind[:1], values)
    rows = max(map(len, columns.values()), default=0)
    table = arrow.table(
        {name: arrow.concat_arrays([column, arrow.nulls(rows - len(column), column.type)]) for name, column in columns.items()}
    )
    path = FOLDER / "table.parquet"
    parquet.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    if data[:1] == b"f":
        list(open_rows(path).blocks(3))
    else:
        read_ids(path)


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
        b"n": lambda: arrow.array([[item] for item in many], arrow.list_(arrow.list_(arrow.int16()))),
        b"b": lambda: arrow.array(values, arrow.binary()),
    }.get(kind, lambda: arrow.array([value.decode("utf-8", "replace") for value in values], arrow.string()))()


TABLES = (
    b"ff\tl\t\x01\x02\t\x03\x04", b"ic0\ti\t\x01\t\x02\nc1\ti\t\x03\t\x04", b"icodes\tL\t\x01\x02\t\x03\x04\nitem\ts\ta\tb",
    b"icodes\ts\t<a_1><b_2>\t<a_2><b_1>", b"fx\tf\t\x01\ny\tf\t\x02", b"ff\tF\t\x01\x02",
)  # fmt: skip

# checkpoints of any names and shapes

SIZES = (1, 2, 3, 4, 8, 16, 32, 64, 0, 5, 7, 12, 128, 255, 1, 2)
DTYPES = (
    "float32", "float32", "float16", "bfloat16", "int64", "bool", "float64", "uint8", "int32", "float8_e4m3fn",
)  # fmt: skip
STAND_INS = {"bfloat16": "float32", "float8_e4m3fn": "float32"}  # as which numpy gets them
MOST = 1 << 14  # bytes of all tensors
PATTERNS = tuple(
    (pattern * MOST)[:MOST]
    for pattern in (b"\0", b"\0\0\x80\x3f", bytes(range(1, 120)), b"\xff", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\1\0\0\0", b"\0\0\0\x3e\0\0\x80\x3d")
)  # fmt: skip


def tensors(data: bytes) -> Iterator[tuple[str, str, list[int], bytes]]:
    """Name, type, shape, bytes of tensors as the input spells them, a line each: name, a byte for the type, one for the values, one
    for each size.
    """
    names, left = set(), MOST
    for line in data.split(b"\n")[:40]:
        name, _, rest = line.partition(b"\t")
        kind, values, *sizes = (*rest[:6], *[0] * (2 - min(2, len(rest))))
        dtype, shape = DTYPES[kind % len(DTYPES)], [SIZES[size % len(SIZES)] for size in sizes]
        size = np.dtype(STAND_INS.get(dtype, dtype)).itemsize * int(np.prod(shape, dtype=np.int64))
        text = name.decode("utf-8", "surrogateescape")
        if size <= left and text not in names:
            names.add(text)
            left -= size
            yield text, dtype, shape, PATTERNS[values % len(PATTERNS)][:size]


def parse_layouts(data: bytes) -> None:
    """Before every layout, and everything read that one of them names."""
    found = list(tensors(data))
    arrays = {name: np.frombuffer(stored, STAND_INS.get(dtype, dtype)).reshape(shape) for name, dtype, shape, stored in found}
    source = FakeSource(arrays, dtypes={name: dtype for name, dtype, _, _ in found})
    for quantizer in find_quantizers(source):
        for level in quantizer.levels:
            for read in (codes, ema_counts, ema_sums, flag):
                _answer(read, source, level)
        _answer(lookup, source, quantizer)


def _answer(read, *arguments) -> None:
    """What it gives, or our own error."""
    with contextlib.suppress(VqdoctorError):
        read(*arguments)


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

BUILT = (
    Parser("log-tensorboard-records", parse_records, RECORDS, (b"\x09", b"\x10", b"\x2a", b"\x12", b"\xff" * 9), False, 160),
    Parser("tables", parse_table, TABLES, (b"\n", b"\t", b"codes\tl\t", b"c0\ti\t", b"item\ts\t", b"\x1b[2J"), longest=96),
    Parser("layouts", parse_layouts, NAMED, NAME_WORDS, longest=144),
)  # fmt: skip
