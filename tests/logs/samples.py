"""Logs for the tests: a small true example of every format, and lines of known programs with what must be read from them."""

from __future__ import annotations

import json
import struct

from vqdoctor.logs.readers.tensorboard import masked_crc32c


def framed(payload: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + struct.pack("<I", masked_crc32c(payload))


def varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def scalar_event(tag: str, step: int, value: float, time: float = 1.7e9, *, tensor: str = "") -> bytes:
    """An Event record with one scalar, as simple_value, or as a tensor of the type `tensor` ("f", "d")."""
    if tensor:
        kind, place = {"f": (1, 5), "d": (2, 6)}[tensor]
        body = field(8, b"\x08" + varint(kind) + field(place, struct.pack(f"<{tensor}", value)))
    else:
        body = varint(2 << 3 | 5) + struct.pack("<f", value)
    summary = field(5, field(1, field(1, tag.encode()) + body))
    return framed(b"\x09" + struct.pack("<d", time) + b"\x10" + varint(step % (1 << 64)) + summary)


def json_lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


OWN = json_lines([
    {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.7e9, "run": "a", "config": {"k": 1}},
    {"kind": "scalars", "step": 1, "time": 1.7e9, "values": {"loss": 0.5, "lr": 1e-3}},
    {"kind": "metrics", "step": 1, "time": 1.7e9, "quantizer": "vq", "level": 0, "values": {"usage.used": 3, "ema.active": None}},
    {"kind": "metrics", "step": 1, "time": 1.7e9, "quantizer": "vq", "level": 1, "values": {"usage.used": 2, "ema.active": 8}},
    {"kind": "metrics", "step": 2, "time": 1.7e9, "quantizer": "vq", "level": 0, "values": {"usage.used": 4, "ema.active": "nan"}},
    *({"kind": "scalars", "step": i, "values": {"loss": i, **({"lr": 0.5} if i % 2 else {})}} for i in range(3, 9)),
    {"kind": "metrics", "step": 9, "quantizer": ["vq"], "level": True, "values": {"usage.used": [1, 2]}},
    {"kind": "usage", "step": 2, "quantizer": "vq", "level": 0, "codes": 8, "counts": [[0, 5], [7, 1]]},
    {"kind": "event", "step": 2, "time": 1.7e9, "event": "kmeans-reinit", "detail": {"level": 0, "samples": 64}},
    {"kind": "event", "step": 3, "time": 1.7e9, "event": "end", "detail": {}},
])  # fmt: skip

ANY_JSON = (
    json_lines([
        {"step": 1, "loss": 0.5, "note": "x", "vq": {"ppl": 3.0, "usage": [0.5, 0.25]}, "timestamp": 1.7e9},
        {"step": 2, "loss": 0.25, "note": "0.75", "vq": {"ppl": None}, "timestamp": 1.7e9},
        {"epoch": 1, "val_loss": 0.3, "ok": True},
        {"step": 3, "loss": "nan"},
    ])
    + b'{"step": 4, "loss": NaN, "big": Infinity}\n\n{"step": 5, "loss": \n[1, 2]\n\0\0\0{"step": 6, "loss": 1e400}\r\n{"step": 7, "loss": \xff}\n'
    + b'{"step": 8, "loss": 0.125}'
)  # fmt: skip

DOCUMENT = json.dumps(
    [{"epoch": i, "loss": 1 / (i + 1), "text": 'a "quoted" {brace] \\', "deep": {"x": [1, 2]}} for i in range(5)], indent=1
).encode()

CSV = (
    b"step,epoch,train/perplexity,val/cluster_usage,name\n0,0,,5,a\n50,0,12.5,,\"a, b\"\n\n100,1,13.5,,\"two\nlines\"\n"
    b"1,2\nstep,epoch,train/perplexity,val/cluster_usage,name,x\n150,1,nan,,c,1\r\n200,1,14,,d,2"
)  # fmt: skip

TEXT = (
    "[2025-12-27 14:37:06,591][__main__][INFO] - 映射表构建完成:\n"
    "  0%|          | 0/100 [00:00<?, ?it/s]\r 50%|█████     | 50/100 [00:12<00:15, 35.2it/s, loss=0.335, ppl=179.5]\r"
    "\x1b[1;33mepoch 3 training\x1b[0m [time: 1.23s, train loss: 4.56]\n"
    "codebook_usage:\n{'Level_32': '0.98'}\n"
    "[K-means 重估计] 开始，使用 16384 个样本重建 8192 个码本向量...\n[K-means 重估计] 完成！码本已更新\n"
    "===== 最佳模型统计 =====\n  - 唯一SID数量: 3359\n"
    "(Generator) vq_loss: 0.5\n(Discriminator) logits_real: 1\n(step=0000070) Train Loss: 0.5\n"
    "Level 1: unique codes = 250\n{\"step\": 60, \"loss\": 0.5}\nloss: nan\n\xff\x00loss=0.1"
).encode()  # fmt: skip

EVENTS = (
    framed(b"\x09" + struct.pack("<d", 1.7e9) + field(3, b"brain.Event:2"))
    + scalar_event("train/loss", -10, 0.5)
    + scalar_event("train/loss", 1, 0.25, tensor="f")
    + framed(b"not a message")
    + framed(b"\x00" * (1 << 20) + b"x")
    + scalar_event("vq/perplexity", 1 << 40, 12.5, tensor="d")
    + scalar_event("train/loss", 2, float("nan"))
)

LOGS = {
    "tensorboard": ("events.out.tfevents.1.host", EVENTS),
    "vqdoctor.log/1": ("log.jsonl", OWN),
    "json": ("history.json", DOCUMENT),
    "jsonl": ("metrics.jsonl", ANY_JSON),
    "csv": ("metrics.csv", CSV),
    "text": ("train.log", TEXT),
}
"""A name and the bytes of a log, by the reader that must claim it."""
