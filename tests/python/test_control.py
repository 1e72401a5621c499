"""test_control.py — cond, switch, scan, while_loop, fori_loop, map and associative_scan: structure, errors, tracing and
memory. Values and derivatives are rows of specs_control.py."""

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
