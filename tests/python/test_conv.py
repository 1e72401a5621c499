"""test_conv.py — convolutions of random configurations against the definition (conv_reference.py): values, both gradients by
duality, batches; the cases at the border (nothing left, padding that cuts, no channels), and PyTorch's results."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conv_reference
import mxform as mx
from conftest import ON_GPU
from specs import to_np


@st.composite
def configurations(draw, most_axes=3):
    """Arrays' shapes and the parameters of conv_general, such that the kernel fits."""
    n = draw(st.integers(1, most_axes))
    each = lambda lo, hi: [draw(st.integers(lo, hi)) for _ in range(n)]  # noqa: E731
    groups, c_in, c_out = draw(st.sampled_from([1, 1, 2, 3, 16])), draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 5, 17]))
    kernel, stride, kernel_dilation, input_dilation = each(1, 4), each(1, 3), each(1, 3), each(1, 3)
    low, high, sizes = each(-2, 3), each(-2, 3), []
    for k, kd, idl, lo, hi in zip(kernel, kernel_dilation, input_dilation, low, high):
        room = max((k - 1) * kd + 1 - lo - hi, max(0, -lo) + max(0, -hi), 1)  # of the spread input
        least = (room + idl - 2) // idl + 1
        sizes.append(least + draw(st.integers(0, 9 // n)))
    shapes = (draw(st.integers(1, 3)), *sizes, groups * c_in), (groups * c_out, *kernel, c_in)
    return shapes, dict(stride=stride, padding=(low, high), kernel_dilation=kernel_dilation, input_dilation=input_dilation, groups=groups,
                        flip=draw(st.booleans()))


def random(rng, shape, dtype=mx.float64):
    return mx.array(rng.standard_normal(shape), dtype=dtype)


def close(got, want, tol=1e-11):
    got, want = to_np(got), np.asarray(want)
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= tol * (1 + np.abs(want).max(initial=0))), np.abs(got - want).max()


bounded = settings(max_examples=60, deadline=None, derandomize=True)


@bounded
@given(configurations(), st.integers(0, 3))
def test_values_are_those_of_the_definition_in_every_layout(c, layout):
    (shape, kernel), options = c
    rng = np.random.default_rng(1)
    x, w = random(rng, shape), random(rng, kernel)
    if layout & 1:
        x = mx.moveaxis(mx.contiguous(mx.moveaxis(x, -1, 1)), 1, -1)
    if layout & 2:
        w = mx.contiguous(w[::-1, ..., ::-1])[::-1, ..., ::-1]
    close(mx.conv_general(x, w, **options), conv_reference.conv(to_np(x), to_np(w), **options))


@bounded
@given(configurations())
def test_gradients_are_the_transposes_of_the_definition(c):
    (shape, kernel), options = c
    rng = np.random.default_rng(2)
    x, w = random(rng, shape), random(rng, kernel)
    out, = mx.vjp(lambda x, w: mx.conv_general(x, w, **options), [x, w], [mx.zeros(mx.conv_general(x, w, **options).shape, mx.float64)])[0]
    ct = random(rng, out.shape)
    gradients = mx.vjp(lambda x, w: mx.conv_general(x, w, **options), [x, w], [ct])[1]
    dx, dw = rng.standard_normal(shape), rng.standard_normal(kernel)
    for gradient, t, moved in ((gradients[0], dx, conv_reference.conv(dx, to_np(w), **options)),
                               (gradients[1], dw, conv_reference.conv(to_np(x), dw, **options))):
        close(np.sum(to_np(gradient) * t), np.sum(to_np(ct) * moved), tol=1e-11 * max(1, gradient.size))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(configurations(2), st.sampled_from([(0, None), (None, 0), (0, 0), (-1, 1)]))
def test_vmap_of_values_and_gradients_is_the_loop(c, axes):
    (shape, kernel), options = c
    rng = np.random.default_rng(3)
    stack = lambda s, axis: random(rng, s if axis is None else (*s, 2) if axis == -1 else (*s[:axis], 2, *s[axis:]))  # noqa: E731
    x, w = stack(shape, axes[0]), stack(kernel, axes[1])
    f = lambda x, w: mx.conv_general(x, w, **options)  # noqa: E731
    g = mx.grad(lambda x, w: mx.sum(mx.sin(f(x, w))), argnums=(0, 1))
    examples = [[v if a is None else mx.take(v, i, axis=a) for v, a in zip((x, w), axes)] for i in range(2)]
    close(mx.vmap(f, in_axes=axes)(x, w), np.stack([to_np(f(*e)) for e in examples]))
    for k, got in enumerate(mx.vmap(g, in_axes=axes)(x, w)):
        close(got, np.stack([to_np(g(*e)[k]) for e in examples]))


@pytest.mark.parametrize("dtype, tol", [(mx.float32, 2e-6), (mx.float16, 1e-3), (mx.bfloat16, 8e-3)])
@pytest.mark.parametrize("shape, kernel, options", [
    ((2, 12, 13, 40), (70, 3, 3, 40), dict(padding=1)), ((2, 12, 13, 21), (48, 3, 2, 7), dict(groups=3, stride=2)),
    ((2, 12, 13, 20), (20, 3, 3, 1), dict(groups=20, padding=1)), ((1, 9, 9, 600), (20, 1, 3, 600), {}),
    ((2, 7, 8, 33), (16, 3, 3, 33), dict(input_dilation=2, padding=2)), ((1, 200, 2), (3, 9, 2), dict(padding=4))])
def test_every_dtype_on_every_path(shape, kernel, options, dtype, tol):
    """Products of matrices and sums by channel, with few and many channels; sums of half types are made in float32."""
    tol = 2 * tol if ON_GPU else tol  # its sums run along the whole depth
    rng = np.random.default_rng(4)
    x, w = random(rng, shape, mx.float32).astype(dtype), random(rng, kernel, mx.float32).astype(dtype)
    f = lambda x, w: mx.conv_general(x, w, **options)  # noqa: E731
    wide = [v.astype(mx.float64) for v in (x, w)]
    ct = random(rng, f(x, w).shape, mx.float32).astype(dtype)
    close(f(x, w).astype(mx.float64), to_np(f(*wide)), tol)
    for got, want in zip(mx.vjp(f, [x, w], [ct])[1], mx.vjp(f, wide, [ct.astype(mx.float64)])[1]):
        assert got.dtype == dtype
        close(got.astype(mx.float64), to_np(want), tol)


def test_nan_and_infinity_reach_only_the_outputs_that_see_them():
    x, w = np.ones((1, 9, 2), np.float32), mx.ones((3, 3, 2))
    for bad in (np.nan, np.inf):
        x[0, 4, 1] = bad
        y = to_np(mx.conv1d(mx.array(x), w, padding=1))
        assert np.array_equal(np.isfinite(y).all(axis=(0, 2)), [True, True, True, False, False, False, True, True, True])


def test_nothing_in_gives_nothing_or_zeros():
    conv = mx.conv1d
    assert conv(mx.zeros((0, 4, 2)), mx.ones((3, 2, 2))).shape == (0, 3, 3)
    assert conv(mx.ones((1, 4, 2)), mx.ones((0, 2, 2))).shape == (1, 3, 0)
    assert conv(mx.zeros((1, 4, 0)), mx.ones((3, 2, 0))).tolist() == [[[0.0] * 3] * 3]
    assert conv(mx.zeros((1, 0, 2)), mx.ones((1, 2, 2)), padding=1).tolist() == [[[0.0]]]
    gradients = mx.grad(lambda x, w: conv(x, w, padding=1).sum(), argnums=(0, 1))(mx.zeros((1, 0, 2)), mx.ones((1, 2, 2)))
    assert gradients[0].shape == (1, 0, 2) and gradients[1].tolist() == [[[0.0, 0.0]] * 2]


def test_padding_may_cut_and_strides_may_skip():
    x, w = mx.arange(6.0).reshape(1, 6, 1), mx.ones((1, 1, 1))
    assert mx.conv1d(x, w, padding=-1).flatten().tolist() == [1, 2, 3, 4]
    assert mx.conv_general(x, w, padding=([-2], [0]), stride=3).flatten().tolist() == [2, 5]
    assert mx.conv1d(x, w, stride=100).flatten().tolist() == [0]
    assert mx.grad(lambda x: mx.conv1d(x, w, stride=4).sum())(x).flatten().tolist() == [1, 0, 0, 0, 1, 0]
    # Of the dilated input 0 _ 1 _ 2 ... one position is cut, not one element.
    assert mx.conv_general(x, w, input_dilation=2, padding=([-1], [-1])).flatten().tolist() == [0, 1, 0, 2, 0, 3, 0, 4, 0]
    assert mx.conv1d(x, mx.ones((1, 2, 1)), dilation=5).flatten().tolist() == [5]


def test_a_long_dilation_skips_the_whole_input():
    x, w = mx.ones((1, 3, 1)), mx.array([1.0, 10.0, 100.0]).reshape(1, 3, 1)
    assert mx.conv1d(x, w, dilation=7, padding=7).flatten().tolist() == [10, 10, 10]


def test_results_do_not_depend_on_the_number_of_threads():
    import subprocess
    import sys
    program = """
import numpy as np, mxform as mx
rng = np.random.default_rng(0)
for shape, kernel, groups in (((3, 30, 31, 24), (40, 3, 3, 24), 1), ((3, 30, 31, 32), (32, 3, 3, 1), 32), ((1, 40, 41, 4), (4, 5, 5, 4), 1)):
    x, w = mx.array(rng.standard_normal(shape).astype("f")), mx.array(rng.standard_normal(kernel).astype("f"))
    f = lambda x, w: mx.conv2d(x, w, padding=1, groups=groups)
    for y in (f(x, w), *mx.grad(lambda x, w: (f(x, w) ** 2).sum(), argnums=(0, 1))(x, w)):
        print(hash(np.array(y).tobytes()))
"""
    import os
    results = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                              env={**os.environ, "MXFORM_NUM_THREADS": str(n), "PYTHONHASHSEED": "0"}).stdout for n in (1, 2, 5)]
    assert results[0] == results[1] == results[2] and results[0].count("\n") == 9


# ---- in use

def small_network(x, w1, w2, w3):
    y = mx.maximum(mx.conv2d(x, w1, stride=2, padding=1), 0)
    y = mx.tanh(mx.conv2d(y, w2, padding=1, groups=4))
    return mx.conv_transpose2d(y, w3, stride=2, padding=1, output_padding=1)


def test_networks_of_convolutions_compile_checkpoint_and_differentiate():
    rng = np.random.default_rng(5)
    args = [random(rng, s, mx.float32) for s in ((2, 8, 8, 3), (8, 3, 3, 3), (8, 3, 3, 2), (3, 3, 3, 8))]
    loss = lambda x, *w: mx.mean(mx.square(small_network(x, *w) - x))  # noqa: E731
    value, gradients = mx.value_and_grad(loss, argnums=(1, 2, 3))(*args)
    for f in (mx.compile(mx.value_and_grad(loss, argnums=(1, 2, 3))), mx.value_and_grad(mx.checkpoint(loss), argnums=(1, 2, 3)),
              mx.value_and_grad(mx.compile(loss), argnums=(1, 2, 3))):
        again, others = f(*args)
        close(again, to_np(value), 1e-5)
        for a, b in zip(others, gradients):
            close(a, to_np(b), 1e-5)


def test_per_example_gradients_and_hessian_vector_products():
    rng = np.random.default_rng(6)
    xs, w, v = random(rng, (3, 5, 6, 2)), random(rng, (4, 3, 3, 2)), random(rng, (4, 3, 3, 2))
    loss = lambda w, x: mx.sum(mx.tanh(mx.conv2d(x[None], w, padding=1)))  # noqa: E731
    each = mx.vmap(mx.grad(loss), in_axes=(None, 0))(w, xs)
    close(each, np.stack([to_np(mx.grad(loss)(w, x)) for x in xs]))
    x = xs[0]
    forward = mx.jvp(lambda w: mx.grad(loss)(w, x), [w], [v])[1][0]
    backward = mx.grad(lambda w: mx.sum(mx.grad(loss)(w, x) * v))(w)
    close(forward, to_np(backward))


# ---- PyTorch as a second opinion

def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    first = lambda a: torch.tensor(to_np(a)).movedim(-1, 1)  # noqa: E731
    for n in (1, 2, 3):
        plain, turned = getattr(torch.nn.functional, f"conv{n}d"), getattr(torch.nn.functional, f"conv_transpose{n}d")
        for groups, stride, padding, dilation in ((1, 1, 0, 1), (1, 2, 1, 1), (2, 1, 2, 2), (4, 3, 1, 1)):
            x, w = random(rng, (2, *range(6, 6 + n), 4)), random(rng, (8, *range(2, 2 + n), 4 // groups))
            ours = getattr(mx, f"conv{n}d")(x, w, stride, padding, dilation, groups)
            close(ours, plain(first(x), first(w), None, stride, padding, dilation, groups).movedim(1, -1).numpy())
            # PyTorch's weights are (C_in, C_out / groups, ...): of a transposed convolution, those of the plain one.
            theirs = torch.tensor(to_np(w)).reshape(groups, 8 // groups, *w.shape[1:]).movedim(-1, 1).reshape(4, 8 // groups, *w.shape[1:-1])
            ours = getattr(mx, f"conv_transpose{n}d")(x, w, stride, padding, dilation, stride - 1, groups)
            close(ours, turned(first(x), theirs, None, stride, padding, stride - 1, groups, dilation).movedim(1, -1).numpy())
