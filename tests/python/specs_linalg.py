"""specs_linalg.py — rows of factorisations and solvers.

The functions move their argument away from singular matrices themselves, so that every layout and every difference
quotient meets a well-conditioned one. Determinants are also taken at singular matrices.
"""

import numpy as np
import scipy.linalg

import mxform as mx
from specs import C, MAGNITUDE, SAME, a, at, fixed, row

L = mx.linalg
DTYPES = ("float32", "float64", "complex64")


def eye_like(x):
    return np.eye(x.shape[-1]) if isinstance(x, np.ndarray) else mx.eye(x.shape[-1], dtype=x.dtype)


def safe(x):
    """Well-conditioned for elements in [-2, 2]."""
    return x + 3 * (1 + x.shape[-1] ** 0.5) * eye_like(x)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def np_cholesky(x, upper=False):
    x = safe(x)
    low = np.linalg.cholesky((x + adjoint(x)) / 2)
    return adjoint(low) if upper else low


def triangle(x, upper=False):
    return np.triu(x) if upper else np.tril(x)


def np_cholesky_inv(x, upper=False):
    x = triangle(safe(x), upper)
    return np.linalg.inv(adjoint(x) @ x if upper else x @ adjoint(x))


def np_det_gradient(x):
    x = safe(x)
    return np.linalg.det(x)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2)


def np_solve(x, b, upper=None):
    """Vectors are columns, as in every version of NumPy's matmul."""
    x = safe(x)
    x = x if upper is None else triangle(x, upper)
    return (np.linalg.inv(x) @ b[..., None])[..., 0] if b.ndim == 1 else np.linalg.inv(x) @ b


def on_matrices(f, x, *shapes):
    """f on each matrix; `shapes`: of its results for an empty batch."""
    batch = x.shape[:-2]
    found = [f(m) for m in x.reshape((int(np.prod(batch)), *x.shape[-2:]))]
    columns = list(zip(*found)) if found else [np.zeros((0, *s)) for s in shapes]
    return [np.array(c).reshape((*batch, *np.array(c).shape[1:])) for c in columns]


def np_lu(x):
    x = with_pivots(x)
    k = min(x.shape[-2:])
    p, low, up = on_matrices(scipy.linalg.lu, x, (x.shape[-2],) * 2, (x.shape[-2], k), (k, x.shape[-1]))
    return np.argmax(p, -1) if p.size else np.zeros(p.shape[:-1], np.uint32), low, up


def np_lu_factor(x):
    x = with_pivots(x)
    return on_matrices(scipy.linalg.lu_factor, x, x.shape[-2:], (min(x.shape[-2:]),))


def with_pivots(x):
    """x with clear pivots that are not on the diagonal."""
    m, n = x.shape[-2:]
    big = np.zeros((m, n))
    for i in range(min(m, n)):
        big[(i + 1) % m, i] = 6.0 + i
    return x + (big if isinstance(x, np.ndarray) else mx.array(big, dtype=x.dtype))


def singular(n, rank, scale=1.0):
    """Whole numbers, so that the matrix is exactly singular."""
    rng = np.random.default_rng(n * 10 + rank)
    x = rng.integers(-2, 3, (n, rank)) @ rng.integers(-2, 3, (rank, n))
    return scale * x.astype(np.float64)


SQUARE = [C(a(3, 3)), C(a(2, 2, 2)), C(a(1, 1)), C(a(0, 0)), C(a(0, 2, 2)), C(a(2, 0, 0))]
SYSTEMS = [C(a(3, 3), a(3)), C(a(3, 3), a(3, 2)), C(a(2, 2, 2), a(2, 2, 1)), C(a(2, 2), a(3, 2, 2)), C(a(2, 1, 2, 2), a(3, 2, 1)),
           C(a(2, 2, 2), a(2)), C(a(0, 0), a(0)), C(a(2, 2), a(2, 0)), C(a(0, 2, 2), a(2))]
BIG = [C(a(70, 70)), C(a(300, 5, 5)), C(a(9, 17, 17))]
BIG_SYSTEMS = [C(a(70, 70), a(70, 150)), C(a(9, 17, 17), a(17, 3)), C(a(40, 40), a(9, 40, 2)), C(a(5, 3, 3), a(3, 80))]


def upper(cases, *more):
    return [*cases, *(C(*c.args, upper=True) for c in more)]


def family(name, f, ref, *cases, **kw):
    kw.setdefault("dtypes", DTYPES)
    kw.setdefault("ulp", 64)
    return row(name, f, ref, *cases, sums=True, **kw)


SPECS = [
    family("cholesky", lambda x, **kw: L.cholesky(safe(x), **kw), np_cholesky, *upper(SQUARE, SQUARE[0], SQUARE[1]), order=3,
           big=BIG),
    family("cholesky_inv", lambda x, **kw: L.cholesky_inv(safe(x), **kw), np_cholesky_inv, *upper(SQUARE, SQUARE[0]), big=BIG),
    family("inv", lambda x: L.inv(safe(x)), lambda x: np.linalg.inv(safe(x)), *SQUARE, order=3, big=BIG),
    family("tri_inv", lambda x, **kw: L.tri_inv(safe(x), **kw), lambda x, upper=False: np.linalg.inv(triangle(safe(x), upper)),
           *upper(SQUARE, SQUARE[0]), big=BIG),
    family("solve", lambda x, b: L.solve(safe(x), b), np_solve, *SYSTEMS, order=3, big=BIG_SYSTEMS),
    family("solve_triangular", lambda x, b, **kw: L.solve_triangular(safe(x), b, **kw),
           lambda x, b, upper=False: np_solve(x, b, upper), *upper(SYSTEMS, SYSTEMS[1], SYSTEMS[3]), big=BIG_SYSTEMS),
    family("lu", lambda x: L.lu(with_pivots(x)), np_lu, C(a(3, 3)), C(a(2, 2, 3)), C(a(4, 2)), C(a(0, 0)), C(a(0, 2, 2)), C(a(0, 3)),
           out=(fixed("uint32"), SAME, SAME)),
    family("lu_factor", lambda x: L.lu_factor(with_pivots(x)), np_lu_factor, C(a(3, 3)), C(a(2, 3, 2)), C(a(2, 4)), C(a(0, 2, 2)),
           C(a(2, 0)), out=(SAME, fixed("uint32"))),
    family("det", L.det, np.linalg.det, *SQUARE, C(a(4, 4)), order=3, dtypes=(*DTYPES, "float16", "bfloat16")),
    family("det_of_singular", L.det, np.linalg.det, kinks=[C(at(singular(n, rank))) for n in (1, 2, 3) for rank in range(n)]
           + [C(at([[0.0, 1.0], [0.0, 0.0]]))], order=2, fd=True),
    family("det_gradient", mx.grad(lambda x: L.det(safe(x)).sum()), np_det_gradient, *SQUARE, dtypes=("float32", "float64")),
    family("slogdet", L.slogdet, lambda x: tuple(np.linalg.slogdet(x)), *SQUARE, order=3, out=(SAME, MAGNITUDE),
           dtypes=(*DTYPES, "float16", "bfloat16")),
]
