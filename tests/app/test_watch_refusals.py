"""What is named to a watch and is no log is refused and pointed to `inspect`; a log that merely looks like IDs is read."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

import vqdoctor
from vqdoctor.app.watching.refusals import refuse_others
from vqdoctor.errors import UnsupportedInput

ROWS = [(i * 37 % 64, i * 11 % 64, i % 5) for i in range(40)]
MARKED = [[f"<{letter}_{code}>" for letter, code in zip("abc", row, strict=True)] for row in ROWS]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


IDS = {
    "items.index.json": json.dumps({str(i): tokens for i, tokens in enumerate(MARKED)}),
    "by_name.json": json.dumps({f"B{i:05}": tokens for i, tokens in enumerate(MARKED)}, indent=1),
    "bare.json": json.dumps({str(i): row for i, row in enumerate(ROWS)}),
    "asin.json": json.dumps({f"B{i:05}": row for i, row in enumerate(ROWS)}),
    "joined.json": json.dumps({f"B{i:05}": "".join(tokens) for i, tokens in enumerate(MARKED)}),
    "list.json": json.dumps(ROWS),
    "records.json": json.dumps([{"item_id": i, "codes": row} for i, row in enumerate(ROWS)]),
    "under.json": json.dumps({"model": "x", "items": {f"B{i:05}": row for i, row in enumerate(ROWS)}}),
    "lists.jsonl": lines(ROWS),
    "records.jsonl": lines({"item": f"B{i}", "sid": row} for i, row in enumerate(ROWS)),
    "pairs.jsonl": lines({str(i): row} for i, row in enumerate(ROWS)),
    "columns.csv": "item_id,c0,c1,c2\n" + "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(ROWS)),
    "levels.csv": "c0,c1,c2\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS),
    "bare.csv": "".join(f"{a},{b},{c}\n" for a, b, c in ROWS),
    "numbered.csv": "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(ROWS)),
    "joined.tsv": "".join(f"{''.join(tokens)}\ta title\n" for tokens in MARKED),
    "dashes.csv": "asin,sid\n" + "".join(f"B{i},{a}-{b}-{c}\n" for i, (a, b, c) in enumerate(ROWS)),
}
LOGS = {
    "metrics.csv": "step,used\n" + "".join(f"{i},{i % 64}\n" for i in range(40)),
    "codes.csv": "epoch,c0,c1\n" + "".join(f"{i},{i % 64},3\n" for i in range(40)),
    "levels.csv": "used_0,used_1\n" + "".join(f"{i % 64},3\n" for i in range(40)),
    "named.csv": "loss,codes\n" + "".join(f"0.5,{i % 64}\n" for i in range(40)),
    "bare.csv": "".join(f"{i},{60 - i % 7}\n" for i in range(40)),
    "one.csv": "".join(f"{i % 7}\n" for i in range(40)),
    "log.csv": "".join(f"{a},{b},{c}\n" for a, b, c in ROWS),
    "dates.csv": "day,used\n2024-01-02,5\n2024-01-03,6\n",
    "rows.jsonl": lines({"step": i, "codes": [i % 64, 3]} for i in range(40)),
    "epochs.jsonl": lines({"Epoch": i, "sid": [i % 64, 3]} for i in range(40)),
    "whole.jsonl": lines({"used": i % 64, "dead": 3} for i in range(40)),
    "history.json": json.dumps({"used": [5, 6, 7], "dead": [3, 2, 1]}),
    "by_epoch.json": json.dumps({str(i): {"used": i, "dead": 3} for i in range(40)}),
    "list.json": json.dumps([{"epoch": i, "codes": [i, 3]} for i in range(40)]),
    "train.log": "1 2 3\n4 5 6\n",
}


@pytest.mark.parametrize("name", IDS)
def test_semantic_ids_go_to_inspect(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(IDS[name])
    with pytest.raises(UnsupportedInput, match="holds semantic IDs") as caught:
        refuse_others([str(tmp_path / name)])
    assert caught.value.where == str(tmp_path / name) and f"vqdoctor inspect {tmp_path / name}" in str(caught.value)
    assert vqdoctor.inspect(str(tmp_path / name)).source.kind == "semantic-ids"  # what the message promises


@pytest.mark.parametrize("name", LOGS)
def test_a_log_of_whole_numbers_is_a_log(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LOGS[name])
    refuse_others([str(tmp_path / name)])


def test_arrays_tables_and_checkpoints_are_named_as_what_they_are(tmp_path: Path) -> None:
    def told(path):
        with pytest.raises(UnsupportedInput) as caught:
            refuse_others([str(path)])
        return str(caught.value)

    np.save(tmp_path / "codes.npy", np.array(ROWS))
    np.save(tmp_path / "latents.npy", np.zeros((9, 4), np.float32))
    np.savez(tmp_path / "book.npz", np.zeros((9, 4), np.float32))
    (tmp_path / "ids.parquet").write_bytes(b"PAR1" + bytes(64))
    (tmp_path / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "codes or semantic IDs" in told(tmp_path / "codes.npy")
    assert "is an array" in told(tmp_path / "latents.npy") and "is an array" in told(tmp_path / "book.npz")
    assert "table in parquet" in told(tmp_path / "ids.parquet")
    assert "is a checkpoint, not a log. Look into it: vqdoctor inspect" in told(tmp_path / "pointer.safetensors")
    model = (tmp_path / "model").resolve()  # by its content, whatever its name
    model.write_bytes(Path(__file__).parents[2].joinpath("sample_checkpoints", "healthy-vq.pt").read_bytes())
    assert "is a checkpoint" in told(model)


def test_what_is_no_file_is_named_as_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsupportedInput, match=r"is a pipe.*cat .*pipe > run.log & vqdoctor watch run.log"):
        refuse_others([str(tmp_path / "pipe")])
    with pytest.raises(UnsupportedInput, match=r"^-: standard input is not read.*tee run.log"):
        refuse_others(["-"])
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "s"))
        with pytest.raises(UnsupportedInput, match="is a device or socket"):
            refuse_others([str(tmp_path / "s")])
    refuse_others([str(tmp_path), str(tmp_path / "not there yet"), "a\0b"])


def test_a_look_from_python_refuses_them_too(tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text(IDS["items.index.json"])
    with pytest.raises(UnsupportedInput, match="vqdoctor inspect"):
        vqdoctor.watch_once(str(tmp_path / "items.json"))
