"""test_files.py — what save and load keep: elements, dtypes, names, metadata; what other programs wrote; file objects; errors.

Damaged files are in test_files_damaged.py, what is special of .gguf in test_files_gguf.py.
"""

import base64
import inspect
import io
import os
import pathlib
import threading
import zipfile
import zlib

import numpy as np
import pytest

import mxform as mx

DTYPES = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()
SHAPES = [(), (0,), (1,), (3,), (2, 3), (2, 0, 3), (2, 3, 4)]
GGUF_DTYPES = "int8 int16 int32 int64 float16 bfloat16 float32 float64".split()


def numbers(dtype, shape):
    x = mx.array((np.arange(int(np.prod(shape))) * 7 % 11).reshape(shape).astype("int32")) - (0 if dtype.startswith("u") else 3)
    return (x * (1 + 2j) if dtype == "complex64" else x > 0 if dtype == "bool_" else x).astype(getattr(mx, dtype))


def layouts(a):
    """The same kind of array in memory that is not row by row."""
    yield "", a
    if a.ndim > 1:
        yield "T", mx.transpose(a)
        yield "S", a[:, ::-1]
        yield "B", mx.broadcast_to(a[:1], a.shape)


def everything(dtypes=DTYPES):
    return {f"{dtype} {shape} {name}": b for dtype in dtypes for shape in SHAPES for name, b in layouts(numbers(dtype, shape))}


def same(got, want):
    assert got.dtype == want.dtype and got.shape == want.shape, (got, want)
    assert mx.all(got == want).item(), (got, want)


def same_dict(got, want):
    assert type(got) is dict and list(got) == list(want)
    for name in want:
        same(got[name], want[name])


def again(save, *args, format, **kw):
    """What is loaded from what `save` wrote to a file object."""
    file = io.BytesIO()
    assert save(file, *args) is None
    file.seek(0)
    return mx.load(file, format=format, **kw)


# ---- what is kept

def test_npy_keeps_every_dtype_shape_and_layout():
    for a in everything().values():
        same(again(mx.save, a, format="npy"), a)


@pytest.mark.parametrize("save", [mx.savez, mx.savez_compressed])
def test_npz_keeps_names_in_order(save):
    arrays = everything()
    file = io.BytesIO()
    save(file, mx.array(5), **arrays, arr_x=mx.array(6))
    same_dict(mx.load(file, format="npz"), {"arr_0": mx.array(5), **arrays, "arr_x": mx.array(6)})


def test_safetensors_keeps_names_in_order_and_metadata():
    arrays = everything()
    same_dict(again(mx.save_safetensors, arrays, format="safetensors"), arrays)
    got, metadata = again(mx.save_safetensors, arrays, {"é\n": "\"ü", "": ""}, format="safetensors", return_metadata=True)
    same_dict(got, arrays)
    assert metadata == {"é\n": "\"ü", "": ""}
    for none in (None, {}):
        assert again(mx.save_safetensors, {}, none, format="safetensors", return_metadata=True) == ({}, {})


def test_gguf_keeps_names_in_order():
    arrays = everything(GGUF_DTYPES)
    same_dict(again(mx.save_gguf, arrays, format="gguf"), arrays)
    same_dict(again(mx.save_gguf, arrays, {}, format="gguf"), arrays)
    assert again(mx.save_gguf, {}, None, format="gguf", return_metadata=True) == ({}, {})


def test_names_may_be_any_text():
    names = ["a/b", "a.npy", "é", "", " ", "x" * 300, "..", "/etc"]
    arrays = {name: mx.array(i) for i, name in enumerate(names)}
    file = io.BytesIO()
    mx.savez(file, **arrays)
    same_dict(mx.load(file, format="npz"), arrays)
    same_dict(again(mx.save_safetensors, arrays, format="safetensors"), arrays)
    same_dict(again(mx.save_gguf, arrays, format="gguf"), arrays)


def test_special_numbers_keep_their_bits():
    for dtype, bits in (("float16", mx.uint16), ("bfloat16", mx.uint16), ("float32", mx.uint32), ("float64", mx.uint64)):
        patterns = mx.array(np.array([0, 1 << bits.size * 8 - 1, 1, *(-np.arange(1, 9))]).astype(f"u{bits.size}"))
        a = patterns.view(getattr(mx, dtype))
        for save, format in ((lambda f, x: mx.save(f, x), "npy"), (lambda f, x: mx.save_safetensors(f, {"x": x}), "safetensors")):
            got = again(save, a, format=format)
            same((got if format == "npy" else got["x"]).view(bits), patterns)


def test_lazy_arrays_and_slices_of_large_ones_are_saved():
    x = mx.arange(1000.0)
    same(again(mx.save, x[10:20:3] * 2, format="npy"), mx.array([20.0, 26, 32, 38]))
    same(again(mx.save, x[5], format="npy"), mx.array(5.0))
    assert mx.grad(lambda w: (mx.save(io.BytesIO(), w * 2), (w * w).sum())[1])(mx.array(3.0)).item() == 6


# ---- NumPy

def from_numpy(x, **kw):
    file = io.BytesIO()
    np.save(file, x, **kw)
    file.seek(0)
    return mx.load(file, format="npy")


@pytest.mark.parametrize("kind", "b1 u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8 c8".split())
@pytest.mark.parametrize("order", "<>")
def test_numpy_files_in_either_byte_order_and_memory_order(kind, order):
    for shape in SHAPES:
        x = (np.arange(int(np.prod(shape))) * 7 % 11).reshape(shape)
        x = (x * (1 + 2j) if kind == "c8" else x).astype(order + kind)
        for y in (x, np.array(x, order="F")):
            got = from_numpy(y)
            assert np.array(got).dtype == np.dtype(kind) and np.array_equal(np.array(got), x)
            same(got * 1 if kind != "b1" else got, mx.array(x.astype(kind), got.dtype))
    if kind != "b1":
        same(again(mx.save, from_numpy(np.array(x, order="F")), format="npy"), mx.array(x.astype(kind), got.dtype))


def test_numpy_reads_what_is_saved():
    for name, a in everything().items():
        file = io.BytesIO()
        mx.save(file, a)
        file.seek(0)
        x = np.load(file)
        if a.dtype == mx.bfloat16:
            assert x.dtype == "V2" and x.view("<u2").tolist() == a.view(mx.uint16).tolist()
        else:
            assert np.array_equal(x, np.array(a)) and x.dtype == np.array(a).dtype, name
    file = io.BytesIO()
    mx.savez_compressed(file, mx.array([1, 2]), b=mx.array(True))
    file.seek(0)
    found = np.load(file)
    assert found["arr_0"].tolist() == [1, 2] and found["b"].item() is True


def test_numpy_archives_are_read():
    file = io.BytesIO()
    np.savez_compressed(file, np.arange(3), a=np.ones((2, 2), order="F"), b=np.arange(4, dtype=">i2"))
    got = mx.load(file, format="npz")
    same_dict({k: got[k] for k in sorted(got)}, {"a": mx.ones((2, 2), mx.float64), "arr_0": mx.arange(3).astype(mx.int64),
                                                 "b": mx.arange(4).astype(mx.int16)})


def test_all_versions_of_npy_headers():
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, np.arange(3), version=version)
        file.seek(0)
        assert mx.load(file, format="npy").tolist() == [0, 1, 2]
    # As other writers format it: other quotes, spaces, order of keys, long ints.
    for text in ('{"shape":(2L,),"descr":"<i2","fortran_order":True}', "{ 'fortran_order' : False , 'descr':'<i2',\t'shape': (2 , ),}\n"):
        data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\x01\x00\x02\x00"
        assert mx.load(io.BytesIO(data), format="npy").tolist() == [1, 2]


def test_a_bool_is_true_whatever_its_byte():
    data = io.BytesIO()
    np.save(data, np.array([0, 1, 2, 255], np.uint8).view(bool))
    data.seek(0)
    got = mx.load(data, format="npy")
    assert got.view(mx.uint8).tolist() == [0, 1, 1, 1]


# ---- MLX: files that it wrote, deflated

MLX = {
    "w.npy": "eNqb7BfqGxDJyODCUK2eklqcXKRupaBuk2airqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgpApFmrAAVcDAwH7BmABAMYNNQDAOezF7c=",
    "h.npy": "eNqb7BfqGxDJyGDDUK2eklqcXKRupaBuE2akrqOgnpZfVFKUmBefX5SSChIPKSpNBQoXZyQWpAK5GsY6Cpq1CkDA1WCvcCDAAQBUwxXG",
    "b.npy": "eNqb7BfqGxDJyGDDUK2eklqcXKRupaBek2SorqOgnpZfVFKUmBefX5SSChIPKSpNBQoXZyQWpAK5GkY6Cpq1CkDAxcgAAA1pE+I=",
    "z.npy": "eNqb7BfqGxDJyGDDUK2eklqcXKRupaBuk2yhrqOgnpZfVFKUmBefX5SSChIPKSpNBQoXZyQWpAK5GoY6Cpq1CkDAxcDQYM/AwOAAAHyPFKc=",
    "i.npy": "eNqb7BfqGxDJyGDGUK2eklqcXKRupaBuk2mirqOgnpZfVFKUmBefX5SSChIPKSpNBQoXZyQWpAK5Gpq1Clw/////DwC6/Ra9",
    "npz": "eNoL8GZm0WWAAEWGrRfY5v+HAk4GEYbEoqJ4A728gkpGBgEGF6gyGD3ZL9Q3IJKRwYyhWj0ltTi5SN1KQd0m00RdR0E9Lb+opCgxLz6/KCUVJB5SVJoKFC7O"
           "SCxIBXI1NGsVuH4CLQlAsb5BRiMMZj0r0PoMmNU+UCU+aFbboFgdZkSM1cY6CkDbgYCrwV7hQIADqhMcr7N8RXZCOcwJcVAlcWhOcEFxQhpW37sl5hSjuMFI"
           "R8EI5gywUxgYDtgDDT0AMbuhPsCbkUmXGTViXKBhz8mAAA2MIBIeTejaQAHqAw03VhRt9UAyA5sWUADEQf2JqoUJaFc5RAsrG0iIGQjnAunpYEcAAIDDg6U=",
    "compressed npz":
        "eNoL8GZm0WVgYOAAYkWGrRfY5v+HAk4GEYbEoqJ4A728gkpGBgEGFwYIcILSs9+Iv5IWOHki4VjA2nmToubELMlbuiBvcuaidYsXzJsWHxI0ZYb4/Pgpk7iE"
        "+DW1fFm5xNNVxJYw7ZSatZUrxh5oAT9DAIrlDTIaYTDLWYGWZ8As9oFa6IFu8WFki4XTlhCw+JgVF9BuhwNXE9YXKBxgRLPe8TrLV2Try2HWx0GtDUCz/sEh"
        "FH+nYfq73PuMph9rF8T+n1JuVlwOSyJXM7DG8PCwv5FsYGGWMLnCDHQGI5MuM2okgMIYFN6cDAjQwAgi4VGCrg0UfKAQAoUWK4q2WiCZgU0LyMsgX8VhaPkD"
        "JMshWljZQELMQDgXSDeDHQEAiZqbVQ==",
    "safetensors":
        "eNpt0LEKgzAQBuD4JnLzDSamDi6VFoSCxY4FEYkYsYO0YKBYkfpovlYna+ySQrKE/y4fF27nkO0MUBStVKISShQFhAO0opJu2UMI5+QKI0Kpq1v/XtedVB2EGWVI"
        "eY5Qqf4h16eHNE0AoWuEjhnLV9fYHEfmmS6mgeF87W4W56E57eQzA2nztBjmoR8YKv5TDLdPviyQI2WGOwbccDQfx8+yLIRM+3V/kbPe7nyJCJl1nn9rnd5fatVo"
        "wA==",
    "gguf": "eNpzdw91Y2ZgYABhEGCF0ixQOi0nMZ0dSDMyQQUqijmBJBsQw0QYGA7YMzAoOMC05GQWl4DUcCCpYYTSiTCBwythQnksUOt5oALpqXmpRYk5enmJuakcSE4qzk3M"
            "yYHpygQRUgwIAJPIYETyDYitgKagnAnJXUxIJjgwYAE/////z4AP2DAcbHDCpwAUOAwHIOyGegAyCxpz",
}
WRITTEN = {"w": mx.array([[1.5, -2], [0, mx.inf]]), "h": mx.array([1.0, -2.5, 3.25], mx.bfloat16), "b": mx.array([True, False]),
           "z": mx.array([1 + 2j]), "i": mx.array(-7)}


@pytest.mark.parametrize("name", MLX)
def test_files_of_mlx_are_read(name):
    format = name.split()[-1].split(".")[-1]
    has_metadata = format in ("safetensors", "gguf")
    got = mx.load(io.BytesIO(zlib.decompress(base64.b64decode(MLX[name]))), format, has_metadata)
    if format == "npy":
        return same(got, WRITTEN[name[0]])
    arrays, metadata = got if has_metadata else (got, {})
    want = {name: WRITTEN[name] for name in (WRITTEN if format == "safetensors" else "whi")}
    if format == "npz":
        want["arr_0"] = want.pop("i")
    if format == "gguf":
        want["h"] = want["h"].astype(mx.float16)
        assert metadata.pop("general.name") == "small" and metadata.pop("list") == ["a", "é"]
        same(metadata.pop("n"), mx.array(3, mx.uint32))
        same(metadata.pop("xs"), mx.array([1.5, 2.5]))
        same(metadata.pop("flag"), mx.array(True))
        assert not metadata
    assert metadata == ({"made by": "MLX"} if format == "safetensors" else {})
    same_dict({name: arrays[name] for name in sorted(arrays)}, {name: want[name] for name in sorted(want)})


# MLX 0.32.4 and the packages safetensors and gguf read these.
def test_what_is_written_stays_the_same_byte_for_byte():
    file = io.BytesIO()
    mx.save(file, WRITTEN["h"])
    text = b"{'descr': '<V2', 'fortran_order': False, 'shape': (3,), }".ljust(117) + b"\n"
    assert file.getvalue() == b"\x93NUMPY\x01\x00v\x00" + text + bytes.fromhex("803f20c05040")
    file = io.BytesIO()
    mx.save_safetensors(file, {"b": WRITTEN["b"], "h": WRITTEN["h"]}, {"k": "v"})
    text = (b'{"__metadata__":{"k":"v"},"b":{"dtype":"BOOL","shape":[2],"data_offsets":[6,8]},'
            b'"h":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}').ljust(136)
    assert file.getvalue() == (136).to_bytes(8, "little") + text + bytes.fromhex("803f20c05040" "0100")
    file = io.BytesIO()
    mx.save_gguf(file, {"w": mx.array([[1], [2]], mx.int8)}, {"k": "v"})
    assert file.getvalue() == (
        b"GGUF" + bytes.fromhex("03000000" "0100000000000000" "0100000000000000")
        + bytes.fromhex("0100000000000000") + b"k" + bytes.fromhex("08000000" "0100000000000000") + b"v"
        + bytes.fromhex("0100000000000000") + b"w" + bytes.fromhex("02000000" "0100000000000000" "0200000000000000" "18000000" "0000000000000000")
    ).ljust(96, b"\0") + bytes.fromhex("0102").ljust(32, b"\0")
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        mx.savez(file, **WRITTEN)
    assert files[0].getvalue() == files[1].getvalue()


# ---- paths and file objects

def test_the_extension_is_appended_to_paths(tmp_path, monkeypatch):
    a = mx.arange(3)
    monkeypatch.chdir(tmp_path)
    mx.save("a", a)
    mx.save(pathlib.Path("b.npz"), a)
    mx.savez(tmp_path / "c", a)
    mx.savez_compressed("d.npz", a)
    mx.save_safetensors("e.x", {"a": a})
    mx.save_gguf(pathlib.Path("f"), {"a": a}, {})
    assert sorted(os.listdir()) == ["a.npy", "b.npz.npy", "c.npz", "d.npz", "e.x.safetensors", "f.gguf"]
    for name in os.listdir():
        got = mx.load(name)
        same(got if name.endswith("npy") else next(iter(got.values())), a)
    same(mx.load(pathlib.Path("a.npy"), "npy", False, stream=mx.cpu), a)
    os.rename("a.npy", "a")
    same(mx.load("a", format="npy"), a)


def test_opened_files_are_read_and_written_from_where_they_are(tmp_path):
    a, b = mx.arange(3), mx.array([1.5])
    with open(tmp_path / "two.npy", "wb") as f:
        f.write(b"before")
        mx.save(f, a)
        mx.save(f, b)
    with open(tmp_path / "two.npy", "rb") as f:
        assert f.read(6) == b"before"
        same(mx.load(f), a)
        same(mx.load(f), b)
        assert f.read() == b"" and not f.closed
    for save, format in ((mx.save_safetensors, "safetensors"), (mx.save_gguf, "gguf")):
        with open(tmp_path / f"x.{format}", "w+b") as f:
            f.write(b"before")
            save(f, {"a": a, "b": b})
            f.seek(6)
            same_dict(mx.load(f), {"a": a, "b": b})


def test_a_pipe_is_read_to_its_end():
    for save, format in ((mx.save_safetensors, "safetensors"), (mx.save_gguf, "gguf"), (lambda f, d: mx.savez(f, **d), "npz")):
        out, into = os.pipe()
        data = io.BytesIO()
        save(data, {"a": mx.arange(50000)})

        def feed():
            with open(into, "wb") as f:
                f.write(data.getvalue())

        thread = threading.Thread(target=feed)
        thread.start()
        with open(out, "rb") as f:
            same_dict(mx.load(f, format=format), {"a": mx.arange(50000)})
        thread.join()


def test_objects_that_only_read_or_only_write_will_do():
    class Little:
        """Takes and gives a few bytes at a time."""

        def __init__(self, data=b""):
            self.data = data

        def write(self, view):
            self.data += bytes(view[:7])
            return len(view[:7])

        def read(self, n=-1):
            some, self.data = (self.data, b"") if n < 0 else (self.data[:min(n, 7)], self.data[min(n, 7):])
            return some

    file = Little()
    mx.save(file, mx.arange(30))
    same(mx.load(Little(file.data), format="npy"), mx.arange(30))


def test_the_file_may_change_after_loading(tmp_path):
    for save, extension in ((mx.save, "npy"), (lambda f, a: mx.save_safetensors(f, {"a": a}), "safetensors"),
                            (lambda f, a: mx.save_gguf(f, {"a": a}), "gguf"), (mx.savez, "npz")):
        path = tmp_path / f"a.{extension}"
        save(path, mx.arange(10000))
        got = mx.load(path)
        path.write_bytes(b"")
        same(got if extension == "npy" else next(iter(got.values())), mx.arange(10000))


def test_loaded_arrays_own_their_memory():
    file = io.BytesIO()
    mx.save(file, mx.zeros((1 << 18,)))
    file.seek(0)
    before = mx.get_active_memory()
    a = mx.load(file, format="npy")
    assert mx.get_active_memory() - before >= 1 << 20
    a[0] = 5
    assert a[0].item() == 5
    del a
    assert mx.get_active_memory() - before < 1 << 20


# ---- errors

def names(tmp_path):
    file = io.BytesIO()
    mx.save(file, mx.array(1))
    file.seek(0)
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "text.npy").write_text("hello")
    return {"mx": mx, "a": mx.array([1.0]), "d": tmp_path, "io": io, "np": np, "file": file, "text": open(tmp_path / "text.npy"),
            "plain": open(tmp_path / "text.npy", "rb")}


@pytest.mark.parametrize("expression, error, words", [
    ("mx.load(d / 'no.npy')", FileNotFoundError, ["load_npy", "no.npy"]),
    ("mx.load(d / 'no.npz')", ValueError, ["load_npz", "no.npz"]),
    ("mx.load(d / 'no.safetensors')", RuntimeError, ["no.safetensors"]),
    ("mx.load(d / 'no.gguf')", OSError, ["no.gguf"]),
    ("mx.load(d / 'no')", ValueError, ["format", "no"]),
    ("mx.load(d / 'no.txt')", ValueError, ["'txt'", "npy"]),
    ("mx.load(d / 'no.NPY')", ValueError, ["'NPY'"]),
    ("mx.load(file)", ValueError, ["format="]),
    ("mx.load(file, 'npy', True)", ValueError, ["metadata not supported for format npy"]),
    ("mx.load(file, format='npz', return_metadata=True)", ValueError, ["metadata not supported for format npz"]),
    ("mx.load(file, format='png')", ValueError, ["'png'"]),
    ("mx.load(file, format='npz')", ValueError, ["load_npz", "BytesIO"]),
    ("mx.load(file, format='safetensors')", ValueError, ["load_safetensors", "header"]),
    ("mx.load(file, format='gguf')", ValueError, ["load_gguf"]),
    ("mx.load(file, 'npy', stream=3)", TypeError, ["stream"]),
    ("mx.load(file=file)", TypeError, ["file"]),
    ("mx.load(3)", ValueError, ["an int", "path"]),
    ("mx.load(b'a.npy')", ValueError, ["a bytes"]),
    ("mx.load(None, format='npy')", ValueError, ["None"]),
    ("mx.load(io.StringIO(), format='npy')", ValueError, ["text file", "binary"]),
    ("mx.load(text)", ValueError, ["text file"]),
    ("mx.load(plain)", ValueError, ["text.npy", "npy"]),
    ("mx.load(d / 'folder.npy')", OSError, ["folder.npy"]),
    ("mx.load('a\\0.npy')", ValueError, ["null"]),
    ("mx.save(d / 'no' / 'a', a)", FileNotFoundError, ["folder", "a.npy"]),
    ("mx.save(d / 'folder', a)", OSError, ["folder.npy"]),
    ("mx.save(3, a)", ValueError, ["an int"]),
    ("mx.save(io.StringIO(), a)", TypeError, ["text file"]),
    ("mx.save(plain, a)", OSError, ["write"]),
    ("mx.save(file, [1, 2])", TypeError, ["arr is a list", "mx.array"]),
    ("mx.save(file, 3)", TypeError, ["arr is an int"]),
    ("mx.save(file, np.ones(3))", TypeError, ["arr is a ndarray"]),
    ("mx.savez(file, {'a': a})", TypeError, ["dict", "**"]),
    ("mx.savez(file, a, 2.5)", TypeError, ["arr_1", "float"]),
    ("mx.savez(file, x=[a])", TypeError, ["x is a list"]),
    ("mx.savez(file, a, arr_0=a)", ValueError, ["arr_0"]),
    ("mx.savez(file, **{'a\\0b': a})", ValueError, ["null"]),
    ("mx.savez(file, **{'\\udc80': a})", ValueError, ["text"]),
    ("mx.savez(file, **{'x' * 70000: a})", ValueError, ["long"]),
    ("mx.savez_compressed(file, None)", TypeError, ["savez_compressed", "None"]),
    ("mx.save_safetensors(file, [a])", TypeError, ["arrays is a list", "dict"]),
    ("mx.save_safetensors(file, {1: a})", TypeError, ["1", "str"]),
    ("mx.save_safetensors(file, {'a': 1})", TypeError, ["a is an int"]),
    ("mx.save_safetensors(file, {'a': a}, [1])", TypeError, ["metadata"]),
    ("mx.save_safetensors(file, {'a': a}, {'k': 1})", ValueError, ["metadata"]),
    ("mx.save_safetensors(file, {'__metadata__': a})", ValueError, ["__metadata__"]),
    ("mx.save_safetensors(file, {'\\udc80': a})", ValueError, ["text"]),
    ("mx.save_gguf(file, a)", TypeError, ["arrays is an array", "dict"]),
    ("mx.save_gguf(file, {2: a})", TypeError, ["2", "str"]),
    ("mx.save_gguf(file, {'a': a}, {3: 'x'})", TypeError, ["3", "str"]),
    ("mx.save_gguf(file, {'a': [1]})", TypeError, ["a is a list"]),
    ("mx.save_gguf(file, {'a': a > 0})", ValueError, ["'a'", "bool"]),
    ("mx.save_gguf(file, {'a': a.astype(mx.uint8)})", RuntimeError, ["'a'", "uint8"]),
    ("mx.save_gguf(file, {'a': a.reshape((1,) * 9)})", ValueError, ["9 axes"]),
    ("mx.save_gguf(file, {'a': a}, {'k': 3})", TypeError, ["'k'", "int", "array"]),
    ("mx.save_gguf(file, {'a': a}, {'k': [1, 2]})", TypeError, ["'k'", "list of str"]),
    ("mx.save_gguf(file, {'a': a}, {'k': mx.zeros((2, 2))})", ValueError, ["'k'", "(2, 2)"]),
    ("mx.save_gguf(file, {'a': a}, {'k': a.astype(mx.float16)})", ValueError, ["'k'", "float16"]),
    ("mx.save_gguf(file, {'a': a}, {'general.alignment': mx.array(7, mx.uint32)})", ValueError, ["alignment"]),
    ("mx.save_gguf(file, {'\\udc80': a})", ValueError, ["text"]),
])
def test_a_wrong_call_raises_and_says_what_came(expression, error, words, tmp_path):
    with pytest.raises(error) as caught:
        eval(expression, names(tmp_path))
    for word in words:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"


@pytest.mark.parametrize("transform", ["vmap", "compile"])
def test_a_traced_array_is_refused_before_the_file_is_touched(transform, tmp_path):
    for name, save in {"a.npy": mx.save, "a.npz": mx.savez, "a.safetensors": lambda f, x: mx.save_safetensors(f, {"x": x}),
                       "a.gguf": lambda f, x: mx.save_gguf(f, {"x": x}), "b.gguf": lambda f, x: mx.save_gguf(f, {}, {"x": x})}.items():
        path = tmp_path / name
        path.write_bytes(b"precious")
        with pytest.raises(mx.TransformError, match=transform):
            getattr(mx, transform)(lambda x: (save(path, x), x)[1])(mx.array([1.0]))
        with pytest.raises(TypeError):
            save(path, 3)
        assert path.read_bytes() == b"precious"


def test_errors_of_the_file_object_pass_through():
    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, view):
            raise ConnectionError("mine")

        def write(self, view):
            raise ConnectionError("mine")

    with pytest.raises(ConnectionError, match="mine"):
        mx.load(Broken(), format="npy")
    with pytest.raises(ConnectionError, match="mine"):
        mx.save(Broken(), mx.array(1))


def test_signatures_are_those_of_mlx():
    want = {"save": "(file, arr)", "savez": "(file, *args, **kwargs)", "savez_compressed": "(file, *args, **kwargs)",
            "save_safetensors": "(file, arrays, metadata=None)", "save_gguf": "(file, arrays, metadata=None)",
            "load": "(file, /, format=None, return_metadata=False, *, stream=None)"}
    assert {name: str(inspect.signature(getattr(mx, name))) for name in want} == want


def test_large_arrays_go_through_whole(tmp_path):
    a = mx.random.randint(0, 1 << 30, (3 << 20,))  # 12 MB: more than is read at a time
    mx.savez_compressed(tmp_path / "a", a)
    same(mx.load(tmp_path / "a.npz")["arr_0"], a)
    mx.save_safetensors(tmp_path / "a", {"a": a, "b": a[1:]})
    same_dict(mx.load(tmp_path / "a.safetensors"), {"a": a, "b": a[1:]})
    assert zipfile.ZipFile(tmp_path / "a.npz").testzip() is None
