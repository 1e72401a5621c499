"""test_control.py — cond, switch, scan, while_loop, fori_loop, map and associative_scan: structure, errors, tracing and
memory. Values and derivatives are rows of specs_control.py."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mxform as mx


def rnn(w, xs, steps=None):
    return mx.scan(lambda h, x: (mx.tanh(w @ h + x), h.sum()), mx.zeros(xs.shape[1]), xs)


# ---- trees

def test_scan_carries_and_stacks_trees():
    def step(carry, x):
        return {"total": carry["total"] + x["a"], "count": carry["count"] + 1}, (carry["count"], [x["b"]])

    carry, (counts, [bs]) = mx.scan(step, {"total": mx.zeros(2), "count": 0}, {"a": mx.ones((3, 2)), "b": mx.arange(3)})
    assert carry["total"].tolist() == [3, 3] and carry["count"].item() == 3
    assert counts.tolist() == [0, 1, 2] and bs.tolist() == [0, 1, 2]


def test_scan_without_xs_takes_a_length():
    carry, ys = mx.scan(lambda c, x: (c * 2, x), mx.array(1), length=5)
    assert carry.item() == 32 and ys is None


def test_scan_backwards_keeps_the_order_of_the_ys():
    carry, ys = mx.scan(lambda c, x: (c + x, c), mx.array(0), mx.array([1, 2, 3]), reverse=True)
    assert carry.item() == 6 and ys.tolist() == [5, 3, 0]


def test_loops_take_trees_and_numbers():
    assert [x.item() for x in mx.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 2), (0, 1.0))] == [3, 8.0]
    assert mx.fori_loop(2, 2, lambda i, v: v + 1, mx.array(7)).item() == 7
    assert mx.fori_loop(mx.array(5), 2, lambda i, v: v + 1, mx.array(7)).item() == 7
    out = mx.cond(True, lambda x: {"a": x}, lambda x: {"a": -x}, mx.array(2))
    assert out["a"].item() == 2


def test_map_gives_what_vmap_gives():
    x = mx.arange(12).reshape(4, 3)
    f = lambda row: (row.sum(), {"max": row.max()})  # noqa: E731
    one, many = mx.map(f, x), mx.vmap(f)(x)
    assert one[0].tolist() == many[0].tolist() and one[1]["max"].tolist() == many[1]["max"].tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 16, 33])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_is_the_cumulative_operation(n, reverse):
    x = np.random.default_rng(n).integers(-5, 5, (2, n))
    got = mx.associative_scan(mx.add, mx.array(x), reverse=reverse, axis=1)
    want = np.cumsum(x[:, ::-1], 1)[:, ::-1] if reverse else np.cumsum(x, 1)
    assert np.array_equal(np.array(got), want)


# ---- only what is chosen runs

def test_only_the_chosen_branch_runs():
    """The other one would divide by zero, or index out of bounds."""
    x = mx.arange(3)
    bad = mx.array([7])
    assert mx.cond(mx.array(False), lambda: mx.take(x, bad), lambda: x[:1]).tolist() == [0]
    with pytest.raises(IndexError):
        mx.eval(mx.cond(mx.array(True), lambda: mx.take(x, bad), lambda: x[:1]))


def test_the_unused_branch_gives_no_nan_gradient():
    f = lambda x: mx.cond(x > 0, mx.sqrt, lambda x: x * 0, x)  # noqa: E731
    assert mx.grad(f)(mx.array(0.0)).item() == 0
    assert mx.vmap(mx.grad(f))(mx.array([0.0, 4.0])).tolist() == [0, 0.25]


def test_each_example_of_a_batch_stops_on_its_own():
    f = lambda x: mx.while_loop(lambda s: s < 100, lambda s: s * x, x, max_steps=20)  # noqa: E731
    x = [2.0, 3.0, 50.0, 200.0]
    assert mx.vmap(f)(mx.array(x)).tolist() == [f(mx.array(v)).item() for v in x]
    assert mx.vmap(mx.grad(f))(mx.array(x)).tolist() == [mx.grad(f)(mx.array(v)).item() for v in x]


# ---- tracing

def test_a_body_is_traced_once_whatever_the_number_of_steps():
    for n in (10, 10_000):
        calls = []

        def step(c, x):
            calls.append(x.shape)
            return c + x, c

        mx.grad(lambda x: mx.scan(step, mx.array(0.0), x)[1].sum())(mx.ones(n))
        assert calls == [()]


def operations(n):
    """How many nodes the gradient of a recurrence of n steps is made of."""
    g = mx.grad(lambda w: rnn(w, mx.ones((n, 4)))[0].sum())(mx.eye(4))
    return len(mx._core._primitives_of(g))


def test_the_graph_of_a_gradient_does_not_grow_with_the_number_of_steps():
    assert operations(10) == operations(1000)


def test_placeholders_in_a_body_are_named_after_the_loop():
    with pytest.raises(mx.TransformError, match=r"\[scan\].*step"):
        def step(c, x):
            return c + x.item(), None
        mx.scan(step, mx.array(0.0), mx.ones(3))


def test_loops_work_inside_compile_and_compiled_functions_inside_loops():
    w, xs = mx.eye(3) * 0.5, mx.ones((6, 3))
    want = rnn(w, xs)
    got = mx.compile(rnn)(w, xs)
    assert mx.allclose(got[0], want[0]) and mx.allclose(got[1], want[1])
    step = mx.compile(lambda h, x: (mx.tanh(w @ h + x), h.sum()))
    inside = mx.scan(step, mx.zeros(3), xs)
    assert mx.allclose(inside[0], want[0]) and mx.allclose(inside[1], want[1])


def test_a_carry_of_a_batch_is_found_through_several_steps():
    """The batch reaches the second carry only after a step, the third after two."""
    def f(x):
        return mx.scan(lambda c, _: ((x, c[0], c[1]), c[2]), (mx.array(0.0),) * 3, length=4)[1]

    assert mx.vmap(f)(mx.array([1.0, 2.0])).tolist() == [[0, 0, 0, 1], [0, 0, 0, 2]]


def test_a_value_may_be_looked_at_while_a_function_is_differentiated():
    def f(x):
        y = mx.while_loop(lambda s: s < 10, lambda s: s * x, x, max_steps=9)
        z = mx.scan(lambda s, v: (s * v, None), y, mx.array([1.0, 2.0]))[0]
        return z * 2 if z > 40 else z * 3

    assert mx.grad(f)(mx.array(3.0)).item() == 108  # of 4 x**3
    assert mx.grad(mx.grad(f))(mx.array(3.0)).item() == 72


def test_loops_over_captured_arrays_of_outer_loops_and_transformations():
    """The derivative of a loop inside a loop, with respect to what both capture; against Python's loops."""
    xs = mx.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])

    def with_scans(w):
        def step(c, x):
            g = mx.grad(lambda u: mx.scan(lambda d, y: (mx.sin(d * u * w + y), None), c, x)[0])(c * w)
            return g, g * w
        return mx.scan(step, mx.array(0.7), xs)[1].sum()

    def with_python(w):
        c, ys = mx.array(0.7), []
        for x in xs:
            def inner(u):
                d = c
                for y in x:
                    d = mx.sin(d * u * w + y)
                return d
            c = mx.grad(inner)(c * w)
            ys.append(c * w)
        return mx.stack(ys).sum()

    w = mx.array([0.9, 0.5])
    assert mx.allclose(mx.vmap(with_scans)(w), mx.vmap(with_python)(w))
    assert mx.allclose(mx.vmap(mx.grad(with_scans))(w), mx.vmap(mx.grad(with_python))(w), atol=1e-5)
    assert mx.allclose(mx.vmap(mx.grad(mx.grad(with_scans)))(w), mx.vmap(mx.grad(mx.grad(with_python)))(w), atol=1e-4)


def test_custom_rules_and_checkpoints_keep_inside_loops():
    @mx.custom_function
    def square(x):
        return x * x

    square.vjp(lambda primal, cotangent, output: cotangent * primal * 20)
    f = lambda x: mx.scan(lambda c, _: (square(c), None), x, length=2)[0]  # noqa: E731
    assert mx.vmap(mx.grad(f))(mx.array([2.0, 1.0])).tolist() == [3200, 400]
    g = mx.checkpoint(lambda c: mx.sin(c) * c)
    inside = lambda x: mx.fori_loop(0, 3, lambda i, c: g(c), x)  # noqa: E731
    x = mx.array(2.0)
    assert mx.allclose(mx.grad(inside)(x), mx.grad(lambda x: g(g(g(x))))(x))
    assert mx.allclose(mx.grad(mx.checkpoint(inside))(x), mx.grad(inside)(x))


def nest(loop, f, depth):
    return f if depth == 0 else lambda x: loop(nest(loop, f, depth - 1), x)


NESTS = {
    "scan": lambda f, x: mx.scan(lambda c, _: (f(c), None), x, length=1)[0],
    "while_loop": lambda f, x: mx.while_loop(lambda s: s[1] < 1, lambda s: (f(s[0]), s[1] + 1), (x, 0), max_steps=2)[0],
    "cond": lambda f, x: mx.cond(x > -9, f, lambda x: x * 1, x),
}


@pytest.mark.parametrize("loop", NESTS)
def test_fifty_loops_in_each_other_are_transformed_once_each(loop):
    """A transformation that looked at a body twice would take 2**50 steps."""
    f = nest(NESTS[loop], mx.sin, 50)
    x = mx.array(1.0)
    assert mx.allclose(mx.grad(f)(x), mx.cos(x))
    assert mx.allclose(mx.jvp(f, [x], [x])[1][0], mx.cos(x))
    assert mx.allclose(mx.vmap(mx.grad(f))(x[None]), mx.cos(x))


def test_twenty_thousand_conds_in_a_row():
    def f(x):
        for _ in range(20_000):
            x = mx.cond(x > 0, lambda v: v - 1, lambda v: v + 3, x)
        return x

    assert f(mx.array(2.0)).item() == 2 and mx.grad(f)(mx.array(2.0)).item() == 1


# ---- numbers and dtypes

def test_numbers_take_on_the_dtype_of_the_carry():
    half = mx.ones((), mx.float16)
    assert mx.scan(lambda c, x: (0.5, c), half, length=2)[0].dtype == mx.float16
    assert mx.while_loop(lambda s: s > 0, lambda s: 0, half).dtype == mx.float16
    for f in (lambda: mx.cond(True, lambda x: 0.0, lambda x: x, half), lambda: mx.cond(True, lambda x: x, lambda x: 0, half)):
        assert f().dtype == mx.float16


def test_an_initial_number_takes_on_the_dtype_that_the_step_gives_it():
    total, seen = mx.scan(lambda c, x: (c + x, c), 0, mx.array([0.5, 1.5]))
    assert total.item() == 2 and seen.tolist() == [0, 0.5]
    assert mx.while_loop(lambda v: v < 3, lambda v: v * 1.5, 1).item() == 3.375
    assert mx.fori_loop(0, 3, lambda i, v: v + 0.5, 0).item() == 1.5
    with pytest.raises(ValueError, match="enters as int32.* leaves as float32"):
        mx.scan(lambda c, x: (c + x, c), mx.array(0), mx.array([0.5]))


def test_loops_of_nothing():
    assert mx.scan(lambda c, x: (None, None), None, length=3) == (None, None)
    carry, ys = mx.scan(lambda c, x: (c, {"y": 2}), mx.array(1.0), mx.zeros((0, 3)))
    assert carry.item() == 1 and ys["y"].shape == (0,)
    w = mx.array(3.0)
    assert mx.grad(lambda w: mx.scan(lambda c, x: (c * w, None), mx.array(1.0), mx.zeros(0))[0])(w).item() == 0
    assert mx.vmap(lambda c: mx.scan(lambda c, _: (c * 2, c), c, length=2))(mx.zeros((0,)))[1].shape == (0, 2)


# ---- random draws

def test_every_step_draws_its_own_numbers():
    mx.random.seed(3)
    loops = {
        "scan": mx.scan(lambda c, _: (c, mx.random.uniform()), 0, length=4)[1],
        "fori_loop": mx.fori_loop(0, 4, lambda i, v: mx.concatenate([v[1:], mx.random.uniform(shape=(1,))]), mx.zeros(4)),
        "while_loop": mx.while_loop(lambda s: s[1] < 4, lambda s: (mx.concatenate([s[0][1:], mx.random.uniform(shape=(1,))]), s[1] + 1),
                                    (mx.zeros(4), 0), max_steps=6)[0],
        "map": mx.map(lambda x: x + mx.random.uniform(), mx.zeros(4)),
        "vmap of scan": mx.vmap(lambda x: mx.scan(lambda c, _: (c, x + mx.random.uniform()), 0, length=2)[1])(mx.zeros(2)),
        "scan of scan": mx.scan(lambda c, _: (c, mx.scan(lambda c, _: (c, mx.random.uniform()), 0, length=2)[1]), 0, length=2)[1],
    }
    for name, drawn in loops.items():
        assert len(set(drawn.flatten().tolist())) == 4, name


def test_the_backward_pass_sees_the_draws_of_the_forward_pass():
    f = lambda x: mx.scan(lambda c, _: (c * mx.random.normal(), None), x, length=5)[0]  # noqa: E731
    value, slope = mx.value_and_grad(f)(mx.array(1.0))
    assert mx.allclose(value, slope)


# ---- running

def test_an_endless_loop_can_be_interrupted():
    code = """
import os, signal, threading
import mxform as mx
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background jobs of a shell
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    mx.eval(mx.while_loop(lambda s: s >= 0, lambda s: s * 1, mx.array(1)))
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted\n", done.stderr


def test_threads_run_loops_of_their_own():
    def work(k):
        return [mx.scan(lambda c, x: (c + x, c), mx.array(float(k)), mx.ones(20))[0].item() for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[20.0 + k] * 20 for k in range(4)]


def test_checks_for_nans_see_into_steps():
    f = lambda: mx.scan(lambda c, x: (mx.log(c - x), None), mx.array(1.0), mx.ones(3))[0]  # noqa: E731
    with mx.debug_nans(), pytest.raises(FloatingPointError, match=r"\[log\]"):
        mx.eval(f())
    with mx.debug_nans():
        assert mx.scan(lambda c, x: (c + x, c), mx.array(1.0), mx.ones(3))[1].tolist() == [1, 2, 3]


def test_a_loop_is_exported_with_its_bodies(tmp_path):
    w = mx.eye(3) * 0.5

    def f(xs):
        h, sums = rnn(w, xs)
        h = mx.while_loop(lambda s: (s < 30).any(), lambda s: s * 1.7 + 1, h, max_steps=40)
        return mx.cond(h.sum() > 0, lambda h: h * 2, lambda h: h, h), sums

    xs = mx.random.normal((5, 3), key=mx.random.key(1))
    mx.export_function(str(tmp_path / "f.mlxfn"), f, xs)
    read = mx.import_function(str(tmp_path / "f.mlxfn"))
    for got, want in zip(read(xs), f(xs)):
        assert mx.allclose(got, want)
    gradient = lambda f: mx.grad(lambda xs: f(xs)[0].sum())(xs)  # noqa: E731
    assert mx.allclose(gradient(read), gradient(f))


def test_a_step_writes_over_no_array_but_its_own():
    base = mx.arange(6).astype(mx.float32)
    view, start = base[::2], mx.zeros(4, mx.int32)

    def fill(i, v):
        v[i] = i
        return v

    assert mx.scan(lambda c, _: (c + 1, c), view, length=3)[1].tolist() == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
    assert mx.fori_loop(0, 4, fill, start).tolist() == [0, 1, 2, 3]
    assert base.tolist() == [0, 1, 2, 3, 4, 5] and start.tolist() == [0, 0, 0, 0]


def test_a_batched_branch_leaks_no_nan_into_derivatives():
    x = mx.array([0.0, 1.0])
    for then in (mx.sqrt, lambda x: mx.log(x) / x, lambda x: mx.power(x, 0.5) * mx.exp(1 / x)):
        f = lambda x: mx.cond(x > 0, then, lambda x: x, x)  # noqa: B023, E731
        first = mx.grad(lambda x: mx.vmap(f)(x).sum())  # noqa: B023
        second = mx.grad(lambda x: first(x).sum())  # noqa: B023
        assert first(x)[0].item() == 1 and second(x)[0].item() == 0
        assert mx.allclose(first(x)[1], mx.grad(then)(x[1])) and mx.allclose(second(x)[1], mx.grad(mx.grad(then))(x[1]))


# ---- memory

def peak(f, *args):
    mx.eval(args)
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(f(*args))
    return mx.get_peak_memory() - before


def test_the_memory_of_a_gradient_is_that_of_the_carries():
    """Ten operations of the carry's size in each step; only the carry is kept."""
    size = 4096

    def step(c, _):
        for _ in range(5):
            c = mx.sin(c) * 1.5
        return c, None

    f = lambda c, n: mx.scan(step, c, length=n)[0].sum()  # noqa: E731
    grow = peak(mx.grad(lambda c: f(c, 200)), mx.ones(size)) - peak(mx.grad(lambda c: f(c, 100)), mx.ones(size))
    assert grow < 2 * 100 * size * 4  # the allocator rounds up


PRODUCTS = {
    "carry @ w": lambda w, v, h, x: mx.tanh(h @ w + x),
    "w @ carry": lambda w, v, h, x: mx.tanh((w @ h.T).T + x),
    "x @ w": lambda w, v, h, x: mx.sin(h) + x @ w,
    "twice": lambda w, v, h, x: mx.tanh(h @ w @ v + x @ w),
    "half": lambda w, v, h, x: mx.tanh((h.astype(mx.bfloat16) @ w.astype(mx.bfloat16)).astype(mx.float32) + x @ v),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", PRODUCTS)
def test_gradients_of_weights_are_those_of_the_loop_written_out(kind, reverse):
    step = PRODUCTS[kind]
    w, v, h, xs = (0.3 * mx.random.normal(s, key=mx.random.key(i)) for i, s in enumerate([(4, 4), (4, 4), (3, 4), (5, 3, 4)]))

    def looped(w, v, xs):
        def body(h, x):
            h = step(w, v, h, x)
            return h, mx.cos(h)
        last, ys = mx.scan(body, h, xs, reverse=reverse)
        return (ys * ys).sum() + last.sum()

    def unrolled(w, v, xs):
        state, total = h, 0
        for i in reversed(range(5)) if reverse else range(5):
            state = step(w, v, state, xs[i])
            total = total + mx.square(mx.cos(state)).sum()
        return total + state.sum()

    tolerance = 3e-2 if kind == "half" else 1e-5
    # Half types leave small elements with the errors of large ones.
    close = lambda a, b: np.testing.assert_allclose(np.array(a), np.array(b), rtol=tolerance, atol=tolerance * max(1, np.abs(np.array(b)).max()))
    for f in (lambda g: mx.grad(g, argnums=(0, 1, 2)), lambda g: mx.compile(mx.grad(g, argnums=(0, 1, 2)))):
        for a, b in zip(f(looped)(w, v, xs), f(unrolled)(w, v, xs)):
            close(a, b)
    second = lambda g: mx.grad(lambda w: mx.square(mx.grad(g)(w, v, xs)).sum())(w)
    close(second(looped), second(unrolled))
    ws = mx.stack([w, v])
    close(mx.vmap(lambda w: mx.grad(looped)(w, v, xs))(ws), mx.stack([mx.grad(unrolled)(u, v, xs) for u in ws]))


def test_the_gradient_of_a_weight_is_one_product_after_the_loop():
    def loss(w, xs):
        return mx.scan(lambda h, x: (mx.tanh(h @ w + x), None), mx.zeros((2, 3)), xs)[0].sum()

    text = str(mx.make_program(mx.grad(loss))(mx.ones((3, 3)), mx.ones((7, 2, 3))))
    assert text.count("float32[3, 3] = matmul") == 1 and "float32[3, 3] = add" not in text, text


def test_a_scan_in_a_scan_needs_the_square_root():
    size, n = 4096, 20

    def flat(c):
        return mx.scan(lambda c, _: (mx.sin(c), None), c, length=n * n)[0].sum()

    def nested(c):
        inner = lambda c, _: (mx.scan(lambda c, _: (mx.sin(c), None), c, length=n)[0], None)  # noqa: E731
        return mx.scan(inner, c, length=n)[0].sum()

    x = mx.ones(size)
    assert mx.allclose(mx.grad(flat)(x), mx.grad(nested)(x))
    assert peak(mx.grad(nested), x) < 0.25 * peak(mx.grad(flat), x)


def test_a_loop_keeps_no_history_of_its_steps():
    f = lambda n: mx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, mx.sin(s[1])), (mx.array(0), mx.ones(4096)))[1]  # noqa: E731
    assert peak(f, mx.array(300)) < 20 * 4096 * 4
    assert peak(lambda n: mx.jvp(lambda x: mx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, mx.sin(s[1])), (mx.array(0), x))[1],
                                 [mx.ones(4096)], [mx.ones(4096)])[1], mx.array(300)) < 30 * 4096 * 4


# ---- errors

BAD = [
    (lambda: mx.scan(lambda c, x: (c, x), mx.array(0.0)), ValueError, "neither xs nor length"),
    (lambda: mx.scan(lambda c, x: (c, x), mx.array(0.0), (mx.ones(3), mx.ones(4))), ValueError, r"xs\[1\] has shape \(4,\)"),
    (lambda: mx.scan(lambda c, x: (c, x), mx.array(0.0), mx.ones(3), length=2), ValueError, "2 steps"),
    (lambda: mx.scan(lambda c, x: (c, x), mx.array(0.0), mx.array(3.0)), ValueError, "scalar"),
    (lambda: mx.scan(lambda c, x: c, mx.array(0.0), mx.ones(3)), ValueError, r"must return \(carry, y\)"),
    (lambda: mx.scan(lambda c, x: ({"h": c["h"].astype(mx.float16)}, x), {"h": mx.array(0.0)}, mx.ones(3)), ValueError,
     r"carry\['h'\] changes its type: it enters as float32\(\) and leaves as float16\(\)"),
    (lambda: mx.scan(lambda c, x: ((c, c), x), mx.array(0.0), mx.ones(3)), ValueError, "structure of the carry"),
    (lambda: mx.scan(lambda c, x: (c, "y"), mx.array(0.0), mx.ones(3)), ValueError, "need an array"),
    (lambda: mx.scan(lambda c, x: (c, x), mx.array(0.0), length=-1), ValueError, "length is -1"),
    (lambda: mx.scan(3, mx.array(0.0), mx.ones(3)), TypeError, "callable"),
    (lambda: mx.while_loop(lambda s: s, lambda s: s, mx.array(0.0)), ValueError, "cond gives float32"),
    (lambda: mx.while_loop(lambda s: s > 0, lambda s: s, mx.ones(2)), ValueError, r"bool.*\(2,\)"),
    (lambda: mx.while_loop(lambda s: True, lambda s: s, mx.ones(2), max_steps=-1), ValueError, "max_steps is -1"),
    (lambda: mx.grad(lambda x: mx.while_loop(lambda s: s < 9, lambda s: s * 2, x))(mx.array(1.0)), mx.TransformError, "max_steps"),
    (lambda: mx.cond(mx.ones(2), mx.sin, mx.cos, mx.ones(2)), ValueError, r"shape \(2,\)"),
    (lambda: mx.cond(True, lambda x: x, lambda x: (x, x), mx.ones(2)), ValueError, "another structure"),
    (lambda: mx.cond(True, lambda x: x, lambda x: x.astype(mx.int32), mx.ones(2)), ValueError, "int32"),
    (lambda: mx.switch(mx.array(0.5), [mx.sin], mx.ones(2)), ValueError, "integer"),
    (lambda: mx.switch(mx.array(0), [], mx.ones(2)), ValueError, "no branches"),
    (lambda: mx.map(mx.sin, mx.ones(3), batch_size=0), ValueError, "batch_size is 0"),
    (lambda: mx.associative_scan(mx.add, (mx.ones(2), mx.ones(3))), ValueError, "sizes"),
]


@pytest.mark.parametrize("call, error, words", BAD, ids=[str(i) for i in range(len(BAD))])
def test_a_wrong_call_says_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        mx.eval(call())


def test_an_error_in_a_step_leaves_the_loop():
    x = mx.arange(3)
    f = lambda i: mx.scan(lambda c, _: (c + mx.take(x, i), None), mx.array(0), length=3)[0]  # noqa: E731
    with pytest.raises(IndexError):
        mx.eval(f(mx.array(5)))
    assert f(mx.array(2)).item() == 6
