"""Event files, against the `tensorboard` package where it is installed, and against records made by hand."""

from __future__ import annotations

import math
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.logs import Log
from vqdoctor.logs.readers import EventFile
from vqdoctor.logs.readers.tensorboard import masked_crc32c

MADE = runpy.run_path(str(Path(__file__).with_name("samples.py")))
framed, scalar_event = MADE["framed"], MADE["scalar_event"]


def read(data: bytes, reader: EventFile) -> list[tuple[str, float, float, float]]:
    found = reader.feed(data) + reader.finish()
    return [(points.key.name, *row) for points in found for row in zip(points.steps, points.values, points.times, strict=True)]


def test_known_checksum():
    """CRC-32C of "123456789" is 0xe3069283 (RFC 3720), masked as TFRecord does."""
    crc = 0xE3069283
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_scalars_of_every_kind():
    data = (
        scalar_event("a", 1, 0.5, 10.0) + scalar_event("a", 2, 0.25, 11.0, tensor="f") + scalar_event("b", -10_000, 0.1, tensor="d")
    )
    assert read(data, EventFile()) == [("a", 1, 0.5, 10.0), ("a", 2, 0.25, 11.0), ("b", -10_000, 0.1, 1.7e9)]


def test_a_wrong_length_stops_a_wrong_payload_is_skipped():
    good, bad = scalar_event("a", 1, 0.5), bytearray(scalar_event("a", 2, 0.5))
    bad[-1] ^= 1
    reader = EventFile(check=True)
    assert [row[1] for row in read(good + bytes(bad) + scalar_event("a", 3, 0.5), reader)] == [1, 3]
    assert reader.faults.summary() == "Left out: 1 record whose checksum is wrong."
    bad[0] ^= 1
    reader = EventFile()
    assert [row[1] for row in read(good + bytes(bad) + scalar_event("a", 3, 0.5), reader)] == [1]
    assert reader.faults.summary() == "Left out: everything from a broken record on."


def test_a_record_being_written_waits():
    data = scalar_event("a", 1, 0.5)
    reader = EventFile()
    assert reader.feed(data[:-1]) == [] and reader.held == len(data) - 1
    assert len(reader.feed(data[-1:])) == 1 and reader.held == 0


def test_large_records_cost_no_memory():
    length = struct.pack("<Q", 1 << 60)
    reader = EventFile()
    for piece in (length + struct.pack("<I", masked_crc32c(length)), *[b"x" * (1 << 20)] * 3):
        assert reader.feed(piece) == [] and reader.held == 0
    assert reader.faults.summary() == "Left out: 1 record over 1 MiB."


def test_a_tag_that_no_tensor_of_one_number_has():
    many = MADE["field"](8, b"\x08\x01" + MADE["field"](5, struct.pack("<2f", 1, 2)))
    other = MADE["field"](8, b"\x08\x07" + MADE["field"](8, b"text"))
    data = b"".join(framed(MADE["field"](5, MADE["field"](1, MADE["field"](1, b"a") + body))) for body in (many, other))
    reader = EventFile()
    assert read(data, reader) == [] and reader.faults.summary() is None


def test_the_same_as_tensorboard(tmp_path):
    writers = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2

    rng = np.random.default_rng(0)
    writer = writers.EventFileWriter(str(tmp_path))
    for i in range(300):
        value = float(rng.normal()) if i != 100 else float("nan")
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[value])
        kinds = {"simple_value": value} if i % 3 else {"tensor": tensor}
        tag = f"train/{'loss' if i % 2 else 'perplexity'}"
        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, **kinds)])
        writer.add_event(event_pb2.Event(wall_time=1.7e9 + i, step=i // 2, summary=summary))
    writer.close()
    accumulator = accumulators.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    expected = {}
    for tag in accumulator.Tags()["scalars"]:
        expected[tag] = {(e.step, e.wall_time, round(e.value, 6)) for e in accumulator.Scalars(tag) if not math.isnan(e.value)}
    for tag in accumulator.Tags()["tensors"]:
        for e in accumulator.Tensors(tag):
            if not math.isnan(e.tensor_proto.float_val[0]):
                expected.setdefault(tag, set()).add((e.step, e.wall_time, round(e.tensor_proto.float_val[0], 6)))
    [file] = tmp_path.iterdir()
    log = Log(str(file))
    log.feed(file.read_bytes())
    log.finish()
    ours = {
        series.key.name: {(int(s), t, round(v, 6)) for s, v, t in zip(series.steps, series.values, series.times, strict=True)}
        for series in log.store.series()
    }
    assert ours == expected and sum(map(len, ours.values())) == 299
    assert log.reader.name == "tensorboard" and log.notes == []
