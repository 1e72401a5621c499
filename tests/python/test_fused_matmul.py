"""test_fused_matmul.py — what follows a product of matrices runs as its epilogue, and operands that lie across the others are turned:
both must give the bits that the operations give one by one."""

import numpy as np
import pytest

import mxform as mx

DTYPES = ["float32", "float16", "bfloat16", "float64"]
# Leading axes, m, k, n: wide and narrow tiles, thin products, long sums, batches, an empty sum, no rows.
SIZES = [((), 64, 128, 160), ((), 5, 3000, 200), ((2, 3), 16, 80, 160), ((), 300, 1000, 70), ((), 1, 1024, 1100), ((3,), 70, 260, 33),
         ((), 257, 129, 1030), ((), 128, 0, 64), ((), 0, 3, 64)]


def bits(x):
    return np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x).tobytes()


def by_steps(x, one_by_one):
    if one_by_one:
        mx.eval(x)
    return x


def layer(a, b, bias, other, scale, e):
    y = by_steps(by_steps(a @ b, e) + bias, e)
    return [by_steps(by_steps(mx.tanh(by_steps(y * 0.5, e)), e) + other, e)]


def kept(a, b, bias, other, scale, e):
    y = by_steps(a @ b, e)
    z = by_steps(mx.maximum(by_steps(y * scale, e), 0), e)
    return [y, z, by_steps(z * z, e)]


def added(a, b, bias, other, scale, e):
    y = by_steps(mx.addmm(other, a, b, alpha=0.5, beta=2.0), e)
    return [by_steps(mx.exp(y), e), by_steps(by_steps(y > 0, e).astype(mx.int32), e)]


@pytest.mark.parametrize("f", [layer, kept, added])
@pytest.mark.parametrize("dtype", DTYPES)
def test_epilogues_give_the_bits_of_separate_steps(f, dtype):
    rng = np.random.default_rng(0)
    t = getattr(mx, dtype)

    def draw(*shape):
        return mx.array(rng.normal(size=shape)).astype(t)

    for lead, m, k, n in SIZES:
        a, b, bias, scale = draw(*lead, m, k), draw(*lead, k, n), draw(n), draw(*lead, m, 1)
        for other in (draw(*lead, m, n), draw(*lead, n, m).swapaxes(-1, -2)):
            mx.eval(a, b, bias, scale, other)
            want = f(a, b, bias, other, scale, True)
            compiled = mx.compile(lambda *x: f(*x, False))
            for _ in range(2):  # A plan is made for the second evaluation.
                lazy = f(a, b, bias, other, scale, False)
                mx.eval(lazy)
                for got in (compiled(a, b, bias, other, scale), lazy):
                    for w, g in zip(want, got):
                        assert g.dtype == w.dtype and g.shape == w.shape
                        assert bits(g) == bits(w), (dtype, lead, m, k, n)


def test_epilogues_are_one_step_and_have_derivatives():
    x, w, b = mx.random.normal((64, 128)), mx.random.normal((128, 256)), mx.random.normal((256,))
    f = mx.compile(lambda x, w, b: mx.tanh(x @ w + b))
    y = f(x, w, b)
    assert "fused_matmul" in str(f.cache.graph)
    info = mx.compile_info(f).traces[0]
    assert info.groups == 1 and info.fused == 2 and info.flops >= 2 * 64 * 128 * 256
    g = mx.grad(lambda w: mx.sum(f(x, w, b)))(w)
    assert np.allclose(np.array(g), np.array(x).T @ (1 - np.array(y) ** 2), atol=1e-3)


def test_small_and_narrow_products_are_left_alone():
    f = mx.compile(lambda x, w: mx.tanh(x @ w + 1))
    f(mx.ones((4, 8)), mx.ones((8, 64)))
    f(mx.ones((512, 512)), mx.ones((512, 10)))
    assert "fused_matmul" not in str(f.cache.graph)


TYPES = ["float32", "float16", "int8", "int16", "int64", "float64", "complex64", "bool_"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(100, 300), (33, 65), (5, 31, 70), (2, 3, 40, 50), (64, 1), (3, 1000)])
def test_transposed_operands(dtype, shape):
    rng = np.random.default_rng(1)
    t = getattr(mx, dtype)
    x = mx.array(rng.integers(0, 100, shape)).astype(t)
    y = mx.array(rng.integers(0, 100, shape)).astype(t)
    turned, across = x.swapaxes(-1, -2), mx.array(np.ascontiguousarray(np.array(y.astype(mx.complex64)).swapaxes(-1, -2))).astype(t)
    mx.eval(turned, across)
    plain = mx.array(np.array(x.astype(mx.complex64)).swapaxes(-1, -2).copy()).astype(t)

    def f(a, b):
        return mx.where(a == b, a, b + a) * a

    want = np.array(f(plain, across).astype(mx.complex64))
    assert np.array_equal(np.array((turned == across).astype(mx.int32)), np.array((plain == across).astype(mx.int32)))
    for _ in range(2):
        assert np.array_equal(np.array(f(turned, across).astype(mx.complex64)), want)
    assert np.array_equal(np.array(mx.compile(f)(turned, across).astype(mx.complex64)), want)
    assert np.array_equal(np.array((turned + across).astype(mx.complex64)), np.array((plain + across).astype(mx.complex64)))
    # Of rows with a reduction, read many at a time.
    if dtype.startswith("float"):
        g = mx.compile(lambda a: mx.exp(a / 100 - mx.max(a / 100, axis=-1, keepdims=True)))
        assert np.array_equal(np.array(g(turned)), np.array(g(plain)))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "float64"])
@pytest.mark.parametrize("rows", [31, 100, 4096])
def test_columns_of_one_matrix(dtype, rows):
    rng = np.random.default_rng(2)
    xs, ys = rng.integers(-50, 50, (rows, 37)).astype(dtype), rng.integers(-50, 50, (40, rows)).astype(dtype)
    a, b = mx.array(xs), mx.array(ys)

    def add(a, b):
        order = [5, 3, 4, *range(6, 37), 0, 1, 2]
        return [a[:, i] + b[i] for i in order] + [a[::-1, 3] * b[3]]

    want = [xs[:, i] + ys[i] for i in [5, 3, 4, *range(6, 37), 0, 1, 2]] + [xs[::-1, 3] * ys[3]]
    compiled = mx.compile(add)
    for _ in range(3):
        for got in (add(a, b), compiled(a, b)):
            mx.eval(got)
            for g, w in zip(got, want):
                assert np.array_equal(np.array(g), w)


def test_sums_of_rows_are_those_of_a_fixed_tree():
    # 64 lanes of float32, 32 of float64, added in halves: the order that reduce_loops.h promises.
    def tree(x):
        n = len(x)
        lanes = 64 if x.dtype == np.float32 else 32
        lane, i = x[:lanes].copy(), lanes
        while i + 4 * lanes <= n:
            p = x[i:i + 4 * lanes].reshape(4, lanes)
            lane += (p[0] + p[1]) + (p[2] + p[3])
            i += 4 * lanes
        while i + lanes <= n:
            lane += x[i:i + lanes]
            i += lanes
        lane[:n - i] += x[i:]
        while len(lane) > 1:
            lane = lane[:len(lane) // 2] + lane[len(lane) // 2:]
        return lane[0]

    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        for n in (64, 65, 100, 127, 128, 300, 511, 1000, 1024):
            x = (rng.standard_normal((5, n)) * 10.0 ** rng.integers(-5, 5, (5, n))).astype(dtype)
            x[1] = -0.0
            x[2] *= 1e-38 if dtype == np.float32 else 1e-310
            x[3, n // 2] = np.inf
            x[4, n - 1] = np.nan
            got = np.array(mx.compile(lambda a: mx.sum(a * 1, axis=-1) + 0)(mx.array(x, dtype=getattr(mx, np.dtype(dtype).name))))
            want = np.array([tree(r) for r in x], dtype) + 0
            assert np.array_equal(got, want, equal_nan=True), (dtype, n)
