"""linearize and vjp_fn: against jvp and vjp, against each other, transformed and transforming."""

import threading

import numpy as np

import mxform as mx
from derivative_cases import CASES, V, W, case, close, holomorphic
from helpers import same
from mxform.testing import check_grads


def tangents_like(tree, seed):
    rng = np.random.default_rng(seed)
    return mx.tree_map(lambda x: mx.array(rng.normal(size=x.shape), mx.float64), tree)


@case
def test_linearize_is_jvp(name):
    f, args = CASES[name]
    output, f_jvp = mx.linearize(f, *args)
    assert same(output, f(*args))
    for seed in (0, 1):
        ts = tangents_like(args, seed)
        as_list = lambda *xs: [f(*xs)]  # the output as one tree
        _, (need,) = mx.jvp(as_list, args, ts)
        assert same(f_jvp(*ts), need)


@case
def test_vjp_fn_is_vjp(name):
    f, args = CASES[name]
    output, f_vjp = mx.vjp_fn(f, *args)
    assert same(output, f(*args))
    for seed in (0, 1):
        cts = tangents_like(output, seed)
        _, need = mx.vjp(lambda *xs: [f(*xs)], args, [cts])
        assert same(f_vjp(cts), tuple(need))


@case
def test_one_is_the_transpose_of_the_other(name):
    f, args = CASES[name]
    output, f_jvp = mx.linearize(f, *args)
    _, f_vjp = mx.vjp_fn(f, *args)
    ts, cts = tangents_like(args, 2), tangents_like(output, 3)
    need = f_vjp(cts)
    for a, b in zip(mx.tree_leaves(tuple(mx.vjp(lambda *ts: [f_jvp(*ts)], ts, [cts])[1])), mx.tree_leaves(need)):
        close(a, b, 1e-12)
    (moved,) = mx.vjp(lambda ct: list(f_vjp(ct)), [output], list(ts))[1]
    for a, b in zip(mx.tree_leaves(moved), mx.tree_leaves(f_jvp(*ts))):
        close(a, b, 1e-12)


def test_the_linear_functions_run_nothing_again():
    calls = []

    def f(x):
        calls.append(x)
        return mx.sin(x) * x

    x = mx.array([0.5, 1.0])
    _, f_jvp = mx.linearize(f, x)
    _, f_vjp = mx.vjp_fn(f, x)
    for _ in range(3):
        f_jvp(x), f_vjp(x)
    assert len(calls) == 2


def test_the_linear_functions_can_be_transformed():
    f = lambda x: mx.tanh(mx.outer(x, x[:2]))
    output, f_jvp = mx.linearize(f, V)
    _, f_vjp = mx.vjp_fn(f, V)
    jacobian = mx.jacfwd(f)(V)
    eye = mx.eye(3, dtype=mx.float64)
    close(mx.vmap(f_jvp, out_axes=-1)(eye), jacobian)
    close(mx.vmap(f_vjp)(mx.eye(6, dtype=mx.float64).reshape(6, 3, 2))[0].reshape(3, 2, 3), jacobian)
    close(mx.vmap(f_jvp, out_axes=-1, chunk_size=2)(eye), jacobian)
    close(mx.jacrev(f_jvp)(V), jacobian)
    close(mx.compile(f_jvp)(V), jacobian @ V)
    close(mx.compile(f_vjp)(output)[0], mx.tensordot(output, jacobian, 2))
    close(mx.checkpoint(f_jvp)(V), jacobian @ V)
    assert same(mx.linearize(f_jvp, V)[1](W[0] * V), f_jvp(W[0] * V))
    close(mx.hessian(lambda t: f_jvp(t).sum())(V), mx.zeros((3, 3)))


def test_linearising_can_be_transformed():
    f = lambda x: mx.sin(x) * x[0]
    x, t = mx.array([0.5, 1.0, 2.0]), mx.array([1.0, -1.0, 0.5])
    forward = lambda x: mx.linearize(f, x)[1](t)
    reverse = lambda x: mx.vjp_fn(f, x)[1](t)[0]
    need_forward, need_reverse = lambda x: mx.jvp(f, [x], [t])[1][0], lambda x: mx.vjp(f, [x], [t])[1][0]
    for g, need in ((forward, need_forward), (reverse, need_reverse)):
        assert same(g(x), need(x))
        assert same(mx.compile(g)(x), need(x))
        assert same(mx.checkpoint(g)(x), need(x))
        assert same(mx.grad(lambda x: g(x).sum())(x), mx.grad(lambda x: need(x).sum())(x))
        assert same(mx.jvp(g, [x], [x]), mx.jvp(need, [x], [x]))
        xs = mx.stack([x, 2 * x])
        assert same(mx.vmap(g)(xs), mx.stack([need(x), need(2 * x)]))
        assert same(mx.jacrev(g)(x), mx.jacrev(need)(x))
        check_grads(g, (x,), order=2)


def test_captured_arrays_get_their_gradients():
    def loss(w):
        _, f_jvp = mx.linearize(lambda x: mx.sin(w * x), mx.array(0.5))
        return f_jvp(mx.array(2.0))  # 2 w cos(w / 2)

    w = 1.2
    assert same(mx.grad(loss)(w), mx.array(2 * np.cos(w / 2) - w * np.sin(w / 2), mx.float32))


def test_one_map_serves_many_points_of_a_transformation():
    _, f_jvp = mx.linearize(mx.sin, mx.array(0.0))
    assert same(mx.vmap(f_jvp)(mx.arange(3.0)), mx.arange(3.0))
    assert same(mx.grad(lambda t: f_jvp(t) ** 2)(3.0), 6)
    compiled = mx.compile(lambda t: f_jvp(t) + 1)
    assert same(compiled(mx.array(1.0)), 2) and same(compiled(mx.array(2.0)), 3)


def test_values_may_be_read_while_linearising():
    f = lambda x: x * x if x.item() > 0 else -x
    y, f_jvp = mx.linearize(f, 3.0)
    assert same((y, f_jvp(1.0)), (9, 6))
    assert same(mx.vjp_fn(f, mx.array(-3.0))[1](1.0), (-1,))


def test_integer_primals_do_not_move():
    f = lambda x, n: (x * n, n + 1)
    x, n = mx.array(2.0), mx.array(3)
    outputs, f_jvp = mx.linearize(f, x, n)
    assert same(outputs, (6, 4))
    moved = f_jvp(mx.array(1.0), mx.array(5))
    assert same(moved[0], 3) and moved[1].item() == 0 and moved[1].dtype == mx.int32
    _, f_vjp = mx.vjp_fn(f, x, n)
    found = f_vjp((mx.array(1.0), None))
    assert same(found[0], 3) and found[1].item() == 0


def test_none_is_a_zero():
    f = lambda p, x: {"a": p["u"] * p["v"] * x, "b": x}
    p, x = {"u": mx.array(2.0), "v": mx.array(3.0)}, mx.array(5.0)
    _, f_jvp = mx.linearize(f, p, x)
    assert same(f_jvp(None, 1.0), {"a": 6, "b": 1})
    assert same(f_jvp({"u": 1.0, "v": None}, None), {"a": 15, "b": 0})
    _, f_vjp = mx.vjp_fn(f, p, x)
    assert same(f_vjp({"a": None, "b": 2.0}), ({"u": 0, "v": 0}, 2))
    assert same(f_vjp(None), ({"u": 0, "v": 0}, 0))


def test_tangents_take_on_the_dtype_of_the_primals():
    _, f_jvp = mx.linearize(lambda x: x * 2, mx.ones((2,), mx.float16))
    assert f_jvp(mx.ones((2,))).dtype == mx.float16
    _, f_vjp = mx.vjp_fn(lambda x: x * 2, mx.ones((2,), mx.float16))
    assert f_vjp(mx.ones((2,)))[0].dtype == mx.float16


def test_complex_maps_follow_jvp_and_vjp():
    z, t = mx.array([0.3 + 0.4j, -1 + 0.5j]), mx.array([1 - 1j, 2j])
    assert same(mx.linearize(holomorphic, z)[1](t), mx.jvp(holomorphic, [z], [t])[1][0])
    ct = mx.array([1 - 1j, 2j, 3 + 0j])
    assert same(mx.vjp_fn(holomorphic, z)[1](ct)[0], mx.vjp(holomorphic, [z], [ct])[1][0])


def test_a_map_can_be_used_and_released_on_another_thread():
    x = mx.array([0.5, 1.0])
    maps = [mx.linearize(lambda x: mx.sin(x) * x, x)[1]]
    found = []
    thread = threading.Thread(target=lambda: found.append(maps.pop()(x).tolist()))
    thread.start()
    thread.join()
    assert same(mx.array(found[0]), mx.jvp(lambda x: mx.sin(x) * x, [x], [x])[1][0])


def test_a_map_keeps_only_what_it_needs():
    x = mx.ones((100_000,))
    mx.eval(x)
    before = mx.get_active_memory()
    _, f_jvp = mx.linearize(lambda x: mx.sin(x) + (x * 2 + 1) * 3, x)  # keeps cos(x)
    mx.eval(f_jvp(x))
    assert mx.get_active_memory() - before < 1.5 * x.nbytes
    del f_jvp
    assert mx.get_active_memory() - before < 0.5 * x.nbytes


def test_a_gradient_flows_only_through_the_tangents():
    # f_jvp is linear: its own derivative does not depend on where it is taken.
    _, f_jvp = mx.linearize(lambda x: x**3, mx.array(2.0))
    assert same(mx.grad(f_jvp)(7.0), 12) and same(mx.grad(mx.grad(f_jvp))(7.0), 0)
