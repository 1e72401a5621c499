"""test_compile_plan.py — compiled calls as plans: transformations run compiled and give what uncompiled functions give, memory
comes back, inputs that nobody holds are used again, errors leave nothing half done."""

import gc

import numpy as np
import pytest

import mxform as mx

A = mx.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [0.1, 0.2, 0.3]])
B = mx.array([[1.0, 2.0, -1.0], [0.5, 0.5, 0.5], [2.0, -2.0, 1.0]])
V = mx.array([0.3, -0.6, 0.9])


def normalised(x):
    return (x - x.mean(-1, keepdims=True)) * mx.rsqrt(x.var(-1, keepdims=True) + 1e-5)


def dropped(x):
    return mx.where(mx.random.uniform(shape=x.shape, key=mx.random.key(3)) > 0.4, x * 2, 0.0)


@mx.custom_function
def clipped(x):
    return mx.clip(x, -1, 1)


@clipped.vjp
def clipped_vjp(x, ct, out):
    return ct * 3


# Functions of two arrays (3, 3) and a vector (3,), of one array each.
FUNCTIONS = {
    "gelu": lambda a, b, v: a * (1 + mx.erf(a / 2**0.5)) / 2,
    "layer": lambda a, b, v: mx.tanh(a @ b + v),
    "two_layers": lambda a, b, v: mx.sigmoid(mx.tanh(a @ b + v) @ b.T + a),
    "softmax": lambda a, b, v: mx.softmax(a * 2, axis=-1) * b,
    "logsumexp": lambda a, b, v: mx.logsumexp(a + v, axis=0) * v,
    "norm": lambda a, b, v: normalised(a) * v,
    "fast_norm": lambda a, b, v: mx.fast.layer_norm(a, v, v, 1e-5),
    "powers": lambda a, b, v: a**2 + b**3 + mx.abs(v) ** 0.5,
    "indexed": lambda a, b, v: a[mx.array([0, 2])] * v[1:2] + b[:2],
    "sorted": lambda a, b, v: mx.sort(a, axis=-1) * v + mx.cumsum(b, axis=0),
    "sliced": lambda a, b, v: mx.concatenate([a[:, 1:], b[:, :1]], axis=1).T @ v,
    "outer": lambda a, b, v: mx.outer(v, v) @ a - b,
    "dropout": lambda a, b, v: dropped(mx.tanh(a)) @ b,
    "checkpoint": lambda a, b, v: mx.checkpoint(lambda x: mx.tanh(x @ b) * v)(a),
    "custom": lambda a, b, v: clipped(a @ b) * v,
    "scan": lambda a, b, v: mx.scan(lambda c, x: (mx.tanh(c * x + v), c), v, a)[0] + b,
    "cond": lambda a, b, v: mx.cond(v[0] > 0, lambda x: mx.sin(x) @ b, lambda x: mx.cos(x), a),
    "nested": lambda a, b, v: mx.compile(lambda x: mx.exp(-x * x) @ b)(mx.compile(lambda x: mx.sin(x))(a) * v),
    "vmapped": lambda a, b, v: mx.vmap(mx.compile(lambda x, y: mx.tanh(x * y).sum() * x))(a, b),
    "of_gradients": lambda a, b, v: mx.grad(mx.compile(lambda x: (mx.tanh(x @ b) * v).sum()))(a),
    "stopped": lambda a, b, v: mx.stop_gradient(mx.exp(a)) * a + b * v,
    "selected": lambda a, b, v: mx.where(a > 0, mx.sqrt(mx.abs(a) + 0.1), b * v),
    "einsum": lambda a, b, v: mx.einsum("ij,jk,k->i", a, b, v),
    "integers": lambda a, b, v: a * mx.argmax(b, axis=0).astype(mx.float32) + v,
    "constant": lambda a, b, v: a * 0 + 3.0,
    "identity": lambda a, b, v: a,
}


def same(got, want, tolerance=2e-5):
    for i, (g, w) in enumerate(zip(mx.tree_flatten(got)[0], mx.tree_flatten(want)[0], strict=True)):
        if not isinstance(w, mx.array):
            assert g == w
            continue
        assert g.dtype == w.dtype and g.shape == w.shape, i
        np.testing.assert_allclose(np.array(g), np.array(w), rtol=tolerance, atol=tolerance, err_msg=f"leaf {i}")


def weighted(f):
    return lambda a, b, v: (f(a, b, v) * mx.arange(1, 4)).sum()


TANGENTS = [mx.full((3, 3), 0.5), mx.sin(B), mx.cos(V)]
USES = {
    "call": lambda f: f(A, B, V),
    "grad": lambda f: mx.grad(weighted(f), argnums=[0, 1, 2])(A, B, V),
    "grad of the compiled scalar": lambda f: mx.grad(f, argnums=[0, 2])(A, B, V),
    "value_and_grad": lambda f: mx.value_and_grad(weighted(f), argnums=[0, 1])(A, B, V),
    "vjp": lambda f: mx.vjp(f, [A, B, V], [mx.cos(f(A, B, V))]),
    "jvp": lambda f: mx.jvp(f, [A, B, V], TANGENTS),
    "jvp of some": lambda f: mx.jvp(lambda a: f(a, B, V), [A], [TANGENTS[0]]),
    "vmap": lambda f: mx.vmap(f, in_axes=(0, None, 1))(mx.stack([A, B, A * B]), B, mx.stack([V, V + 1, V * 2], axis=1)),
    "vmap of grad": lambda f: mx.vmap(mx.value_and_grad(weighted(f), argnums=[0, 2]), in_axes=(0, None, None))(mx.stack([A, B]), B, V),
    "grad of vmap": lambda f: mx.grad(lambda a: mx.vmap(f, in_axes=(0, None, None))(a, B, V).sum())(mx.stack([A, B])),
    "grad of grad": lambda f: mx.grad(lambda v: (mx.grad(weighted(f))(A, B, v) * B).sum())(V),
    "jvp of grad": lambda f: mx.jvp(mx.value_and_grad(weighted(f)), [A, B, V], TANGENTS),
    "grad of jvp": lambda f: mx.grad(lambda v: (mx.jvp(f, [A, B, v], TANGENTS)[1][0] * 2).sum())(V),
    "hvp": lambda f: mx.hvp(lambda v: weighted(f)(A, B, v), [V], [mx.cos(V)]),
    "hessian": lambda f: mx.hessian(lambda v: weighted(f)(A, B, v))(V),
    "jacfwd": lambda f: mx.jacfwd(lambda v: f(A, B, v))(V),
    "jacrev": lambda f: mx.jacrev(lambda v: f(A, B, v))(V),
    "checkpoint": lambda f: mx.value_and_grad(lambda a: weighted(mx.checkpoint(f))(a, B, V))(A),
    "linearize": lambda f: mx.linearize(lambda v: f(A, B, v), V)[1](mx.cos(V)),
    "scan": lambda f: mx.grad(lambda v: mx.scan(lambda c, x: (c + weighted(f)(x, B, v), c), mx.array(0.0), mx.stack([A, B]))[0])(V),
    "compiled grad": lambda f: mx.compile(mx.grad(weighted(f), argnums=[0, 1, 2]))(A, B, V),
    "compiled vmap": lambda f: mx.compile(mx.vmap(f, in_axes=(0, None, None)))(mx.stack([A, B]), B, V),
}


def scalar(f):
    return lambda a, b, v: (f(a, b, v) ** 2).mean()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("use", USES)
def test_transformations_of_compiled_functions_are_those_of_the_function(name, use):
    f, run = FUNCTIONS[name], USES[use]
    if use == "grad of the compiled scalar":
        f = scalar(f)
    g = mx.compile(f)
    want = run(f)
    for _ in range(4):  # plain evaluation beside it is planned when seen again
        same(run(g), want)
    assert g.cache.n_traces <= 2


def count_kernel_runs(program, op):
    return str(program).count(f" = {op}")


def test_transformations_do_not_trace_again():
    count = []

    def f(x):
        count.append(1)
        return (mx.tanh(x @ x) * 2).sum()

    g = mx.compile(f)
    for _ in range(3):
        mx.eval(g(A), mx.grad(g)(A), mx.vmap(g)(mx.stack([A, B])), mx.jvp(g, [A], [B]), mx.vmap(mx.grad(g))(mx.stack([A, B])), mx.hessian(g)(V[:1].reshape(1, 1)))
    assert len(count) == 2  # (3, 3) and (1, 1)


def test_the_forward_pass_runs_once(capsys):
    # What prints is computed once, also with its gradient.
    def f(x):
        y = mx.sin(x)
        mx.debug_print("{}", y)
        return (y * y).sum()

    mx.eval(mx.value_and_grad(mx.compile(f))(mx.array([0.0])))
    assert capsys.readouterr().out.count("[0]") == 1


def test_a_value_read_during_the_transformation_stays_right():
    g = mx.compile(lambda x: mx.tanh(x @ B) * 2)

    def loss(x):
        y = g(x)
        assert y.shape == (3, 3) and not mx.isnan(y).any().item()
        return (y * y).sum()

    same(mx.value_and_grad(loss)(A), mx.value_and_grad(lambda x: ((mx.tanh(x @ B) * 2) ** 2).sum())(A))


def test_some_outputs_may_be_dropped():
    g = mx.compile(lambda x: (mx.tanh(x @ B), mx.exp(x) * 2, x.sum(), mx.sort(x)))
    want = [np.array(t) for t in g(A)]
    for k in range(4):
        for j in range(4):
            outs = g(A)
            kept = {k: outs[k], j: outs[j]}
            del outs
            for i, t in kept.items():
                np.testing.assert_array_equal(np.array(t), want[i])
    first = g(A)[0]
    mx.eval(first)
    outs = g(A)
    mx.eval(outs[1])
    same(list(outs), [mx.array(w) for w in want])


def test_inputs_of_any_layout():
    f = lambda x, y: mx.tanh(x * 2 + y) @ y + (x * x).sum(0)
    g = mx.compile(f)
    base = mx.arange(36, dtype=mx.float32).reshape(6, 6) / 40
    layouts = [base[:3, :3], base.T[:3, :3], base[::2, ::2], base[3:, 3:], mx.broadcast_to(base[0, :3], (3, 3)), base[2::-1, :3], mx.contiguous(base[:3, :3])]
    for x in layouts:
        for y in layouts:
            same(g(x, y), f(x, y))
    assert g.cache.n_traces == 1


def test_views_that_change_the_size_of_elements():
    g = mx.compile(lambda x: x.view(mx.float64) + 0)
    whole = mx.arange(9, dtype=mx.float32)
    for part in (whole[:4], whole[1:5], whole[2:6], whole[3:7]):
        np.testing.assert_array_equal(np.array(g(part)), np.array(part).view(np.float64))


def test_outputs_may_be_views_inputs_or_constants():
    c = mx.array([1.0, 2.0])
    g = mx.compile(lambda x: (x.T, x[1], x, c, c[:1], mx.broadcast_to((x * 2)[0], (2, 3)), mx.zeros((2,)), (x * 2, x * 2)))
    f = g.__wrapped__
    for _ in range(2):
        same(g(A), f(A))
        same(mx.vmap(g)(mx.stack([A, B])), mx.vmap(f)(mx.stack([A, B])))


def test_empty_arrays():
    f = lambda x: (mx.tanh(x) * 2, x.sum(), (x @ mx.ones((3, 2))) + 1, mx.concatenate([x, x]))
    same(mx.compile(f)(mx.zeros((0, 3))), f(mx.zeros((0, 3))))


# ---- memory


def test_temporaries_share_memory():
    def f(x):
        for _ in range(20):
            x = mx.sort(x) + 1
        return x.sum()

    g = mx.compile(f)
    mx.eval(g(mx.ones((1000,))))
    assert 4000 <= mx.compile_info(g).traces[0].temporary_bytes <= 3 * 4096


def test_memory_returns_over_ten_thousand_steps():
    @mx.compile
    def step(w, x):
        y = mx.tanh(x @ w)
        return w - 0.001 * (x.T @ y), (y * y).mean()

    w, x = mx.random.normal((16, 16)), mx.random.normal((8, 16))
    w, loss = step(w, x)
    mx.eval(w, loss)
    gc.collect()
    start = mx.get_active_memory()
    for _ in range(10_000):
        w, loss = step(w, x)
        mx.eval(w, loss)
    assert mx.get_active_memory() == start


def test_memory_returns_with_state_and_gradients():
    state = {"w": mx.random.normal((32, 32)), "m": mx.zeros((32, 32)), "n": mx.array(0.0)}

    def step(x):
        grad = mx.grad(lambda w: (mx.tanh(x @ w) ** 2).mean())(state["w"])
        state["m"] = 0.9 * state["m"] + grad
        state["w"] = state["w"] - 0.1 * state["m"]
        state["n"] = state["n"] + 1

    g = mx.compile(step, inputs=state, outputs=state)
    x = mx.random.normal((8, 32))
    mx.eval(x)
    for _ in range(3):
        g(x)
        mx.eval(state)
    gc.collect()
    start = mx.get_active_memory()
    mx.reset_peak_memory()
    for _ in range(2_000):
        g(x)
        mx.eval(state)
    assert mx.get_active_memory() == start
    assert state["n"].item() == 2003
    h = mx.value_and_grad(mx.compile(lambda w: (mx.tanh(x @ w) ** 2).mean()))
    mx.eval(h(state["w"]))
    gc.collect()
    start = mx.get_active_memory()
    for _ in range(2_000):
        mx.eval(h(state["w"]))
    gc.collect()
    assert mx.get_active_memory() == start


def test_state_is_updated_in_its_own_memory():
    n = 1 << 20
    state = [mx.ones((n,))]

    def step(x):
        state[0] = state[0] * 0.5 + x

    g = mx.compile(step, inputs=state, outputs=state)
    x = mx.array(1.0)
    for _ in range(3):
        g(x)
        mx.eval(state)
    mx.reset_peak_memory()
    start = mx.get_active_memory()
    for _ in range(5):
        g(x)
        mx.eval(state)
    assert mx.get_peak_memory() - start < 4 * n
    assert state[0][7].item() == pytest.approx(2.0, abs=0.01)


def test_inputs_that_are_held_are_never_overwritten():
    g = mx.compile(lambda x, y: mx.tanh(x) * 2 + y)
    x = mx.arange(1000, dtype=mx.float32) / 100
    y = mx.ones((1000,))
    kept = np.array(x)
    view = x[10:20]
    out = g(x, y)
    out2 = g(x + 0, y)
    mx.eval(out, out2)
    np.testing.assert_array_equal(np.array(x), kept)
    np.testing.assert_array_equal(np.array(view), kept[10:20])
    z = mx.arange(1000, dtype=mx.float32) / 100
    alias = z.reshape(10, 100)
    mx.eval(alias)
    out3 = g(z, y)
    del z
    mx.eval(out3)
    np.testing.assert_array_equal(np.array(alias).reshape(-1), kept)
    same(out3, out)
    # Twice the same array; an input that is an output too.
    h = mx.compile(lambda a, b: (a * 2 + b, b * 3 + 1, a))
    a = mx.ones((100,)) + 0
    p, q, r = h(a, a)
    del a
    mx.eval(p, q, r)
    assert (p[0].item(), q[0].item(), r[0].item()) == (3, 4, 1)


def test_a_run_that_failed_cannot_give_wrong_values():
    f = mx.compile(lambda x, i: mx.take(mx.tanh(x * 2) + 1, i) + mx.sum(x))
    g = mx.compile(lambda x, i: (mx.exp(x) * 2, mx.take(x, i)))
    for h in (f, g):
        x = mx.ones((8,)) + 0
        mx.eval(x)
        out = h(x, mx.array([100]))
        del x
        for _ in range(3):
            with pytest.raises(IndexError):
                mx.eval(out)
    good = f(mx.ones((8,)), mx.array([1]))
    assert good.item() == pytest.approx(np.tanh(2) + 1 + 8, rel=1e-5)


def test_a_compiled_function_may_be_evaluated_within_itself():
    seen = []

    def look(x):
        return x * 2 + 1

    g = mx.compile(look)

    class Shown(float):
        pass

    def f(x):
        y = mx.tanh(x) * 3
        mx.debug_print("{}", y)
        return y + 1

    h = mx.compile(f)
    mx.eval(h(V), h(V), g(V))
    assert not seen


# ---- structure


def test_hundreds_of_leaves_in_and_out():
    tree = {"layers": [{"w": mx.full((2,), float(i)), "b": (mx.array(float(i)), None, "text", i)} for i in range(200)], "scale": 2.0}
    f = lambda t: mx.tree_map(lambda x: x * 2 if isinstance(x, mx.array) else x, t)
    g = mx.compile(f)
    for _ in range(3):
        got, want = g(tree), f(tree)
        assert list(got) == list(want) and len(got["layers"]) == 200
        same(got, want)
    assert g.cache.n_traces == 1
    tree["layers"][57]["b"] = (mx.array(1.0), None, "other", 57)
    assert g(tree)["layers"][57]["b"][2] == "other"
    assert g.cache.n_traces == 2


def test_two_kinds_of_calls_in_turns():
    g = mx.compile(lambda x, train: x * 2 if train else x + 1)
    for _ in range(5):
        assert g(V, True).tolist() == (V * 2).tolist()
        assert g(V, False).tolist() == (V + 1).tolist()
        assert g(V, 1).tolist() == (V * 2).tolist()
    assert g.cache.n_traces == 3


def test_compiled_methods_and_attributes():
    class Layer:
        def __init__(self):
            self.w = mx.array(3.0)

        @mx.compile
        def __call__(self, x):
            "Multiply."
            return x * self.w

        @mx.compile
        def plus(self, x, *, y=1):
            return x + y

    layer = Layer()
    assert layer(mx.array(2.0)).item() == 6
    assert layer.plus(mx.array(2.0), y=5).item() == 7
    assert Layer.plus(layer, mx.array(2.0)).item() == 3
    assert Layer.__call__.__doc__ == "Multiply."
    f = mx.compile(lambda x: x)
    f.note = "mine"
    assert f.note == "mine" and "compile" in repr(f) and callable(f)
    import copy

    assert copy.deepcopy(f) is f


# ---- compile_info


def test_info_lists_traces_and_what_they_cost():
    w = mx.ones((4, 8))

    def layer(x, n, bias=None):
        y = mx.tanh(x @ w) * n
        return y + 1 if bias is None else y + bias

    f = mx.compile(layer)
    assert mx.compile_info(f).traces == []
    x = mx.ones((2, 4))
    mx.eval(f(x, 2), f(x, 2), f(x, 3), f(x, 3, bias=mx.ones((8,))))
    info = mx.compile_info(f)
    assert (info.name, info.n_traces, [t.calls for t in info.traces]) == ("layer", 3, [1, 1, 2])
    with_bias, three, two = info.traces
    assert two.signature == "x: float32[2, 4], n=2" and two.reason == "the first call"
    assert three.reason == "n is int 3, not int 2" and "structure" in with_bias.reason
    assert with_bias.signature == "x: float32[2, 4], n=3, bias: float32[8]"
    assert two.operations >= 4 and two.steps == 2 and two.groups == 1 and two.fused == 3
    assert two.flops >= 2 * 2 * 4 * 8 and two.bytes > 0
    assert any(a is not None and a.shape == (4, 8) for a in two.captured)
    text = repr(info)
    assert "layer: traced 3 times, 3 traces kept" in text and "x: float32[2, 4], n=2" in text and "3 fused in 1 group" in text
    for bad in (layer, 3, mx.sin):
        with pytest.raises(TypeError, match="compile_info"):
            mx.compile_info(bad)


def test_info_of_many_leaves_is_short():
    f = mx.compile(lambda t: t[0])
    f([mx.array(float(i)) for i in range(100)])
    assert mx.compile_info(f).traces[0].signature.endswith("and 88 more")


# ---- growth


@pytest.mark.parametrize("n", [10, 1_000, 20_000])
def test_long_functions(n):
    def f(x):
        for i in range(n):
            x = x * 0.999 + 0.001 if i % 3 else mx.tanh(x)
        return x.sum()

    g = mx.compile(f)
    same(g(V), f(V), 1e-3)
    dg = mx.grad(g)(V)
    mx.eval(dg)
    assert not np.isnan(np.array(dg)).any()


# ---- rewrites


REWRITTEN = {
    "powers": lambda x: (x**1, x**2, x**3, x**4, x**-1, mx.abs(x) ** 0.5, x**0.5, mx.square(x) ** 0.5, x**0),
    "ones": lambda x: (x * 1, 1 * x, x / 1, x * -1, x / 4, x / -0.5, x / 3),
    "zeros": lambda x: (x + 0, x - 0, x + -0.0, 0 - x, x + (-x), x - (-x), -(-x)),
    "choices": lambda x: (mx.where(mx.array(True), x, -x), mx.where(mx.array(False), x, -x), mx.where(x > 0, x, x)),
    "moves": lambda x: (x.T.T, x.reshape(-1).reshape(9, 1).reshape(3, 3), mx.broadcast_to(mx.broadcast_to(x, (2, 3, 3)), (4, 2, 3, 3)), x.T.reshape(-1)),
    "casts": lambda x: (x.astype(mx.float64).astype(mx.float32), x.astype(mx.float16).astype(mx.float32), x.astype(mx.int32).astype(mx.int64).astype(mx.int8)),
    "sums": lambda x: (mx.broadcast_to(x, (5, 3, 3)).sum(0), mx.broadcast_to(x[:1], (3, 3)).max(0, keepdims=True), mx.broadcast_to(x, (2, 3, 3)).min((0,))),
    "common": lambda x: (x + x.T, x.T + x, mx.exp(x) * mx.exp(x)),
    "products": lambda x: (x @ x + x, x.T @ x + mx.ones((3,)), x @ x.T - x),
}
SPECIAL = mx.array([[0.0, -0.0, 1.0], [float("inf"), float("-inf"), float("nan")], [1e-40, -2.5, 3e38]])


@pytest.mark.parametrize("name", REWRITTEN)
def test_rewrites_keep_special_values(name):
    f = REWRITTEN[name]
    for x in (A, SPECIAL, A.astype(mx.float16), A.astype(mx.bfloat16), A.astype(mx.float64), SPECIAL.astype(mx.float64)):
        if name == "casts" and x is not A:
            continue
        for got, want in zip(mx.compile(f)(x), f(x)):
            assert got.dtype == want.dtype
            got, want = np.array(got.astype(mx.float64)), np.array(want.astype(mx.float64))
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
            np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(want)[~np.isnan(want)])
            tolerance = 1e-12 if x.dtype == mx.float64 else 5e-7 if x.dtype == mx.float32 else 2e-3 if x.dtype == mx.float16 else 2e-2
            np.testing.assert_allclose(got, want, rtol=tolerance)


def test_rewrites_of_integers():
    f = lambda x: (x**2, x**3, x + 0, x * 1, x - 0, -(-x), mx.broadcast_to(x, (300, 3)).sum(0), ~~x)
    for dtype in (mx.int32, mx.int8, mx.int64, mx.uint8):
        x = mx.array([3, 7, 100]).astype(dtype)
        for got, want in zip(mx.compile(f)(x), f(x)):
            assert got.dtype == want.dtype and got.tolist() == want.tolist()


def test_no_copy_is_made_of_a_transposed_operand():
    f = mx.compile(lambda a, b: a.T @ b.T)
    mx.eval(f(A, B))
    graph = f.cache.graph
    assert "contiguous" not in graph and mx.compile_info(f).traces[0].temporary_bytes == 0
    same(f(A, B), A.T @ B.T)
