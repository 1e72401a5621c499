"""test_files_gguf.py — what only .gguf files have: typed metadata, block-quantised tensors, alignment."""

import io
import struct
import zlib

import numpy as np
import pytest

import mxform as mx
from test_files import again, same

# Type number: elements and bytes of a block.
BLOCKS = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176),
          14: (256, 210), 15: (256, 292), 20: (32, 18), 23: (256, 136), 39: (32, 17)}
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, x):
    if kind == 8:
        return string(x)
    if kind == 9:
        return struct.pack("<IQ", x[0], len(x[1])) + b"".join(value(x[0], item) for item in x[1])
    return struct.pack("<" + SCALARS.get(kind, "I"), x)


def gguf(tensors=(), metadata=(), version=3, align=32):
    """A file of tensors (name, sizes with the innermost first, type, bytes) and metadata (key, type, value)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(string(key) + struct.pack("<I", kind) + value(kind, x) for key, kind, x in metadata)
    data = b""
    for name, sizes, kind, elements in tensors:
        data += bytes(-len(data) % align)
        out += string(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(data))
        data += elements
    return out + bytes(-len(out) % align) + data


def load(*args, metadata=False, **kw):
    return mx.load(io.BytesIO(gguf(*args, **kw)), "gguf", metadata)


# ---- metadata

DTYPES = {0: mx.uint8, 1: mx.int8, 2: mx.uint16, 3: mx.int16, 4: mx.uint32, 5: mx.int32, 6: mx.float32, 7: mx.bool_, 10: mx.uint64, 11: mx.int64,
          12: mx.float32}


@pytest.mark.parametrize("kind", SCALARS)
def test_metadata_of_every_type(kind):
    x = [1, 0, 1] if kind == 7 else [1.5, -2.5, 0] if kind in (6, 12) else [1, 2, 100]
    _, got = load((), [("one", kind, x[0]), ("many", 9, (kind, x)), ("single", 9, (kind, x[:1])), ("none", 9, (kind, []))], metadata=True)
    same(got["one"], mx.array(x[0]).astype(DTYPES[kind]))
    same(got["many"], mx.array(x).astype(DTYPES[kind]))
    same(got["single"], mx.array(x[:1]).astype(DTYPES[kind]))
    assert got["none"].shape == (0,) and got["none"].dtype == DTYPES[kind]


def test_metadata_is_kept():
    metadata = {"text": "héllo\0", "empty": "", "list": ["a", "", "ü"], "tuple": ("x",), "nothing": []}
    for dtype in set(DTYPES.values()):
        metadata[f"scalar {dtype}"] = mx.array([0, 1])[1].astype(dtype)
        metadata[f"axis {dtype}"] = mx.arange(3).astype(dtype)[::-1]
        metadata[f"no elements {dtype}"] = mx.zeros((0,), dtype)
    _, got = again(mx.save_gguf, {}, metadata, format="gguf", return_metadata=True)
    assert list(got) == list(metadata)
    for key, x in metadata.items():
        if isinstance(x, mx.array):
            same(got[key], x)
        else:
            assert got[key] == (list(x) if isinstance(x, tuple) else x)
    _, got = again(mx.save_gguf, {}, {"x": mx.array(0.5, mx.float64)}, format="gguf", return_metadata=True)
    same(got["x"], mx.array(0.5))


def test_many_strings():
    words = [f"token {i}" for i in range(30000)]
    _, got = again(mx.save_gguf, {"x": mx.array([1.0])}, {"words": words}, format="gguf", return_metadata=True)
    assert got["words"] == words


@pytest.mark.parametrize("align", [8, 32, 64, 4096])
def test_alignment(align):
    arrays = {"a": mx.arange(3), "b": mx.arange(5)}
    metadata = {"general.alignment": mx.array(align, mx.uint32)}
    file = io.BytesIO()
    mx.save_gguf(file, arrays, metadata)
    assert len(file.getvalue()) % align == 0
    got = mx.load(file.seek(0) or file, format="gguf")
    same(got["a"], arrays["a"])
    same(got["b"], arrays["b"])
    got = load([("a", (3,), 26, struct.pack("<3i", 1, 2, 3)), ("b", (1,), 26, struct.pack("<i", 7))], [("general.alignment", 4, align)], align=align)
    assert got["a"].tolist() == [1, 2, 3] and got["b"].tolist() == [7]


# ---- tensors

@pytest.mark.parametrize("kind, form, dtype", [
    (0, "f", mx.float32), (1, "e", mx.float16), (24, "b", mx.int8), (25, "h", mx.int16), (26, "i", mx.int32), (27, "q", mx.int64),
    (28, "d", mx.float64), (30, "H", mx.bfloat16)])
def test_plain_tensors(kind, form, dtype):
    numbers = [0, 1, 2, 3, 4, 5] if form != "H" else [0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0]
    for version in (2, 3):
        got = load([("x", (3, 2), kind, struct.pack(f"<6{form}", *numbers))], version=version)
        same(got["x"], mx.arange(6).reshape(2, 3).astype(dtype))


def blocks(kind, n):
    """Bytes from a congruential generator, and scales of moderate size."""
    size = BLOCKS[kind][1]
    out, state = np.empty(n * size, np.uint8), kind
    for i in range(n * size):
        state = (state * 1103515245 + 12345) % 2**31
        out[i] = state >> 16 & 255
    out = out.reshape(n, size)
    halves = {3: [0, 2], 7: [0, 2], 10: [80, 82], 11: [108], 12: [0, 2], 13: [0, 2], 14: [208], 15: [], 39: []}.get(kind, [0])
    for at in halves:
        out[:, at:at + 2] = np.array([[(i + 1) / 64 + at / 1024] for i in range(n)], "<f2").view(np.uint8)
    if kind == 15:
        out[:, :4] = np.array([[(i + 1) / 64] for i in range(n)], "<f4").view(np.uint8)
    if kind == 39:
        out[:, 0] = 124 + np.arange(n)
    return out.tobytes()


# Of the elements in float16: the checksum, and four of the second block. From ggml's own NumPy implementation (the
# package gguf), Q8_K by its definition.
REFERENCE = {
    2: (3665241462, [0.125, -0.09375, 0.1875, 0.09375]),
    3: (3741064656, [0.158203125, 0.345703125, 0.501953125, 0.095703125]),
    8: (926451485, [-0.375, 0.40625, -0.375, 2.375]),
    6: (3290274778, [0.15625, 0.375, -0.21875, 0.0]),
    7: (3701545374, [0.095703125, 0.845703125, 0.283203125, 0.408203125]),
    10: (2940671261, [1.95703125, 1.08203125, 1.419921875, -0.79296875]),
    11: (1513053432, [1.50390625, 3.0078125, -1.9140625, -0.13671875]),
    12: (4211157845, [-0.513671875, 0.798828125, 0.798828125, 2.9296875]),
    13: (1189162200, [7.421875, -1.328125, 3.984375, 7.640625]),
    14: (2644291874, [132.875, -50.625, -30.0, -267.25]),
    20: (1927262434, [2.78125, -0.3125, 3.53125, -1.09375]),
    23: (3953852446, [58.40625, -14.4375, -42.65625, -86.25]),
    15: (96161923, [-3.1875, 1.5625, -2.71875, 3.53125]),
    39: (1026115181, [-0.125, 0.0, 0.5, 0.5]),
}


def dequantized(weight, scales, biases):
    """What three arrays of a quantised tensor stand for, in float16."""
    bits = 32 * weight.shape[-1] // (32 * scales.shape[-1])
    w = np.array(weight)
    q = (w[..., None] >> (np.arange(32 // bits) * bits).astype("u4")) & ((1 << bits) - 1)
    q = q.reshape(*scales.shape, 32).astype("f4")
    x = q * np.array(scales).astype("f4")[..., None] + np.array(biases).astype("f4")[..., None]
    return x.reshape(*scales.shape[:-1], -1).astype("f2")


@pytest.mark.parametrize("kind", BLOCKS)
def test_quantised_tensors_are_those_of_ggml(kind):
    n = BLOCKS[kind][0]
    got = load([("before", (1,), 0, bytes(4)), ("x.weight", (3 * n,), kind, blocks(kind, 3)), ("after", (1,), 0, bytes(4))])
    if kind in (2, 3, 8):
        assert list(got) == ["before", "x.weight", "x.scales", "x.biases", "after"]
        assert got["x.weight"].dtype == mx.uint32 and got["x.scales"].dtype == got["x.biases"].dtype == mx.float16
        x = dequantized(got["x.weight"], got["x.scales"], got["x.biases"])
    else:
        assert list(got) == ["before", "x.weight", "after"] and got["x.weight"].dtype == mx.float16
        x = np.array(got["x.weight"])
    check, four = REFERENCE[kind]
    assert x.reshape(3, n)[1, [0, 1, 17, -1]].tolist() == four
    assert zlib.crc32(x.astype("<f2").tobytes()) == check


@pytest.mark.parametrize("kind, bits", [(2, 4), (3, 4), (8, 8)])
def test_quantised_tensors_are_what_quantized_operations_take(kind, bits):
    parts = load([("x.weight", (64, 3), kind, blocks(kind, 6))])
    x = mx.array(dequantized(*parts.values()))
    same(mx.dequantize(*parts.values(), group_size=32, bits=bits), x)
    v = mx.arange(64.0)[None] / 64
    got = mx.quantized_matmul(v, *parts.values(), group_size=32, bits=bits)
    assert mx.allclose(got, v @ x.astype(mx.float32).T, rtol=1e-3, atol=1e-2).item()


@pytest.mark.parametrize("kind", BLOCKS)
def test_quantised_tensors_of_more_axes_and_none(kind):
    n = BLOCKS[kind][0]
    flat = load([("x", (12 * n,), kind, blocks(kind, 12))])
    cube = load([("x", (2 * n, 3, 2), kind, blocks(kind, 12))])
    for name, a in cube.items():
        assert a.shape[:2] == (2, 3)
        same(a.reshape(-1), flat[name])
    none = load([("x", (n, 0), kind, b"")])
    assert all(a.shape[0] == 0 for a in none.values())
    # More blocks than are dequantised at a time.
    m = (1 << 17) // n + 5
    many = load([("x", (m * n,), kind, blocks(kind, 1) * m)])
    assert all(mx.all(mx.reshape(a, (m, -1)) == mx.reshape(a, (m, -1))[:1]).item() for a in many.values() if a.dtype != mx.float16)
    assert mx.array_equal(many["x"].reshape(m, -1), mx.broadcast_to(many["x"].reshape(m, -1)[:1], (m, many["x"].size // m)), equal_nan=True).item()


def test_the_packing_of_quantised_weights():
    half = struct.pack("<e", 0.5)
    got = load([("q.weight", (32,), 2, half + bytes(i + (15 - i) * 16 for i in range(16)))])
    assert np.array(got["q.weight"]).view(np.uint8).tobytes() == bytes.fromhex("1032547698badcfe" "efcdab8967452301")
    assert got["q.scales"].tolist() == [0.5] and got["q.biases"].tolist() == [-4]
    got = load([("q.weight", (32,), 3, half + struct.pack("<e", 3) + bytes(16))])
    assert got["q.weight"].tolist() == [0] * 4 and got["q.scales"].tolist() == [0.5] and got["q.biases"].tolist() == [3]
    got = load([("q", (32,), 8, half + bytes(range(240, 256)) + bytes(range(16)))])
    assert list(got) == ["q", "q.scales", "q.biases"]
    assert np.array(got["q"]).view(np.uint8).tolist() == [*range(112, 128), *range(128, 144)] and got["q.biases"].tolist() == [-64]


# ---- damage

X = ("x", (2,), 0, bytes(8))


@pytest.mark.parametrize("data, words", [
    (b"", ["begin"]),
    (b"GGML" + bytes(40), ["begin"]),
    (gguf([X], version=1), ["version 1"]),
    (gguf([X], version=4), ["version 4"]),
    (gguf([X], version=3 << 24), ["version", "little-endian"]),
    (gguf([X])[:-1], ["'x'", "truncated"]),
    (gguf([("x", (2**40,), 0, bytes(8))]), ["'x'", "truncated"]),
    (gguf([("x", (2**63,), 0, bytes(8))]), ["'x'", "too large"]),
    (gguf([("x", (2**40, 2**40), 0, bytes(8))]), ["'x'", "too large"]),
    (gguf([("x", (0, 2**60, 2**60), 0, b"")]), ["'x'", "too large"]),
    (gguf([("x", (1,) * 9, 0, bytes(8))]), ["'x'", "9 axes"]),
    (gguf([X, X]), ["'x'", "twice"]),
    (gguf([("x", (2,), 31, bytes(8))]), ["'x'", "31", "not supported"]),
    (gguf([("x", (256,), 16, bytes(66))]), ["'x'", "IQ2_XXS"]),
    (gguf([("x", (48,), 8, bytes(100))]), ["'x'", "Q8_0", "(48,)", "32"]),
    (gguf([("x", (), 8, bytes(34))]), ["'x'", "()"]),
    (gguf([("x.weight", (32,), 8, bytes(34)), ("x.scales", (1,), 0, bytes(4))]), ["'x.scales'", "twice"]),
    (gguf([X, ("y", (2,), 0, bytes(8))]).replace(struct.pack("<Q", 32) + bytes(1), struct.pack("<Q", 4) + bytes(1)), ["overlap"]),
    (gguf([(b"\xff", (2,), 0, bytes(8))]), ["UTF-8"]),
    (gguf((), [("k", 8, b"\xff")]), ["'k'", "UTF-8"]),
    (gguf((), [("k", 13, 0)]), ["'k'", "type 13"]),
    (gguf((), [("k", 9, (13, []))]), ["'k'", "type 13"]),
    (gguf((), [("k", 9, (9, [(4, [1])]))]), ["'k'", "array of arrays"]),
    (gguf([X], [("general.alignment", 4, 0)]), ["alignment"]),
    (gguf([X], [("general.alignment", 8, "32")]), ["alignment"]),
    (gguf([X], [("general.alignment", 4, 2**31)]), ["truncated"]),
    (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0) + bytes(64), ["number of tensors"]),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60) + bytes(64), ["number of metadata"]),
    (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60) + bytes(64), ["length"]),
])
def test_damage_is_named(data, words):
    with pytest.raises(ValueError) as caught:
        mx.load(io.BytesIO(data), format="gguf")
    for word in ["[load_gguf]", *words]:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"
