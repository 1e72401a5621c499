"""specs_index.py — rows that read at indices: take, take_along_axis, x[...] with arrays."""

import numpy as np

import mxform as mx
from specs import ALL, COMPLEX, FLOATS, A, C, a, ix, row

INEXACT = FLOATS + COMPLEX


def reads(name, f, *cases, ref=None, **kw):
    """The same expression reads in mxform and in NumPy, unless `ref` says otherwise."""
    kw.setdefault("dtypes", ALL)
    return row(name, f, ref or f, *cases, ulp=0, **kw)


def take(x, i, axis=None):
    return np.take(x, i, axis=axis)


def u(*shape, n):
    """Unsigned indices."""
    return A(shape, lo=0, hi=n - 1, dtype="uint32")


SPECS = [
    reads("take", mx.take, C(a(5), ix(3, n=5)), C(a(3, 4), ix(2, n=12)), C(a(3, 4), ix(2, 2, n=3), axis=0), C(a(3, 4), ix(n=4), axis=1),
          C(a(2, 3, 2), ix(4, n=3, lo=-3), axis=-2), C(a(3, 2), ix(0, n=3), axis=0), C(a(3), u(2, n=3), axis=0),
          C(a(0, 3), ix(2, n=3), axis=1), ref=take,
          big=[C(a(500, 40), ix(3000, n=500), axis=0), C(a(40, 500), ix(3000, n=500), axis=1), C(a(9000), ix(70, 80, n=9000))]),
    reads("take_int", lambda x, i, axis: mx.take(x, i, axis=axis), C(a(3, 2), i=1, axis=0), C(a(3, 2), i=-1, axis=1), ref=take),
    reads("take_along_axis", mx.take_along_axis, C(a(3, 4), ix(2, 4, n=3), axis=0), C(a(3, 4), ix(3, 2, n=4), axis=1),
          C(a(2, 3, 2), ix(2, 5, 2, n=3, lo=-3), axis=-2), C(a(5), ix(3, n=5), axis=0), C(a(2, 3), ix(2, 0, n=3), axis=1),
          C(a(2, 3), ix(1, 2, n=3), axis=1), ref=lambda x, i, axis=-1: np.take_along_axis(
              x, np.broadcast_to(i, tuple(i.shape[k] if k == axis % x.ndim else x.shape[k] for k in range(x.ndim))), axis)),
    reads("take_along_axis_flat", lambda x, i: mx.take_along_axis(x, i, axis=None), C(a(2, 3), ix(4, n=6)),
          ref=lambda x, i: np.take_along_axis(x, i, axis=None)),
    reads("get_array", lambda x, i: x[i], C(a(4, 2), ix(3, n=4)), C(a(3), ix(2, 2, n=3, lo=-3)), C(a(3, 2), ix(n=3)), C(a(3), ix(0, n=3))),
    reads("get_two_arrays", lambda x, i, j: x[i, j], C(a(3, 4), ix(n=3), ix(n=4)),
          C(a(3, 4), ix(2, n=3), ix(2, n=4)), C(a(3, 4, 2), ix(2, 1, n=3), ix(3, n=4)),
          C(a(3, 4), ix(n=3), ix(2, n=4, lo=-4))),
    reads("get_array_slice", lambda x, i: x[1:, i], C(a(3, 4), ix(2, n=4)), C(a(3, 4, 2), ix(2, 2, n=4))),
    reads("get_slice_array_int", lambda x, i: x[::-1, i, 1], C(a(3, 4, 2), ix(2, n=4))),
    reads("get_array_apart", lambda x, i, j: x[i, :, j], C(a(3, 2, 4), ix(2, n=3), ix(2, n=4))),
    reads("get_newaxis_array", lambda x, i: x[None, ..., i], C(a(2, 3), ix(2, n=3)), C(a(3), ix(2, n=3))),
    reads("get_array_newaxis", lambda x, i: x[i, None, :], C(a(3, 2), ix(2, n=3))),
    reads("get_ellipsis_array", lambda x, i: x[..., i, :], C(a(2, 3, 2), ix(2, n=3))),
    reads("get_negative", lambda x: x[-1] + x[..., 0, :][0] * 0, C(a(3, 1, 2)), ref=lambda x: x[-1] + x[..., 0, :][0] * 0,
          dtypes=FLOATS),
    reads("get_rows", lambda x: mx.stack(list(x)), C(a(3, 2)), ref=lambda x: x, dtypes=FLOATS),
    reads("gather_product", lambda x, w, i: mx.take(w, i, axis=0) * x, C(a(2, 3), a(4, 3), ix(2, n=4)), dtypes=FLOATS,
          ref=lambda x, w, i: w[i] * x, order=3),
]
SPECS[-1].ulp = 1
