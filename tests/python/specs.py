"""specs.py — the vocabulary of the table of operations, and the table itself, `SPECS`.

A row (`Spec`) says what an operation computes (a NumPy reference), for which arguments (`C`, made of `A`s),
for which dtypes, how smooth it is and how exact. The rows are in specs_<family>.py; checks.py holds one
generic checker per promise, and test_specs.py runs every checker on every row. To add an operation, add a row.
"""

import importlib
import zlib
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

import mxform as mx

FLOATS = ("float32", "float64", "float16", "bfloat16")
SIGNED = ("int32", "int8", "int16", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTS = SIGNED + UNSIGNED
BOOL = ("bool_",)
COMPLEX = ("complex64",)
REAL = FLOATS + INTS
ALL = FLOATS + INTS + BOOL + COMPLEX

# NumPy has no bfloat16: such values are carried as float32 that bfloat16 can hold.
CARRIER = {**{d: np.dtype(d) for d in REAL if d != "bfloat16"},
           "bfloat16": np.dtype("float32"), "bool_": np.dtype(bool), "complex64": np.dtype("complex64")}
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52, "complex64": 2.0**-22}
TINY = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 0.0, "complex64": 1e-37}


def inexact(dtype):
    return dtype in FLOATS or dtype in COMPLEX


def to_bfloat16(a):
    """Rounds to the nearest value that bfloat16 holds, ties to even."""
    a = np.asarray(a, np.float32)
    bits = a.view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isnan(a), a, rounded)


def carry(a, dtype):
    """`a` in the NumPy dtype that carries `dtype`, rounded as the dtype rounds."""
    with np.errstate(all="ignore"):
        a = np.asarray(a).astype(CARRIER[dtype])
    return to_bfloat16(a) if dtype == "bfloat16" else a


def widen(a, dtype):
    """`a` in the precision in which references are computed."""
    if dtype in COMPLEX:
        return a.astype(np.complex128)
    return a.astype(np.float64) if dtype in FLOATS else a


def name_of(m):
    """The name of an array's dtype as this table writes it."""
    name = str(m.dtype).split(".")[-1]
    return "bool_" if name == "bool" else name


def to_mx(a, dtype):
    return mx.array(np.array(a, order="C"), dtype=getattr(mx, dtype))


def to_np(m):
    return np.array(m.astype(mx.float32) if name_of(m) == "bfloat16" else m)


# ---- the same values in memory laid out otherwise

def _index(a, s):
    return (s,) * a.ndim


def _sliced(a, dtype):
    big = np.ones([2 * n + 1 for n in a.shape], a.dtype)
    big[_index(a, slice(1, None, 2))] = a
    return a, to_mx(big, dtype)[_index(a, slice(1, None, 2))]


def _broadcast(a, dtype):
    one = a[_index(a, slice(0, 1))]
    return np.broadcast_to(one, a.shape).copy(), mx.broadcast_to(to_mx(one, dtype), a.shape)


LAYOUTS = {
    "transposed": lambda a, d: (a, mx.transpose(to_mx(a.T, d))),
    "reversed": lambda a, d: (a, to_mx(a[_index(a, slice(None, None, -1))], d)[_index(a, slice(None, None, -1))]),
    "sliced": _sliced,
    "broadcast": _broadcast,
}


# ---- arguments

@dataclass(eq=False)
class A:
    """One array argument. `dtype` None: the row's, and differentiable if that is inexact.

    Values are distinct and spread over [lo, hi] unless `values` lists them or `make(rng)` makes them.
    """

    shape: tuple
    lo: float | None = None
    hi: float | None = None
    dtype: str | None = None
    values: object = None
    maker: Callable | None = None

    def make(self, spec, dtype, rng, example=0):
        dtype = self.dtype or dtype
        if self.maker is not None:
            return carry(self.maker(rng), dtype)
        if self.values is not None:
            flat = np.array(self.values)
            if example:
                flat = rng.permutation(flat.reshape(-1)).reshape(flat.shape)
            return carry(flat, dtype)
        lo, hi = spec.domain
        lo, hi = lo if self.lo is None else self.lo, hi if self.hi is None else self.hi
        n = int(np.prod(self.shape))
        if dtype in BOOL:
            return rng.random(self.shape) < 0.5
        if dtype in INTS:
            if self.lo is None and self.hi is None:
                lo, hi = spec.ints
            lo = max(lo, 0) if dtype in UNSIGNED else lo
            return rng.integers(int(np.ceil(lo)), int(np.floor(hi)) + 1, self.shape).astype(CARRIER[dtype])

        def spread(lo, hi):
            steps = rng.permutation(n) + rng.uniform(0.1, 0.9, n)
            return (lo + (hi - lo) * steps / max(n, 1)).reshape(self.shape)

        a = spread(lo, hi)
        return carry(a + 1j * spread(-1.0, 1.0) if dtype in COMPLEX else a, dtype)


def a(*shape, **kw):
    """An argument of the row's dtype."""
    return A(shape, **kw)


def ix(*shape, n, lo=0):
    """Indices in [lo, n)."""
    return A(shape, lo=lo, hi=n - 1, dtype="int32")


def at(values, dtype=None):
    """An argument with these very values."""
    values = np.array(values)
    return A(values.shape, values=values, dtype=dtype)


def mask(*shape):
    return A(shape, dtype="bool_")


class C:
    """A case: array arguments and static parameters."""

    def __init__(self, *args, **static):
        self.args, self.static = args, static

    def __repr__(self):
        shapes = ", ".join(str(tuple(x.shape)) for x in self.args)
        return "".join([f"({shapes}", *(f", {k}={v}" for k, v in self.static.items()), ")"])


# ---- dtype of the output from the dtype of the row

def SAME(d):
    return d


def FLOAT(d):
    return d if inexact(d) else "float32"


def MAGNITUDE(d):
    return "float32" if d in COMPLEX else d


def FLOAT_MAGNITUDE(d):
    return MAGNITUDE(FLOAT(d))


def SUMMED(d):
    """Sums of narrow integers are at least 32 bits wide."""
    return "int32" if d in ("bool_", "int8", "int16") else "uint32" if d in ("uint8", "uint16") else d


def fixed(name):
    return lambda d: name


IS_BOOL, INDEX, INT32 = fixed("bool_"), fixed("uint32"), fixed("int32")


# ---- rows

@dataclass(eq=False)
class Spec:
    """One row. `f` and `ref` take a case's arrays, then its static parameters."""

    name: str
    f: Callable
    ref: Callable | None = None            # None: random, compared with itself only
    cases: list = field(default_factory=list)   # smooth points, also 0-dim and 0-size
    kinks: list = field(default_factory=list)   # ties, zeros, edges: both modes must agree and be finite
    edges: list = field(default_factory=list)   # NaN, infinities, huge: values only
    big: list = field(default_factory=list)     # sizes at which kernels block, vectorize and share work: values only
    dtypes: tuple = FLOATS
    out: object = SAME                     # dtype of the output; a tuple for several outputs
    order: int = 2                         # derivatives checked by differences; 0: they are all zero
    ulp: float = 4                         # error allowed, in units of the dtype's eps
    sums: bool = False                     # errors relative to the largest output, not to each
    domain: tuple = (-2.0, 2.0)
    ints: tuple = (-5, 5)
    diff: tuple | None = None              # differentiable arguments; None: those of the row's dtype
    complex_order: int = 2                 # for complex64
    kink_order: int = 2                    # the same for the kinks
    fd: bool = True                        # False: differences say nothing (rounding), but both modes agree
    tol: float = 1e-9                      # how well, relative to the sum of magnitudes

    @property
    def main(self):
        """The dtype in which transformations are compared."""
        return "float64" if "float64" in self.dtypes else self.dtypes[0]

    def rng(self, *salt):
        return np.random.default_rng(zlib.crc32(repr((self.name, *salt)).encode()))

    def make(self, case, dtype, *salt, example=0):
        """NumPy arguments of a case."""
        rng = self.rng(repr(case), dtype, example, *salt)
        return [x.make(self, dtype, rng, example) for x in case.args]

    def arg_dtypes(self, case, dtype):
        return [x.dtype or dtype for x in case.args]

    def to_mx(self, case, values, dtype):
        return [to_mx(v, d) for v, d in zip(values, self.arg_dtypes(case, dtype))]

    def differentiable(self, case, dtype):
        """Positions of the arguments that may carry a tangent."""
        where = range(len(case.args)) if self.diff is None else self.diff
        return [i for i in where if inexact(case.args[i].dtype or dtype)]

    def call(self, case, *args):
        """The outputs as a tuple."""
        out = self.f(*args, **case.static)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)

    def out_dtypes(self, dtype, n):
        return [o(dtype) for o in (self.out if isinstance(self.out, tuple) else (self.out,) * n)]


def row(name, f, ref, *cases, **kw):
    return Spec(name, f, ref, list(cases), **kw)


FAMILIES = ("elementwise", "binary", "create", "movement", "reduce", "matmul", "scan", "index", "assign", "random",
            "linalg", "linalg_spectral", "fft", "standard", "conv", "quantized", "gather_matmul", "fast", "distributed", "control", "transforms")


def load():
    specs = []
    for family in FAMILIES:
        specs += importlib.import_module(f"specs_{family}").SPECS
    names = [s.name for s in specs]
    twice = {n for n in names if names.count(n) > 1}
    assert not twice, f"two rows are called {twice}"
    return specs
