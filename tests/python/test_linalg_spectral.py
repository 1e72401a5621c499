"""test_linalg_spectral.py — what the rows of specs_linalg_spectral.py cannot say: signs as LAPACK's, derivatives at repeated values,
the freedom in vectors, matrices that are not finite, wrong calls, and draws with a covariance."""

import numpy as np
import pytest
import scipy.linalg

import mxform as mx
from specs import name_of, to_mx, to_np

L = mx.linalg
INF, NAN = float("inf"), float("nan")


def f64(x):
    return to_mx(np.asarray(x, float), "float64")


def c64(rng, *shape):
    return to_mx(rng.normal(size=shape) + 1j * rng.normal(size=shape), "complex64")


def differences(f, x, h=1e-6):
    """The gradient of a NumPy function of one real array."""
    g = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        d = np.zeros(x.shape)
        d[i] = h
        g[i] = (f(x + d) - f(x - d)) / (2 * h)
    return g


# ---- values and kinds of results

def test_examples_have_lapacks_signs():
    w, v = L.eigh(mx.array([[1.0, -2.0], [-2.0, 1.0]]))
    np.testing.assert_allclose(w, [-1, 3], atol=1e-6)
    np.testing.assert_allclose(v, np.array([[-1, -1], [-1, 1]]) * 0.5**0.5, atol=1e-6)
    q, r = L.qr(mx.array([[2.0, 3.0], [1.0, 2.0]]))
    np.testing.assert_allclose(q, [[-0.894427, -0.447214], [-0.447214, 0.894427]], atol=1e-6)
    np.testing.assert_allclose(r, [[-2.23607, -3.57771], [0, 0.447214]], atol=1e-5)
    w, v = L.eig(mx.array([[1.0, -2.0], [-2.0, 1.0]]))
    np.testing.assert_allclose(w, [3, -1], atol=1e-6)
    np.testing.assert_allclose(v, np.array([[1, 1], [-1, 1]]) * 0.5**0.5, atol=1e-6)


def test_results_are_tuples_or_arrays_and_streams_are_taken():
    x = mx.array([[2.0, 1.0], [1.0, 3.0]])
    for f, n in ((L.qr, 2), (L.svd, 3), (L.eigh, 2), (L.eig, 2)):
        out = f(x, stream=mx.cpu)
        assert isinstance(out, tuple) and len(out) == n
    for f in (L.eigvalsh, L.eigvals, L.pinv, L.norm, lambda x, stream: L.svd(x, False, stream=stream),
              lambda x, stream: L.cross(x, x, stream=stream)):
        assert isinstance(f(x, stream=mx.cpu), mx.array)


def test_norm_is_called_as_in_numpy():
    x = mx.array([[3.0, -4.0], [0.0, 12.0]])
    calls = [((), {}), ((None,), {}), (("fro",), {}), (("nuc",), {}), ((2,), {}), ((-2.0,), {}), ((np.inf,), {}), ((-INF,), {"keepdims": True}), ((1,), {"axis": 0}),
             ((), {"axis": (0, 1)}), ((np.float32(3),), {"axis": -1, "keepdims": True})]
    for args, kw in calls:
        np.testing.assert_allclose(L.norm(x, *args, **kw), np.linalg.norm(np.array(x), *args, **kw), rtol=1e-6)
    assert L.norm(x, "fro", [0, 1]).item() == L.norm(x, ord="f").item() == mx.matrix_norm(x).item() == 13
    assert L.norm(x, axis=[]).tolist() == [[3, 4], [0, 12]]


def test_norms_are_real_and_keep_the_precision():
    x = mx.array([[1.0, 2.0], [3.0, 4.0]])
    for o in (None, 1, -1, 2, -2, INF, "fro", "nuc"):
        assert name_of(L.norm(x.astype(mx.complex64), o)) == "float32"
        assert name_of(L.norm(x.astype(mx.float16), o)) == "float16"
        assert name_of(L.norm(x.astype(mx.int8), o)) == "float32"
    assert L.norm(mx.full((1000,), 200.0, mx.float16)).item() == pytest.approx(6324, rel=1e-3)  # not infinity


def test_only_one_triangle_is_read():
    h = np.array([[2.0, 1.0], [1.0, 5.0]])
    for uplo, other in (("L", (0, 1)), ("U", (1, 0)), ("u", (1, 0))):
        x = h.copy()
        x[other] = NAN
        w, v = L.eigh(f64(x), uplo)
        np.testing.assert_allclose(to_np(v) * to_np(w) @ to_np(v).T, h, atol=1e-14)
        np.testing.assert_array_equal(L.eigvalsh(f64(x), UPLO=uplo), w)


def test_a_matrix_that_is_not_finite_gives_nan_and_spoils_no_other():
    for bad in (NAN, INF):
        x = mx.array([[[bad, 1.0], [1.0, 2.0]], [[2.0, 1.0], [1.0, 5.0]]])
        for f in (L.qr, L.svd, L.eigh, L.eigvalsh, L.eig, L.eigvals, L.pinv, lambda x: L.svd(x, compute_uv=False)):
            out = f(x)
            for y in out if isinstance(out, tuple) else (out,):
                assert np.isnan(to_np(y)[0]).all() and np.isfinite(to_np(y)[1]).all()


def test_a_matrix_without_elements_has_unit_vectors():
    u, s, vt = L.svd(mx.zeros((3, 0)))
    assert u.tolist() == np.eye(3).tolist() and s.shape == (0,) and vt.shape == (0, 0)
    assert L.pinv(mx.zeros((2, 0, 3))).shape == (2, 3, 0)
    assert [y.shape for y in L.eig(mx.zeros((2, 0, 0)))] == [(2, 0), (2, 0, 0)]


WRONG = [
    ("L.qr(mx.zeros(3))", ValueError, ["[linalg.qr]", "(3,)"]),
    ("L.svd(mx.array(1.0))", ValueError, ["[linalg.svd]", "()"]),
    ("L.pinv(mx.zeros((2, 2), mx.int32))", mx.DtypeError, ["[linalg.pinv]", "int32", "float32"]),
    ("L.qr(mx.zeros((2, 2), mx.float16))", mx.DtypeError, ["[linalg.qr]", "float16"]),
    ("L.eigh(mx.zeros((2, 3)))", ValueError, ["[linalg.eigh]", "(2, 3)", "square"]),
    ("L.eigvalsh(mx.zeros((2, 3)))", ValueError, ["[linalg.eigvalsh]", "(2, 3)"]),
    ("L.eig(mx.zeros((2, 3)))", ValueError, ["[linalg.eig]", "(2, 3)"]),
    ("L.eigvals(mx.zeros(3))", ValueError, ["[linalg.eigvals]", "(3,)"]),
    ("L.eigh(mx.zeros((2, 2)), 'X')", ValueError, ["[linalg.eigh]", "'X'"]),
    ("L.norm(mx.zeros((2, 2)), 3)", ValueError, ["[linalg.norm]", "3"]),
    ("L.norm(mx.zeros((2, 2)), 0)", ValueError, ["[linalg.norm]", "0"]),
    ("L.norm(mx.zeros((2, 2)), 'max')", ValueError, ["[linalg.norm]", "'max'"]),
    ("L.norm(mx.zeros(2), 'fro')", ValueError, ["[linalg.norm]", "'fro'", "1"]),
    ("L.norm(mx.zeros((2, 2, 2)), 2)", ValueError, ["[linalg.norm]", "3"]),
    ("L.norm(mx.zeros((2, 2, 2)), axis=[0, 1, 2])", ValueError, ["[linalg.norm]", "3"]),
    ("L.norm(mx.zeros((2, 2)), axis=2)", mx.AxisError, ["[linalg.norm]", "2"]),
    ("L.norm(mx.zeros((2, 2)), 1, axis=(0, -2))", ValueError, ["[linalg.norm]"]),
    ("L.norm(mx.zeros((0,)), float('inf'))", ValueError, ["[max]"]),
    ("L.cross(mx.zeros(4), mx.zeros(4))", ValueError, ["[linalg.cross]", "(4,)"]),
    ("L.cross(mx.zeros(3), mx.zeros((3, 4)))", ValueError, ["[linalg.cross]", "(3, 4)"]),
    ("L.cross(mx.array(1.0), mx.zeros(3))", mx.AxisError, ["[linalg.cross]"]),
    ("mx.random.multivariate_normal(mx.array(1.0), mx.eye(2))", ValueError, ["multivariate_normal]", "()"]),
    ("mx.random.multivariate_normal(mx.zeros(3), mx.eye(2))", ValueError, ["multivariate_normal]", "(3,)", "(2, 2)"]),
    ("mx.random.multivariate_normal(mx.zeros(2), mx.zeros(2))", ValueError, ["multivariate_normal]", "(2,)"]),
    ("mx.random.multivariate_normal(mx.zeros(2), mx.eye(2), dtype=mx.float16)", ValueError, ["multivariate_normal]", "float16"]),
    ("mx.random.multivariate_normal(mx.zeros((3, 2)), mx.eye(2), [2])", ValueError, ["multivariate_normal]", "(3,)", "(2,)"]),
]


@pytest.mark.parametrize("call, error, words", WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_call_says_what_came(call, error, words):
    with pytest.raises(error) as e:
        mx.eval(eval(call, {"mx": mx, "L": L}))
    for word in words:
        assert word in str(e.value), str(e.value)


# ---- derivatives where values repeat

REPEATED = [np.diag([1.0, 1.0, 2.0]), 3 * np.eye(3), np.zeros((3, 3)), np.diag([1.0, -1.0, 1.0])]


@pytest.mark.parametrize("x", REPEATED, ids=["pair", "all", "zero", "signs"])
def test_gradients_of_values_are_exact_where_they_repeat(x):
    norm2 = {"eigvalsh": lambda x: mx.sum(L.eigvalsh(x) ** 2), "eigh": lambda x: mx.sum(L.eigh(x)[0] ** 2), "svd": lambda x: mx.sum(L.svd(x)[1] ** 2),
             "singular values": lambda x: mx.sum(L.svd(x, compute_uv=False) ** 2)}
    for name, f in norm2.items():
        g = mx.grad(f)(f64(x))
        np.testing.assert_allclose(g, 2 * x, atol=1e-12, err_msg=name)
        assert np.isfinite(to_np(mx.grad(lambda y: mx.sum(mx.sin(mx.grad(f)(y))))(f64(x)))).all(), name


@pytest.mark.parametrize("x", REPEATED, ids=["pair", "all", "zero", "signs"])
def test_second_derivatives_of_sums_over_repeated_values_are_exact(x):
    """The trace is linear, whatever becomes of the vectors."""
    t = f64(np.random.default_rng(0).normal(size=(3, 3)))
    f = lambda x: mx.sum(L.eigvalsh(x))  # noqa: E731
    tangent = mx.jvp(mx.grad(f), [f64(x)], [t])[1][0]
    np.testing.assert_allclose(tangent, np.zeros((3, 3)), atol=1e-12)


def test_the_nuclear_norm_of_a_unitary_matrix_has_an_exact_second_derivative():
    rng = np.random.default_rng(8)
    q, t = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=(3, 3))
    nuc = lambda h: np.linalg.norm(q + h * t, "nuc")  # noqa: E731
    tangent = mx.jvp(mx.grad(lambda x: L.norm(x, "nuc")), [f64(q)], [f64(t)])[1][0]
    assert np.sum(to_np(tangent) * t) == pytest.approx((nuc(1e-4) - 2 * nuc(0) + nuc(-1e-4)) / 1e-8, rel=1e-5)


@pytest.mark.parametrize("x", REPEATED, ids=["pair", "all", "zero", "signs"])
def test_gradients_of_vectors_are_finite_where_values_repeat(x):
    c = f64(np.random.default_rng(1).normal(size=(3, 3)))
    for f in (lambda x: mx.sum(L.eigh(x)[1] * c), lambda x: mx.sum(L.svd(x)[0] * c) + mx.sum(L.svd(x)[2] * c), lambda x: mx.sum(mx.abs(L.eig(x)[1]) * c)):
        for g in (mx.grad(f), mx.grad(lambda y: mx.sum(mx.sin(mx.grad(f)(y))))):
            assert np.isfinite(to_np(g(f64(x)))).all()


def test_values_that_repeat_but_for_rounding_give_no_huge_gradient():
    rng = np.random.default_rng(2)
    q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    x = f64((q * [1.0, 1.0, 1.0, 2.0]) @ q.T)
    for f in (lambda x: mx.sum(L.eigh(x)[1][:, 0]), lambda x: mx.sum(L.svd(x)[0][:, 1])):
        assert np.abs(to_np(mx.grad(f)(x))).max() < 100


def test_the_spectral_norm_shares_ties_and_is_finite_at_zero():
    np.testing.assert_allclose(mx.grad(lambda x: L.norm(x, 2))(mx.eye(2)), np.eye(2) / 2, atol=1e-6)
    for o in (None, "fro", "nuc", 1, -1, 2, -2, INF, -INF):
        assert np.isfinite(to_np(mx.grad(lambda x: L.norm(x, o))(mx.zeros((2, 3))))).all()
        assert np.isfinite(to_np(mx.grad(lambda y: mx.sum(mx.grad(lambda x: L.norm(x, o))(y)))(mx.zeros((2, 3))))).all()
    assert mx.grad(lambda x: mx.where(x[0] > 0, L.norm(x), 0.0))(mx.zeros(3)).tolist() == [0, 0, 0]


def test_a_pseudo_inverse_is_differentiated_at_constant_rank():
    rng = np.random.default_rng(3)
    b, c = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    t = rng.normal(size=(4, 2))

    def f(b):  # of rank 2 for all b
        return L.pinv(b @ f64(c))

    tangent = to_np(mx.jvp(f, [f64(b)], [f64(t)])[1][0])
    h = 1e-6
    want = (np.linalg.pinv((b + h * t) @ c, rcond=1e-10) - np.linalg.pinv((b - h * t) @ c, rcond=1e-10)) / (2 * h)
    np.testing.assert_allclose(tangent, want, rtol=1e-6, atol=1e-6)


# ---- the freedom in vectors

@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_complex_singular_vectors_move_unitarily_and_restore_the_matrix(shape):
    rng = np.random.default_rng(4)
    x, t = c64(rng, *shape), c64(rng, *shape)
    (u, s, vh), (du, ds, dvh) = ([to_np(y).astype(np.complex128) for y in ys] for ys in mx.jvp(lambda x: L.svd(x), [x], [t]))
    k = min(shape)
    mid, dmid = np.zeros(shape, complex), np.zeros(shape, complex)
    mid[range(k), range(k)], dmid[range(k), range(k)] = s, ds
    np.testing.assert_allclose(du @ mid @ vh + u @ dmid @ vh + u @ mid @ dvh, to_np(t), atol=2e-5)
    for q, dq in ((u, du), (vh.conj().T, dvh.conj().T)):
        w = q.conj().T @ dq
        np.testing.assert_allclose(w + w.conj().T, 0, atol=2e-5)
        np.testing.assert_allclose(w[k:, k:], 0, atol=2e-5)  # the further vectors do not turn among themselves


def test_derivatives_of_real_eigenvectors_are_those_of_lapacks_normalisation():
    rng = np.random.default_rng(5)
    x, cw, cv = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 4))

    def f(x):
        w, v = L.eig(x)
        return mx.sum(w.real * f64(cw)) + mx.sum(w.imag**2) + mx.sum((v.real + v.imag**2) * f64(cv))

    def ref(x):
        w, left = scipy.linalg.eig(x.T, left=True, right=False)
        v = left.conj()
        return (w.real * cw).sum() + (w.imag**2).sum() + ((v.real + v.imag**2) * cv).sum()

    assert np.iscomplex(np.linalg.eigvals(x)).any() and np.isreal(np.linalg.eigvals(x)).any()
    np.testing.assert_allclose(mx.grad(f)(f64(x)), differences(ref, x), rtol=1e-4, atol=1e-4)


def test_tangents_of_many_eigenvalues_are_in_the_order_of_the_values():
    """LAPACK finds eigenvalues alone in another order than with vectors, if there are many."""
    rng = np.random.default_rng(6)
    x, t = (rng.normal(size=(150, 150)) for _ in range(2))
    (w,), (dw,) = ([to_np(y) for y in ys] for ys in mx.jvp(lambda x: L.eigvals(x), [f64(x)], [f64(t)]))
    np.testing.assert_array_equal(w, to_np(L.eig(f64(x))[0]))
    w_ref, v = np.linalg.eig(x)
    want = np.diagonal(np.linalg.solve(v, t @ v))[[np.argmin(abs(w_ref - z)) for z in w]]
    np.testing.assert_allclose(dw, want, atol=1e-2, rtol=1e-3)


def test_gradients_of_symmetric_functions_are_symmetric():
    x = f64([[2.0, 0.5], [0.5, 1.0]])
    for f in (lambda x: mx.max(L.eigvalsh(x)), lambda x: L.eigh(x)[1][0, 0] ** 2, lambda x: mx.max(L.eigvalsh(x, "U"))):
        g = to_np(mx.grad(f)(x))
        np.testing.assert_allclose(g, g.T, atol=1e-14)
        assert abs(g[0, 1]) > 0.01


def test_derivatives_are_finite_without_a_basis_of_eigenvectors_and_without_full_rank():
    nilpotent = mx.array([[[0.0, 1.0], [0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]])
    for f in (lambda x: mx.sum(L.eigvals(x).real), lambda x: mx.sum(L.eig(x)[1].real), lambda x: mx.sum(L.qr(x)[0]) + mx.sum(L.qr(x)[1])):
        g = mx.grad(f)(nilpotent)
        assert np.isfinite(to_np(g)).all() and to_np(g)[1].any()
        assert np.isfinite(to_np(mx.grad(lambda y: mx.sum(mx.sin(mx.grad(f)(y))))(nilpotent))).all()
    assert to_np(mx.grad(lambda x: mx.sum(L.eigvals(x).real))(nilpotent))[1].tolist() == [pytest.approx(r, abs=1e-5) for r in ([1, 0], [0, 1])]
    assert mx.grad(lambda x: mx.where(x[0, 0] > 0, mx.sum(L.qr(x)[0]), 0.0))(mx.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


# ---- draws with a covariance

# Draws of MLX 0.32.4 for key(3), mean (1, 2, 3).
COV = [[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]]
DRAWS = [[2.6399364, 2.644827, 7.1461787], [0.9535911, 2.594493, 5.476506], [1.9344465, 1.4869131, 2.3941536], [0.76548177, 0.7733209, 2.8967695]]


def test_draws_are_mlxs():
    x = mx.random.multivariate_normal(mx.array([1.0, 2.0, 3.0]), mx.array(COV), [4], key=mx.random.key(3))
    np.testing.assert_allclose(x, DRAWS, rtol=1e-5)


def test_draws_have_the_covariance_and_broadcast():
    k = mx.random.key(0)
    x = to_np(mx.random.multivariate_normal(mx.array([1.0, 2.0, 3.0]), mx.array(COV), (20000,), key=k))
    np.testing.assert_allclose(x.mean(0), [1, 2, 3], atol=0.05)
    np.testing.assert_allclose(np.cov(x.T), COV, atol=0.1)
    assert mx.random.multivariate_normal(mx.zeros((3, 1, 2)), mx.zeros((4, 2, 2)), key=k).shape == (3, 4, 2)
    assert mx.random.multivariate_normal(mx.array([1, 2]), mx.eye(2), dtype=None, key=k).dtype == mx.float32
    rank_one = to_np(mx.random.multivariate_normal(mx.zeros(2), mx.ones((2, 2)), [100], key=k))
    np.testing.assert_allclose(rank_one[:, 0], rank_one[:, 1], atol=1e-5)


@pytest.mark.parametrize("cov", [np.eye(3), np.array(COV)], ids=["equal variances", "others"])
def test_draws_are_differentiable_in_the_covariance(cov):
    """Also where all its eigenvalues are equal, and twice."""
    k, rng = mx.random.key(1), np.random.default_rng(7)
    t = rng.normal(size=(3, 3))
    t = t + t.T
    z = to_np(mx.random.normal((5, 3), key=k)).astype(float)
    f = lambda c: mx.random.multivariate_normal(mx.zeros(3, mx.float64), c, [5], key=k)  # noqa: E731
    g = lambda h: z @ scipy.linalg.sqrtm(cov + h * t).real  # noqa: E731
    first = mx.jvp(f, [f64(cov)], [f64(t)])[1][0]
    second = mx.jvp(lambda c: mx.jvp(f, [c], [f64(t)])[1][0], [f64(cov)], [f64(t)])[1][0]
    np.testing.assert_allclose(first, (g(1e-5) - g(-1e-5)) / 2e-5, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(second, (g(1e-4) - 2 * g(0) + g(-1e-4)) / 1e-8, rtol=1e-4, atol=1e-4)


def test_each_example_of_a_batch_draws_its_own_vectors():
    x = to_np(mx.vmap(lambda m: mx.random.multivariate_normal(m, mx.eye(2)))(mx.zeros((3, 2))))
    assert len({tuple(row) for row in x.tolist()}) == 3
