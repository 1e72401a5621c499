"""specs_create.py — rows that make arrays from sizes and numbers."""

import numpy as np

import mxform as mx
from specs import COMPLEX, FLOATS, INTS, REAL, SIGNED, C, a, fixed, row

INEXACT = FLOATS + COMPLEX
F32 = fixed("float32")


def made(name, f, ref, *statics, dtypes=REAL, **kw):
    """A row without array arguments: the dtype goes to f, the same numbers come from NumPy."""
    return row(name, f, ref, *[C(**s) for s in statics], dtypes=("float32",), out=F32, order=0, **kw)


def typed(name, dtype):
    """The makers in one dtype."""
    t = getattr(mx, dtype)
    n = np.float64 if dtype in ("bfloat16",) else np.dtype("bool" if dtype == "bool_" else dtype)
    return row(f"{name}_{dtype}", lambda shape: getattr(mx, name)(shape, dtype=t), lambda shape: getattr(np, name)(shape, n),
               C(shape=(2, 3)), C(shape=()), C(shape=(0, 2)), C(shape=3), dtypes=(dtype,), order=0, ulp=0)


def like(name, value):
    return row(name, getattr(mx, name), getattr(np, name), C(a(2, 3)), C(a()), C(a(0)), dtypes=INEXACT + INTS, order=0,
               ulp=0)


def full_ref(v, shape):
    return np.array(np.broadcast_to(v, shape))


SPECS = [
    *(typed(name, d) for name in ("zeros", "ones") for d in ("float32", "float16", "bfloat16", "int8", "uint64", "bool_", "complex64")),
    like("zeros_like", 0),
    like("ones_like", 1),
    row("full", lambda v, shape: mx.full(shape, v), full_ref, C(a(), shape=(2, 3)), C(a(3), shape=(2, 3)),
        C(a(2, 1), shape=(2, 3)), C(a(), shape=()), C(a(), shape=(0, 2)), dtypes=INEXACT + INTS, order=2, ulp=0),
    row("full_like", lambda x, v: mx.full_like(x, v), lambda x, v: np.array(np.broadcast_to(v, x.shape)),
        C(a(2, 3), a()), C(a(2, 3), a(3)), dtypes=INEXACT, diff=(1,), ulp=0),
    row("full_scalar", lambda x: x * mx.full((2, 3), 2.5), lambda x: x * np.full((2, 3), 2.5), C(a(3)), dtypes=("float32", "float64")),
    made("eye", lambda n, m=None, k=0: mx.eye(n, m, k), lambda n, m=None, k=0: np.eye(n, m, k),
         dict(n=3), dict(n=2, m=4), dict(n=3, k=1), dict(n=3, m=2, k=-1), dict(n=0)),
    made("identity", lambda n: mx.identity(n), np.identity, dict(n=3), dict(n=1)),
    made("tri", lambda n, m=None, k=0: mx.tri(n, m, k), lambda n, m=None, k=0: np.tri(n, m, k), dict(n=3), dict(n=3, m=4, k=1), dict(n=3, k=-1)),
    made("linspace", mx.linspace, np.linspace, dict(start=0, stop=1), dict(start=-1.5, stop=2.5, num=7),
         dict(start=0, stop=4, num=1), dict(start=1, stop=2, num=5, endpoint=False), dict(start=1, stop=2, num=0), sums=True),
    made("arange_float", lambda start, stop, step: mx.arange(start, stop, step), np.arange, dict(start=0.0, stop=5.0, step=1.0),
         dict(start=1.5, stop=-2.0, step=-0.5), dict(start=0.0, stop=0.0, step=1.0), ulp=4),
    row("arange_int", lambda start, stop, step: mx.arange(start, stop, step),
        lambda start, stop, step: np.arange(start, stop, step), C(start=0, stop=5, step=1), C(start=5, stop=-4, step=-2),
        C(start=3, stop=1, step=1), dtypes=("int32",), order=0),
    *(made(name, lambda m, name=name: getattr(mx, name)(m), lambda m, name=name: getattr(np, name)(m), dict(m=1), dict(m=5),
           dict(m=8), dict(m=0), ulp=64, sums=True) for name in ("bartlett", "blackman", "hamming", "hanning")),
    row("tril", mx.tril, np.tril, C(a(3, 3)), C(a(2, 4), k=1), C(a(2, 3, 2), k=-1), C(a(0, 2)), dtypes=INEXACT + INTS, ulp=0),
    row("triu", mx.triu, np.triu, C(a(3, 3)), C(a(2, 4), k=1), C(a(2, 3, 2), k=-1), dtypes=INEXACT + INTS, ulp=0),
    row("diag", mx.diag, np.diag, C(a(3)), C(a(3), k=1), C(a(2), k=-2), C(a(3, 4)), C(a(3, 4), k=1), C(a(3, 2), k=-1),
        C(a(0)), dtypes=INEXACT + INTS, ulp=0),
    row("meshgrid", mx.meshgrid, np.meshgrid, C(a(2), a(3)), C(a(2), a(3), indexing="ij"), C(a(2), a(3), sparse=True),
        C(a(2), a(0)), dtypes=INEXACT + SIGNED, ulp=0),
    row("array_of_arrays", lambda x, y: mx.stack([x, y]) * mx.array([[1.0], [2.0]]).astype(x.dtype),
        lambda x, y: np.stack([x, y]) * np.array([[1.0], [2.0]]), C(a(3), a(3))),
]
