"""test_files_damaged.py — files that are truncated, lie about sizes, or were made to do harm: an error that names the
file, and no memory beyond what the file accounts for. Random damage is in test_fuzz_files.py."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import mxform as mx


def load(data, format):
    return mx.load(io.BytesIO(data), format=format)


def npy(descr="'<f4'", fortran="False", shape="(2,)", data=bytes(8), version=1, header=None):
    text = header if header is not None else f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text = text.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data


def tensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), at=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(at)}


@pytest.mark.parametrize("data, words", [
    (b"", ["0 bytes"]),
    (npy()[:9], ["9 bytes"]),
    (b"x" + npy()[1:], ["begin"]),
    (npy(version=9), ["version 9.0"]),
    (npy()[:30], ["truncated"]),
    (npy(data=bytes(7)), ["shape (2,)", "float32", "needs 8 bytes", "7 are left"]),
    (npy(shape="(1000000000000,)"), ["needs 4000000000000 bytes"]),
    (npy(shape=f"({2**63},)"), ["too large"]),
    (npy(shape=f"({2**40}, {2**40})"), ["too large"]),
    (npy(shape=f"(0, {2**62}, {2**62})"), ["too large"]),
    (npy(shape="(" + "9" * 4000 + ",)"), ["shape"]),
    (npy(shape="(1, " * 1 + "1, " * 2000 + ")", data=bytes(4)), ["axes"]),
    (npy(shape="(-1,)"), ["not understood"]),
    (npy(shape="(1.5,)"), ["not understood"]),
    (npy(shape="2"), ["not understood"]),
    (npy(shape="(,)"), ["not understood"]),
    (npy(fortran="0"), ["not understood"]),
    (npy(descr="'<f4', 'descr': '<f4'"), ["twice"]),
    (npy(descr="'<f4', 'more': 'x'"), ["more"]),
    (npy(header="{'descr': '<f4'}"), ["descr", "shape"]),
    (npy(header="{'descr': (2,), 'fortran_order': 'a', 'shape': True}"), ["fortran_order"]),
    (npy(header="__import__('os').abort()"), ["not a dict"]),
    (npy(header="{" + "(" * 5000 + "}"), ["not understood"]),
    (npy(header=""), ["not a dict"]),
    (npy(descr="'|O'"), ["never loaded"]),
    (npy(descr="'<U3'"), ["'<U3'", "f4"]),
    (npy(descr="'<c16'"), ["c16"]),
    (npy(descr="''"), ["type ''"]),
    (npy(descr="[('a', '<i4')]"), ["records"]),
    (npy(version=2)[:8] + b"\xff\xff\xff\xff" + bytes(100), ["too long"]),
    (npy(version=3, header="é"), ["UTF-8"]),
])
def test_npy(data, words):
    with pytest.raises(ValueError) as caught:
        load(data, "npy")
    for word in ["[load_npy]", *words]:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"


@pytest.mark.parametrize("data, words", [
    (b"", ["header"]),
    (tensors({}, length=10**18), ["too long"]),
    (tensors({}, length=50), ["truncated"]),
    (tensors(b""), ["JSON"]),
    (tensors(b"[]"), ["object"]),
    (tensors(b'{"a'), ["JSON"]),
    (tensors(b"\xff\xfe{}"), ["JSON"]),
    (tensors(b"[" * 100000), ["JSON"]),
    (tensors(b'{"a":' * 100000), ["JSON"]),
    (tensors(b'{"a": {"shape": [' + b"9" * 100000 + b"]}}"), ["too large"]),
    (tensors(b'{"a": 1, "a": 2}'), ["twice"]),
    (tensors({"a": 3}), ["'a'", "dtype"]),
    (tensors({"a": {"dtype": "F32", "shape": [2]}}), ["'a'", "data_offsets"]),
    (tensors({"a": entry("F7")}, bytes(8)), ["'a'", "'F7'"]),
    (tensors({"a": entry(["F32"])}, bytes(8)), ["'a'", "F32"]),
    (tensors({"a": entry(shape=[2.0])}, bytes(8)), ["lists of ints"]),
    (tensors({"a": entry(shape=[True, 2])}, bytes(8)), ["lists of ints"]),
    (tensors({"a": entry(at=(0, 8, 8))}, bytes(8)), ["lists of ints"]),
    (tensors({"a": {**entry(), "shape": {}}}, bytes(8)), ["lists of ints"]),
    (tensors({"a": entry(shape=[-2], at=(8, 0))}, bytes(8)), ["negative"]),
    (tensors({"a": entry(shape=[0, 10**18, 10**18], at=(0, 0))}), ["too large"]),
    (tensors({"a": entry(shape=[1] * 3000, at=(0, 4))}, bytes(4)), ["axes"]),
    (tensors({"a": entry(at=(8, 0))}, bytes(8)), ["'a'"]),
    (tensors({"a": entry(at=(-8, 0))}, bytes(8)), ["'a'"]),
    (tensors({"a": entry()}, bytes(7)), ["'a'", "truncated"]),
    (tensors({"a": entry(shape=[3])}, bytes(8)), ["'a'", "12 bytes"]),
    (tensors({"a": entry(), "b": entry(at=(4, 12))}, bytes(12)), ["'a' and 'b' overlap"]),
    (tensors({"__metadata__": {"k": 1}}), ["__metadata__"]),
    (tensors({"__metadata__": ["k"]}), ["__metadata__"]),
])
def test_safetensors(data, words):
    with pytest.raises(ValueError) as caught:
        load(data, "safetensors")
    for word in ["[load_safetensors]", *words]:
        assert word in str(caught.value), f"{str(caught.value)[:300]!r} does not speak of {word!r}"


def test_safetensors_with_holes_and_surplus_are_read():
    header = {"b": entry(at=(12, 20)), "__metadata__": None, "a": {**entry("U8", [1], (3, 4)), "more": 1}}
    got = load(tensors(header, bytes(range(30))), "safetensors")
    assert list(got) == ["b", "a"] and got["a"].tolist() == [3] and got["b"].view(mx.uint8).tolist() == list(range(12, 20))


# ---- archives

def archive(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as z:
        for name, data in members:
            z.writestr(name, data)
    return file.getvalue()


def directory_entry(data, at, offset, form, value):
    """`data` with a field changed in the central directory's entry number `at`."""
    place = -1
    for _ in range(at + 1):
        place = data.index(b"PK\x01\x02", place + 1)
    return data[:place + offset] + struct.pack(form, value) + data[place + offset + struct.calcsize(form):]


GOOD = archive([("a.npy", npy())])


@pytest.mark.parametrize("data, words", [
    (b"", ["zip"]),
    (GOOD[:-30], ["zip"]),
    (archive([("readme.txt", "hello")]), ["readme.txt"]),
    (archive([("a.npy", npy()), ("a", npy())]), ["'a'", "twice"]),
    (archive([("a.npy", npy() + b"more")]), ["a.npy", "more after the array"]),
    (archive([("a.npy", npy(data=bytes(7)))]), ["a.npy", "needs 8 bytes"]),
    (archive([("a.npy", npy())], zipfile.ZIP_BZIP2), ["a.npy", "deflate"]),
    (archive([("a.npy", npy())], zipfile.ZIP_LZMA), ["a.npy", "deflate"]),
    (GOOD.replace(bytes(8), b"12345678", 1), ["a.npy", "CRC"]),
    (directory_entry(GOOD, 0, 24, "<I", 10**9), ["a.npy", "announces"]),
    (directory_entry(GOOD, 0, 20, "<I", 10**9), ["overlap"]),
    (directory_entry(GOOD, 0, 8, "<H", 1), ["a.npy", "encrypted"]),
    (directory_entry(GOOD, 0, 42, "<I", 10**9), ["a.npy"]),
    (archive([("a.npy", npy())], zipfile.ZIP_DEFLATED)[:40] + b"x" + archive([("a.npy", npy())], zipfile.ZIP_DEFLATED)[41:], ["a.npy"]),
])
def test_npz(data, words):
    with pytest.raises(ValueError) as caught:
        load(data, "npz")
    for word in ["[load_npz]", *words]:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"


def test_folders_in_an_archive_are_passed_over():
    assert list(load(archive([("d/", b""), ("d/a.npy", npy())]), "npz")) == ["d/a"]


def peak(f):
    """Bytes that f() takes at its most, of Python's memory and of arrays."""
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1] + mx.get_peak_memory() - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name, data, format", [
    # Headers that promise much, in front of little.
    ("npy", npy(shape="(2000000000,)"), "npy"),
    ("stored member", archive([("a.npy", npy(shape="(2000000000,)"))]), "npz"),
    # 100 kB that expand to 100 MB, of which the array is 8 bytes: the rest is not expanded.
    ("bomb behind an array", archive([("a.npy", npy() + bytes(100 << 20))], zipfile.ZIP_DEFLATED), "npz"),
    # The other way round: the header promises all that deflate could hold, but there is next to nothing.
    ("deflated member", archive([("a.npy", npy(shape="(2000000,)", data=np.random.default_rng(0).bytes(10000)))], zipfile.ZIP_DEFLATED), "npz"),
    ("safetensors", tensors({"a": entry("F32", [500000000], (0, 2000000000))}), "safetensors"),
    ("a tensor many times", tensors({f"a{i}": entry("U8", [1 << 20], (0, 1 << 20)) for i in range(100)}, bytes(1 << 20)), "safetensors"),
    ("gguf tensor", b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"a", 1, 10**9, 0, 0) + bytes(64), "gguf"),
    ("gguf strings", b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 10**9) + bytes(64), "gguf"),
    ("gguf tensors", b"GGUF" + struct.pack("<IQQ", 3, 10**12, 0) + bytes(64), "gguf"),
])
def test_memory_is_not_taken_on_the_word_of_the_file(name, data, format):
    def refused():
        with pytest.raises(ValueError):
            load(data, format)
    refused()
    assert peak(refused) < 20 * len(data) + (1 << 20)


def test_members_that_overlap_are_refused():
    """One compressed member, announced a thousand times: what a small archive can blow up to without a bound."""
    data = archive([("a.npy", npy(shape=f"({1 << 18},)", data=bytes(1 << 20)))], zipfile.ZIP_DEFLATED)
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    one, many = data[at:end], b""
    for i in range(1000):
        many += one.replace(b"a.npy", f"{i:05}".encode())
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1000, 1000, len(many), at, 0)
    with pytest.raises(ValueError, match="overlap"):
        load(data[:at] + many + tail, "npz")


def test_an_honest_compression_of_zeros_is_read():
    file = io.BytesIO()
    mx.savez_compressed(file, mx.zeros((10 << 20,), mx.uint8))
    assert len(file.getvalue()) < (10 << 20) / 900
    assert load(file.getvalue(), "npz")["arr_0"].shape == (10 << 20,)


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "gguf"])
def test_every_truncation_is_refused(format, tmp_path):
    """By files on disk, too."""
    file = io.BytesIO()
    {"npy": lambda: mx.save(file, mx.arange(5)), "npz": lambda: mx.savez(file, mx.arange(5), b=mx.array(1)),
     "safetensors": lambda: mx.save_safetensors(file, {"a": mx.arange(5), "b": mx.array(1)}, {"k": "v"}),
     "gguf": lambda: mx.save_gguf(file, {"a": mx.arange(5)}, {"k": "v", "n": mx.array([1, 2])})}[format]()
    data = file.getvalue()
    load(data, format)
    path = tmp_path / f"x.{format}"
    # What pads the end of a .gguf file may be missing.
    for n in range(len(data) - (12 if format == "gguf" else 0)):
        with pytest.raises(ValueError, match=format):
            load(data[:n], format)
        if n % 16 == 0:
            path.write_bytes(data[:n])
            with pytest.raises(ValueError, match=path.name):
                mx.load(path)
