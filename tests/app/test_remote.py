"""Files behind URLs: the same report as from a copy, read in ranges; nothing secret is shown, nothing in a file is followed."""

from __future__ import annotations

import http.server
import json
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.checkpoint import open_source
from vqdoctor.cli.entry import run
from vqdoctor.errors import InputError, MissingInput, UnsupportedInput
from vqdoctor.remote import SCHEMES, is_url, shown
from vqdoctor.samples import open_rows, read_codes

fsspec = pytest.importorskip("fsspec")
SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
CHECKPOINT, FEATURES = SAMPLES / "hourglass.pt", SAMPLES / "hourglass.features.npy"


@pytest.fixture
def bucket():
    """Puts bytes at a memory:// URL."""
    system = fsspec.filesystem("memory")

    def put(name: str, content: bytes) -> str:
        system.pipe_file(f"/bucket/{name}", content)
        return f"memory://bucket/{name}"

    yield put
    system.store.clear()


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A server of one file that notes how much of it was asked for."""

    content, sent = b"", 0

    def do_HEAD(self):
        self._answer(self.content, 200)

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(self.content) - 1)
        part = self.content[first : last + 1]
        type(self).sent += len(part)
        self._answer(part, 206 if asked else 200, f"bytes {first}-{last}/{len(self.content)}" if asked else None)

    def _answer(self, part, status, content_range=None):
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server():
    pytest.importorskip("aiohttp")
    handler = type("Handler", (Ranges,), {})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{running.server_port}/model.safetensors"
    running.shutdown()


def told(path: str, features: str):
    (report,) = inspect([path], InspectRequest(features=((None, features),)))
    return [(level.metrics, level.counts) for one in report.quantizers for level in one.levels], report


def test_a_checkpoint_and_features_in_a_bucket_say_what_copies_say(bucket):
    here, _ = told(str(CHECKPOINT), str(FEATURES))
    there, report = told(bucket("m.pt", CHECKPOINT.read_bytes()), bucket("f.npy", FEATURES.read_bytes()))
    assert there == here
    assert (report.source.path, report.sample.path) == ("memory://bucket/m.pt", "memory://bucket/f.npy")
    named, _ = told(f"file://{CHECKPOINT}", f"file://{FEATURES}")
    assert named == here


def test_codes_and_parquet(bucket, tmp_path):
    np.save(tmp_path / "c.npy", np.arange(6).reshape(3, 2))
    codes = read_codes(bucket("c.npy", (tmp_path / "c.npy").read_bytes()), open_source=open_source)
    assert np.concatenate(list(codes.blocks(2))).tolist() == [[0, 1], [2, 3], [4, 5]]
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(pyarrow.table({"latent": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "f.parquet", row_group_size=1)
    rows = open_rows(bucket("f.parquet", (tmp_path / "f.parquet").read_bytes()), open_source=open_source)
    assert (rows.path, np.concatenate(list(rows.blocks(8))).tolist()) == ("memory://bucket/f.parquet", [[1, 2], [3, 4]])


def test_a_web_server_is_asked_for_parts_only(server, capsys):
    handler, url = server
    header = {"quantize.embedding.weight": {"dtype": "F32", "shape": [64, 8], "data_offsets": [0, 2048]}}
    header["decoder.weight"] = {"dtype": "F32", "shape": [8 << 20], "data_offsets": [2048, 2048 + (32 << 20)]}
    text = json.dumps(header).encode()
    book = np.random.default_rng(0).standard_normal((64, 8), dtype=np.float32).tobytes()
    handler.content = len(text).to_bytes(8, "little") + text + book + bytes(32 << 20)
    secret = f"{url}?token=geheim"
    assert run(["inspect", "--list", secret]) == 0
    assert run(["inspect", secret, "--features", secret]) == 0  # its one matrix is as wide as itself
    out, err = capsys.readouterr()
    assert "64 × 8" in out and "geheim" not in out + err
    assert run(["inspect", "--format", "json", secret]) == 0
    out, err = capsys.readouterr()
    (level,) = json.loads(out)["quantizers"][0]["levels"]
    assert (level["codes"], level["dim"]) == (64, 8)
    assert handler.sent < 16 << 20
    assert "geheim" not in out + err


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("memory://bucket/none.pt", MissingInput, "no such file, or no way"),
        ("reference://x.json", UnsupportedInput, "of a kind that is not opened"),
        ("zip://a.pt::memory://bucket/x.zip", UnsupportedInput, "of a kind that is not opened"),
        ("memory://a::b", UnsupportedInput, "of a kind that is not opened"),
        ("http://user:geheim@127.0.0.1:9/x.pt?sig=geheim", InputError, "no way to it|cannot be reached|not installed"),
        ("gs://user:geheim@b/x.pt", InputError, "not installed|cannot be reached|no way to it"),
    ],
)
def test_what_cannot_be_opened_is_told_without_secrets(url, kind, words, capsys):
    with pytest.raises(kind, match=words) as caught:
        open_source(url)
    assert caught.value.hint
    assert run(["inspect", url, "--features", url]) == 2
    said = capsys.readouterr().err
    assert "geheim" not in f"{caught.value} {said}"
    assert said.count("\n") == 1


def test_without_fsspec_what_to_install_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UnsupportedInput, match=r"pip install 'vqdoctor\[remote\]'"):
        open_source("s3://bucket/model.pt")


def test_an_index_behind_a_url_and_a_url_in_an_index_are_not_followed(bucket, tmp_path, monkeypatch):
    with pytest.raises(UnsupportedInput, match="shard index behind a URL"):
        open_source(bucket("m.index.json", b'{"weight_map": {"a": "x.safetensors"}}'))
    monkeypatch.chdir(tmp_path)
    Path("m.index.json").write_text('{"weight_map": {"a": "memory://bucket/m.pt"}}')
    with pytest.raises(InputError, match="not a plain file name"):
        open_source("m.index.json")


def test_only_what_reads_takes_urls(bucket, capsys, tmp_path):
    url = bucket("m.pt", (SAMPLES / "ema-illusion.pt").read_bytes())
    rows = str(SAMPLES / "ema-illusion.features.npy")
    assert run(["repair", url, "--kmeans", "--features", rows, "-o", str(tmp_path / "out.pt")]) == 2
    assert "behind a URL" in capsys.readouterr().err
    assert run(["inspect", bucket("ids.npy", b""), "--sizes", "4,4"]) == 2
    assert "copy the file here" in capsys.readouterr().err
    assert not (tmp_path / "out.pt").exists()


def test_how_a_url_is_shown():
    assert shown("s3://key:secret@bucket/a/b.pt?x=1#y") == "s3://bucket/a/b.pt"
    assert shown("https://host?token=1") == "https://host"
    assert is_url("hf://a/b") and not is_url("C:/x") and not is_url("a/b://c")
    assert "reference" not in SCHEMES
