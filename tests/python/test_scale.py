"""test_scale.py — graphs of a million nodes, deep and wide. Walks, rules and destructors must not recurse, and gradient
graphs must grow linearly: each test would take minutes, or crash, otherwise. No test asserts on a time."""

import gc
import threading

import numpy as np
import pytest

import mxform as mx

DEEP = 1_000_000
WIDE = 10_000


def chain(x, n=DEEP):
    """x + 1 - 1 + 1 ...: the value tells how far it went. Both terms are exact."""
    for _ in range(n // 2):
        x = (x + 1.0) * 0.5
    return x


def in_thread(f, stack=256 * 1024):
    """On a thread with a small stack, recursion over a deep graph cannot hide."""
    old = threading.stack_size(stack)
    out = []
    try:
        t = threading.Thread(target=lambda: out.append(f()))
        t.start()
    finally:
        threading.stack_size(old)
    t.join(120)
    assert not t.is_alive() and out, "the thread did not finish"
    return out[0]


def test_a_million_operations_are_built_and_evaluated():
    x = chain(mx.array(5.0))
    assert x.item() == pytest.approx(1.0)


def test_a_million_operations_are_released_without_evaluation():
    x = chain(mx.array(5.0))
    del x
    gc.collect()


def test_a_million_operations_are_released_on_a_small_stack():
    in_thread(lambda: chain(mx.array(5.0)).shape)
    in_thread(lambda: chain(mx.array(5.0)).item())


def test_a_million_operations_have_a_gradient():
    def f(x):
        for _ in range(DEEP):
            x = x + 1.0
        return x * x

    assert mx.grad(f)(mx.array(2.0)).item() == pytest.approx(2 * (2.0 + DEEP))


def test_a_million_nonlinear_operations_have_a_gradient():
    def f(x):
        for _ in range(DEEP // 2):
            x = mx.sin(x) * 1.0
        return x

    slope = mx.grad(f)(mx.array(0.001)).item()
    assert np.isfinite(slope) and 0 < slope <= 1


def test_a_million_operations_have_a_tangent():
    y, t = mx.jvp(chain, [mx.array(5.0)], [mx.array(1.0)])
    assert y[0].item() == pytest.approx(1.0) and t[0].item() == 0.0
    y, t = mx.jvp(lambda x: chain(x, 40), [mx.array(5.0)], [mx.array(1.0)])
    assert t[0].item() == 0.5**20


def test_a_million_operations_are_batched():
    got = mx.vmap(chain)(mx.array([5.0, -3.0, 0.0]))
    assert got.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_million_operations_are_compiled():
    f = mx.compile(chain)
    assert f(mx.array(5.0)).item() == pytest.approx(1.0)
    assert f(mx.array([7.0, 1.0])).tolist() == pytest.approx([1.0, 1.0])


def test_a_hundred_thousand_operations_under_nested_transformations():
    def f(x):
        for _ in range(100_000):
            x = x * 1.00001
        return mx.sum(x)

    slope = 1.00001**100_000
    x = mx.array([1.0, 2.0])
    assert mx.vmap(mx.grad(f))(x).tolist() == pytest.approx([slope] * 2, rel=2e-2)
    assert mx.grad(lambda x: mx.sum(mx.vmap(f)(x)))(x).tolist() == pytest.approx([slope] * 2, rel=2e-2)
    assert mx.jvp(mx.grad(f), [x], [x])[1][0].tolist() == [0.0, 0.0]
    assert mx.compile(mx.grad(f))(x).tolist() == pytest.approx([slope] * 2, rel=2e-2)
    assert mx.grad(mx.checkpoint(f))(x).tolist() == pytest.approx([slope] * 2, rel=2e-2)


def test_a_deep_gradient_is_released_on_a_small_stack():
    def f(x):
        for _ in range(200_000):
            x = mx.sin(x)
        return x

    in_thread(lambda: mx.grad(f)(mx.array(1.0)).shape)
    in_thread(lambda: mx.vmap(mx.grad(f))(mx.array([1.0, 2.0])).shape)


def test_a_chain_that_is_evaluated_bit_by_bit_holds_no_memory():
    gc.collect()
    x = mx.ones((1000,)) + 0
    mx.eval(x)
    before = mx.get_active_memory()
    for _ in range(2000):
        x = x * 1.0001
        mx.eval(x)
    assert mx.get_active_memory() <= before + 8192


def test_a_long_chain_of_updates_in_place():
    x = mx.zeros((8,))
    for k in range(20_000):
        x[k % 8] += 1.0
    assert mx.sum(x).item() == 20_000
    y = mx.zeros((4,))
    for _ in range(100_000):
        y += 1
    assert y.tolist() == [100_000.0] * 4


def test_a_long_chain_of_views():
    x = mx.arange(6).reshape(2, 3)
    for _ in range(100_000):
        x = x.T
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_doubling_paths_are_walked_once():
    """2**60 paths, 60 nodes: a walk that forgets where it was never ends."""
    def f(x):
        for _ in range(60):
            x = (x + x) * 0.5
        return x

    x = mx.array(3.0)
    assert f(x).item() == 3.0 and mx.grad(f)(x).item() == 1.0
    assert mx.jvp(f, [x], [x])[1][0].item() == 3.0
    assert mx.vmap(f)(mx.array([1.0, 2.0])).tolist() == [1, 2]
    assert mx.compile(f)(x).item() == 3.0
    assert mx.grad(mx.grad(lambda x: f(x) * x))(x).item() == pytest.approx(2.0)


def test_wide_graphs():
    xs = [mx.array(float(k % 8)) for k in range(WIDE)]
    want = sum(k % 8 for k in range(WIDE))
    assert mx.sum(mx.stack(xs)).item() == want
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    assert total.item() == want
    g = mx.grad(lambda *xs: mx.sum(mx.stack(xs) * mx.arange(WIDE)), argnums=list(range(WIDE)))(*xs)
    assert [g[0].item(), g[-1].item()] == [0.0, WIDE - 1.0] and len(g) == WIDE


def test_one_array_used_by_ten_thousand_others():
    def f(x):
        return mx.sum(mx.stack([x * float(k % 8) for k in range(WIDE)]))

    x = mx.array(2.0)
    total = sum(k % 8 for k in range(WIDE))
    assert f(x).item() == pytest.approx(2 * total, rel=1e-5)
    assert mx.grad(f)(x).item() == pytest.approx(total, rel=1e-5)
    assert mx.vmap(f)(mx.array([1.0, 2.0])).tolist() == pytest.approx([total, 2 * total], rel=1e-5)
    assert mx.jvp(f, [x], [x])[1][0].item() == pytest.approx(2 * total, rel=1e-5)
    assert mx.compile(f)(x).item() == pytest.approx(2 * total, rel=1e-5)


def test_many_outputs_of_one_call():
    parts = mx.split(mx.arange(WIDE), WIDE)
    assert len(parts) == WIDE and parts[-1].item() == WIDE - 1
    g = mx.grad(lambda x: sum(p[0] * k for k, p in enumerate(mx.split(x, 200))))(mx.zeros(200))
    assert g.tolist() == list(range(200))


def test_many_evaluated_outputs_at_once():
    x = mx.array(1.0)
    ys = [x + k for k in range(WIDE)]
    mx.eval(ys)
    assert [y.item() for y in ys[:3]] == [1, 2, 3]


def test_deep_trees_of_arguments():
    tree = mx.array(2.0)
    for _ in range(100):
        tree = [tree, {"k": mx.array(1.0)}]

    def f(t):
        total = mx.array(0.0)
        while isinstance(t, list):
            total = total + t[1]["k"]
            t = t[0]
        return total * t

    assert mx.grad(f)(tree)[1]["k"].item() == 2.0


def test_a_chain_of_compiled_calls():
    f = mx.compile(lambda x: x + 1)
    x = mx.array(0.0)
    for _ in range(100_000):
        x = f(x)
    assert x.item() == 100_000


def test_nested_gradients_grow_no_faster_than_their_mathematics():
    f = lambda x: mx.sin(x) * mx.exp(x * 0.5)  # noqa: E731
    for _ in range(6):
        f = mx.grad(f)
    z = np.exp(0.5 * 0.3 + 1j * 0.3) * (0.5 + 1j) ** 6  # the sixth derivative of exp((1/2 + i) x), imaginary part
    assert f(mx.array(0.3)).item() == pytest.approx(z.imag, rel=1e-3)
