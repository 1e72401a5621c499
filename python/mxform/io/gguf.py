"""The .gguf format, versions 2 and 3: metadata, a table of tensors, and their elements.

    "GGUF", version (u32), number of tensors (u64), of metadata (u64)
    metadata: key, type of the value (u32), value
    table: name, number of axes (u32), sizes (u64 each, the innermost first), type (u32), offset (u64)
    elements of each tensor, from the next multiple of the alignment on (32 unless 'general.alignment' says otherwise)

A string is its length (u64) and UTF-8. Block-quantised tensors are in gguf_blocks.py.
"""

import struct

import numpy as np

from .. import _core as mx
from . import gguf_blocks, memory
from .stream import FileFormatError, short, write_all

MAGIC = b"GGUF"
ALIGNMENT = "general.alignment"
MAX_AXES = 8

# Types of metadata: scalars by number; 8 is a string, 9 an array of one of the others.
SCALARS = {0: mx.uint8, 1: mx.int8, 2: mx.uint16, 3: mx.int16, 4: mx.uint32, 5: mx.int32, 6: mx.float32, 7: mx.bool_, 10: mx.uint64,
           11: mx.int64, 12: mx.float64}
STRING, ARRAY = 8, 9
SCALAR_NUMBERS = {dtype: number for number, dtype in SCALARS.items()}
# Tensors that are not quantised.
TENSORS = {0: mx.float32, 1: mx.float16, 24: mx.int8, 25: mx.int16, 26: mx.int32, 27: mx.int64, 28: mx.float64, 30: mx.bfloat16}
TENSOR_NUMBERS = {dtype: number for number, dtype in TENSORS.items()}


# ---- writing

def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(op, key, value):
    """A metadata value with its type."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_string, value))
    if not isinstance(value, mx.array):
        raise TypeError(f"[{op}] metadata {key!r} is {memory.kind(value)}; need an array, a str, or a list of str. "
                        "Give a number as an array of the dtype that the file should have.")
    if value.dtype not in SCALAR_NUMBERS:
        raise FileFormatError(f"[{op}] metadata {key!r} has dtype {memory.name(value.dtype)}, which the format has not; convert it first.")
    if value.ndim > 1:
        raise FileFormatError(f"[{op}] metadata {key!r} has shape {value.shape}; need a scalar or one axis.")
    number = SCALAR_NUMBERS[value.dtype]
    kind = struct.pack("<IIQ", ARRAY, number, value.size) if value.ndim else struct.pack("<I", number)
    return kind + bytes(memory.view(value))


def encode_header(op, arrays, metadata):
    """The bytes before the elements, and the alignment of tensors."""
    alignment = 32
    if ALIGNMENT in metadata:
        given = metadata[ALIGNMENT]
        alignment = given.item() if isinstance(given, mx.array) and given.ndim == 0 and given.dtype == mx.uint32 else 0
        if alignment % 8 or not 8 <= alignment <= 1 << 20:
            raise ValueError(f"[{op}] metadata '{ALIGNMENT}' must be a uint32 scalar array, a multiple of 8 up to 2**20.")
    out = [MAGIC, struct.pack("<IQQ", 3, len(arrays), len(metadata))]
    for key, value in metadata.items():
        out += [_string(key), _value(op, key, value)]
    offset = 0
    for name, a in arrays.items():
        if a.dtype not in TENSOR_NUMBERS:
            raise FileFormatError(f"[{op}] array {name!r} has dtype {memory.name(a.dtype)}, which the format has not; convert it first.")
        if a.ndim > MAX_AXES:
            raise FileFormatError(f"[{op}] array {name!r} has {a.ndim} axes; the format has at most {MAX_AXES}.")
        out.append(_string(name) + struct.pack(f"<I{a.ndim}QIQ", a.ndim, *a.shape[::-1], TENSOR_NUMBERS[a.dtype], offset))
        offset += a.nbytes + -a.nbytes % alignment
    header = b"".join(out)
    return header + bytes(-len(header) % alignment), alignment


def write(file, arrays, header, alignment):
    """Write evaluated arrays after their header."""
    write_all(file, memoryview(header))
    for a in arrays.values():
        write_all(file, memory.view(a))
        write_all(file, memoryview(bytes(-a.nbytes % alignment)))


# ---- reading

class _Reader:
    """Small things one after the other, out of larger blocks."""

    BLOCK = 1 << 16

    def __init__(self, source):
        self.source, self.data, self.at, self.begin = source, b"", 0, 0

    @property
    def left(self):
        return len(self.data) - self.at + self.source.left

    @property
    def position(self):
        return self.begin + self.at

    def take(self, n, what):
        """The next n bytes."""
        if n > self.left:
            raise self.source.error(f"{what} needs {n} bytes, but {self.left} are left. Perhaps the file is truncated.")
        if n > len(self.data) - self.at:
            rest = self.data[self.at:]
            self.begin, self.at = self.position, 0
            self.data = rest + self.source.read(min(max(n - len(rest), self.BLOCK), self.source.left), what)
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form, what):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))[0]

    def count(self, form, least, what):
        """A number of things that have at least that many bytes each."""
        n = self.number(form, what)
        if n * least > self.left:
            raise self.source.error(f"{what} is {n}, more than the rest of the file can hold. It is truncated or damaged.")
        return n

    def string(self, what):
        text = self.take(self.count("Q", 1, f"the length of {what}"), what)
        try:
            return text.decode()
        except UnicodeDecodeError as e:
            raise self.source.error(f"{what} is not UTF-8 text: {e.reason}.") from None


def _array(dtype, shape, data):
    a = memory.allocate(shape, dtype)
    memory.view(a)[:] = data
    memory.normalise(a)
    return a


def _read_value(r, key):
    what = f"metadata {short(key)}"
    kind, shape = r.number("I", what), None
    if kind == ARRAY:
        kind = r.number("I", what)
        if kind == ARRAY:
            raise r.source.error(f"{what} is an array of arrays, which is not supported.")
        n = r.count("Q", 8 if kind == STRING else 1, f"the length of {what}")
        if kind == STRING:
            return [r.string(what) for _ in range(n)]
        shape = (n,)
    elif kind == STRING:
        return r.string(what)
    if kind not in SCALARS:
        raise r.source.error(f"{what} has type {kind}, which is not known.")
    value = _array(SCALARS[kind], shape or (), r.take(memory.n_bytes(SCALARS[kind], shape or ()), what))
    # As every float64 that enters without a dtype.
    return mx.array(value, mx.float32) if value.dtype == mx.float64 else value


def _read_table(r, n):
    """Name -> (sizes, outermost first, type number, offset)."""
    table = {}
    for i in range(n):
        name = r.string(f"the name of tensor {i}")
        what = f"tensor {short(name)}"
        if name in table:
            raise r.source.error(f"{what} is there twice.")
        axes = r.number("I", what)
        if axes > MAX_AXES:
            raise r.source.error(f"{what} has {axes} axes; need at most {MAX_AXES}.")
        shape = struct.unpack(f"<{axes}Q", r.take(8 * axes, what))[::-1]
        if error := memory.shape_error(shape):
            raise r.source.error(f"{what}: {error}.")
        table[name] = (shape, *struct.unpack("<IQ", r.take(12, what)))
    return table


def _n_bytes(source, name, shape, number):
    """How long a tensor is in the file."""
    if number in TENSORS:
        return memory.n_bytes(TENSORS[number], shape)
    what = f"tensor {short(name)}"
    if number not in gguf_blocks.BLOCKS:
        raise source.error(f"{what} has type {gguf_blocks.NAMES.get(number, number)}, which is not supported.")
    block = gguf_blocks.BLOCKS[number]
    if not shape or shape[-1] % block.n_elems:
        raise source.error(f"{what} of type {gguf_blocks.NAMES[number]} has shape {shape}; the last size must be a multiple of {block.n_elems}.")
    return memory.n_elems(shape) // block.n_elems * block.n_bytes


def _read_tensor(source, name, shape, number):
    """Name -> array: one, or the three parts of a quantised one."""
    what = f"tensor {short(name)}"
    if number in TENSORS:
        return {name: source.array(TENSORS[number], shape, what)}
    raw = source.array(mx.uint8, (_n_bytes(source, name, shape, number),), what)
    data = np.asarray(memory.view(raw))
    if number not in gguf_blocks.PACKED:
        return {name: gguf_blocks.dequantize(number, data, shape)}
    stem = name.removesuffix(".weight")
    return dict(zip((name, stem + ".scales", stem + ".biases"), gguf_blocks.unpack(number, data, shape)))


def read(source):
    """Name -> array in the table's order, and the metadata."""
    r = _Reader(source)
    if r.left < 24 or r.take(4, "the header") != MAGIC:
        raise source.error("it does not begin as a .gguf file does.")
    version = r.number("I", "the header")
    if version not in (2, 3):
        raise source.error(f"version {version} of the format is not known; need 2 or 3, with the bytes of numbers in little-endian order.")
    n_tensors, n_metadata = r.count("Q", 24, "the number of tensors"), r.count("Q", 13, "the number of metadata")
    metadata = {}
    for i in range(n_metadata):
        key = r.string(f"the key of metadata {i}")
        metadata[key] = _read_value(r, key)
    table = _read_table(r, n_tensors)
    alignment = metadata.get(ALIGNMENT, 32)
    if isinstance(alignment, mx.array) and alignment.dtype == mx.uint32 and alignment.ndim == 0:
        alignment = alignment.item()
    if not isinstance(alignment, int) or alignment < 1:
        raise source.error(f"metadata '{ALIGNMENT}' must be a number of type uint32 that is not 0.")
    first = r.position + -r.position % alignment

    places, before, last = [], 0, None
    for name, (shape, number, offset) in table.items():
        places.append((offset, offset + _n_bytes(source, name, shape, number), name))
    for begin, end, name in sorted(places):
        if begin < before:
            raise source.error(f"tensors {short(last)} and {short(name)} overlap.")
        if first + end > source.size:
            raise source.error(f"tensor {short(name)} ends at byte {first + end}, but the file has {source.size}. Perhaps it is truncated.")
        before, last = end, name
    parts = {}
    for begin, _, name in sorted(places):
        source.seek(first + begin)
        shape, number, _ = table[name]
        parts[name] = _read_tensor(source, name, shape, number)
    arrays = {}
    for name in table:
        for part, a in parts[name].items():
            if part in arrays:
                raise source.error(f"{short(part)} is there twice: a quantised tensor is loaded as three arrays.")
            arrays[part] = a
    return arrays, metadata
