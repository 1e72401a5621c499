"""checkpoint and custom_function: recomputation, and rules given by the user."""

import gc
import threading
import weakref


import mxform as mx
from helpers import must_fail, same

A, B = mx.array(1.0), mx.array(2.0)
X, Y = mx.arange(6.0).reshape(2, 3), mx.arange(3.0)


# ---- checkpoint


def test_checkpoint_keeps_values_structures_and_gradients():
    scale = mx.array(3.0)

    def g(p, x, flag=True):
        return {"loss": (mx.sin(p["w"] * x) * scale).sum(), "flag": flag, "x": x}

    p, x = {"w": mx.array([1.0, 2.0])}, mx.array([0.5, 0.3])
    assert same(mx.checkpoint(g)(p, x, flag="yes"), g(p, x, flag="yes"))
    loss = lambda g: lambda p: g(p, x)["loss"]
    assert same(mx.grad(loss(mx.checkpoint(g)))(p), mx.grad(loss(g))(p))


def test_checkpoint_differentiates_captured_arrays():
    def outer(w):
        return mx.checkpoint(lambda x: mx.sin(w * x).sum())(mx.array([1.0, 2.0]))

    x = mx.array([1.0, 2.0])
    assert same(mx.grad(outer)(A), (x * mx.cos(x)).sum())


def test_checkpoint_repeats_its_random_numbers():
    seen = []

    def noisy(x):
        noise = mx.random.uniform(shape=(1000,))
        return (x * noise * noise).sum() / 2, noise

    def loss(x):
        value, noise = mx.checkpoint(noisy)(x)
        seen.append(noise)
        return value

    x = mx.ones((1000,))
    assert same(mx.grad(loss)(x), seen[0] * seen[0] / 2)


# ---- custom_function


def make_custom():
    @mx.custom_function
    def g(x, y):
        return mx.sin(x) * y

    return g


def test_custom_vjp_is_used():
    g, seen = make_custom(), []

    @g.vjp
    def rule(primals, cotangent, output):
        seen.append((primals, cotangent, output))
        x, y = primals
        return cotangent * 10, cotangent * 20

    assert rule is g
    assert same(g(A, B), mx.sin(A) * 2)
    assert same(mx.grad(g, argnums=(0, 1))(A, B), (10, 20))
    primals, cotangent, output = seen[0]
    assert same((primals, cotangent, output), ((1, 2), 1, mx.sin(A) * 2))


def test_custom_rules_see_trees():
    seen = []

    @mx.custom_function
    def g(p, scale, name):
        return [p["w"] * scale, {"n": name}]

    @g.vjp
    def _(primals, cotangents, outputs):
        seen.append((primals, cotangents, outputs))
        return {"w": cotangents[0] * 7}, None

    assert same(mx.grad(lambda p: g(p, 2.0, "name")[0])({"w": B}), {"w": 7})
    assert same(seen[0], (({"w": 2}, 2.0, "name"), [1, {"n": "name"}], [4, {"n": "name"}]))


def test_custom_jvp_is_used_and_serves_for_vjp():
    g = make_custom()

    @g.jvp
    def _(primals, tangents):
        x, y = primals
        dx, dy = tangents
        return dx * 10 + dy * 20

    assert same(mx.jvp(g, [A, B], [A, A]), ([mx.sin(A) * 2], [30]))
    assert same(mx.grad(g, argnums=(0, 1))(A, B), (10, 20))


def test_custom_vjp_serves_for_jvp():
    g = make_custom()
    g.vjp(lambda primals, ct, out: (ct * 10, ct * 20))
    assert same(mx.jvp(g, [A, B], [A, A])[1], [30])


def test_custom_rules_survive_vmap_compile_and_nesting():
    g = make_custom()
    g.vjp(lambda primals, ct, out: (ct * 10 * primals[0], ct * 20))
    xs, ones = mx.array([1.0, 2.0, 3.0]), mx.ones((3,))
    assert same(mx.vmap(mx.grad(g), in_axes=(0, None))(xs, B), xs * 10)
    assert same(mx.grad(lambda x: mx.vmap(g, in_axes=(0, None))(x, B).sum())(xs), xs * 10)
    assert same(mx.grad(lambda x: mx.vmap(g)(x, ones).sum())(xs), xs * 10)
    assert same(mx.compile(mx.grad(g))(A, B), 10)
    assert same(mx.grad(mx.compile(g))(A, B), 10)
    assert same(mx.grad(mx.grad(g))(A, B), 10)
    assert same(mx.grad(mx.checkpoint(g))(A, B), 10)


def test_custom_vmap_is_used():
    seen = []

    @mx.custom_function
    def g(x, y):
        return x + y

    @g.vmap
    def _(inputs, axes):
        seen.append(axes)
        x, y = inputs
        return x + y + 100, 0

    assert same(mx.vmap(g, in_axes=(0, None))(X, Y), X + Y + 100)
    assert same(mx.vmap(g, in_axes=(1, None), out_axes=1)(X.T, Y), (X + Y + 100).T)
    assert seen == [(0, None), (0, None)]
    lone = mx.custom_function(lambda d: {"s": d["a"].sum()})
    lone.vmap(lambda d, axes: ({"s": d["a"].sum(1) + axes["a"]}, {"s": 0}))
    assert same(mx.vmap(lone)({"a": X}), {"s": X.sum(1)})


def test_custom_functions_differentiate_captured_arrays():
    def outer(x, w):
        g = mx.custom_function(lambda x: x * w)
        g.vjp(lambda x, ct, out: ct * 100)
        return g(x)

    assert same(mx.grad(outer, argnums=(0, 1))(A, B), (100, 1))


def test_custom_rules_get_keywords_as_they_are():
    @mx.custom_function
    def g(x, *, power=1):
        return x**power

    @g.vjp
    def _(x, ct, out, power=1):
        return ct * power * 1000

    assert same(mx.grad(lambda x: g(x, power=3))(B), 3000)


def test_custom_rules_are_checked():
    def with_vjp(result):
        g = make_custom()
        g.vjp(lambda primals, ct, out: result)
        return lambda: mx.grad(g)(mx.ones(()), B)

    must_fail(with_vjp((A,)), "[g] the vjp rule must return one cotangent for each argument")
    must_fail(with_vjp((A, A, A)), "the first has a tuple of 2, the other a tuple of 3")
    must_fail(with_vjp((mx.ones((3,)), A)), "[g] the vjp rule returned a cotangent of shape (3,) for primals[0], which has shape ()")
    must_fail(with_vjp((mx.array(1), A)), "dtype int32")
    must_fail(with_vjp(("text", A)), "returned str 'text' as a cotangent; need an array")
    g = make_custom()
    g.vmap(lambda inputs, axes: inputs[0])
    must_fail(lambda: mx.vmap(g)(Y, Y), "[g] the vmap rule must return (outputs, axes)")
    must_fail(lambda: g.vjp(3), "fun must be callable", TypeError)


def test_rules_may_be_released_by_any_thread():
    class Token:
        pass

    def build():
        token = Token()
        g = mx.custom_function(lambda x: x * 2)
        g.vjp(lambda x, ct, out, keep=token: ct)
        return g(mx.ones((4,))), weakref.ref(token)

    out, ref = build()
    worker = threading.Thread(target=lambda x: mx.eval(x + 1), args=(out,))
    worker.start()
    worker.join()
    del out, worker
    gc.collect()
    assert ref() is None
