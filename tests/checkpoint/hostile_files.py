"""Hostile files, made by hand: what no library would write. Values that stand in a dict beside a real book, and whole pickles."""

import io
import json
import struct
import zipfile

BOOK = (  # {"book": 2×2 float32 tensor of storage "0"}: opcodes for one key and value, to stand among hostile ones
    b"X\x04\x00\x00\x00book" b"ctorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89}tR"
)  # fmt: skip
VALUES = struct.pack("<4f", 1, 2, 3, 4)


def text(value):
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def tensor(
    shape=b"K\x02K\x02\x86", strides=b"K\x02K\x01\x86", offset=b"K\x00", key="0", kind=b"ctorch\nFloatStorage\n", elements=b"K\x04"
):
    storage = b"(" + text("storage") + kind + text(key) + text("cpu") + elements + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + strides + b"\x89}tR"


def with_book(*entries):
    """A pickle of {"book": …, "x0": entry, …}."""
    return b"\x80\x02}(" + BOOK + b"".join(text(f"x{at}") + entry for at, entry in enumerate(entries)) + b"u."


def archive(pickled, storages=(("0", VALUES),), extra=(), compression=zipfile.ZIP_STORED):
    """torch's zip around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        target.writestr("a/data.pkl", pickled)
        for key, data in storages:
            target.writestr(f"a/data/{key}", data)
        for name, data in extra:
            target.writestr(name, data)
    return buffer.getvalue()


def legacy(pickled, before=b"\x80\x02}."):
    """torch's stream around a pickle; `before` is its third pickle."""
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    return magic + before + pickled + b"\x80\x02]X\x01\x00\x00\x000a." + struct.pack("<q", 4) + VALUES


def safetensors(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


CALL = b"(" + text("touch executed") + b"t"
# the book must still be read, and nothing run
EXECUTING = {
    "reduce": b"cos\nsystem\n" + CALL + b"R",
    "posix": b"cposix\nsystem\n" + CALL + b"R",
    "exec": b"cbuiltins\nexec\n(" + text("open('executed', 'w')") + b"tR",
    "eval": b"c__builtin__\neval\n(" + text("open('executed', 'w')") + b"tR",
    "import": b"cbuiltins\n__import__\n(" + text("antigravity") + b"tR",
    "inst": b"(" + text("touch executed") + b"ios\nsystem\n",
    "obj": b"(cos\nsystem\n" + text("touch executed") + b"o",
    "newobj": b"csubprocess\nPopen\n" + CALL + b"\x81",
    "newobj_ex": b"csubprocess\nPopen\n" + CALL + b"}\x92",
    "stack_global": text("os") + text("system") + b"\x93" + CALL + b"R",
    "dotted": text("torch.serialization") + text("os.system") + b"\x93" + CALL + b"R",
    "build": b"cargparse\nNamespace\n)\x81}" + text("__class__") + b"cos\nsystem\nsb",
    "setstate": b"ctorch.nn\nModule\n)R}" + text("__setstate__") + b"cos\nsystem\nsb" + CALL + b"b",
    "chained": b"cbuiltins\ngetattr\n(cos\n_wrap_close\n" + text("close") + b"tR",
    "partial": b"cfunctools\npartial\n(cos\nsystem\n" + text("touch executed") + b"tR",
    "load_from_bytes": b"ctorch.storage\n_load_from_bytes\n(C\x08\x80\x04cos\nsy" + b"tR",
    "copyreg": b"ccopyreg\n_reconstructor\n(cos\n_Environ\ncbuiltins\nobject\nNtR",
    "hooks": b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88}" + text("hook") + b"cos\nsystem\nstR",
    "import_name": b"cevil_module_that_must_not_be_imported\nrun\n)R",
    "shadowed": b"ccollections\nOrderedDict\n)R}" + text("items") + b"cos\nsystem\nsb",
    "memoised": b"cos\nsystem\nq\x07" + CALL + b"Rh\x07" + CALL + b"R0",
    "surrogates": b"cos\nsystem\n(" + text("\ud800\x1b[2J\u202e") + b"tR",
    "escape_name": text("os\x1b]52;c;AA\x07") + text("system\nPASS") + b"\x93)R",
}

DOUBLING = b"(K\x01t" + b"2\x86" * 70
SELF_LIST = b"]q\x09h\x09a"
SELF_DICT = b"}q\x09" + text("me") + b"h\x09s"
SELF_OBJECT = b"cargparse\nNamespace\n)\x81q\x09}" + text("me") + b"h\x09sb"
# the book must still be read, quickly and in little memory
EXPANDING = {
    "doubling": DOUBLING,
    "doubled_key": b"}" + DOUBLING + b"K\x01s",
    "self_list": SELF_LIST,
    "self_dict": SELF_DICT,
    "self_object": SELF_OBJECT,
    "self_key": b"}q\x09h\x09K\x01s",
    "list_key": b"}]K\x01s",
    "colliding_keys": b"}("
    + b"".join(b"\x8a\x0a" + (at * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for at in range(20_000))
    + b"u",
    "long_binput": b"Nr\xff\xff\xff\x7f",
    "huge_int": b"\x8b" + struct.pack("<I", 100_000) + b"\x7f" * 100_000,
    "terabytes": tensor(shape=b"\x8a\x05\x00\x00\x00\x00\x01K\x02\x86", strides=b"K\x00K\x00\x86"),
    "negative_size": tensor(shape=b"J\xff\xff\xff\xffK\x02\x86"),
    "negative_stride": tensor(strides=b"J\xfe\xff\xff\xffK\x01\x86"),
    "negative_offset": tensor(offset=b"J\xff\xff\xff\xff"),
    "float_size": tensor(shape=b"G?\xf0\x00\x00\x00\x00\x00\x00K\x02\x86"),
    "bool_size": tensor(shape=b"\x88K\x02\x86"),
    "overflowing_size": tensor(shape=b"\x8a\x09" + b"\xff" * 7 + b"\x7f\x00" + b"2\x86", strides=b"K\x01K\x01\x86"),
    "ragged_rank": tensor(shape=b"K\x02\x85"),
    "no_shape": tensor(shape=b"N"),
    "beyond": tensor(offset=b"J\xff\xff\xff\x7f"),
    "other_key": tensor(key="../data.pkl"),
    "absent_key": tensor(key="9"),
    "unknown_storage": tensor(kind=b"ctorch\nStrangeStorage\n"),
    "no_arguments": b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    "wrong_arguments": b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR",
    "bad_array": b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01NNNNtb",
    "bad_scalar": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f8") + b"tRC\x01atR",
    "ordered_from_junk": b"ccollections\nOrderedDict\n(K\x01tR",
    "module_without_parts": b"ctorch.nn\nModule\n)\x81}(" + text("_parameters") + b"N" + text("_modules") + b"}ub",
    "setitems_on_number": b"K\x01(K\x02K\x03u",
    "append_on_dict": b"}K\x01a",
}

COPYING = b"(" + b"K\x01" * 1000 + b"tq\x09"
CALLS = b"h\x08h\x09Ra" * 6000 + b"."
REBUILD = b"ctorch._tensor\n_rebuild_from_type_v2\n"
PARAMETERS, MODULES = text("_parameters") + b"}", text("_modules")
MODULE = b"ctorch.nn\nModule\n)\x81}(" + PARAMETERS
NEST = b"]" * 5000 + b"a" * 4999


def many(count, value):
    """A dict of so many entries."""
    return b"}(" + b"".join(b"M" + struct.pack("<H", at) + value for at in range(count)) + b"u"


# must be refused as LimitExceeded
UNBOUNDED = {
    "nesting": b"\x80\x02" + NEST + b".",
    "copied_arguments": b"\x80\x02]cx\ny\nq\x08" + COPYING + b"0" + b"h\x08h\x09Ra" * 6000 + b".",
    "copied_pairs": b"\x80\x02]ccollections\nOrderedDict\nq\x08](" + b"K\x01K\x02\x86" * 1000 + b"e\x85q\x090" + CALLS,
    "copied_text": b"\x80\x02]c_codecs\nencode\nq\x08" + text("x" * 60_000) + text("latin1") + b"\x86q\x090" + CALLS,
    "nested_rebuild": b"\x80\x02" + REBUILD + b"q\x08q\x090" + b"(h\x08h\x08" * 3000 + b")" + b"Nt" * 3000 + b"q\x070h\x08h\x07R.",
    "scanned_modules": b"\x80\x02" + MODULE + text("_buffers") + many(40_000, b"N") + MODULES + b"}ubq\x020"
    + MODULE + MODULES + many(1000, b"h\x02") + b"ub.",
    "rank": with_book(tensor(shape=b"(" + b"K\x01" * 65 + b"t", strides=b"(" + b"K\x01" * 65 + b"t")),
    "module_cycle": b"\x80\x02ctorch.nn\nModule\n)\x81q\x09}(" + PARAMETERS + MODULES + b"}" + text("m") + b"h\x09sub.",
    "module_doubling": b"\x80\x02" + MODULE + MODULES + b"}ub"
    + (b"q\x020" + MODULE + MODULES + b"}(" + text("a") + b"h\x02" + text("b") + b"h\x02uub") * 40
    + b".",
    "long_line": b"\x80\x02I" + b"1" * (2 << 20) + b"\n.",
    "long_path": b"\x80\x02" + (b"}" + text("k" * 300)) * 30 + b"]K\x01a" + b"s" * 30 + b".",
}  # fmt: skip

# must be refused as CorruptInput or UnsupportedInput
REFUSED = {
    "ext1": b"\x80\x02\x82\x01.",
    "ext2": b"\x80\x02\x83\x01\x00.",
    "ext4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "persid": b"Pstorage\n.",
    "binpersid": b"\x80\x02" + text("os.system") + b"Q.",
    "binpersid_tuple": b"\x80\x02(" + text("module") + b"tQ.",
    "next_buffer": b"\x80\x05\x97.",
    "protocol_6": b"\x80\x06N.",
    "empty": b"",
    "no_stop": b"\x80\x02}",
    "only_stop": b".",
    "unknown_opcode": b"\x80\x02\xff.",
    "lacking_memo": b"\x80\x02h\x01.",
    "lacking_mark": b"\x80\x02u.",
    "call_of_text": b"\x80\x02" + text("os") + b")R.",
    "call_without_arguments": b"\x80\x02cos\nsystem\nNR.",
    "huge_text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
    "huge_bytes": b"\x80\x02B\xff\xff\xff\xffx.",
    "huge_long": b"\x80\x02\x8b\xff\xff\xff\xffx.",
    "odd_items": b"\x80\x02}(K\x01u.",
    "broken_text": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "decimal": b"I" + b"9" * 5000 + b"\n.",
}


def all_hostile_files():
    """{file name: bytes} of everything here, in both of torch's containers."""
    pickles = {name: with_book(entry) for name, entry in (EXECUTING | EXPANDING).items()} | UNBOUNDED | REFUSED
    files = {f"{name}.zip.pt": archive(pickled) for name, pickled in pickles.items()}
    files |= {f"{name}.legacy.pt": legacy(pickled) for name, pickled in pickles.items()}
    return files | {"preamble.pt": legacy(with_book(), before=b"\x80\x02cos\nsystem\n" + CALL + b"R.")}
