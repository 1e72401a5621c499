"""test_linalg.py — factorisations and solvers beyond the table: which triangle is read, what is not positive definite or
singular, large matrices against SciPy, batches and threads, shared factors, and where LAPACK comes from."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

import mxform as mx
from specs import to_np

L = mx.linalg
F64 = mx.float64
SIZES = (1, 2, 7, 33, 64, 130, 257)


def rng(*seed):
    return np.random.default_rng((13, *seed))


def f64(x):
    return mx.array(np.ascontiguousarray(x), dtype=F64)


def close(got, want, tol=1e-10):
    got, want = to_np(got), np.asarray(want)
    assert got.shape == want.shape
    assert np.abs(got - want).max(initial=0) <= tol * max(1.0, np.abs(want).max(initial=0)), np.abs(got - want).max()


def general(n, m=None, seed=0):
    return rng(n, seed).normal(size=(n, m or n))


def definite(n, seed=0):
    x = general(n, seed=seed)
    return x @ x.T / n + np.eye(n)


# ---- large matrices, every layout

LAYOUTS = {
    "rows": lambda x: f64(x),
    "columns": lambda x: mx.swapaxes(f64(np.swapaxes(x, -1, -2)), -1, -2),
    "reversed": lambda x: f64(x[..., ::-1, ::-1])[..., ::-1, ::-1],
    "every second": lambda x: f64(np.repeat(np.repeat(x, 2, -1), 2, -2))[..., ::2, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", SIZES)
def test_all_agree_with_scipy_in_every_layout(n, layout):
    lay = LAYOUTS[layout]
    x, s, b = general(n) + 3 * np.eye(n), definite(n), general(n, 70)
    close(L.inv(lay(x)), np.linalg.inv(x), 1e-8)
    close(L.solve(lay(x), lay(b)), np.linalg.solve(x, b), 1e-8)
    close(L.solve(lay(x), lay(b)[:, 3]), np.linalg.solve(x, b[:, 3]), 1e-8)
    close(L.cholesky(lay(s)), np.linalg.cholesky(s))
    close(L.cholesky(lay(s), upper=True), np.linalg.cholesky(s).T)
    close(L.cholesky_inv(lay(np.linalg.cholesky(s))), np.linalg.inv(s))
    close(L.slogdet(lay(x))[1], np.linalg.slogdet(x)[1])
    close(L.det(lay(x) / n), np.linalg.det(x / n))
    for upper in (False, True):
        t = s * 2 + np.triu(x) / n  # neither triangle is that of a symmetric matrix
        close(L.tri_inv(lay(t), upper), np.linalg.inv(np.triu(t) if upper else np.tril(t)), 1e-8)
        close(L.solve_triangular(lay(t), lay(b), upper=upper), scipy.linalg.solve_triangular(t, b, lower=not upper), 1e-8)
    factors, pivots = L.lu_factor(lay(x))
    want, want_pivots = scipy.linalg.lu_factor(x)
    close(factors, want, 1e-9)
    assert pivots.tolist() == want_pivots.tolist()


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (2, 3, 4), (0, 3), (3, 0), (2, 0, 0)])
def test_lu_restores_the_matrix(shape):
    x = f64(rng(*shape).normal(size=shape))
    p, low, up = L.lu(x)
    k = min(shape[-2:])
    assert p.dtype == mx.uint32 and low.shape == (*shape[:-1], k) and up.shape == (*shape[:-2], k, shape[-1])
    close(mx.take_along_axis(low, p[..., None], axis=-2) @ up, to_np(x))
    if len(shape) == 2:
        close((low @ up)[p, :], to_np(x))
    assert np.array_equal(np.triu(to_np(low), 1), np.zeros(low.shape)) and np.array_equal(np.tril(to_np(up), -1), np.zeros(up.shape))


# ---- conventions

def test_cholesky_takes_the_hermitian_part():
    x = definite(4) + np.triu(general(4), 1)
    close(L.cholesky(f64(x)), np.linalg.cholesky((x + x.T) / 2))
    g = mx.grad(lambda x: (L.cholesky(x) ** 2).sum() + L.cholesky(x)[3, 0])(f64(x))
    close(g, to_np(g).T)


def test_only_one_triangle_is_read():
    x = np.tril(general(4)) + 4 * np.eye(4)
    dirty = np.where(np.tril(np.ones((4, 4))) > 0, x, np.nan)
    for f in (L.tri_inv, L.cholesky_inv, lambda a: L.solve_triangular(a, f64(np.ones(4)))):
        close(f(f64(dirty)), to_np(f(f64(x))))
    close(mx.grad(lambda a: L.solve_triangular(a, f64(np.ones(4))).sum())(f64(x)),
          np.tril(to_np(mx.grad(lambda a: L.solve_triangular(a, f64(np.ones(4))).sum())(f64(x)))))


@pytest.mark.parametrize("name", ["solve", "solve_triangular"])
def test_a_vector_is_one_right_hand_side_for_the_whole_batch(name):
    solve = getattr(L, name)
    x, v = f64(rng(1).normal(size=(3, 2, 2)) + 4 * np.eye(2)), f64([1.0, 2.0])
    got = solve(x, v)
    assert got.shape == (3, 2)
    close(got, np.stack([to_np(solve(x[i], v)) for i in range(3)]))


def test_dtypes_promote_before_solving():
    x, b = mx.array([[2.0, 0.0], [0.0, 4.0]]), mx.array([2, 4])
    assert L.solve(x, b).dtype == mx.float32 and L.solve(x, b).tolist() == [1.0, 1.0]
    assert L.solve(mx.array([[2, 0], [0, 4]]), x).dtype == mx.float32
    assert L.solve(x, mx.array([2j, 4.0])).dtype == mx.complex64
    assert L.solve_triangular(x.astype(F64), b).dtype == F64


def test_determinants_of_integers_and_halves():
    x = mx.array([[1, 2], [3, 4]])
    assert L.det(x).dtype == mx.float32 and abs(L.det(x).item() + 2) < 1e-6
    for t in (mx.float16, mx.bfloat16):
        sign, log = L.slogdet(x.astype(t))
        assert L.det(x.astype(t)).dtype == sign.dtype == log.dtype == t and sign.item() == -1


def test_complex_determinants():
    x = rng(3).normal(size=(4, 3, 3)) + 1j * rng(4).normal(size=(4, 3, 3))
    x = x.astype(np.complex64)
    sign, log = L.slogdet(mx.array(x))
    want = np.linalg.slogdet(x)
    assert sign.dtype == mx.complex64 and log.dtype == mx.float32
    assert np.allclose(to_np(sign), want[0], atol=1e-5) and np.allclose(to_np(log), want[1], atol=1e-5)
    assert np.allclose(to_np(L.det(mx.array(x))), np.linalg.det(x), atol=1e-4)


def test_determinants_that_overflow_have_a_logarithm():
    sign, log = L.slogdet(mx.eye(200) * -10.0)
    assert sign.item() == 1 and abs(log.item() - 200 * np.log(10)) < 1e-2
    assert L.det(mx.eye(200) * 10.0).item() == np.inf


# ---- what has no result

@pytest.mark.parametrize("bad", [-np.eye(3), np.ones((3, 3)), np.full((3, 3), np.nan), np.diag([1.0, np.nan, 1.0])])
def test_cholesky_of_what_is_not_positive_definite_is_nan_alone_in_its_batch(bad):
    good = definite(3)
    got = to_np(L.cholesky(f64(np.stack([good, bad, good]))))
    assert np.isnan(got[1]).all() and np.allclose(got[[0, 2]], np.linalg.cholesky(good))
    assert np.isnan(to_np(L.cholesky(f64(bad), upper=True))).all()


def test_a_failed_cholesky_that_is_not_used_has_zero_gradient():
    def f(x):
        c = L.cholesky(x)
        return mx.where(mx.isnan(c), 0.0, c).sum()

    x = f64(np.stack([definite(3), -np.eye(3)]))
    g = to_np(mx.grad(f)(x))
    assert np.isfinite(g).all() and not g[1].any() and g[0].any()
    assert np.isfinite(to_np(mx.grad(lambda x: (mx.grad(f)(x) ** 2).sum())(x))).all()
    assert np.isnan(to_np(mx.grad(lambda x: L.cholesky(x).sum())(x))[1]).all()


SINGULAR = [("inv", lambda x: L.inv(x)), ("solve", lambda x: L.solve(x, mx.ones(2))), ("tri_inv", lambda x: L.tri_inv(x)),
            ("tri_inv", lambda x: L.cholesky_inv(x)), ("solve_triangular", lambda x: L.solve_triangular(x, mx.ones(2)))]


@pytest.mark.parametrize("op, f", SINGULAR)
def test_what_needs_an_inverse_raises_for_a_singular_matrix_and_names_it(op, f):
    x = mx.array([[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(mx.BackendError, match=rf"\[linalg.{op}\] the matrix is singular: pivot 1"):
        mx.eval(f(x))
    with pytest.raises(RuntimeError, match=rf"\[linalg.{op}\] matrix 1 of the batch is singular"):
        mx.eval(f(mx.stack([mx.eye(2), x, mx.eye(2)])))
    with pytest.raises(RuntimeError):
        mx.eval(mx.grad(lambda x: f(x).sum())(x))


def test_matrices_with_nan_give_nan():
    for n in (2, 5, 70):
        x = general(n) + 4 * np.eye(n)
        x[0, 0] = np.nan
        assert np.isnan(to_np(L.inv(f64(x)))).any() and np.isnan(to_np(L.solve(f64(x), f64(np.ones(n))))).any()
        assert np.isnan(L.det(f64(x)).item()) and np.isnan(L.slogdet(f64(x))[1].item())
        x[:] = np.nan
        for out in (*L.lu(f64(x)), *L.lu_factor(f64(x))):
            mx.eval(out)
        assert sorted(L.lu(f64(x))[0].tolist()) == list(range(n))


def test_lu_of_a_singular_matrix_is_a_factorisation_and_differentiable():
    x = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 1.0], [6.0, 7.0, 4.0]])  # the last row is the first and twice the second
    p, low, up = L.lu(f64(x))
    close((low @ up)[p], x)
    t = general(3)
    for k in (0, 1):
        got = mx.jvp(lambda x: L.lu(x)[1:], [f64(x)], [f64(t)])[1][k]
        h = 1e-6
        close(got, (to_np(L.lu(f64(x + h * t))[1 + k]) - to_np(L.lu(f64(x - h * t))[1 + k])) / (2 * h), 1e-6)


# ---- determinants of singular matrices

def adjugate(x):
    n = len(x)
    minor = [[np.linalg.det(np.delete(np.delete(x, j, 0), i, 1)) * (-1) ** (i + j) for j in range(n)] for i in range(n)]
    return np.array(minor)


@pytest.mark.parametrize("n", [2, 3, 4, 6])
@pytest.mark.parametrize("drop", [1, 2, 3])
def test_the_gradient_of_det_is_the_adjugate_whatever_the_rank(n, drop):
    rank = max(n - drop, 0)
    x = general(n, seed=drop)[:, :rank] @ general(n, seed=drop + 9)[:rank, :]
    close(mx.grad(L.det)(f64(x)), adjugate(x).T, 1e-12)
    x = np.round(3 * x)
    close(mx.grad(L.det)(f64(x)), adjugate(x).T, 1e-12)


@pytest.mark.parametrize("x", [np.zeros((2, 2)), np.zeros((3, 3)), np.diag([2.0, 0, 0]), np.diag([0.0, 1, 0, 3]), np.ones((3, 3)),
                               np.eye(4, k=1), np.diag([1.0, 2.0, 3.0])])
def test_second_derivatives_of_det_are_right_for_singular_matrices(x):
    s, t = general(len(x), seed=1), general(len(x), seed=2)
    hessian = mx.jvp(lambda y: (mx.grad(L.det)(y) * f64(s)).sum(), [f64(x)], [f64(t)])[1][0].item()
    h = 1e-4  # det is a polynomial: the difference of its exact gradients
    want = ((adjugate(x + h * t) - adjugate(x - h * t)).T * s).sum() / (2 * h)
    assert abs(hessian - want) < 1e-6 * max(1, abs(want))


def test_an_unused_logarithm_of_a_singular_determinant_has_zero_gradient():
    x = f64(np.stack([np.eye(2), np.ones((2, 2))]))
    sign, log = L.slogdet(x)
    assert sign.tolist() == [1.0, 0.0] and log.tolist() == [0.0, -np.inf]
    g = mx.grad(lambda x: mx.where(L.det(x) == 0, 0.0, L.slogdet(x)[1]).sum())(x)
    close(g, np.stack([np.eye(2), np.zeros((2, 2))]))


# ---- batches, threads, factors

def test_one_matrix_solves_for_a_mapped_batch_in_one_solve():
    x, b = f64(definite(5)), f64(rng(2).normal(size=(6, 5)))
    for solve in (L.solve, L.solve_triangular):
        got = mx.vmap(solve, in_axes=(None, 0))(x, b)
        close(got, np.stack([to_np(solve(x, b[i])) for i in range(6)]))


PAIRS = {"solve": L.solve, "lower": L.solve_triangular, "upper": lambda a, b: L.solve_triangular(a, b, upper=True),
         "inv": lambda a, b: L.inv(a) @ b, "cholesky": lambda a, b: L.cholesky(a) @ b, "lu": lambda a, b: L.lu(a)[1] @ (L.lu(a)[2] @ b),
         "det": lambda a, b: L.det(a / 10) * b, "slogdet": lambda a, b: L.slogdet(a)[1] * b}


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("name", PAIRS)
def test_both_modes_agree_for_matrices_that_lapack_solves(name, dtype):
    r = rng(5)

    def draw(*shape):
        x = r.normal(size=shape) + (1j * r.normal(size=shape) if dtype == "complex64" else 0)
        return mx.array(x, dtype=getattr(mx, dtype))

    f, n = PAIRS[name], 20
    args, ts = [draw(n, n) / 4 + 8 * mx.eye(n, dtype=F64 if dtype == "float64" else mx.float32), draw(n, 3)], [draw(n, n), draw(n, 3)]
    for g in (f, lambda a, b: mx.jvp(f, [a, b], ts)[1][0]):
        y = g(*args)
        ct = draw(*y.shape)
        forward = np.vdot(to_np(ct), to_np(mx.jvp(g, args, ts)[1][0])).real
        backward = sum(np.vdot(to_np(c), to_np(t)).real for c, t in zip(mx.vjp(g, args, [ct])[1], ts))
        scale = np.abs(to_np(ct)).sum() * np.abs(to_np(y)).max()
        assert abs(forward - backward) < (1e-11 if dtype == "float64" else 1e-4) * max(scale, abs(forward))


def test_derivatives_of_a_solution_reuse_its_factors():
    x, b = f64(definite(4)), f64(np.ones(4))

    def gradient(x, b):
        return mx.grad(lambda x: (L.solve(x, b) ** 2).sum())(x)

    f = mx.compile(gradient)
    close(f(x, b), to_np(gradient(x, b)))
    assert f.cache.graph.count("= lu_factor") == 1 and f.cache.graph.count("= lu_solve") == 2, f.cache.graph


def test_results_do_not_depend_on_the_number_of_threads():
    program = """
import numpy as np, mxform as mx, hashlib
L = mx.linalg
r = np.random.default_rng(0)
x = mx.array(r.normal(size=(300, 300)).astype(np.float32)); s = x @ x.T + 10 * mx.eye(300); b = mx.array(r.normal(size=(300, 200)).astype(np.float32))
y = mx.array(r.normal(size=(50, 20, 20)).astype(np.float32))
h = hashlib.sha1()
for out in (L.inv(x), L.solve(x, b), L.cholesky(s), L.lu_factor(x)[0], L.solve_triangular(s, b), L.inv(y), L.det(y), L.lu(y)[2]):
    h.update(np.array(out).tobytes())
print(h.hexdigest())
"""
    out = {subprocess.run([sys.executable, "-c", program], env={**os.environ, "MXFORM_NUM_THREADS": str(n)}, capture_output=True,
                          text=True, check=True).stdout for n in (1, 2, 5)}
    assert len(out) == 1


# ---- where LAPACK comes from

SMALL = "import mxform as mx; print(mx.linalg.cholesky(mx.array([[36.0, 0.0], [0.0, 3.0]]))[0, 0].item())"


def run(program, **env):
    return subprocess.run([sys.executable, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=False)


def test_importing_does_not_load_lapack():
    if not pathlib.Path("/proc/self/maps").exists():
        pytest.skip("no /proc")
    program = "import mxform as mx; mx.eval(mx.ones((2, 2)) @ mx.ones((2, 2))); print('scipy_openblas.so' in open('/proc/self/maps').read())"
    assert run(program).stdout.strip() == "False"


def test_a_wrong_choice_of_library_is_an_error_that_names_it(tmp_path):
    out = run(SMALL, MXFORM_LAPACK=str(tmp_path / "nothing.so"))
    assert out.returncode != 0 and "BackendError" in out.stderr and "nothing.so" in out.stderr and "MXFORM_LAPACK" in out.stderr


def test_a_chosen_library_is_used(tmp_path):
    bundled = pathlib.Path(mx.__file__).parent / "lib" / "libscipy_openblas.so"
    if not bundled.exists():
        pytest.skip("no bundled library")
    copy = tmp_path / "my_lapack.so"
    shutil.copy(bundled, copy)
    out = run(SMALL + "; print('my_lapack.so' in open('/proc/self/maps').read())", MXFORM_LAPACK=str(copy))
    assert out.stdout.split() == ["6.0", "True"], out.stderr


WRONG = [
    ("L.inv(mx.zeros((2, 3)))", ValueError, "[linalg.inv]"), ("L.inv(mx.zeros(3))", ValueError, "[linalg.inv]"),
    ("L.inv(mx.zeros((2, 2), mx.int32))", mx.DtypeError, "[linalg.inv]"), ("L.inv(mx.zeros((2, 2), mx.float16))", mx.DtypeError, "float16"),
    ("L.cholesky(mx.zeros((2, 3)))", ValueError, "[linalg.cholesky]"), ("L.cholesky_inv(mx.array(1.0))", ValueError, "[linalg.cholesky_inv]"),
    ("L.tri_inv(mx.zeros((3, 2)))", ValueError, "[linalg.tri_inv]"), ("L.lu(mx.zeros(3))", ValueError, "[linalg.lu]"),
    ("L.lu_factor(mx.zeros((2, 2), mx.bool_))", mx.DtypeError, "[linalg.lu_factor]"), ("L.det(mx.zeros((2, 3)))", ValueError, "[linalg.det]"),
    ("L.slogdet(mx.zeros(2))", ValueError, "[linalg.slogdet]"), ("L.solve(mx.zeros((2, 2)), mx.array(1.0))", ValueError, "[linalg.solve]"),
    ("L.solve(mx.zeros((2, 2)), mx.zeros((3, 2)))", ValueError, "(3, 2)"), ("L.solve(mx.zeros((2, 3)), mx.zeros(2))", ValueError, "(2, 3)"),
    ("L.solve(mx.zeros((2, 2, 2)), mx.zeros((3, 2, 2)))", ValueError, "[solve]"),
    ("L.solve(mx.zeros((2, 2), mx.int32), mx.zeros(2, mx.int32))", mx.DtypeError, "int32"),
    ("L.solve_triangular(mx.zeros((2, 2)), mx.zeros(3))", ValueError, "[linalg.solve_triangular]"),
    ("L.solve_triangular(mx.zeros((2, 2), mx.float16), mx.zeros(2, mx.float16))", mx.DtypeError, "float16"),
]


@pytest.mark.parametrize("expression, error, word", WRONG, ids=[w[0] for w in WRONG])
def test_wrong_arguments_are_refused_at_the_call(expression, error, word):
    with pytest.raises(error) as caught:
        eval(expression, {"L": L, "mx": mx})
    assert word in str(caught.value)
