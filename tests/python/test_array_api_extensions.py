"""The array API standard's extensions `linalg` and `fft`: named results, further arguments and functions."""

import itertools
import pickle

import numpy as np
import pytest

import mxform as mx


def near(got, want, tolerance=1e-4):
    np.testing.assert_allclose(np.array(got), want, rtol=tolerance, atol=tolerance)


def random(*shape, seed=0, dtype="float64"):
    x = np.random.default_rng(seed).normal(size=shape)
    return (x + 1j * np.random.default_rng(seed + 1).normal(size=shape)).astype(dtype) if dtype == "complex64" else x.astype(dtype)


def on(x):
    return mx.array(x, dtype=getattr(mx, str(x.dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_linalg_results_have_names(dtype):
    a = random(2, 4, 3, dtype=dtype)
    square = random(2, 3, 3, dtype=dtype)
    hermitian = square + np.conj(np.swapaxes(square, -1, -2))
    for mode in ("reduced", "complete"):
        q, r = f = mx.linalg.qr(on(a), mode=mode)
        assert f._fields == ("Q", "R") and q.shape == ((2, 4, 3) if mode == "reduced" else (2, 4, 4)) and r.shape[-2] == q.shape[-1]
        near(q @ r, a)
        near(mx.conj(q).mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (2,) + (q.shape[-1],) * 2))
        near(mx.tril(r, k=-1), np.zeros(r.shape))
    for full in (True, False):
        u, s, vh = f = mx.linalg.svd(on(a), full_matrices=full)
        assert f._fields == ("U", "S", "Vh") and u.shape == ((2, 4, 4) if full else (2, 4, 3)) and vh.shape == (2, 3, 3)
        near((u[..., :3] * s[:, None, :]) @ vh, a)
    near(mx.linalg.svdvals(on(a)), np.linalg.svd(a, compute_uv=False))
    w, v = f = mx.linalg.eigh(on(hermitian))
    assert f._fields == ("eigenvalues", "eigenvectors")
    near(on(hermitian) @ v, np.array(v * w[:, None, :]))
    sign, logabsdet = f = mx.linalg.slogdet(on(square))
    assert f._fields == ("sign", "logabsdet")
    near(sign * mx.exp(logabsdet), np.linalg.det(square))
    assert mx.linalg.eig(on(square))._fields == ("eigenvalues", "eigenvectors")
    with pytest.raises(ValueError, match="mode"):
        mx.linalg.qr(on(a), mode="raw")


def test_named_results_pass_through_transformations():
    a = on(random(2, 3, 3))
    for f in (mx.linalg.slogdet, mx.linalg.qr, lambda x: mx.linalg.svd(x, full_matrices=False)):
        mapped, compiled = mx.vmap(f)(a), mx.compile(f)(a)
        assert type(mapped) is type(compiled) is type(f(a))
        near(mapped[0], np.array(compiled[0]), 1e-8)
        primals, tangents = mx.jvp(lambda x: f(x)[1], [a], [a])
        assert tangents[0].shape == primals[0].shape
    r = mx.linalg.slogdet(a[0])
    assert pickle.loads(pickle.dumps(r)).sign.item() == r.sign.item()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_norms(dtype):
    x = random(2, 3, 4, dtype=dtype)
    for axis, ord, keepdims in itertools.product((None, 0, -1, (0, 2), (2, 1), (0, 1, 2)), (0, 1, 2, 3, 0.5, -1, np.inf, -np.inf), (False, True)):
        axes = axis if isinstance(axis, tuple) else tuple(range(3)) if axis is None else (axis,)
        moved = np.moveaxis(x, axes, range(3 - len(axes), 3)).reshape([x.shape[i] for i in range(3) if i not in {a % 3 for a in axes}] + [-1])
        want = np.linalg.norm(moved, ord=ord, axis=-1)
        got = mx.linalg.vector_norm(on(x), axis=axis, ord=ord, keepdims=keepdims)
        near(got, np.expand_dims(want, axes) if keepdims else want)
    for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        for keepdims in (False, True):
            near(mx.linalg.matrix_norm(on(x), ord=ord, keepdims=keepdims), np.linalg.norm(x, ord=ord, axis=(-2, -1), keepdims=keepdims))
    assert mx.grad(lambda v: mx.linalg.vector_norm(v))(mx.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_matrix_functions():
    a = random(2, 3, 3)
    for n in (0, 1, 2, 5, -1, -3):
        near(mx.linalg.matrix_power(on(a), n), np.linalg.matrix_power(a, n), 1e-8)
    low = a[..., :2] @ a[..., :2, :]
    assert mx.linalg.matrix_rank(on(low)).tolist() == [2, 2]
    assert mx.linalg.matrix_rank(on(low), rtol=mx.array([1e-8, 2.0])).tolist() == [2, 0]
    assert mx.linalg.matrix_rank(mx.zeros((2, 0, 3))).tolist() == [0, 0]
    for rtol in (1e-8, mx.array([1e-8, 1e-6]), None):
        near(mx.linalg.pinv(on(low), rtol=rtol), np.linalg.pinv(low, rcond=1e-8), 1e-8)
    near(mx.linalg.diagonal(on(a), offset=1), np.diagonal(a, 1, -2, -1))
    near(mx.linalg.trace(on(a), offset=-1), np.trace(a, -1, -2, -1))
    assert mx.linalg.trace(mx.ones((2, 2), dtype=mx.int8)).dtype == mx.int32
    assert mx.linalg.trace(mx.ones((2, 2)), dtype=mx.float64).dtype == mx.float64
    near(mx.linalg.outer(on(a[0, 0]), on(a[0, 1])), np.outer(a[0, 0], a[0, 1]))
    for wrong in (lambda: mx.linalg.matrix_power(mx.zeros((2, 3)), 2), lambda: mx.linalg.matrix_rank(mx.zeros(3)),
                  lambda: mx.linalg.matrix_norm(mx.zeros(3)), lambda: mx.linalg.diagonal(mx.zeros(3))):
        with pytest.raises(ValueError):
            wrong()


def test_integer_products():
    a, b = mx.array([[1, 2], [3, 4]], dtype=mx.uint8), mx.array([[1, 0], [2, 1]], dtype=mx.uint8)
    for f in (mx.matmul, mx.linalg.matmul, lambda x, y: x @ y, lambda x, y: mx.tensordot(x, y, axes=1)):
        assert f(a, b).dtype == mx.uint8 and f(a, b).tolist() == [[5, 2], [11, 4]]
    assert mx.vecdot(a, b, axis=0).tolist() == [7, 4]


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_hermitian_transforms(norm):
    z, x = random(3, 5, dtype="complex64"), random(3, 8, dtype="float32")
    for n in (None, 6, 7, 12):
        near(mx.fft.hfft(on(z), n=n, norm=norm), np.fft.hfft(z, n=n, norm=norm))
        near(mx.fft.ihfft(on(x), n=n, norm=norm), np.fft.ihfft(x, n=n, norm=norm))
    near(mx.fft.hfft(on(z), axis=0), np.fft.hfft(z, axis=0))
    near(mx.grad(lambda v: mx.sum(mx.fft.hfft(v, n=4, axis=-1)))(mx.ones(3)), [4.0, 0.0, 0.0])


def test_frequencies():
    for f in ("fftfreq", "rfftfreq"):
        for dtype in (mx.float32, mx.float64):
            got = getattr(mx.fft, f)(7, d=0.1, dtype=dtype, device=mx.cpu)
            assert got.dtype == dtype
            near(got, getattr(np.fft, f)(7, d=0.1), 1e-6 if dtype == mx.float32 else 1e-15)
        assert getattr(mx.fft, f)(4).dtype == mx.float32
        with pytest.raises(ValueError, match="dtype"):
            getattr(mx.fft, f)(4, dtype=mx.int32)
