"""specs_linalg_spectral.py — rows of qr, singular values, eigenvalues, norms.

The vectors of a decomposition have a free sign or phase. Rows ask for functions in which it cancels, or fix it. `apart` moves
the values of a matrix away from each other, so that references in another precision find the same vectors in the same order,
also for the broadcast layout, whose rows are all equal. Repeated values are among the kinks.
"""

import numpy as np
import scipy.linalg

import mxform as mx
from specs import COMPLEX, FLOATS, INTS, MAGNITUDE, C, a, at, fixed, row
from specs import FLOAT_MAGNITUDE

L = mx.linalg
INEXACT = ("float32", "float64", "complex64")
INF = float("inf")


def diagonal(shape):
    """1.5, 3.5, 5.5, ... on the diagonal."""
    m, n = shape[-2:]
    return np.eye(m, n) * (1.5 + 2 * np.arange(n))


def apart(x):
    d = diagonal(x.shape)
    return x + (d if isinstance(x, np.ndarray) else mx.array(d, dtype=x.dtype))


def t(x):
    """The conjugate transpose."""
    y = x.swapaxes(-1, -2)
    return y.conj() if isinstance(x, np.ndarray) else mx.conj(y)


def hermitian(x):
    return (x + t(x)) * 0.5


def spectral(name, f, ref, *cases, **kw):
    kw = {"dtypes": INEXACT, "sums": True, "ulp": 40, "domain": (-0.7, 0.7), **kw}
    return row(name, f, ref, *cases, **kw)


def both(f):
    """A row's function and reference from one text, `f(namespace of linalg, x)`."""
    return lambda *x, **kw: f(L, *x, **kw), lambda *x, **kw: f(np.linalg, *x, **kw)


# ---- functions in which signs and phases cancel

def low_rank(l, x, **kw):
    """What is left of a matrix when its singular values are changed."""
    u, s, vh = l.svd(apart(x))
    k = s.shape[-1]
    return (u[..., :, :k] * (s / (1 + s * s))[..., None, :]) @ vh[..., :k, :]


def left_spaces(l, x):
    """Projections on the first left singular vector, and on those that the matrix does not reach."""
    u, s, vh = l.svd(apart(x))
    return u[..., :, :1] @ t(u[..., :, :1]), u[..., :, s.shape[-1]:] @ t(u[..., :, s.shape[-1]:])


def right_spaces(l, x):
    u, s, vh = l.svd(apart(x))
    return t(vh[..., :1, :]) @ vh[..., :1, :], t(vh[..., s.shape[-1]:, :]) @ vh[..., s.shape[-1]:, :]


def matrix_function(l, x, UPLO="L"):
    w, v = l.eigh(hermitian(x), UPLO)
    return (v * (w / (1 + w * w))[..., None, :]) @ t(v)


def sum_real(v):
    """Vectors turned so that the sum of their components is real and positive."""
    s = v.sum(-2, keepdims=True)
    return v * (t(s).swapaxes(-1, -2) / abs(s))


def eigenvectors(l, x):
    w, v = l.eigh(apart(hermitian(x)))
    return w, sum_real(v)


def polar(l, x):
    """The unitary factor of a matrix: smooth where singular values are equal, too."""
    u, s, vh = l.svd(apart(x))
    return u @ vh


def turned(wv):
    return wv[0], sum_real(wv[1])


# ---- references

def eig_ref(x):
    """Values in the order of the transpose's, as here: LAPACK reads memory in columns."""
    if x.ndim > 2:
        return tuple(np.stack(part) for part in zip(*map(eig_ref, x)))
    w, left = scipy.linalg.eig(x.T, left=True, right=False)
    return w, left.conj()


def norm_ref(x, ord=None, axis=None, keepdims=False):
    if isinstance(axis, list):
        axis = tuple(axis)
    return np.linalg.norm(x, {"f": "fro"}.get(ord, ord), axis, keepdims)


def cross_ref(x, y, axis=-1):
    def three(z):
        if z.shape[axis] == 3:
            return z
        return np.concatenate([z, np.zeros_like(np.take(z, [0], axis))], axis)

    return np.cross(three(x), three(y), axis=axis)


def norm(name, *cases, **kw):
    return row(name, L.norm, norm_ref, *cases, **{"dtypes": FLOATS + COMPLEX, "out": MAGNITUDE, "sums": True, "ulp": 8, **kw})


def repeated(*values):
    """A symmetric matrix with these eigenvalues, exactly, and so singular values."""
    return at(np.diag(np.array(values, float)))


SHAPES = [C(a(3, 3)), C(a(4, 2)), C(a(2, 3)), C(a(2, 3, 2)), C(a(1, 1))]
SQUARE = [C(a(3, 3)), C(a(2, 2, 2)), C(a(1, 1)), C(a(0, 0))]
EIG = dict(dtypes=("complex64", "float32"), fd=False, tol=1e-4, out=fixed("complex64"), ulp=100)
VECTOR = [C(a(4)), C(a(2, 3), axis=0), C(a(2, 3), axis=[1], keepdims=True)]

SPECS = [
    spectral("qr", lambda x: L.qr(apart(x)), lambda x: tuple(np.linalg.qr(apart(x))), *SHAPES, C(a(2, 4)), C(a(0, 2)), C(a(2, 0)), C(a(0, 2, 2)),
             kinks=[C(at(np.diag([2.0, 0.0, 1.0]) - diagonal((3, 3))))], big=[C(a(120, 70)), C(a(70, 120)), C(a(9, 20, 20))], ulp=200),
    spectral("svd_values", lambda x: L.svd(x, compute_uv=False), lambda x: np.linalg.svd(x, compute_uv=False), *SHAPES, C(a(0, 2)), C(a(3, 0)),
             kinks=[C(repeated(1, 1, 2)), C(repeated(2, 2, 2)), C(at(np.ones((3, 2)))), C(at(np.zeros((2, 3))))], out=MAGNITUDE,
             big=[C(a(90, 70)), C(a(9, 20, 30))]),
    spectral("svd_function", *both(low_rank), *SHAPES, kinks=[C(at(np.eye(3) * [1.0, 0.0, -2.0])), C(at([[0.0, 0.0], [0.0, -2.0]]))],
             big=[C(a(60, 80))]),
    spectral("svd_left_spaces", *both(left_spaces), C(a(4, 2)), C(a(2, 4, 2)), C(a(3, 3)), ulp=100),
    spectral("svd_right_spaces", *both(right_spaces), C(a(2, 4)), C(a(3, 2)), ulp=100),
    spectral("svd_polar", *both(polar), C(at(np.diag([2.0, 2.0, 1.0]) - diagonal((3, 3)))), C(at([[-1.5, 3.0], [-3.0, -3.5]])), order=1, complex_order=1),
    row("svd_vectors", L.svd, None, C(a(3, 3)), C(a(3, 2)), C(a(2, 4)), C(a(0, 2)), C(a(2, 0)), kinks=[C(repeated(1, 1, 2)), C(at(np.zeros((3, 2))))],
        dtypes=("float64", "float32")),
    spectral("eigh_values", lambda x, **kw: L.eigvalsh(hermitian(x), **kw), lambda x, **kw: np.linalg.eigvalsh(hermitian(x), **kw), *SQUARE,
             C(a(3, 3), UPLO="U"), kinks=[C(repeated(1, 1, 2)), C(at(np.zeros((3, 3))))], out=MAGNITUDE, big=[C(a(100, 100)), C(a(9, 30, 30))]),
    spectral("eigh_function", *both(matrix_function), C(a(3, 3)), C(a(2, 2, 2), UPLO="U"), C(a(0, 0)), kinks=[C(repeated(1, 1, 2)), C(at(np.zeros((2, 2))))],
             big=[C(a(80, 80))]),
    spectral("eigh_vectors", *both(eigenvectors), C(a(3, 3)), C(a(2, 2, 2)), out=(MAGNITUDE, lambda d: d), ulp=100),
    spectral("eig", lambda x: turned(L.eig(apart(x))), lambda x: turned(eig_ref(apart(x))), *SQUARE, **EIG),
    spectral("eig_vectors", lambda x: L.eig(apart(x)), lambda x: eig_ref(apart(x)), C(a(3, 3)), C(a(2, 2, 2)), **{**EIG, "dtypes": COMPLEX}),
    spectral("eigvals", lambda x: L.eigvals(apart(x)), lambda x: np.linalg.eigvals(t(apart(x)).conj()), *SQUARE, **EIG),
    spectral("pinv", lambda x: L.pinv(apart(x)), lambda x: np.linalg.pinv(apart(x)), *SHAPES, C(a(0, 2)), C(a(3, 0)), ulp=100,
             kinks=[C(at(np.diag([0.5, -3.5, 0.0]))), C(at(-diagonal((3, 2))))], big=[C(a(40, 70))]),
    norm("norm", C(a(3)), C(a(2, 3)), C(a(2, 2, 2)), C(a(2, 2, 2), keepdims=True), C(a()), C(a(2, 3), axis=0), C(a(2, 3, 2), axis=(0, 2)),
         C(a(2, 3), axis=[-1], keepdims=True), C(a(0)), C(a(2, 0), axis=1), kinks=[C(at([0.0, 0.0])), C(at([[0.0, 0.0], [3.0, 4.0]]), axis=1)],
         big=[C(a(300, 200)), C(a(300, 200), axis=0)]),
    *(norm(f"norm_order_{str(p).replace('-', 'minus_').replace('.', '_')}", *[C(*c.args, **c.static, ord=p) for c in VECTOR],
           kinks=[C(at([0.0, 2.0, 2.0, -1.0]), ord=p), C(at([0.0, 0.0]), ord=p)], order=0 if p == 0 else 2, ulp=16)
      for p in (0, 1, 2, 3, 1.5, 0.5, -1, -2, INF, -INF)),
    *(norm(f"matrix_norm_{str(p).replace('-', 'minus_')}", C(a(2, 3), ord=p), C(a(3, 2, 2), ord=p, axis=(0, 2)), C(a(2, 3, 2), ord=p, axis=[-1, 0], keepdims=True),
           kinks=[C(at([[2.0, 0.0], [0.0, 2.0]]), ord=p), C(at(np.zeros((2, 3))), ord=p)], ulp=16) for p in (1, -1, 2, -2, INF, -INF, "fro", "f", "nuc")),
    row("norm_of_integers", L.norm, norm_ref, C(a(4), ord=3), C(a(2, 3)), C(a(2, 3), ord=1), C(a(2, 3), ord=2), dtypes=INTS + ("bool_",), out=FLOAT_MAGNITUDE,
        sums=True, ulp=16),
    row("cross", L.cross, cross_ref, C(a(3), a(3)), C(a(2), a(2)), C(a(2), a(3)), C(a(2, 3), a(3)), C(a(3, 2), a(2, 2), axis=0), C(a(2, 1, 3), a(2, 2)),
        C(a(0, 3), a(3)), dtypes=FLOATS + COMPLEX + INTS, sums=True, ulp=8),
]
