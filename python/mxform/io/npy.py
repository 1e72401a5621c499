"""The .npy format: one array, after a header in the form of a Python dict.

    b"\\x93NUMPY", version (2 bytes), header length (2 bytes, from version 2 on 4), header, elements
    {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }

The header is matched, never evaluated. bfloat16, which NumPy has not, is written as '<V2': two bytes of no kind.
"""

import re

from .. import _core as mx
from . import memory
from .stream import short, write_all

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1 << 16

KINDS = {mx.bool_: "|b1", mx.uint8: "|u1", mx.uint16: "<u2", mx.uint32: "<u4", mx.uint64: "<u8", mx.int8: "|i1", mx.int16: "<i2",
         mx.int32: "<i4", mx.int64: "<i8", mx.float16: "<f2", mx.bfloat16: "<V2", mx.float32: "<f4", mx.float64: "<f8",
         mx.complex64: "<c8"}
DTYPES = {kind[1:]: dtype for dtype, kind in KINDS.items()}

# One entry of the dict: its key, then a string, a bool or a tuple of ints; or a list, for the error.
ENTRY = re.compile(
    r"""\s*(['"])(\w+)\1\s*:\s*(?:(['"])([^'"]*)\3|(True|False)|\(([\d,\sL]*)\)|(\[.*\]))\s*(?:,|$)""", re.ASCII | re.DOTALL)


def header_of(a):
    """The bytes before the elements of ``a``: a multiple of 64, as NumPy writes."""
    # A transposed array could be marked as in Fortran order instead; this way every reader sees the same bytes.
    text = f"{{'descr': '{KINDS[a.dtype]}', 'fortran_order': False, 'shape': {tuple(a.shape)}, }}"
    length_bytes = 2 if len(text) < MAX_HEADER - 64 else 4
    before = len(MAGIC) + 2 + length_bytes
    text += " " * (-(before + len(text) + 1) % 64) + "\n"
    return MAGIC + bytes([1 if length_bytes == 2 else 2, 0]) + len(text).to_bytes(length_bytes, "little") + text.encode()


def write(file, a):
    """Write an evaluated array."""
    write_all(file, memoryview(header_of(a)))
    write_all(file, memory.view(a))


def _entries(source, text):
    """The header's dict: key -> str, bool or tuple of ints."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise source.error(f"the header {short(text)} is not a dict. Is it an .npy file?")
    text, at, found = text[1:-1].rstrip(), 0, {}
    while at < len(text):
        m = ENTRY.match(text, at)
        if not m:
            raise source.error(f"the header is not understood from {short(text[at:])} on.")
        _, key, _, string, flag, sizes, structure = m.groups()
        if structure is not None:
            raise source.error("it holds records; need an array of booleans or numbers.")
        if key in found:
            raise source.error(f"the header has {key!r} twice.")
        if string is not None:
            found[key] = string
        elif flag is not None:
            found[key] = flag == "True"
        else:
            found[key] = _sizes(source, sizes)
        at = m.end()
    return found


def _sizes(source, text):
    parts = [p.strip().removesuffix("L") for p in text.split(",")]
    if parts[-1] == "":
        parts.pop()
    if not all(p.isdigit() and len(p) < 20 for p in parts):
        raise source.error(f"the shape ({short(text)}) is not understood.")
    return tuple(int(p) for p in parts)


def read_header(source):
    """Dtype, shape, whether in Fortran order, whether bytes are to be swapped."""
    if source.left < 10:
        raise source.error(f"{source.left} bytes are too few for an .npy file.")
    start = source.read(8, "the header")
    if start[:6] != MAGIC:
        raise source.error("it does not begin as an .npy file does.")
    if start[6] not in (1, 2, 3):
        raise source.error(f"version {start[6]}.{start[7]} of the .npy format is not known; need 1, 2 or 3.")
    length = int.from_bytes(source.read(2 if start[6] == 1 else 4, "the header"), "little")
    if length > MAX_HEADER:
        raise source.error(f"a header of {length} bytes is too long; need at most {MAX_HEADER}.")
    try:
        header = _entries(source, source.read(length, "the header").decode("utf-8" if start[6] == 3 else "latin-1"))
    except UnicodeDecodeError:
        raise source.error("the header is not UTF-8 text.") from None
    descr, fortran, shape = (header.get(key) for key in ("descr", "fortran_order", "shape"))
    if set(header) != {"descr", "fortran_order", "shape"} or (type(descr), type(fortran), type(shape)) != (str, bool, tuple):
        raise source.error(f"the header has {sorted(header)}; need a string 'descr', a bool 'fortran_order' and a tuple 'shape'.")
    order, kind = (descr[0], descr[1:]) if descr[:1] in tuple("<>=|") else ("=", descr)
    if kind not in DTYPES:
        what = "Python objects, which are never loaded" if kind.startswith("O") else f"elements of type {short(descr)}"
        raise source.error(f"it holds {what}; need one of {', '.join(DTYPES)}.")
    if error := memory.shape_error(shape):
        raise source.error(error + ".")
    return DTYPES[kind], shape, fortran, order == ">"


def read(source):
    """The array that begins here."""
    dtype, shape, fortran, swap = read_header(source)
    what = f"an array of shape {shape} and dtype {memory.name(dtype)}"
    if not fortran or len(shape) < 2:
        return source.array(dtype, shape, what, swap)
    # The same elements, row by row, are those of the transposed array.
    a = mx.transpose(source.array(dtype, shape[::-1], what, swap))
    mx.eval(a)
    return a
