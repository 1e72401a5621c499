"""specs_standard.py — rows of what the array API standard adds to MLX: functions, and further arguments of functions."""

import math

import numpy as np

import mxform as mx
from specs import ALL, BOOL, COMPLEX, FLOAT, FLOAT_MAGNITUDE, FLOATS, INDEX, INT32, INTS, IS_BOOL, REAL, SUMMED, C, a, at, fixed, row
from specs_binary import binary
from specs_elementwise import SPECIAL, unary
from specs_linalg_spectral import apart, t

L = mx.linalg
INEXACT = ("float32", "float64", "complex64")
TIED = [2.0, 1.0, 2.0, 3.0, 1.0]
AXES = [C(a(2, 3), axis=0), C(a(2, 3), axis=-1), C(a(2, 3, 2), axis=1), C(a(0, 2), axis=0)]


def initial(ufunc):
    def run(x, axis=-1):
        first = np.full_like(np.take(x, [], axis=axis), ufunc.identity, shape=[1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)])
        return np.concatenate([first, ufunc.accumulate(x, axis=axis, dtype=x.dtype if x.dtype.kind in "fc" else np.int64)], axis=axis)
    return run


def stable_descending(x, axis=-1):
    n = x.shape[axis]
    return n - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)


def vector_norm(x, axis=None, ord=2, keepdims=False):
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    rest = [i for i in range(x.ndim) if i not in {k % x.ndim for k in axes}]
    y = np.linalg.norm(np.transpose(x, rest + [k % x.ndim for k in axes]).reshape([x.shape[i] for i in rest] + [-1]), ord=ord, axis=-1)
    return np.expand_dims(y, axes) if keepdims else y


def linear(name, f, ref, *cases, **kw):
    return row(name, f, ref, *cases, **{"dtypes": INEXACT, "sums": True, "ulp": 40, "domain": (-0.7, 0.7), **kw})


def complete(l, x):
    """A function of the complete qr in which signs and further columns cancel."""
    q, r = l.qr(apart(x), mode="complete")
    return q @ r, q @ t(q)


def projected(l, x):
    return l.pinv(apart(x), rtol=1e-3) if l is L else l.pinv(apart(x), rcond=1e-3)


SPECS = [
    unary("signbit", np.signbit, dtypes=REAL, out=IS_BOOL, order=0, complex=False, edges=[x for x in SPECIAL if not math.isnan(x)]),
    binary("copysign", np.copysign, dtypes=FLOATS + ("int32",), out=FLOAT, left=(0.2, 2), ulp=0, order=2,
           kinks=[C(at([0.0, 1.0, -1.0]), at([-1.0, 0.0, -0.0]))], edges=False),
    binary("nextafter", np.nextafter, dtypes=("float64",), order=1, ulp=0),
    binary("isin", np.isin, dtypes=ALL, out=IS_BOOL, order=0, edges=False, ulp=0),
    row("isin_ties", mx.isin, np.isin, C(at([1.0, 2.0, -0.0]), at([[0.0], [2.0]])), C(a(2), a(0)), C(at(TIED), at([3.0, 1.0]), invert=True),
        dtypes=ALL, out=IS_BOOL, order=0),
    row("sort_descending", lambda x, axis=-1: mx.sort(x, axis=axis, descending=True), lambda x, axis=-1: np.flip(np.sort(x, axis=axis), axis),
        *AXES, kinks=[C(at(TIED))], dtypes=REAL + COMPLEX, ulp=0),
    row("argsort_descending", lambda x, axis=-1: mx.argsort(x, axis=axis, descending=True), stable_descending, *AXES, C(at(TIED)),
        dtypes=REAL + COMPLEX, out=INDEX, order=0),
    row("cumulative_sum", lambda x, axis=-1: mx.cumulative_sum(x, axis=axis, include_initial=True), initial(np.add), *AXES,
        dtypes=FLOATS + COMPLEX + INTS, out=SUMMED, sums=True),
    row("cumulative_prod", lambda x, axis=-1: mx.cumulative_prod(x, axis=axis, include_initial=True), initial(np.multiply), *AXES,
        kinks=[C(at([1.0, 0.0, 2.0]))], dtypes=FLOATS + COMPLEX, sums=True, order=2),
    row("diff_ends", lambda x, p, q: mx.diff(x, prepend=p, append=q), lambda x, p, q: np.diff(x, prepend=p, append=q),
        C(a(2, 3), a(2, 1), a(2, 2)), dtypes=FLOATS + COMPLEX),
    row("repeat_counts", lambda x: mx.repeat(x, mx.array([2, 0, 1]), axis=0), lambda x: np.repeat(x, [2, 0, 1], axis=0), C(a(3)), C(a(3, 2)),
        dtypes=REAL + BOOL + COMPLEX, ulp=0),
    row("sum_dtype", lambda x: mx.sum(x, axis=0, dtype=mx.float64), lambda x: np.sum(x, axis=0, dtype=np.float64), C(a(2, 3)),
        dtypes=FLOATS + INTS, out=fixed("float64"), sums=True),
    row("var_correction", lambda x: mx.var(x, axis=-1, correction=0.5), lambda x: np.var(x, axis=-1, ddof=0.5), C(a(2, 3)),
        dtypes=FLOATS + COMPLEX, out=FLOAT_MAGNITUDE, sums=True, ulp=8),
    row("std_correction", lambda x: mx.std(x, axis=-1, correction=0.5), lambda x: np.std(x, axis=-1, ddof=0.5), C(a(2, 3)),
        dtypes=FLOATS + COMPLEX, out=FLOAT_MAGNITUDE, sums=True, ulp=8),
    linear("vector_norm", L.vector_norm, vector_norm, C(a(2, 3)), C(a(2, 3, 2), axis=(0, 2), ord=3), C(a(2, 3), axis=-1, ord=math.inf, keepdims=True),
           C(a(), ord=1), C(a(2, 2), axis=(0, 1), ord=1, keepdims=True), kinks=[C(at([[0.0, 0.0], [0.0, 0.0]]))], kink_order=1,
           out=FLOAT_MAGNITUDE, ulp=12),
    linear("matrix_norm", L.matrix_norm, lambda x, ord="fro": np.linalg.norm(x, ord=ord, axis=(-2, -1)), C(a(2, 3)), C(a(2, 2, 3), ord="nuc"),
           C(a(2, 3), ord=math.inf), out=FLOAT_MAGNITUDE),
    linear("matrix_power", lambda x: L.matrix_power(x, 3), lambda x: np.linalg.matrix_power(x, 3), C(a(3, 3)), C(a(2, 2, 2))),
    linear("matrix_power_inverse", lambda x: L.matrix_power(apart(x), -2), lambda x: np.linalg.matrix_power(apart(x), -2), C(a(2, 2))),
    linear("matrix_rank", lambda x: L.matrix_rank(apart(x)), lambda x: np.linalg.matrix_rank(apart(x)), C(a(2, 3, 2)), C(a(2, 2)), out=INT32, order=0),
    linear("svdvals", lambda x: L.svdvals(apart(x)), lambda x: np.linalg.svd(apart(x), compute_uv=False), C(a(2, 3)), C(a(2, 3, 2)), out=FLOAT_MAGNITUDE),
    linear("pinv_rtol", lambda x: projected(L, x), lambda x: projected(np.linalg, x), C(a(3, 2)), C(a(2, 2, 3))),
    linear("qr_complete", lambda x: complete(L, x), lambda x: complete(np.linalg, x), C(a(3, 2)), C(a(2, 2, 3)), tol=1e-7),
    row("diagonal_of_matrices", L.diagonal, lambda x, offset=0: np.diagonal(x, offset, -2, -1), C(a(2, 3, 3)), C(a(3, 2), offset=-1),
        dtypes=FLOATS + COMPLEX + ("int32",), ulp=0),
    row("trace_of_matrices", L.trace, lambda x, offset=0: np.trace(x, offset, -2, -1), C(a(2, 3, 3)), C(a(3, 2), offset=-1),
        dtypes=FLOATS + COMPLEX + ("int8",), out=SUMMED, sums=True),
    row("hfft", mx.fft.hfft, np.fft.hfft, C(a(2, 4)), C(a(3, 2), n=5, axis=0), C(a(3), n=3, norm="ortho"), C(a(3), norm="forward"),
        dtypes=COMPLEX, out=fixed("float32"), sums=True, ulp=8, tol=1e-5),
    row("ihfft", mx.fft.ihfft, np.fft.ihfft, C(a(2, 4)), C(a(3, 2), n=5, axis=0), C(a(3), n=2, norm="ortho"), C(a(3), norm="forward"),
        dtypes=("float32", "int32"), out=fixed("complex64"), sums=True, ulp=8, tol=1e-5),
]
