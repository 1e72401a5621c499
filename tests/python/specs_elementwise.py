"""specs_elementwise.py — rows of one argument (and `where`, `clip`), element by element."""

import numpy as np
from scipy import special

import mxform as mx
from specs import (ALL, BOOL, COMPLEX, FLOAT, FLOATS, INTS, IS_BOOL, MAGNITUDE, REAL, SAME, SIGNED, C, Spec, a, at,
                   mask, row)

INEXACT = FLOATS + COMPLEX
FROM_ANY = FLOATS + ("int32", "uint8", "bool_")  # integers become float32
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e10, -1e10, 1e30]
SHAPES = (C(a(2, 3)), C(a()), C(a(0)), C(a(2, 0, 3)))


def unary(name, ref, *, edges=SPECIAL, kinks=None, f=None, complex=True, **kw):
    kw.setdefault("dtypes", FROM_ANY + (COMPLEX if complex else ()))
    kw.setdefault("out", FLOAT)
    kw.setdefault("order", 3)
    return Spec(name, f or getattr(mx, name), ref, list(SHAPES), big=[C(a(10007)), C(a(67, 131))], edges=[C(at(edges))] if edges else [],
                kinks=[C(at(kinks))] if kinks else [], **kw)


def quiet(f):
    def run(*args, **kw):
        with np.errstate(all="ignore"):
            return f(*args, **kw)
    return run


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def rsqrt(x):
    return 1 / np.sqrt(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x)) if np.iscomplexobj(x) else special.expit(x)


SMOOTH = [
    unary("arccos", np.arccos, domain=(-0.9, 0.9)),
    unary("arccosh", np.arccosh, domain=(1.2, 4)),
    unary("arcsin", np.arcsin, domain=(-0.9, 0.9)),
    unary("arcsinh", np.arcsinh),
    unary("arctan", np.arctan),
    unary("arctanh", np.arctanh, domain=(-0.9, 0.9)),
    unary("cos", np.cos, kinks=[0.0]),
    unary("cosh", np.cosh),
    unary("degrees", lambda x: x * (180 / np.pi)),
    unary("erf", special.erf, complex=False),
    unary("erfinv", special.erfinv, domain=(-0.9, 0.9), complex=False, edges=[np.nan, 1.0, -1.0, 0.0, 0.999, -0.9999, 1e-20]),
    unary("exp", np.exp),
    unary("expm1", np.expm1, kinks=[0.0]),
    unary("log", np.log, domain=(0.1, 4)),
    unary("log10", np.log10, domain=(0.1, 4)),
    unary("log1p", np.log1p, domain=(-0.8, 3), kinks=[0.0]),
    unary("log2", np.log2, domain=(0.1, 4)),
    unary("radians", lambda x: x * (np.pi / 180)),
    unary("reciprocal", np.reciprocal, domain=(0.3, 2)),
    unary("rsqrt", rsqrt, domain=(0.2, 4), edges=[np.nan, np.inf, 0.0, -1.0, 4.0, 1e10]),
    unary("sigmoid", sigmoid),
    unary("sin", np.sin, kinks=[0.0]),
    unary("sinh", np.sinh),
    unary("sqrt", np.sqrt, domain=(0.1, 4)),
    unary("tan", np.tan, domain=(-1.2, 1.2)),
    unary("tanh", np.tanh),
    unary("square", np.square, dtypes=INEXACT + INTS, out=SAME, kinks=[0.0, -0.0]),
    unary("negative", np.negative, dtypes=INEXACT + INTS, out=SAME, ulp=0, kinks=[0.0]),
    unary("positive", np.positive, f=lambda x: +x, dtypes=INEXACT + INTS, out=SAME, ulp=0),
    unary("abs", np.abs, dtypes=ALL, out=MAGNITUDE, kinks=[0.0, -0.0, 1.0, -1.0]),
    unary("conj", np.conj, dtypes=ALL, out=SAME, ulp=0),
    unary("conjugate", np.conjugate, dtypes=INEXACT, out=SAME, ulp=0),
    unary("real", np.real, dtypes=INEXACT, out=MAGNITUDE, ulp=0),
    unary("imag", np.imag, dtypes=INEXACT, out=MAGNITUDE, ulp=0),
]

STEPS = [
    unary("ceil", np.ceil, dtypes=REAL, out=SAME, order=0, ulp=0, kinks=[0.0, 1.0]),
    unary("floor", np.floor, dtypes=REAL, out=SAME, order=0, ulp=0, kinks=[0.0, 1.0]),
    unary("trunc", np.trunc, dtypes=REAL, out=SAME, order=0, ulp=0, kinks=[0.0, 1.0]),
    unary("round", np.round, dtypes=REAL, out=SAME, order=0, ulp=0, kinks=[0.5, 1.5, -0.5],
          edges=SPECIAL + [1.5, 2.5, -0.5]),
    row("round_decimals", mx.round, np.round, C(a(2, 3), decimals=1), C(a(2, 3), decimals=-1), domain=(-30, 30),
        order=0),
    unary("sign", np.sign, dtypes=FLOATS + INTS + COMPLEX, out=SAME, order=0, complex_order=1,
          kinks=[0.0, 1.0, -2.0], edges=SPECIAL[1:]),
    unary("stop_gradient", lambda x: x, dtypes=ALL, out=SAME, order=0, ulp=0, fd=False),
]

TESTS = [
    unary(name, getattr(np, name), dtypes=ALL, out=IS_BOOL, order=0)
    for name in ("isfinite", "isinf", "isnan", "logical_not")
] + [
    unary(name, getattr(np, name), dtypes=REAL, out=IS_BOOL, order=0) for name in ("isneginf", "isposinf")
]

OTHER = [
    row("bitwise_invert", mx.bitwise_invert, np.bitwise_not, *SHAPES, dtypes=INTS + BOOL, order=0, ulp=0),
    row("invert_operator", lambda x: ~x, np.bitwise_not, *SHAPES, dtypes=INTS + BOOL, order=0, ulp=0),
    row("abs_builtin", abs, np.abs, *SHAPES, order=2, dtypes=INEXACT, out=MAGNITUDE),
    row("nan_to_num", mx.nan_to_num, nan_to_num, *SHAPES, dtypes=("float32", "float16", "bfloat16", "int32", "complex64"),
        edges=[C(at([np.nan, 1.0, -2.0])), C(at([np.nan, np.inf, -np.inf, 2.0]), nan=3.0, posinf=1.0, neginf=-1.0)]),
    row("where", mx.where, np.where,
        C(mask(2, 3), a(2, 3), a(2, 3)), C(mask(2, 1), a(3), a()), C(mask(), a(2), a(2)), C(mask(0), a(0), a(1)),
        C(at([[True, False]], "bool_"), a(2, 1), a(2, 2)), dtypes=ALL, ulp=0, order=2,
        big=[C(mask(10007), a(10007), a(10007)), C(mask(80, 1), a(1, 90), a())]),
    # The branch that is not taken has an infinite derivative at 0, and must not be heard of.
    row("where_safe", lambda x: mx.where(x > 0, mx.sqrt(x), 0.0), lambda x: np.where(x > 0, np.sqrt(np.abs(x)), 0.0),
        C(a(2, 3, lo=0.3)), kinks=[C(at([0.0, 1.0, -1.0, 4.0]))], order=3),
    row("clip", mx.clip, np.clip, C(a(2, 3), a_min=-1.03, a_max=1.05), C(a(2, 3), a_min=None, a_max=0.5),
        C(a(4), a_min=0.1, a_max=None), C(a(), a_min=-1.0, a_max=1.0), C(a(0), a_min=-1.0, a_max=1.0),
        kinks=[C(at([-1.0, 1.0, 0.0, 3.0]), a_min=-1.0, a_max=1.0)],
        edges=[C(at([np.nan, np.inf, -np.inf]), a_min=-1.0, a_max=1.0)], dtypes=INEXACT),
    row("clip_arrays", lambda x, low, high: mx.clip(x, low, high), np.clip,
        C(a(2, 3), a(3, lo=-1.5, hi=-0.5), a(2, 1, lo=0.5, hi=1.5)), C(a(0, 2), a(2, lo=-1, hi=-0.5), a(lo=0, hi=1)),
        kinks=[C(at([-1.0, 1.0, 0.0]), at([-1.0, 0.0, 0.0]), at([1.0, 1.0, 0.0]))], dtypes=INEXACT + SIGNED, ints=(-3, 3)),
    row("softsign_composite", lambda x: x / (1 + mx.abs(x)), lambda x: x / (1 + np.abs(x)), *SHAPES, order=2, dtypes=INEXACT,
        kinks=[C(at([0.0, 1.0]))]),
]

NUMPY_OF = {"bfloat16": "float64", "float16": "float64", "float32": "float64", "bool_": "bool", "complex64": "complex128"}


def astype(d):
    """A cast; to narrower floats it rounds, so differences say nothing, and from complex it is refused."""
    return row(f"astype_{d}", lambda x: x.astype(getattr(mx, d)), lambda x: x.astype(NUMPY_OF.get(d, d)), *SHAPES,
               dtypes=ALL if d in COMPLEX + BOOL else tuple(t for t in ALL if t not in COMPLEX), out=lambda _: d,
               order=1 if d in INEXACT else 0, fd=False, big=[C(a(10007))], tol=1e-9 if d == "float64" else 1e-2, ulp=1,
               domain=(0, 5), ints=(0, 5))


CASTS = [astype(d) for d in ("float64", "float32", "float16", "bfloat16", "int32", "uint8", "int64", "bool_", "complex64")]

SPECS = SMOOTH + STEPS + TESTS + OTHER + CASTS
for spec in SPECS:
    if spec.ref is not None:
        spec.ref = quiet(spec.ref)
