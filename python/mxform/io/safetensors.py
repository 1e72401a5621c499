"""The .safetensors format: the size of a JSON header (8 bytes, little-endian), the header, the elements of all arrays.

    {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}

Offsets count from the end of the header. The file is read array by array, in the order of the offsets.
"""

import json

from .. import _core as mx
from . import memory
from .stream import MIB, FileFormatError, short, write_all

MAX_HEADER = 100 * MIB

NAMES = {mx.bool_: "BOOL", mx.uint8: "U8", mx.uint16: "U16", mx.uint32: "U32", mx.uint64: "U64", mx.int8: "I8", mx.int16: "I16",
         mx.int32: "I32", mx.int64: "I64", mx.float16: "F16", mx.bfloat16: "BF16", mx.float32: "F32", mx.float64: "F64",
         mx.complex64: "C64"}
# Numbers of 8 bits that are no dtype here are loaded as their bits.
DTYPES = {name: dtype for dtype, name in NAMES.items()} | {"F8_E4M3": mx.uint8, "F8_E8M0": mx.uint8}


def write(file, arrays, metadata):
    """Write a dict of evaluated arrays, and a dict of strings."""
    header = {"__metadata__": metadata} if metadata else {}
    # Wide elements first, so that all are aligned when another program maps the file.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    offsets, end = {}, 0
    for name in order:
        offsets[name] = [end, end + arrays[name].nbytes]
        end += arrays[name].nbytes
    for name, a in arrays.items():
        header[name] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": offsets[name]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_all(file, memoryview(len(text).to_bytes(8, "little") + text))
    for name in order:
        write_all(file, memory.view(arrays[name]))


def check(op, arrays, metadata):
    """What a header can hold: names that are text, and metadata of strings."""
    for name in arrays:
        if not isinstance(name, str):
            raise TypeError(f"[{op}] the name {name!r} is {memory.kind(name)}; need a str.")
        if name == "__metadata__":
            raise FileFormatError(f"[{op}] an array cannot be called '__metadata__', which is where metadata goes.")
    if not all(isinstance(s, str) for entry in metadata.items() for s in entry):
        raise ValueError(f"[{op}] metadata must be a dict with keys and values of type str.")
    for text in (*arrays, *metadata, *metadata.values()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"[{op}] {text!r} is not valid text.") from None


def _read_header(source):
    length = int.from_bytes(source.read(8, "the header's size"), "little")
    if length > MAX_HEADER:
        raise source.error(f"a header of {length} bytes is too long; need at most {MAX_HEADER}. Is it a .safetensors file?")
    text = source.read(length, "the header")

    def integer(digits):
        if len(digits) > 20:
            raise source.error("the header has a number that is too large.")
        return int(digits)

    def no_repeats(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            raise source.error("the header has a name twice.")
        return found

    try:
        header = json.loads(text.decode(), parse_int=integer, object_pairs_hook=no_repeats)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise source.error(f"the header is not JSON: {e}.") from None
    if not isinstance(header, dict):
        raise source.error("the header is not a JSON object.")
    return header


def _entry(source, name, entry, n_bytes):
    """Dtype, shape, and where the elements begin and end."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise source.error(f"array {short(name)} needs 'dtype', 'shape' and 'data_offsets' in the header.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise source.error(f"array {short(name)} has dtype {short(dtype)}, which is not supported; need one of {', '.join(DTYPES)}.")
    if not all(isinstance(part, list) and all(type(i) is int for i in part) for part in (shape, offsets)) or len(offsets) != 2:
        raise source.error(f"array {short(name)}: shape and data_offsets must be lists of ints, the latter of two.")
    if error := memory.shape_error(shape):
        raise source.error(f"array {short(name)}: {error}.")
    begin, end = offsets
    if not 0 <= begin <= end <= n_bytes:
        raise source.error(f"array {short(name)} is at bytes {begin} to {end}, but the file has {n_bytes} after the header. "
                           "Perhaps it is truncated.")
    if end - begin != memory.n_bytes(DTYPES[dtype], shape):
        raise source.error(f"array {short(name)}: shape {tuple(shape)} of {dtype} needs {memory.n_bytes(DTYPES[dtype], shape)} bytes, "
                           f"but it is at bytes {begin} to {end}.")
    return DTYPES[dtype], shape, begin, end


def read(source):
    """Name -> array in the header's order, and the metadata."""
    header = _read_header(source)
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise source.error("'__metadata__' must hold strings only.")
    first, n_bytes = source.at, source.left
    entries = {name: _entry(source, name, entry, n_bytes) for name, entry in header.items()}
    arrays, before, last = dict.fromkeys(entries), 0, None
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin < before:
            raise source.error(f"arrays {short(last)} and {short(name)} overlap.")
        if begin != source.at - first:
            source.seek(first + begin)
        arrays[name] = source.array(dtype, shape, f"array {short(name)}")
        before, last = end, name
    return arrays, metadata
