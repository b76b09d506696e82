"""Every parser of untrusted bytes as one function of bytes, with inputs to begin from.

A parser may refuse with one of our own errors; a log reader may not even do that. Whatever else it raises is a finding, and so is an
input that takes it too long or too much memory. `test_fuzz` tries a few of them in every run of the tests; `fuzz_guided` tries
millions, guided by coverage.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from fuzz_base import FOLDER, JSON_WORDS, LIMITS, TESTS, VALID, Parser, folder, survives, written
from fuzz_built import BUILT
from fuzz_written import WRITTEN

from vqdoctor.app.watching.book_sizes import sizes_in
from vqdoctor.checkpoint import open_source
from vqdoctor.checkpoint.extents import HeldExtent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.naming import name_tensors
from vqdoctor.checkpoint.pickle_opcodes import run
from vqdoctor.checkpoint.torch_pickle import torch_machine
from vqdoctor.checkpoint.torch_values import Storages
from vqdoctor.checkpoint.zip_archive import ZipArchive
from vqdoctor.cli import gate_config
from vqdoctor.cli.config import project_rules
from vqdoctor.errors import VqdoctorError
from vqdoctor.logs import READERS, SeriesStore, read_file_name
from vqdoctor.logs.readers import AutoReader, looks_like_log
from vqdoctor.samples import is_surely_ids, open_rows, read_codes, read_ids
from vqdoctor.samples.sidecar import find_sidecar
from vqdoctor.trainer import config as trainer_config
from vqdoctor.trainer.settings import Config

hostile = runpy.run_path(str(TESTS / "checkpoint" / "hostile_files.py"))
samples = runpy.run_path(str(TESTS / "logs" / "samples.py"))
LOGS, scalar_event = samples["LOGS"], samples["scalar_event"]

__all__ = ["FOLDER", "LOGS", "PARSERS", "Parser", "survives"]


# checkpoints


def parse_pickle(data: bytes) -> None:
    """The machine alone, and the naming of what it leaves."""
    named = name_tensors(run(torch_machine(HeldExtent(data), LIMITS, Storages())), LIMITS)
    list(named.warnings())


def parse_zip(data: bytes) -> None:
    """The archive alone, every member read."""
    file = RegularFile(str(written(data, "archive")))
    try:
        archive = ZipArchive(file, LIMITS)
        for name in archive.members:
            extent = archive.extent(name)
            extent.read(0, min(extent.bytes, LIMITS.read_bytes))
    finally:
        file.close()


def parse_checkpoint(data: bytes) -> None:
    """Whatever it is recognised as, every tensor read."""
    folder("index")
    read_all(written(data, "index/checkpoint"))


def read_all(path: Path) -> None:
    with open_source(str(path), limits=LIMITS) as source:
        for name in source.specs:
            try:
                source.read(name)
            except VqdoctorError as error:
                str(error)


def shard_folder() -> None:
    for name in ("one", "two"):
        (folder("index") / f"{name}.safetensors").write_bytes(VALID["safetensors"])


shard_folder()


# rows and IDs


def parse_npy_rows(data: bytes) -> None:
    """The reader of features and codes, which is another than that of checkpoints."""
    table = read_codes(written(data, "codes.npy"))
    for _ in table.blocks(1 << 12):
        pass


def parse_rows(data: bytes) -> None:
    """As features."""
    for _ in open_rows(written(data, "features.npy")).blocks(1 << 12):
        pass


def parse_ids(suffix: str) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        path = written(data, f"items{suffix}")
        if suffix != ".csv":  # of which it looks at what reading looks at
            is_surely_ids(path, {"step"}, in_doubt=True)
        read_ids(path)

    return parse


def parse_sidecar(data: bytes) -> None:
    """The note beside features."""
    written(data, "model.features.json")
    find_sidecar(MODEL, lambda: "0" * 64)


MODEL = written(b"", "model.pt")
written(b"", "model.features.npy")


# settings


def parse_project(data: bytes) -> None:
    place = folder("project")
    written(data, "project/vqdoctor.toml")
    project_rules(place)
    gate_config.load(place)


def parse_recipe(suffix: str) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        trainer_config.apply(Config(), trainer_config.read(str(written(data, f"config{suffix}"))))

    return parse


def parse_hparams(data: bytes) -> None:
    """Lightning's, beside a log."""
    with suppress(ValueError):
        sizes_in(data.decode("utf-8", errors="replace"))


HPARAMS = (
    b"vq:\n  n_embed: 512\nvocab_size: 9\n",
    b"args: !!python/object:a.B {codebook_sizes: [8, 16]}\n",
    b"n_embed: &a\n- 8\n- *a\n",
)


# logs


def parse_log(reader: type) -> Callable[[bytes], None]:
    """Fed in two pieces, as a growing file is. What becomes of its points is `parse_any_log`'s."""

    def parse(data: bytes) -> None:
        reading = reader()
        reading.feed(data[: len(data) // 3])
        reading.feed(data[len(data) // 3 :])
        reading.finish()
        reader.claims("log", data)

    return parse


def log_name(reader: str) -> str:
    """Of a reader, without the version of its schema."""
    return reader.partition("/")[0]


def parse_any_log(data: bytes) -> None:
    """Whatever it is recognised as, by the name that its first byte chooses and by what it holds, in pieces of any size, into a
    store."""
    store, reading = SeriesStore(), AutoReader(LOG_NAMES[data[0] % len(LOG_NAMES)] if data else "")
    at, size = 1, 1
    while at < len(data):
        store.add(reading.feed(data[at : at + size]))
        at, size = at + size, 3 * size
    store.add(reading.finish())
    store.series()
    store.usage()


LOG_WORDS = (*JSON_WORDS, b"\n", b"\r", b"\0", b"loss=", b"epoch", b"step", b",")


def log_seeds(name: str) -> tuple[bytes, ...]:
    """The log of a format, last, and before it what is short: an execution costs what is in it. Of lines, those of its sample two by
    two, since what a line leaves is for the next one."""
    _, log = LOGS[name]
    lines = () if name in SHORT_LOGS else log.splitlines(keepends=True)
    return (*SHORT_LOGS.get(name, ()), *(b"".join(pair) for pair in pairwise(lines)), log)


SHORT_LOGS = {
    "tensorboard": tuple(
        b"".join(scalar_event(tag, step, 0.5, tensor=kind) for step in (1, 2)) for tag, kind in (("loss", ""), ("vq/ppl", "f"), ("a", "d"))
    ),
    "json": (b'[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": "a \\" {", "vq": {"ppl": [1, 2]}}]',),
    "csv": (b'step,vq/ppl,name\n0,,"a, b"\n\n5,1.5,"two\nlines"\n', b"1,2\nstep;x\n5;nan\r\nstep;x;y\n6;1;2"),
}  # fmt: skip
LOG_SEEDS = {name: log_seeds(name) for name in LOGS}


def longest_log(*names: str) -> int:
    """Bytes of an input for these formats: as long as what is short, or a little more."""
    return 1 + max(128, *(len(log) for name in names for log in LOG_SEEDS[name][:-1]))


LOG_NAMES = ("log", "metrics.csv", "train.jsonl", "trainer_state.json", "events.out.tfevents.1", "a.txt")


def parse_file_name(data: bytes) -> None:
    """As a folder lists it: bytes that are no text come as lone surrogates."""
    name = data.decode("utf-8", "surrogateescape")
    looks_like_log(name)
    read_file_name(name)


# the table

OPCODES = b"()./012BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"
PICKLES = tuple(hostile["with_book"](entry) for entry in (*hostile["EXECUTING"].values(), *hostile["EXPANDING"].values()))
PICKLE_WORDS = (
    hostile["BOOK"], hostile["tensor"](), hostile["text"]("key"), b"cos\nsystem\n", b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ctorch._tensor\n_rebuild_from_type_v2\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"ctorch.nn\nModule\n", b"ccollections\nCounter\n",
    hostile["text"]("_parameters"), hostile["text"]("_modules"), hostile["text"]("state_dict"),
)  # fmt: skip
SMALL = tuple(pickled for pickled in PICKLES if len(pickled) < 4096)
CODES = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }".ljust(117) + b"\n" + bytes(48)
TOML = (
    b'[tool.vqdoctor.rules]\nVQ103 = {severity = "error"}\n[tool.vqdoctor.rules.VQ102]\nshare = 0.5\n',
    b"[rules]\nVQ101 = false\n", b"[gate]\n", b'[rules]\nVQ201 = "warning"\n',
)  # fmt: skip
RECIPE = {
    ".toml": (b'epochs = 100\ndata = "digits"\n[quantizer]\ncodes = [64, 64]\ndecay = 0.99\n[optimizer]\nlearning_rate = 1e-3\n',),
    ".json": (b'{"epochs": 100, "quantizer": {"codes": [64, 64], /* c */ "decay": 0.99}, "learning_rate": 1e-3, "rows": null,}',),
    ".yaml": (b"epochs: 100\nquantizer:\n  codes: [64, 64]\n  decay: &d 0.99\nlearning_rate: 1e-3\nseed: 1\n",),
    ".py": (b'epochs = 100\nquantizer = {"codes": (64, 64), "decay": 0.99}\nlearning_rate = 1e-3\n',),
}
IDS = {
    ".json": (
        b'{"0": ["<a_236>", "<b_231>"], "1": ["<a_2>", "<b_31>"]}', b'{"items": [[1, 2], [3, 4]]}', b'[{"item": 1, "codes": [1, 2]}]',
        b'{"a": "1-2-3", "b": "1-2-4"}',
    ),
    ".csv": (b"item,c0,c1\nx,1,2\ny,3,4\n", b'a;"<a_1><b_2>"\nb;"<a_1><b_3>"\n', b"1,2,3\n4,5,6\n"),
}  # fmt: skip

PARSERS: dict[str, Parser] = {
    parser.name: parser
    for parser in (
        Parser("pickle", parse_pickle, SMALL, (*PICKLE_WORDS, *(bytes([code]) for code in OPCODES))),
        Parser("zip", parse_zip, (VALID["torch-zip"], VALID["torch-zip-deflated"], VALID["npz"]), (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\xff" * 4)),
        Parser("torch-zip", parse_checkpoint, (VALID["torch-zip"], VALID["torch-zip-deflated"]), PICKLE_WORDS),
        Parser("torch-legacy", parse_checkpoint, (VALID["torch-legacy"], *(hostile["legacy"](one) for one in SMALL[:8])), PICKLE_WORDS),
        Parser("safetensors", parse_checkpoint, (VALID["safetensors"],), (*JSON_WORDS, b'"dtype"', b'"F8_E4M3"', b'"F4"', b'"__metadata__"')),
        Parser("npz", parse_checkpoint, (VALID["npz"],), (b"PK\x01\x02", b"'|O'", b"'<f8'", b"True")),
        Parser("npy", parse_checkpoint, (VALID["npy"],), (b"'|O'", b"'<f8'", b"'>c16'", b"True", b"()", b"(0,)", b"9" * 19)),
        Parser("index", parse_checkpoint, (VALID["index"],), (*JSON_WORDS, b'"weight_map"', b'"../x"', b'"."', b'"two.safetensors"', b'"index"')),
        Parser("codes-npy", parse_npy_rows, (CODES, VALID["npy"]), (b"'|O'", b"'<u8'", b"'V2'", b"('<i4', 2)", b"True", b"()", b"[", b"(" * 8)),
        Parser("rows-npy", parse_rows, (VALID["npy"], CODES), (b"'|O'", b"'<f2'", b"'>c16'", b"(3, 2, 4)", b"(0,)", b"True", b"9" * 19)),
        Parser("ids-npy", parse_ids(".npy"), (CODES,), (b"'|O'", b"'<u8'", b"'|b1'", b"(3, 65)", b"(0,)", b"True")),
        Parser("ids-json", parse_ids(".json"), IDS[".json"], (*JSON_WORDS, b'"<a_1>"', b'"codes"', b'"items"')),
        Parser("ids-csv", parse_ids(".csv"), IDS[".csv"], (b",", b";", b'"', b"\n", b"\r", b"<a_1>", b"item", b"c0", b"\0", b"\xff")),
        Parser("sidecar", parse_sidecar, (b'{"rows": 1, "checkpoint_sha256": "0", "codes": true}',), JSON_WORDS),
        Parser("project", parse_project, TOML, (b"[rules]", b"VQ101", b"=", b'"', b"'''", b"inf", b"nan", b"1979-05-27", b"{", b"}", b"severity")),
        *(Parser(f"recipe-{suffix[1:]}", parse_recipe(suffix), seeds, (*JSON_WORDS, b"lr", b"codes", b"inf", b"&a", b"*a", b"!!", b"<<: ", b"(", b"/*", b"//"),
                 longest=max(map(len, seeds))) for suffix, seeds in RECIPE.items()),
        Parser("hparams", parse_hparams, HPARAMS, (b"n_embed", b"? ", b"- ", b": ", b"[", b"{", b"!!", b"*a", b"&a", b"---\n", b"|\n", b"'"), False),
        *(Parser(f"log-{log_name(reader.name)}", parse_log(reader), LOG_SEEDS[reader.name], LOG_WORDS, False, longest_log(reader.name)) for reader in READERS),
        Parser("log-any", parse_any_log, tuple(bytes([at]) + log for at, logs in enumerate(LOG_SEEDS.values()) for log in logs), (*LOG_WORDS, b"{\n", b"[{", b"step,"), False, longest_log(*LOGS)),
        Parser("file-name", parse_file_name, (b"epoch_12_collision_0.0412_model.pth", b"epoch=3-val_loss=0.12.ckpt", b"log.jsonl"), (b".pt", b"_", b"-", b"=", b"1e9"), False),
        *WRITTEN,
        *BUILT,
    )
}  # fmt: skip
"""By name: what `make fuzz PARSER=…` takes."""
