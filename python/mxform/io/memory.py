"""The memory of arrays as bytes, without copies: what a file is read into and what is written to one.

Files are written in little-endian order, which is that of every machine that mxform runs on.
"""

from .. import _core as mx

ITEMSIZE = {t: t.size for t in (mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64,
                                mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64)}


def n_elems(shape):
    n = 1
    for size in shape:
        n *= size
    return n


def n_bytes(dtype, shape):
    return n_elems(shape) * ITEMSIZE[dtype]


def shape_error(shape):
    """What is wrong with sizes that a file announces, or None. Without this, sizes beside a 0 would be unbounded."""
    n = 1
    for size in shape:
        if size < 0:
            return f"shape {tuple(shape)} has a negative size"
        n *= max(size, 1)
        if n >= 1 << 59:
            return f"shape {shape if len(shape) < 20 else '...'} is too large"
    return "there are more than 1024 axes" if len(shape) > 1024 else None


def allocate(shape, dtype):
    """A new array whose elements are to be filled in through ``view``."""
    return mx._allocate(tuple(shape), dtype)


def view(a):
    """The memory of an evaluated array (a copy if it is not contiguous) as a memoryview of bytes that keeps it alive."""
    return memoryview(mx._bytes_of(a))


def normalise(a, swap=False):
    """Reverse the bytes of each element if ``swap``; make 1 of every byte of a bool array that is not 0."""
    import numpy as np  # not with mxform, whose import it would make four times as long

    if a.dtype == mx.bool_:
        units = np.asarray(view(a))
        np.not_equal(units, 0, out=units.view(bool))
    elif swap and a.itemsize > 1:
        width = 4 if a.dtype == mx.complex64 else a.itemsize
        np.asarray(view(a)).view(f"u{width}").byteswap(inplace=True)


def kind(o):
    """"an int", "None": what came, for errors."""
    name = type(o).__name__
    return "None" if o is None else f"a{'n' if name[0] in 'aeiouAEIOU' else ''} {name}"


def name(dtype):
    """"float32", for errors."""
    return str(dtype).removeprefix("mxform.")


def check_arrays(op, arrays):
    """Evaluate what is to be saved, before a file is opened that could be lost. Arrays only: the dtype that a number
    or list should have in the file would be a guess."""
    for label, a in arrays.items():
        if not isinstance(a, mx.array):
            raise TypeError(f"[{op}] {label} is {kind(a)}; need an array. Convert it with mx.array(...) first.")
    mx.eval(list(arrays.values()))
