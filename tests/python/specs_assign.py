"""specs_assign.py — rows that write at indices: put_along_axis, x[...] = v, x.at[...]."""

import numpy as np

import mxform as mx
from specs import ALL, COMPLEX, FLOATS, INTS, REAL, A, C, a, at, ix, mask, row

INEXACT = FLOATS + COMPLEX


def distinct(*shape, n):
    """Indices without repeats along the last axis: two writes to one place would leave the winner open."""
    def make(rng):
        flat = [rng.permutation(n)[:shape[-1]] for _ in range(int(np.prod(shape[:-1])))]
        return np.array(flat, int).reshape(shape)
    return A(shape, dtype="int32", maker=make)


def assign(x, v, index):
    x = mx.array(x)
    x[index] = v
    return x


def assign_ref(x, v, index):
    x = np.array(x)
    x[index] = v
    return x


def sets(name, index, *cases, **kw):
    """x[index(*index arrays)] = v."""
    kw.setdefault("dtypes", ALL)
    return row(f"set_{name}", lambda x, v, *i: assign(x, v, index(*i)), lambda x, v, *i: assign_ref(x, v, index(*i)), *cases,
               ulp=0, **kw)


AT = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
      "minimum": np.minimum}


def at_row(op, name, index, *cases, **kw):
    """x.at[index].op(v): repeated indices count every time."""
    def ref(x, v, *i):
        x = x.copy()
        AT[op].at(x, index(*i), v)
        return x

    kw.setdefault("dtypes", FLOATS)
    return row(f"at_{op}_{name}", lambda x, v, *i: getattr(x.at[index(*i)], op)(v), ref, *cases, **kw)


def put(x, i, v, axis):
    x = x.copy()
    np.put_along_axis(x, i, v, axis)
    return x


def masked(x, m, v):
    x = mx.array(x)
    x[m] = v
    return x


def masked_ref(x, m, v):
    m = m.reshape(m.shape + (1,) * (x.ndim - m.ndim))
    return np.where(m, v, x)


SETS = [
    sets("int", lambda: 1, C(a(3, 2), a(2)), C(a(3, 2), a()), C(a(3), a())),
    sets("negative", lambda: (-1, 0), C(a(3, 2), a()), C(a(2, 3, 2), a(2))),
    sets("slice", lambda: slice(1, 3), C(a(4, 2), a(2, 2)), C(a(4, 2), a(2)), C(a(4), a()), C(a(4, 2), a(1, 2))),
    sets("steps", lambda: (slice(None, None, 2), slice(None, None, -1)), C(a(3, 2), a(2, 2)), C(a(3, 4), a(4))),
    sets("all", lambda: slice(None), C(a(2, 2), a(2, 2)), C(a(2, 2), a()), C(a(0, 2), a(2))),
    sets("ellipsis", lambda: Ellipsis, C(a(2, 2), a(2)), C(a(), a())),
    sets("newaxis", lambda: (None, 1), C(a(3, 2), a(2)), C(a(3, 2), a(1, 2))),
    sets("empty", lambda: slice(2, 2), C(a(3, 2), a(0, 2)), C(a(3), a())),
    sets("array", lambda i: i, C(a(4, 2), a(2, 2), distinct(2, n=4)), C(a(4), a(), distinct(3, n=4)), C(a(4, 2), a(2), ix(n=4)),
         C(a(3), a(0), ix(0, n=3))),
    sets("two_arrays", lambda i, j: (i, j), C(a(3, 4), a(2), distinct(2, n=3), ix(2, n=4)),
         C(a(3, 4), a(2, 2), A((2, 1), dtype="int32", maker=lambda rng: rng.permutation(3)[:2, None]), distinct(2, n=4))),
    sets("slice_array", lambda i: (slice(1, None), i), C(a(3, 4), a(2, 2), distinct(2, n=4)), C(a(2, 4, 2), a(2), distinct(2, n=4))),
    sets("array_apart", lambda i, j: (i, slice(None), j), C(a(3, 2, 4), a(2, 2), distinct(2, n=3), ix(2, n=4))),
    row("set_mask", masked, masked_ref, C(a(2, 3), mask(2, 3), a()), C(a(3, 2), mask(3), a()), C(a(3), mask(3), a()), C(a(0), mask(0), a()),
        dtypes=ALL, ulp=0),
    row("set_then_read", lambda x, v: mx.sin(assign(x, v * x[0], (slice(None), 1))) * x,
        lambda x, v: np.sin(assign_ref(x, v * x[0], (slice(None), 1))) * x,
        C(a(2, 2), a(2)), order=3),
    row("iadd_at_index", lambda x, v: _augmented(mx.array(x), v), lambda x, v: _augmented(x.copy(), v), C(a(3, 2), a(2)), dtypes=REAL),
    row("put_along_axis", mx.put_along_axis, put, C(a(2, 4), distinct(2, 2, n=4), a(2, 2), axis=1),
        C(a(4, 2), A((2, 2), dtype="int32", maker=lambda rng: np.stack([rng.permutation(4)[:2] for _ in range(2)], 1)), a(2, 2), axis=0),
        C(a(2, 4), distinct(2, 3, n=4), a(), axis=-1), C(a(2, 3), ix(2, 0, n=3), a(2, 0), axis=1), dtypes=ALL, diff=(0, 2), ulp=0),
]


def _augmented(x, v):
    x[1] += v
    x[1:] *= 2
    return x


REPEATED = at([1, 0, 1, 3], "int32")
ROWS = (C(a(4, 2), a(4, 2), REPEATED), C(a(4, 2), a(2), ix(3, n=4)), C(a(4), a(), ix(3, n=4)), C(a(4), a(), ix(n=4)))
POSITIVE = (C(a(4, 2), a(4, 2, lo=0.5), REPEATED), C(a(4), a(lo=0.5), ix(n=4)))
TIES = [C(at([1.0, 2.0, 3.0, 0.0]), at([1.0, 1.0, 2.0, 0.0]), at([0, 0, 1, 3], "int32"))]


def one(i):
    return i


ATS = [
    at_row("add", "array", one, *ROWS, dtypes=INEXACT + INTS, sums=True, order=2,
           big=[C(a(500, 40), a(3000, 40), ix(3000, n=500)), C(a(500), a(9000), ix(9000, n=500))]),
    at_row("subtract", "array", one, *ROWS, dtypes=INEXACT, sums=True),
    at_row("multiply", "array", one, *ROWS, dtypes=FLOATS, sums=True, order=3, ints=(0, 3), kinks=[
        C(at([0.0, 2.0, 3.0, 0.0]), at([0.0, 0.0, 2.0, 0.0]), at([0, 0, 1, 3], "int32"))]),
    at_row("divide", "array", one, *POSITIVE, ulp=8),
    at_row("maximum", "array", one, *ROWS, kinks=TIES, dtypes=REAL, ulp=0, big=[C(a(500), a(9000), ix(9000, n=500))]),
    at_row("minimum", "array", one, *ROWS, kinks=TIES, dtypes=REAL, ulp=0),
    at_row("add", "slice", lambda: (slice(1, 3), slice(None, None, 2)), C(a(4, 3), a(2, 2)), C(a(4, 3), a()), C(a(4, 3), a(2, 1)), dtypes=INEXACT),
    at_row("add", "int", lambda: 1, C(a(3, 2), a(2)), C(a(3), a())),
    at_row("multiply", "slice", lambda: slice(1, 3), C(a(4, 2), a(2)), C(a(4), a())),
    at_row("maximum", "slice", lambda: slice(None, 2), C(a(4, 2), a(2)), C(a(4), a())),
    at_row("add", "slice_array", lambda i: (slice(None), i), C(a(2, 4), a(2, 3), ix(3, n=4))),
    at_row("add", "two_arrays", lambda i, j: (i, j), C(a(3, 4), a(3), ix(3, n=3), ix(3, n=4))),
    at_row("add", "newaxis", lambda i: (None, i), C(a(3, 2), a(2), ix(2, n=3))),
]

SPECS = SETS + ATS
