"""specs_reduce.py — rows that combine elements along axes, and softmax."""

import numpy as np
from scipy import special

import mxform as mx
from specs import ALL, BOOL, COMPLEX, FLOAT, FLOAT_MAGNITUDE, FLOATS, INDEX, INT32, INTS, IS_BOOL, REAL, SUMMED, C, a, at, row
from specs_elementwise import quiet

INEXACT = FLOATS + COMPLEX
FROM_ANY = FLOATS + ("int32", "uint8", "bool_")
TIES = [[1.0, 2.0, 2.0], [0.0, 0.0, 0.0], [3.0, -1.0, 3.0]]


def over(*extra, empty=True, **common):
    """The axis choices of a reduction."""
    cases = [C(a(2, 3), **common), C(a(2, 3), axis=0, **common), C(a(2, 3, 2), axis=-1, keepdims=True, **common),
             C(a(2, 3, 2), axis=(0, 2), **common), C(a(2, 3, 2), axis=(-1, 1), keepdims=True, **common), C(a(), **common),
             C(a(4), axis=(0,), **common), C(a(2, 2, 2, 2), axis=(1, 3), **common)]
    if empty:
        cases += [C(a(0, 3), axis=1, **common), C(a(2, 0), axis=0, keepdims=True, **common)]
    return cases + list(extra)


# What is left when nothing is there: only sums and the like have a value.
NOTHING = (C(a(0)), C(a(2, 0), axis=1), C(a(0, 3), axis=0, keepdims=True), C(a(2, 3), axis=()))


def big(**common):
    """Long rows, long columns, everything, and axes between others."""
    return [C(a(70, 1030), axis=1, **common), C(a(70, 1030), axis=0, **common), C(a(33000), axis=0, **common), C(a(7000, 3), axis=0, **common),
            C(a(3, 7000), axis=1, **common), C(a(13, 17, 19), axis=1, **common)]


BIG = big() + [C(a(70, 1030)), C(a(13, 17, 19), axis=(0, 2))]
NARROW = [C(a(70, 1030, lo=0.99, hi=1.01), axis=1), C(a(70, 1030, lo=0.99, hi=1.01), axis=0)]


def lse(x, axis=None, keepdims=False):
    if np.iscomplexobj(x):
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
    return special.logsumexp(x, axis=axis, keepdims=keepdims)


def softmax(x, axis=None):
    if np.iscomplexobj(x):
        return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)
    return x if x.size == 0 else special.softmax(x, axis=axis)


def one_axis(f):
    """argmax and argmin take one axis or none."""
    def run(x, axis=None, keepdims=False):
        return f(x, axis=axis, keepdims=keepdims)
    return run


ARG = [C(a(2, 3)), C(a(2, 3), axis=0), C(a(2, 3, 2), axis=-1, keepdims=True), C(a(3, 2), keepdims=True), C(a()),
       C(a(0, 3), axis=1), C(at(TIES), axis=1), C(at(TIES), axis=0), C(at(TIES))]

SPECS = [
    row("sum", mx.sum, np.sum, *over(*NOTHING), dtypes=ALL, out=SUMMED, order=2, sums=True, big=BIG),
    row("mean", mx.mean, np.mean, *over(), dtypes=INEXACT + FROM_ANY[4:], out=FLOAT, order=2, sums=True, big=BIG),
    row("prod", mx.prod, np.prod, *over(*NOTHING, C(at([[0.0, 2.0, 3.0], [0.0, 0.0, 2.0], [1.0, 2.0, 3.0]]), axis=1),
        C(at([0.0, 0.0, 0.0])), C(at([0.0, 2.0, -1.5]))), dtypes=ALL, out=SUMMED, order=3, sums=True, ints=(-2, 3), big=NARROW),
    row("var", mx.var, np.var, *over(C(a(2, 3), ddof=1), C(a(2, 4), axis=1, ddof=2)), kinks=[C(at([2.0, 2.0, 2.0]))],
        dtypes=INEXACT + FROM_ANY[4:], out=FLOAT_MAGNITUDE, order=3, sums=True, ulp=16, big=BIG),
    row("std", mx.std, np.std, *over()[:5], C(a(2, 3), ddof=1), C(a(0, 3), axis=1),
        kinks=[C(at([2.0, 2.0, 2.0])), C(at([[1.0, 1.0], [1.0, 2.0]]), axis=1)],
        dtypes=INEXACT + FROM_ANY[4:], out=FLOAT_MAGNITUDE, order=3, sums=True, ulp=16, big=BIG),
    row("min", mx.min, np.min, *over(), kinks=[C(at(TIES), axis=1), C(at(TIES))], dtypes=ALL, ulp=0,
        edges=[C(at([1.0, np.nan, -np.inf])), C(at([np.inf, np.inf]))], big=BIG),
    row("max", mx.max, np.max, *over(), kinks=[C(at(TIES), axis=1), C(at(TIES))], dtypes=ALL, ulp=0,
        edges=[C(at([1.0, np.nan, np.inf])), C(at([-np.inf, -np.inf]))], big=BIG),
    row("minmax", mx.minmax, lambda x, axis=None, keepdims=False: (np.min(x, axis, keepdims=keepdims), np.max(x, axis, keepdims=keepdims)),
        *over()[:5], kinks=[C(at(TIES), axis=1)], dtypes=REAL + COMPLEX, ulp=0),
    row("all", mx.all, np.all, *over(*NOTHING), dtypes=ALL, out=IS_BOOL, order=0, big=BIG),
    row("any", mx.any, np.any, *over(*NOTHING), dtypes=ALL, out=IS_BOOL, order=0, big=BIG),
    row("count_nonzero", mx.count_nonzero, np.count_nonzero, *over(), C(a(0)), dtypes=ALL, out=INT32, order=0, ints=(0, 2), big=BIG),
    row("argmin", mx.argmin, one_axis(np.argmin), *ARG, dtypes=ALL, out=INDEX, order=0, big=big()),
    row("argmax", mx.argmax, one_axis(np.argmax), *ARG, dtypes=ALL, out=INDEX, order=0, big=big()),
    row("logsumexp", mx.logsumexp, quiet(lse), *over(), C(a(2, 3), axis=()), order=3, dtypes=INEXACT + FROM_ANY[4:], out=FLOAT,
        ulp=8, kinks=[C(at([-np.inf, 0.0, 1.0])), C(at([-np.inf, -np.inf])), C(at([2.0, 2.0]))],
        edges=[C(at([np.inf, 1.0])), C(at([np.nan, 1.0])), C(at([1000.0, 1000.0])), C(at([-np.inf, -np.inf]))], big=BIG),
    row("softmax", mx.softmax, quiet(softmax), C(a(2, 3)), C(a(2, 3), axis=0), C(a(2, 3), axis=-1), C(a(2, 3, 2), axis=1),
        C(a(2, 3), axis=(0, 1)), C(a(0, 3), axis=1), C(a(2, 0), axis=1), dtypes=INEXACT, order=3, ulp=16, sums=True,
        kinks=[C(at([-np.inf, 0.0, 1.0])), C(at([2.0, 2.0]))], edges=[C(at([1000.0, 999.0, -1000.0])), C(at([np.nan, 1.0]))], big=big()),
    row("softmax_precise", lambda x: mx.softmax(x, axis=-1, precise=True), lambda x: softmax(x, -1), C(a(2, 3)), ulp=2,
        dtypes=FLOATS),
    row("median", mx.median, np.median, C(a(5)), C(a(2, 4)), C(a(3, 4), axis=0), C(a(2, 3, 2), axis=(0, 1), keepdims=True),
        dtypes=INEXACT + ("int32",), out=FLOAT, order=1, kinks=[C(at([1.0, 2.0, 2.0, 3.0]))], big=big()[:4]),
    row("trace", mx.trace, np.trace, C(a(3, 3)), C(a(2, 4), offset=1), C(a(2, 3, 4), axis1=1, axis2=2), C(a(3, 2), offset=-1),
        dtypes=INEXACT + INTS, out=SUMMED, sums=True),
    row("norm_composite", lambda x: mx.sqrt(mx.sum(x * x, axis=-1)), lambda x: np.sqrt(np.sum(x * x, axis=-1)), C(a(2, 3)),
        order=3, sums=True, dtypes=INEXACT),
]
