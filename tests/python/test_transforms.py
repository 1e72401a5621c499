"""The Python side of grad, value_and_grad, vjp, jvp and vmap."""

import functools
import gc
import inspect
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest

import mxform as mx
from helpers import must_fail, same
from mxform.testing import check_grads


def f(x, y, z=mx.array(3.0), w=mx.array(4.0)):
    return x * x * y * z * w


A, B = mx.array(1.0), mx.array(2.0)


# ---- what grad and value_and_grad return


@pytest.mark.parametrize(
    "argnums, argnames, need",
    [
        (None, [], 48),
        (0, [], 48),
        (1, [], 12),
        (-1, [], 12),
        ([1], [], 12),
        ([0, 1], [], (48, 12)),
        ([1, 0], [], (12, 48)),
        ((-1, 0), [], (12, 48)),
        (None, "z", (None, {"z": 8})),
        (None, ["w", "z"], (None, {"w": 6, "z": 8})),
        ([], "z", (None, {"z": 8})),
        (0, "z", (48, {"z": 8})),
        ([1, 0], ["z"], ((12, 48), {"z": 8})),
    ],
)
def test_gradients_come_in_the_structure_and_order_asked(argnums, argnames, need):
    keywords = {"z": mx.array(3.0), "w": mx.array(4.0)}
    value, got = mx.value_and_grad(f, argnums, argnames)(A, B, **keywords)
    assert same(value, 24)
    assert same(got, need)
    assert same(mx.grad(f, argnums=argnums, argnames=argnames)(A, B, **keywords), need)


def test_further_outputs_are_passed_on():
    def loss(x):
        return x * x, x, "text", {"n": None}

    value, dx = mx.value_and_grad(loss)(B)
    assert same(value, (4, 2, "text", {"n": None})) and same(dx, 4)
    value, dx = mx.value_and_grad(lambda x: [x * x, 1])(B)
    assert same(value, [4, 1]) and same(dx, 4)
    Result = namedtuple("Result", "loss extra")
    value, dx = mx.value_and_grad(lambda x: Result(x * x, x))(B)
    assert isinstance(value, Result) and same(dx, 4)


def test_further_outputs_can_be_used_after_more_transformations():
    def inner(x):
        (value, aux), dx = mx.value_and_grad(lambda y: (y**3, y * 2))(x)
        return dx + aux

    assert same(mx.grad(inner)(B), 14)  # 6 x + 2


def test_trees_keep_their_structure():
    params = {"b": (A, B), "a": mx.array([1.0, 2.0]), "none": None}
    got = mx.grad(lambda p: (p["a"] * p["b"][0] * p["b"][1]).sum())(params)
    assert list(got) == ["b", "a", "none"]
    assert same(got, {"b": (6, 3), "a": mx.array([2.0, 2.0]), "none": None})
    assert same(mx.grad(lambda p: A)({}), {})


def test_numbers_are_scalar_arrays():
    assert same(mx.grad(lambda x: x * x)(3.0), mx.array(6.0))
    assert same(mx.grad(lambda p: p["w"] * p["v"])({"w": 3.0, "v": B}), {"w": 2, "v": 3})
    assert same(mx.vjp(lambda x: x * 2, [3.0], [1.0]), ([6], [2]))
    assert same(mx.jvp(lambda x: x * 2, [3.0], [1.0]), ([6], [2]))


def test_a_lower_precision_keeps_its_dtype():
    for dtype in (mx.float16, mx.bfloat16, mx.float64):
        assert mx.grad(lambda x: (x * x).sum())(mx.ones((2,), dtype)).dtype == dtype


def test_unused_arguments_have_zero_gradients():
    assert same(mx.grad(lambda x, y: y * 1.0)(mx.ones((2,)), B), mx.zeros((2,)))


# ---- errors


def loss_fn(params, x):
    return (params["layers"][0]["w"] * x).sum()


@pytest.mark.parametrize(
    "leaf, text",
    [
        (mx.array([1, 2]), "params['layers'][0]['w']: array of shape (2,) and dtype int32 came; need a floating dtype"),
        (mx.array(True), "params['layers'][0]['w']: array of shape () and dtype bool came; need a floating dtype"),
        (mx.array(1j), "For complex arrays use vjp"),
        (3, "params['layers'][0]['w']: int 3 came; need a floating dtype. Write it as a float."),
        (True, "params['layers'][0]['w']: bool True came"),
        ("adam", "params['layers'][0]['w']: str 'adam' came; need an array"),
    ],
)
def test_what_cannot_be_differentiated_is_named(leaf, text):
    must_fail(lambda: mx.grad(loss_fn)({"layers": [{"w": leaf}]}, A), text)
    must_fail(lambda: mx.value_and_grad(loss_fn)({"layers": [{"w": leaf}]}, A), "cannot differentiate loss_fn with respect to")


def test_arguments_are_named_as_in_the_signature():
    integer = mx.array(1)
    must_fail(lambda: mx.grad(lambda a, *rest: a, argnums=2)(A, B, [integer]), "respect to rest[1][0]")
    must_fail(lambda: mx.grad(lambda a, *, key: a, argnames="key")(A, key={"k": integer}), "respect to key['k']")
    must_fail(lambda: mx.grad(mx.sin)(integer), "cannot differentiate sin")
    must_fail(lambda: mx.vmap(loss_fn)({"layers": [A]}, mx.ones((2,))), "axis 0 of params['layers'][0]: it has shape ()", ValueError)


@pytest.mark.parametrize(
    "fun, text",
    [
        (lambda x: mx.ones((2,)) * x, "must return a scalar: array of shape (2,) and dtype float32 came; need shape ()"),
        (lambda x: mx.ones((1,)) * x, "need shape ()"),
        (lambda x: 3.0, "float 3.0 came. A Python number has no gradient: do not convert the loss with item() or float()"),
        (lambda x: {"loss": x}, "dict {'loss': array(1, dtype=float32)} came"),
        (lambda x: None, "None came"),
        (lambda x: x.astype(mx.int32), "must return a real floating scalar: array of shape () and dtype int32 came"),
        (lambda x: x * 1j, "Take mx.real or mx.abs of it"),
    ],
)
def test_what_is_no_loss_is_refused(fun, text):
    must_fail(lambda: mx.value_and_grad(fun)(A), text)


def test_grad_refuses_further_outputs():
    must_fail(lambda: mx.grad(lambda x: (x, x))(A), "a tuple of 2 came. Use value_and_grad")


def test_wrong_argnums_are_refused():
    must_fail(lambda: mx.grad(f, argnums=2)(A, B), "argnums has 2 but f was called with 2 positional arguments")
    must_fail(lambda: mx.grad(f, argnums=-3)(A, B), "argnums has -3")
    must_fail(lambda: mx.grad(f, argnums=[0, 0])(A, B), "names argument 0 of f twice")
    must_fail(lambda: mx.grad(f, argnums=[1, -1])(A, B), "names argument 1 of f twice")
    must_fail(lambda: mx.grad(f, argnames="z")(A, B), "argnames has 'z' but f was called with keyword arguments []")
    must_fail(lambda: mx.grad(f, argnames="q")(A, B, z=A), "with keyword arguments ['z']")
    must_fail(lambda: mx.grad(f, argnums=[]), "no argument to differentiate")
    must_fail(lambda: mx.grad(f, argnames=["z", "z"]), "'z' twice")
    must_fail(lambda: mx.grad(f, argnums="x"), "argnums must be an int", TypeError)
    must_fail(lambda: mx.grad(f, argnums=1.0), "argnums must be an int", TypeError)
    must_fail(lambda: mx.grad(3), "fun must be callable: int came", TypeError)


def test_errors_in_the_function_pass_untouched():
    class Mine(Exception):
        pass

    def fail(*args):
        raise Mine("text")

    for call in (
        lambda: mx.grad(fail)(A),
        lambda: mx.grad(mx.grad(fail))(A),
        lambda: mx.vjp(fail, [A], [A]),
        lambda: mx.jvp(fail, [A], [A]),
        lambda: mx.vmap(fail)(mx.ones((2,))),
        lambda: mx.checkpoint(fail)(A),
        lambda: mx.custom_function(fail)(A),
        lambda: mx.compile(fail)(A),
        lambda: mx.vmap(mx.grad(mx.compile(fail)))(mx.ones((2,))),
    ):
        with pytest.raises(Mine, match="text"):
            call()
    assert same(mx.grad(mx.sin)(mx.array(0.0)), 1)  # nothing was left behind


# ---- vjp and jvp


def test_vjp_and_jvp_return_lists():
    product = lambda x, y: (x * y, x)
    assert same(mx.vjp(product, (A, B), (A, B)), ([2, 1], [4, 1]))
    assert same(mx.jvp(product, [A, B], [A, B]), ([2, 1], [4, 1]))
    assert same(mx.jvp(mx.sin, (A,), (B,))[0], [mx.sin(A)])


def test_vjp_and_jvp_take_trees():
    g = lambda p, s: {"out": p["a"] * p["b"] * s}
    primals = [{"a": A, "b": B}, mx.array(3.0)]
    assert same(mx.vjp(g, primals, [{"out": mx.array(1.0)}]), ([{"out": 6}], [{"a": 6, "b": 3}, 2]))
    assert same(mx.jvp(g, primals, [{"a": A, "b": None}, None]), ([{"out": 6}], [{"out": 6}]))
    assert same(mx.jvp(g, primals, [None, A]), ([{"out": 6}], [{"out": 2}]))
    assert same(mx.vjp(g, primals, [None])[1], [{"a": 0, "b": 0}, 0])
    assert same(mx.vjp(lambda x: (x * 2, {"a": x}), [A], [None, {"a": A}])[1], [1])


def test_vjp_and_jvp_check_what_they_are_given():
    must_fail(lambda: mx.vjp(mx.sin, [A], [A, B]), "cotangents do not match the outputs of sin")
    must_fail(lambda: mx.vjp(mx.sin, [A], [mx.ones((2,))]), "cotangents[0] has shape (2,) but the output at [0] has shape ()")
    must_fail(lambda: mx.vjp(lambda x: {"a": x}, [A], [{"b": A}]), "cotangents do not match")
    must_fail(lambda: mx.vjp(mx.sin, A, [A]), "primals must be a list or tuple", TypeError)
    must_fail(lambda: mx.jvp(mx.sin, [A], [A, B]), "1 primals but 2 tangents")
    must_fail(lambda: mx.jvp(mx.sin, [A], [mx.ones((2,))]), "tangents[0] has shape (2,) but primals[0] has shape ()")
    must_fail(lambda: mx.jvp(lambda p: p["a"], [{"a": A}], [{"b": A}]), "trees differ at [0]")
    must_fail(lambda: mx.jvp(lambda x: ("s", x), [A], [A]), "output of <lambda> at [0] is str 's'; need an array")
    must_fail(lambda: mx.jvp(mx.sin, ["s"], [A]), "primals[0] is str 's'; need an array")


def test_integer_inputs_do_not_move():
    outs, ts = mx.jvp(lambda x, n: x * n, [B, mx.array(3)], [A, mx.array(1)])
    assert same((outs, ts), ([6], [3]))
    outs, cts = mx.vjp(lambda x, n: x * n, [B, mx.array(3)], [A])
    assert same(cts[0], 3) and cts[1].item() == 0


# ---- vmap

X = mx.arange(6.0).reshape(2, 3)
Y = mx.arange(3.0)


@pytest.mark.parametrize(
    "in_axes, args, need",
    [
        (0, (X, X), X + X),
        ((0, None), (X, Y), X + Y),
        ([0, None], (X, Y), X + Y),
        ((None, 0), (Y, X), X + Y),
        ((1, None), (X.T, Y), X + Y),
        ((-1, None), (X.T, Y), X + Y),
        ((-2, 0), (X, X), X + X),
    ],
)
def test_vmap_maps_the_axes_given(in_axes, args, need):
    assert same(mx.vmap(lambda x, y: x + y, in_axes=in_axes)(*args), need)


def test_vmap_takes_trees_of_axes():
    g = lambda d: d["x"] + d["y"][0]
    tree = {"x": X, "y": [Y]}
    assert same(mx.vmap(g, in_axes=({"x": 0, "y": None},))(tree), X + Y)
    assert same(mx.vmap(g, in_axes=({"x": 0, "y": [None]},))(tree), X + Y)
    assert same(mx.vmap(g, in_axes={"x": 0, "y": None})(tree), X + Y)
    assert same(mx.vmap(lambda d: d[0] + d[1], in_axes=(0, None))((X, Y)), X + Y)
    assert same(mx.vmap(lambda d: d[0] + d[1], in_axes=((0, None),))((X, Y)), X + Y)
    assert same(mx.vmap(lambda x, d: x + d["a"], in_axes=(0, None))(X, {"a": Y}), X + Y)


def test_vmap_places_outputs():
    assert same(mx.vmap(lambda x: x, out_axes=1)(X), X.T)
    assert same(mx.vmap(lambda x: x, out_axes=-1)(X), X.T)
    assert same(mx.vmap(lambda x: x, out_axes=(1,))(X), X.T)
    assert same(mx.vmap(lambda x: (x, x.sum()), out_axes=(1, 0))(X), (X.T, X.sum(1)))
    assert same(mx.vmap(lambda x: [x, x], out_axes=[0, 1])(X), [X, X.T])
    assert same(mx.vmap(lambda x: {"a": x, "b": [x, x]}, out_axes={"a": 0, "b": 1})(X), {"a": X, "b": [X.T, X.T]})


def test_vmap_repeats_what_does_not_depend_on_the_batch():
    assert same(mx.vmap(lambda x: (x, mx.array(1.0), 2.0))(X), (X, mx.ones((2,)), mx.array([2.0, 2.0])))
    assert same(mx.vmap(lambda x: (x, mx.array(1.0)), out_axes=(0, None))(X), (X, mx.array(1.0)))


def test_vmap_passes_other_things_on():
    seen = []

    def g(x, how, n, *, key=None, scale):
        seen.append((how, n))
        return x * scale if how == "scale" else x, how

    assert same(mx.vmap(g, in_axes=(0, None, None))(X, "scale", 3, scale=2.0), (X * 2, "scale"))
    assert seen == [("scale", 3)]


def test_vmap_maps_keywords_over_axis_0():
    assert same(mx.vmap(lambda x, *, y: x + y, in_axes=1)(X.T, y=X), X + X)


def test_vmap_says_what_does_not_fit():
    def g(x, y):
        return x + y

    must_fail(lambda: mx.vmap(g)(X, mx.ones((3, 3))), "batch sizes of g differ: x of shape (2, 3) has 2 along axis 0, y of shape (3, 3) has 3")
    must_fail(lambda: mx.vmap(g, in_axes=None)(X, X), "no argument of g is mapped: every axis is None")
    must_fail(lambda: mx.vmap(g, in_axes=(0,))(X, X), "in_axes of g is (0,) but 2 positional arguments came")
    must_fail(lambda: mx.vmap(g, in_axes=(0, {"a": 0}))(X, X), "in_axes of g do not fit: {'a': 0} came for something else")
    must_fail(lambda: mx.vmap(g, in_axes="a")(X, X), "in_axes of g do not fit")
    must_fail(lambda: mx.vmap(g)(X, 3.0), "cannot map g over y: float 3.0 came; need an array. Use None in in_axes")
    must_fail(lambda: mx.vmap(g)(X, np.ones(2)), "cannot map g over y")
    must_fail(lambda: mx.vmap(g, in_axes=(0, 2))(X, X), "axis 2 of y: it has shape (2, 3)", mx.AxisError)
    must_fail(lambda: mx.vmap(g, in_axes=(0, -3))(X, X), "axis -3 of y", IndexError)
    must_fail(lambda: mx.vmap(g, out_axes=3)(X, X), "out_axes of g has 3 for output, which has shape (3,)", mx.AxisError)
    must_fail(lambda: mx.vmap(g, out_axes=(0, 0))(X, X), "out_axes of g do not fit")
    must_fail(lambda: mx.vmap(lambda x: x, out_axes=None)(X), "depends on the batch")
    must_fail(lambda: mx.vmap(lambda x: x.sum().item())(X), "a value was needed")
    leaked = []

    def keeper(x):
        leaked.append(x)
        return x * 2

    mx.vmap(keeper)(X)
    must_fail(leaked[0].tolist, "inside keeper")
    mx.compile(keeper)(X)
    must_fail(leaked[1].tolist, "[compile] a value was needed inside keeper")


def test_a_batch_of_size_0_or_1_is_a_batch():
    for n in (0, 1):
        x = mx.ones((n, 3))
        assert mx.vmap(lambda x: x.sum())(x).shape == (n,)
        assert mx.vmap(mx.grad(lambda x: (x * x).sum()))(x).shape == (n, 3)


# ---- composition


def hvp_forward_over_reverse(g, x, v):
    return mx.jvp(mx.grad(g), [x], [v])[1][0]


def test_transformations_nest_in_any_order():
    g = lambda x: (mx.sin(x) * x).sum()
    x, v = mx.array([0.5, 1.0, 2.0]), mx.array([1.0, -1.0, 0.5])
    second = 2 * mx.cos(x) - x * mx.sin(x)
    assert same(hvp_forward_over_reverse(g, x, v), second * v)
    assert same(mx.grad(lambda x: mx.jvp(g, [x], [v])[1][0])(x), second * v)
    assert same(mx.grad(lambda x: (mx.grad(g)(x) * v).sum())(x), second * v)
    assert same(mx.vjp(mx.grad(g), [x], [v])[1][0], second * v)
    scalar = lambda x: mx.sin(x) * x
    assert same(mx.vmap(mx.grad(mx.grad(scalar)))(x), second)
    assert same(mx.vmap(mx.vmap(mx.grad(scalar)))(x[None]), (mx.sin(x) + x * mx.cos(x))[None])
    assert same(mx.grad(lambda x: mx.vmap(scalar)(x).sum())(x), mx.sin(x) + x * mx.cos(x))
    assert same(mx.jvp(mx.vmap(mx.grad(scalar)), [x], [v])[1][0], second * v)
    assert same(mx.compile(mx.vmap(mx.grad(mx.compile(mx.checkpoint(scalar)))))(x), mx.sin(x) + x * mx.cos(x))
    check_grads(scalar, (0.7,), order=3)


def test_levels_are_not_confused():
    # d/dx [x * d/dy (x * y)] at y: the inner derivative must not see the outer variable move.
    assert same(mx.grad(lambda x: x * mx.grad(lambda y: x * y)(1.0))(3.0), 6)
    assert same(mx.grad(lambda x: x * mx.grad(lambda y: x)(1.0))(3.0), 0)
    assert same(mx.jvp(lambda x: mx.jvp(lambda y: x * y, [x], [A])[1][0], [B], [A]), ([2], [1]))
    assert same(mx.vmap(lambda x: mx.vmap(lambda y: x * y)(Y))(Y), Y[:, None] * Y)


def test_values_may_be_read_while_differentiating():
    def g(x):
        return x * x if x.item() > 0 else -x

    assert same(mx.grad(g)(3.0), 6) and same(mx.grad(g)(-3.0), -1)
    assert same(mx.grad(mx.grad(g))(3.0), 2)


def test_a_long_loop_is_differentiated():
    def g(x):
        for _ in range(20000):
            x = x * 0.9999
        return x

    assert abs(mx.grad(g)(1.0).item() - 0.9999**20000) < 1e-3


# ---- wrapping


@pytest.mark.parametrize("transform", [mx.grad, mx.value_and_grad, mx.vmap, mx.checkpoint, mx.compile, mx.custom_function])
def test_wrapped_functions_look_like_their_function(transform):
    def documented(x, y=2.0, *, z=None):
        """Say something."""
        return x

    wrapped = transform(documented)
    assert wrapped.__name__ == "documented"
    assert wrapped.__doc__ == "Say something."
    assert wrapped.__wrapped__ is documented
    assert inspect.signature(wrapped) == inspect.signature(documented)
    transform(functools.partial(documented, 1))  # no name to keep
    assert transform(mx.sin).__name__ == "sin"


def test_wrapped_functions_are_collected():
    def make(transform):
        holder = []
        fun = lambda x: holder and x * x
        holder.append(transform(fun))  # a cycle
        holder[0](A) if transform is not mx.vmap else None
        return weakref.ref(fun)

    refs = [make(t) for t in (mx.grad, mx.vmap, mx.checkpoint, mx.compile, mx.custom_function)]
    gc.collect()
    assert [r() for r in refs] == [None] * len(refs)


def test_methods_can_be_transformed():
    class Model:
        def __init__(self):
            self.scale = mx.array(3.0)

        @mx.compile
        def step(self, x):
            return self.scale * x

        loss = mx.grad(lambda self, x: self.scale * x * x, argnums=1)

    assert same(Model().step(B), 6)
    assert same(Model().loss(B), 12)


def test_transformed_functions_work_on_any_thread():
    results = {}
    step = mx.compile(mx.value_and_grad(lambda x: (mx.sin(x) * x).sum()))

    def work(i):
        for _ in range(20):
            value, dx = step(mx.full((10,), float(i)))
            results[i] = (value.item(), dx.tolist())
            mx.vmap(mx.grad(mx.sin))(mx.ones((3,))).tolist()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, (value, dx) in results.items():
        assert abs(value - 10 * i * np.sin(i)) < 1e-3 * (1 + i)
        assert abs(dx[0] - (np.sin(i) + i * np.cos(i))) < 1e-4
    assert len(results) == 6


# ---- depends, stop_gradient


def test_depends_gives_equal_arrays():
    assert same(mx.depends(A, B), A)
    assert same(mx.depends([A, B], B), [1, 2])
    assert same(mx.depends((A, B), {"x": [B]}), [1, 2])
    assert same(mx.grad(lambda x: mx.depends(x * x, mx.exp(x)))(B), 4)
    must_fail(lambda: mx.depends("text", A), "inputs holds no array")


def test_stop_gradient_does_not_shift_other_outputs():
    outs, cts = mx.vjp(lambda x, y: (mx.stop_gradient(x) * 2, x * y), [A, B], [mx.array(5.0), mx.array(1.0)])
    assert same(cts, [2, 1])
    assert same(mx.grad(lambda x: mx.stop_gradient(x) * x)(B), 2)


# ---- slices of one array: their cotangents meet

SLICES = {
    "halves": lambda x: mx.sin(x[:, :4]) * mx.cos(x[:, 4:]),
    "overlapping": lambda x: mx.sin(x[:, :5]) * mx.cos(x[:, 3:]),
    "interleaved": lambda x: mx.sin(x[:, ::2]) * mx.cos(x[:, 1::2]),
    "reversed": lambda x: mx.sin(x[:, 3::-1]) * mx.cos(x[:, 4:]),
    "strides that meet": lambda x: mx.sin(x[:, ::2]).sum() * mx.cos(x[:, ::3]).sum(),
    "rows": lambda x: sum(mx.sin(x[i]) * (i + 1) for i in range(6)),
    "rows and all": lambda x: sum(mx.sin(x[i]) * (i + 1) for i in range(6)) * mx.cos(x).sum(),
    "split": lambda x: mx.prod(mx.stack([mx.sin(part) for part in mx.split(x, 4, axis=1)]), axis=0),
}


@pytest.mark.parametrize("kind", SLICES)
def test_gradients_of_slices(kind):
    f = lambda x: mx.square(SLICES[kind](x)).sum()  # noqa: E731
    x = 0.1 * mx.arange(48, dtype=mx.float64).reshape(6, 8)
    forward = mx.jacfwd(f)(x)
    for got in (mx.grad(f)(x), mx.compile(mx.grad(f))(x), mx.vmap(mx.grad(f))(x[None])[0]):
        np.testing.assert_allclose(np.array(got), np.array(forward), rtol=1e-12, atol=1e-12)
    g = lambda x: mx.square(mx.grad(f)(x)).sum()  # noqa: E731
    np.testing.assert_allclose(np.array(mx.grad(g)(x)), np.array(mx.jacfwd(g)(x)), rtol=1e-11, atol=1e-11)


def test_slices_that_do_not_overlap_are_put_into_one_array():
    text = str(mx.make_program(mx.grad(lambda x: sum(mx.sin(x[i]).sum() for i in range(3))))(mx.ones((3, 2))))
    assert text.count("= slice_update(") == 3 and "float32[3, 2] = add" not in text, text
