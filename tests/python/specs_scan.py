"""specs_scan.py — rows of running totals, sorting and searching."""

import numpy as np

import mxform as mx
from specs import ALL, BOOL, COMPLEX, FLOAT, FLOATS, INDEX, INTS, REAL, C, a, at, row
from specs_elementwise import quiet

INEXACT = FLOATS + COMPLEX
TIES = [[1.0, 2.0, 2.0], [0.0, 0.0, 0.0], [3.0, -1.0, 3.0]]


def scan(f, start):
    """A NumPy running total with MLX's options; `start` is what an exclusive scan begins with."""
    def run(x, axis=None, reverse=False, inclusive=True):
        if axis is None:
            x, axis = x.reshape(-1), 0
        x = np.flip(x, axis) if reverse else x
        y = f(x, axis=axis).astype(x.dtype) if x.dtype != bool else f(x, axis=axis)
        if not inclusive:
            first = np.full_like(np.take(y, [0], axis), start(y.dtype)) if y.shape[axis] else y
            y = np.concatenate([first, np.take(y, range(y.shape[axis] - 1), axis)], axis) if y.shape[axis] else y
        return np.flip(y, axis) if reverse else y
    return run


def logcumsumexp(x, axis):
    return np.log(np.cumsum(np.exp(x), axis=axis)) if np.iscomplexobj(x) else np.logaddexp.accumulate(x, axis=axis)


def lowest(dtype):
    return -np.inf if dtype.kind in "fc" else np.iinfo(dtype).min


def highest(dtype):
    return np.inf if dtype.kind in "fc" else np.iinfo(dtype).max


WAYS = [C(a(2, 3), axis=0), C(a(2, 3), axis=-1), C(a(2, 3)), C(a(2, 3), axis=1, reverse=True), C(a(4), axis=0, inclusive=False),
        C(a(2, 3), axis=0, reverse=True, inclusive=False), C(a(2, 3, 2), axis=1), C(a(0), axis=0), C(a(2, 0, 3), axis=1), C(a(1), axis=0)]
BIG = [C(a(70, 1030), axis=1), C(a(70, 1030), axis=0, reverse=True), C(a(33000), axis=0, inclusive=False), C(a(3, 7000), axis=1, reverse=True),
       C(a(13, 17, 19), axis=1)]
ONES = [C(a(70, 1030, lo=0.99, hi=1.01), axis=1), C(a(5000, lo=0.99, hi=1.01), axis=0, reverse=True)]
INCLUSIVE = [c for c in WAYS if c.static.get("inclusive", True)]
ZEROS = [C(at([2.0, 0.0, 3.0, 0.0, 1.5]), axis=0), C(at([0.0, 0.0]), axis=0), C(at([2.0, 0.0, 3.0]), axis=0, reverse=True),
         C(at([2.0, 0.0, 3.0]), axis=0, inclusive=False)]
TIED = [C(at(TIES), axis=1), C(at(TIES), axis=0, reverse=True)]

SCANS = [
    row("cumsum", mx.cumsum, scan(np.cumsum, lambda d: 0), *WAYS, dtypes=INEXACT + INTS + BOOL,
        out=lambda d: "int32" if d == "bool_" else d, sums=True, big=BIG),
    row("cumprod", mx.cumprod, scan(np.cumprod, lambda d: 1), *WAYS, *ZEROS, dtypes=INEXACT + INTS, order=3, sums=True, ints=(-2, 3), big=ONES),
    row("cummax", mx.cummax, scan(np.maximum.accumulate, lowest), *WAYS, kinks=TIED, dtypes=REAL + COMPLEX, ulp=0, big=BIG),
    row("cummin", mx.cummin, scan(np.minimum.accumulate, highest), *WAYS, kinks=TIED, dtypes=REAL + COMPLEX, ulp=0, big=BIG),
    row("logcumsumexp", mx.logcumsumexp, quiet(scan(logcumsumexp, lambda d: -np.inf)), *INCLUSIVE, dtypes=INEXACT + ("int32",),
        out=FLOAT, order=3, ulp=16, sums=True, kinks=[C(at([-np.inf, 0.0, 1.0]), axis=0), C(at([-np.inf, -np.inf]), axis=0)],
        big=BIG[:2] + BIG[3:]),
]
# An exclusive running maximum starts at -inf, whose finite differences are NaN: values and both modes only.
for spec in SCANS[2:4]:
    spec.kinks += [c for c in spec.cases if not c.static.get("inclusive", True)]
    spec.cases = [c for c in spec.cases if c.static.get("inclusive", True)]

LONG = [C(a(5000)), C(a(70, 300), axis=0), C(a(70, 300), axis=1), C(a(33000))]
SORTS = [C(a(2, 3), axis=0), C(a(2, 5)), C(a(2, 3), axis=None), C(a(2, 3, 2), axis=1), C(a(0), axis=0), C(a(3, 0), axis=0), C(a(1))]


def kth_of_partition(x, kth, axis=-1):
    """Element kth of a partition: the others may come in any order."""
    return mx.take(mx.partition(x, kth, axis=axis), mx.array([kth]), axis=axis)


def kth_of_argpartition(x, kth, axis=-1):
    return mx.take_along_axis(x, mx.take(mx.argpartition(x, kth, axis=axis), mx.array([kth]), axis=axis), axis=axis)


def kth(x, kth, axis=-1):
    return np.take(np.sort(x, axis=axis), [kth], axis=axis)


KTH = [C(a(5), kth=2), C(a(2, 4), kth=1), C(a(4, 2), kth=3, axis=0)]


def searchsorted(s, v, side="left"):
    return np.searchsorted(s, v, side=side)


SPECS = SCANS + [
    row("sort", mx.sort, np.sort, *SORTS, kinks=TIED[:1], dtypes=ALL, ulp=0, big=LONG,
        edges=[C(at([np.nan, 1.0, -np.inf, np.inf, 0.0, np.nan]))]),
    row("argsort", mx.argsort, lambda x, axis=-1: np.argsort(x, axis=axis, kind="stable"), *SORTS, C(at(TIES), axis=1),
        dtypes=INEXACT + INTS, out=INDEX, order=0, big=LONG),
    row("argsort_gathers", lambda x: mx.take_along_axis(x, mx.argsort(x, axis=-1), axis=-1), lambda x: np.sort(x, axis=-1),
        C(a(2, 4)), dtypes=REAL + COMPLEX, ulp=0),
    row("partition", kth_of_partition, kth, *KTH, dtypes=REAL + COMPLEX, ulp=0, big=[C(a(5000), kth=1234), C(a(30, 300), kth=7)]),
    row("argpartition", kth_of_argpartition, kth, *KTH, dtypes=REAL + COMPLEX, ulp=0, big=[C(a(5000), kth=1234), C(a(30, 300), kth=7)]),
    row("topk", lambda x, k, axis=-1: mx.sort(mx.topk(x, k, axis=axis), axis=axis),
        lambda x, k, axis=-1: np.take(np.sort(x, axis=axis), range(x.shape[axis] - k, x.shape[axis]), axis=axis),
        C(a(5), k=2), C(a(2, 4), k=3), C(a(4, 2), k=1, axis=0), C(a(3), k=3), dtypes=REAL + COMPLEX, ulp=0, big=[C(a(5000), k=100)]),
    row("searchsorted", mx.searchsorted, searchsorted, C(at([-1.0, 0.0, 1.0, 1.0, 2.0]), at([1.0, -3.0, 0.5, 2.0, 9.0])),
        C(at([-1.0, 0.0, 1.0, 1.0, 2.0]), at([[1.0, -3.0], [0.0, 2.0]]), side="right"), C(at([1.0, 2.0]), a(0)), dtypes=("float32", "int32", "complex64"),
        out=INDEX, order=0),
]
# A sorted sequence cannot be shuffled into further examples, so its batch is made sorted.
SPECS[-1].cases = [C(type(c.args[0])(c.args[0].shape, maker=lambda rng, n=c.args[0].shape[0]: np.sort(rng.integers(-3, 4, n))),
                     *c.args[1:], **c.static) for c in SPECS[-1].cases]
