"""specs_matmul.py — rows of products with contracted axes."""

import numpy as np

import mxform as mx
from specs import COMPLEX, FLOATS, INTS, C, a, row

INEXACT = FLOATS + COMPLEX


def product(name, f, ref, *cases, **kw):
    kw.setdefault("dtypes", INEXACT)
    return row(name, f, ref, *cases, sums=True, ulp=8, **kw)


def einsum(subscripts, *cases):
    """One equation; its name is made fit for `pytest -k`."""
    name = "einsum_" + subscripts.replace("->", "_to_").replace(",", "_").replace("...", "etc")
    return product(name, lambda *x: mx.einsum(subscripts, *x), lambda *x: np.einsum(subscripts, *x), *cases)


MATMUL = [C(a(3, 4), a(4, 2)), C(a(4), a(4)), C(a(4), a(4, 2)), C(a(3, 4), a(4)), C(a(2, 3, 2), a(2, 2, 4)),
          C(a(2, 1, 3, 2), a(3, 2, 2)), C(a(2, 2, 3), a(3, 2)), C(a(2, 3), a(2, 3, 2)), C(a(3), a(2, 3, 2)), C(a(1, 1), a(1, 1)),
          C(a(0, 3), a(3, 2)), C(a(2, 0), a(0, 3)), C(a(0, 2, 3), a(0, 3, 2)), C(a(0), a(0))]
BIG = [C(a(130, 257), a(257, 65)), C(a(1000), a(1000)), C(a(5, 33, 70), a(70, 41)), C(a(300), a(300, 400)), C(a(400, 300), a(300)),
       C(a(7, 40, 50), a(7, 50, 30)), C(a(1, 600), a(600, 1)), C(a(600, 1), a(1, 600)), C(a(17, 2), a(2, 500))]
SCALED = dict(alpha=2.0, beta=-0.5)


def addmm(c, x, y, alpha=1.0, beta=1.0):
    return alpha * (x @ y) + beta * c


SPECS = [
    product("matmul", mx.matmul, np.matmul, *MATMUL, order=3, big=BIG),
    product("matmul_operator", lambda x, y: x @ y, np.matmul, C(a(2, 3), a(3, 2)), C(a(3), a(3)), dtypes=INEXACT + INTS),
    product("matmul_transposed", lambda x, y: x.T @ y.T, lambda x, y: x.T @ y.T, C(a(3, 2), a(4, 3)), big=[C(a(100, 70), a(90, 100))]),
    product("addmm", mx.addmm, addmm, C(a(3, 2), a(3, 4), a(4, 2)), C(a(3, 2), a(3, 4), a(4, 2), **SCALED),
            C(a(2), a(3, 4), a(4, 2), **SCALED), C(a(), a(3, 2), a(2, 2), alpha=0.0), C(a(2, 3, 2), a(2, 3, 2), a(2, 2, 2), **SCALED),
            C(a(2, 2), a(3, 2, 2), a(2, 2), beta=2.0), C(a(2), a(0, 2), a(2, 2)), C(a(2, 2), a(2, 0), a(0, 2), beta=3.0), order=3,
            big=[C(a(65), a(130, 257), a(257, 65), **SCALED), C(a(130, 65), a(130, 257), a(257, 65))]),
    product("inner", mx.inner, np.inner, C(a(3), a(3)), C(a(2, 3), a(4, 3)), C(a(2, 3), a(3)), C(a(2, 2, 3), a(2, 3)),
            C(a(0, 2), a(3, 2))),
    product("outer", mx.outer, np.outer, C(a(2), a(3)), C(a(2, 2), a(3)), C(a(), a(2)), C(a(0), a(2)), dtypes=INEXACT + INTS),
    product("tensordot", mx.tensordot, np.tensordot, C(a(2, 3, 4), a(3, 4, 2)), C(a(2, 3), a(3, 4), axes=1), C(a(2), a(3), axes=0),
            C(a(2, 3, 4), a(4, 2), axes=([0, 2], [1, 0])), C(a(2, 3), a(3, 2), axes=([-1], [0]))),
    product("vecdot", mx.vecdot, lambda x, y, axis=-1: np.sum(np.conj(x) * y, axis=axis), C(a(2, 3), a(2, 3)),
            C(a(3), a(2, 3)), C(a(3, 2), a(3, 2), axis=-2)),
    product("kron", mx.kron, np.kron, C(a(2, 3), a(2, 2)), C(a(2), a(3)), C(a(2, 2), a(3)), dtypes=INEXACT + ("int32",)),
    einsum("ij,jk->ik", C(a(2, 3), a(3, 4)), C(a(0, 3), a(3, 2))),
    einsum("ij->ji", C(a(2, 3))),
    einsum("ii->i", C(a(3, 3))),
    einsum("ii", C(a(3, 3))),
    einsum("ij->", C(a(2, 3))),
    einsum("i,j->ij", C(a(2), a(3))),
    einsum("bij,bjk->bik", C(a(2, 2, 3), a(2, 3, 2))),
    einsum("ij,jk,kl->il", C(a(2, 3), a(3, 2), a(2, 2))),
    einsum("...i,i->...", C(a(2, 2, 3), a(3))),
    einsum("ij,ij", C(a(2, 3), a(2, 3))),
    einsum("ijk,kji->j", C(a(2, 3, 2), a(2, 3, 2))),
]
