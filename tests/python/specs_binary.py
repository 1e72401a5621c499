"""specs_binary.py — rows of two arguments with broadcasting, element by element."""

import numpy as np

import mxform as mx
from specs import ALL, BOOL, COMPLEX, FLOAT, FLOATS, INTS, IS_BOOL, REAL, SAME, C, Spec, a, at, row
from specs_elementwise import quiet

INEXACT = FLOATS + COMPLEX
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0, 3.5]
PAIRS = tuple(np.array(SPECIAL)[i].reshape(-1) for i in np.meshgrid(range(8), range(8)))
TIES = C(at([1.0, -1.0, 0.0, 2.0]), at([1.0, -1.0, 0.0, 3.0]))


def shapes(left=(None, None), right=(None, None)):
    """The ways in which two shapes meet; ranges of each argument."""
    x = dict(lo=left[0], hi=left[1])
    y = dict(lo=right[0], hi=right[1])
    return [C(a(2, 3, **x), a(2, 3, **y)), C(a(2, 3, **x), a(3, **y)), C(a(2, 1, **x), a(1, 3, **y)),
            C(a(**x), a(3, **y)), C(a(2, **x), a(**y)), C(a(2, 0, **x), a(1, **y)), C(a(0, **x), a(0, **y)),
            C(a(1, 2, 1, **x), a(2, 1, 2, **y))]


def large(left=(None, None), right=(None, None)):
    x = dict(lo=left[0], hi=left[1])
    y = dict(lo=right[0], hi=right[1])
    return [C(a(10007, **x), a(10007, **y)), C(a(90, 1, **x), a(1, 101, **y)), C(a(5000, **x), a(**y)), C(a(70, 130, **x), a(130, **y))]


def binary(name, ref, *, f=None, left=(None, None), right=(None, None), edges=True, kinks=(), **kw):
    kw.setdefault("dtypes", INEXACT + INTS)
    kw.setdefault("order", 3)
    return Spec(name, f or getattr(mx, name), quiet(ref), shapes(left, right), big=large(left, right),
                edges=[C(at(PAIRS[0]), at(PAIRS[1]))] if edges else [], kinks=list(kinks), **kw)


def xlogaddexp(x, y):
    if np.iscomplexobj(x):
        return np.log(np.exp(x) + np.exp(y))
    return np.logaddexp(x, y)


POWERS = C(at([0.0, 0.0, 0.0, 2.0, 0.0]), at([2.0, 1.0, 3.0, 0.0, 0.0]))
SAFE = dict(domain=(-3, 3), ints=(0, 3))

ARITHMETIC = [
    binary("add", np.add, dtypes=ALL),
    binary("subtract", np.subtract),
    binary("multiply", np.multiply, dtypes=ALL, kinks=[C(at([0.0, 0.0, 1.0]), at([0.0, 2.0, 0.0]))]),
    binary("divide", np.divide, right=(0.5, 2), out=FLOAT, dtypes=INEXACT + ("int32", "uint8")),
    binary("floor_divide", np.floor_divide, right=(1.1, 2), order=0, dtypes=REAL, edges=False, ulp=0),
    binary("remainder", np.remainder, right=(1.1, 2), dtypes=REAL, ints=(1, 6), edges=False, order=2),
    binary("divmod", np.divmod, right=(1.1, 2), dtypes=REAL, ints=(1, 6), edges=False, order=2, out=(SAME, SAME)),
    binary("power", np.power, left=(0.3, 2), dtypes=INEXACT, kinks=[POWERS], kink_order=1, edges=False),
    binary("power_int", np.power, f=mx.power, dtypes=INTS, ints=(0, 4), order=0, edges=False, ulp=0),
    binary("maximum", np.maximum, dtypes=ALL, kinks=[TIES], order=2, ulp=0),
    binary("minimum", np.minimum, dtypes=ALL, kinks=[TIES], order=2, ulp=0),
    binary("logaddexp", xlogaddexp, dtypes=INEXACT + ("int32",), out=FLOAT, ulp=8, sums=True,
           kinks=[C(at([0.0, -np.inf, 1.0, -np.inf]), at([0.0, -np.inf, -np.inf, 2.0]))]),
    binary("hypot", np.hypot, dtypes=FLOATS + ("int32",), out=FLOAT, left=(0.2, 2), right=(-2, 2), ulp=4),
    binary("arctan2", np.arctan2, dtypes=FLOATS + ("int32",), out=FLOAT, left=(0.2, 2), right=(-2, 2),
           kinks=[C(at([0.0, 1.0, 0.0, 0.0]), at([0.0, 0.0, 1.0, -1.0]))]),
]

COMPARISONS = [
    binary(name, getattr(np, name), dtypes=ALL, out=IS_BOOL,
           order=0, kinks=[TIES])
    for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
] + [
    binary(name, getattr(np, name), dtypes=ALL, out=IS_BOOL, order=0)
    for name in ("logical_and", "logical_or", "logical_xor")
]

BITS = [
    binary("bitwise_and", np.bitwise_and, dtypes=INTS + BOOL, order=0, edges=False, ulp=0),
    binary("bitwise_or", np.bitwise_or, dtypes=INTS + BOOL, order=0, edges=False, ulp=0),
    binary("bitwise_xor", np.bitwise_xor, dtypes=INTS + BOOL, order=0, edges=False, ulp=0),
    binary("left_shift", np.left_shift, dtypes=INTS, order=0, edges=False, ulp=0, ints=(0, 6)),
    binary("right_shift", np.right_shift, dtypes=INTS, order=0, edges=False, ulp=0, ints=(0, 100)),
]
# A shift by the width of the type or more has no meaning in C; left[0:6], right[0:6] stays below every width.
BITS[-1].cases = shapes(right=(0, 6))
BITS[-1].big = large(right=(0, 6))

OPERATORS = [
    binary("op_add", np.add, f=lambda x, y: x + y, edges=False),
    binary("op_subtract", np.subtract, f=lambda x, y: x - y, edges=False),
    binary("op_multiply", np.multiply, f=lambda x, y: x * y, edges=False),
    binary("op_divide", np.divide, f=lambda x, y: x / y, edges=False, right=(0.5, 2), dtypes=INEXACT),
    binary("op_floordiv", np.floor_divide, f=lambda x, y: x // y, edges=False, right=(1.1, 2), dtypes=REAL, order=0, ulp=0),
    binary("op_mod", np.remainder, f=lambda x, y: x % y, edges=False, right=(1.1, 2), dtypes=REAL),
    binary("op_pow", np.power, f=lambda x, y: x ** y, edges=False, left=(0.3, 2), dtypes=INEXACT),
    binary("op_less", np.less, f=lambda x, y: x < y, edges=False, dtypes=REAL, out=IS_BOOL, order=0),
    binary("op_and", np.bitwise_and, f=lambda x, y: x & y, edges=False, dtypes=INTS + BOOL, order=0),
    binary("op_xor", np.bitwise_xor, f=lambda x, y: x ^ y, edges=False, dtypes=INTS + BOOL, order=0),
    binary("op_lshift", np.left_shift, f=lambda x, y: x << y, edges=False, dtypes=INTS, order=0, ints=(0, 6)),
    row("power_2", lambda x: x ** 2, lambda x: x ** 2, C(a(2, 3)), C(a()), kinks=[C(at([0.0, 1.0]))], dtypes=INEXACT, order=3),
    row("power_3", lambda x: x ** 3, lambda x: x ** 3, C(a(2, 3)), kinks=[C(at([0.0, -1.0]))], dtypes=INEXACT, order=3),
    row("power_minus_1", lambda x: x ** -1, lambda x: 1 / x, C(a(2, 3, lo=0.5)), dtypes=INEXACT, order=3),
    row("scalar_operands", lambda x: 2 - (1 + x * 3) / 4 - (1 / (x + 5)), lambda x: 2 - (1 + x * 3) / 4 - (1 / (x + 5)),
        C(a(2, 3)), C(a()), dtypes=INEXACT, order=3, ulp=12),
]

CLOSE = [
    row("isclose", mx.isclose, np.isclose, C(a(2, 3), a(2, 3)), C(at([1.0, 2.0, np.inf]), at([1.0 + 1e-7, 2.1, np.inf])),
        C(at([np.nan, 1.0]), at([np.nan, 1.0]), equal_nan=True), dtypes=("float32", "complex64"), out=IS_BOOL, order=0),
    row("allclose", mx.allclose, np.allclose, C(a(2, 3), a(2, 3)), C(at([1.0, 2.0]), at([1.0 + 1e-7, 2.0])),
        dtypes=("float32", "complex64"), out=IS_BOOL, order=0),
    row("array_equal", mx.array_equal, np.array_equal, C(a(2, 3), a(2, 3)), C(at([1.0, 2.0]), at([1.0, 2.0])),
        dtypes=REAL + COMPLEX, out=IS_BOOL, order=0),
]

SPECS = ARITHMETIC + COMPARISONS + BITS + OPERATORS + CLOSE
