"""jacfwd, jacrev, hessian, hvp and has_aux: against finite differences, closed forms and each other."""

import functools
import inspect
from collections import namedtuple

import numpy as np
import pytest

import mxform as mx
from derivative_cases import CASES, M, TREE, V, W, case, close, holomorphic, layer
from helpers import must_fail, same
from mxform.testing import check_grads


def structure(tree):
    return mx.tree_flatten(tree)[1]


def numeric_jacobian(f, args):
    """One row for each element of the outputs, one column for each of the arguments."""
    leaves, like = mx.tree_flatten(args)
    sizes = [x.size for x in leaves]

    def flat(v):
        parts = np.split(v, np.cumsum(sizes)[:-1])
        xs = [mx.array(p.reshape(x.shape), mx.float64) for p, x in zip(parts, leaves)]
        return np.concatenate([np.array(y).ravel() for y in mx.tree_leaves(f(*mx.tree_unflatten(like, xs)))])

    v = np.concatenate([np.array(x).ravel() for x in leaves])
    step = 1e-6
    return np.stack([(flat(v + step * e) - flat(v - step * e)) / (2 * step) for e in np.eye(v.size)], axis=1)


def as_matrix(jacobian, f, args):
    """A Jacobian with respect to all arguments as one matrix; checks structure, shapes and dtypes."""
    inputs, in_structure = mx.tree_flatten(tuple(args))
    outputs, out_structure = mx.tree_flatten(f(*args))
    like = [mx.tree_unflatten(in_structure, [0] * len(inputs))] * len(outputs)
    assert structure(jacobian) == structure(mx.tree_unflatten(out_structure, like))
    blocks = iter(mx.tree_leaves(jacobian))
    rows = []
    for y in outputs:
        row = []
        for x in inputs:
            block = next(blocks)
            assert block.shape == y.shape + x.shape and block.dtype == mx.float64
            row.append(np.array(block).reshape(y.size, x.size))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def all_args(args):
    return list(range(len(args)))


# ---- Jacobians


@pytest.mark.parametrize("transform", [mx.jacfwd, mx.jacrev])
@case
def test_a_jacobian_is_that_of_finite_differences(name, transform):
    f, args = CASES[name]
    got = transform(f, all_args(args))(*args)
    close(as_matrix(got, f, args), numeric_jacobian(f, args))


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 7, 1000])
@pytest.mark.parametrize("transform", [mx.jacfwd, mx.jacrev, mx.hessian])
def test_chunks_change_nothing(transform, chunk_size):
    f, args = CASES["trees"]
    assert same(transform(f, (0, 1), chunk_size=chunk_size)(*args), transform(f, (0, 1))(*args))


def test_a_constant_output_has_a_zero_jacobian():
    for transform in (mx.jacfwd, mx.jacrev):
        zero = mx.zeros((2, 3))
        assert same(transform(lambda x: mx.ones((2,)))(mx.ones((3,))), zero)
        assert same(transform(lambda x, y: (x[:2], 2.0 * y), 1)(mx.ones((3,)), 1.0), (mx.zeros((2,)), 2))
        assert same(transform(lambda x: 2.0)(mx.ones((3,))), mx.zeros((3,)))
        assert same(transform(mx.stop_gradient)(mx.ones((3,))), mx.zeros((3, 3)))


def test_argnums_pick_arguments():
    f = lambda x, y, *, scale=1.0: mx.outer(x, y) * scale
    x, y = mx.array([1.0, 2.0]), mx.array([3.0, 4.0, 5.0])
    for transform in (mx.jacfwd, mx.jacrev):
        dx = mx.eye(2)[:, None, :] * y[None, :, None]
        dy = mx.eye(3)[None] * x[:, None, None]
        assert same(transform(f)(x, y), dx)
        assert same(transform(f, 1)(x, y), dy)
        assert same(transform(f, argnums=-1)(x, y, scale=2.0), 2 * dy)
        assert same(transform(f, (1,))(x, y), (dy,))
        assert same(transform(f, [1, 0])(x, y), (dy, dx))
        assert same(transform(f, range(2))(x, y), (dx, dy))


def test_other_arguments_may_be_anything():
    f = lambda x, how, *, table: x * table[how]
    assert same(mx.jacfwd(f)(mx.array(2.0), "double", table={"double": 2}), 2)
    assert same(mx.jacrev(lambda n, x: x ** n, 1)(mx.array(3), mx.array(2.0)), 12)


def test_containers_keep_their_types():
    Pair = namedtuple("Pair", "a b")
    got = mx.jacfwd(lambda p: {"out": Pair(p.a * p.b, p.b)})(Pair(mx.array(2.0), mx.array(3.0)))
    assert same(got, {"out": Pair(Pair(3, 2), Pair(0, 1))})
    assert same(mx.jacrev(lambda p: mx.array(1.0))({}), {})
    assert mx.jacfwd(lambda x: None)(mx.array(1.0)) is None


def test_blocks_have_the_dtype_of_the_output_or_of_the_argument():
    f = lambda x, y: (x * 2, x.astype(mx.float32) * y)
    args = mx.ones((2,), mx.float16), mx.ones((2,), mx.float32)
    names = lambda tree: [x.dtype for x in mx.tree_leaves(tree)]
    assert names(mx.jacfwd(f, (0, 1))(*args)) == [mx.float16, mx.float16, mx.float32, mx.float32]
    assert names(mx.jacrev(f, (0, 1))(*args)) == [mx.float16, mx.float32, mx.float16, mx.float32]


@pytest.mark.parametrize("n, m", [(0, 2), (2, 0), (0, 0), (1, 0), (0, 1)])
def test_empty_arrays_have_empty_jacobians(n, m):
    f = lambda x: mx.sum(x) * mx.ones((m,))
    for transform in (mx.jacfwd, mx.jacrev):
        for chunk_size in (None, 1):
            assert transform(f, chunk_size=chunk_size)(mx.ones((n,))).shape == (m, n)
    assert mx.hessian(lambda x: (x * x).sum())(mx.ones((n,))).shape == (n, n)


def test_the_function_runs_once():
    calls = []

    def f(x):
        calls.append(x)
        return x * x

    for g in (mx.jacfwd(f, chunk_size=2), mx.jacrev(f, chunk_size=2), mx.hessian(f)):
        calls.clear()
        g(mx.ones((5,)))
        assert len(calls) == 1


def test_the_function_may_look_at_values():
    f = lambda x: x * x if x[0].item() > 0 else -x
    assert same(mx.jacfwd(f)(mx.array([2.0])), mx.array([[4.0]]))
    assert same(mx.jacrev(f)(mx.array([-2.0])), mx.array([[-1.0]]))


def test_random_draws_are_the_same_in_each_row():
    f = lambda x: x * mx.random.normal((), key=mx.random.key(3))
    diagonal = mx.diag(mx.jacfwd(f)(mx.ones((4,))))
    assert same(diagonal, mx.broadcast_to(f(mx.array(1.0)), (4,)))


# ---- complex numbers


def test_holomorphic_functions_have_a_complex_jacobian():
    z = mx.array([0.3 + 0.4j, -1 + 0.5j])
    e = np.exp(0.3 + 0.4j)
    need = np.array([[e * (-1 + 0.5j), e], [0, 2j * (-1 + 0.5j)], [1, 0]])
    for transform in (mx.jacfwd, mx.jacrev):
        got = transform(holomorphic, holomorphic=True)(z)
        assert got.dtype == mx.complex64
        close(got, need, 1e-5)
    second = mx.hessian(holomorphic, holomorphic=True, chunk_size=1)(z)
    assert second.shape == (3, 2, 2)
    close(second[0], [[e * (-1 + 0.5j), e], [e, 0]], 1e-5)
    close(second[1], [[0, 0], [0, 2j]], 1e-5)


def test_complex_outputs_of_real_arguments_are_for_forward_mode():
    f = lambda x: x * (1 + 2j)
    close(mx.jacfwd(f)(mx.array([1.0, 2.0])), np.eye(2) * (1 + 2j))
    must_fail(lambda: mx.jacrev(f)(mx.array([1.0])), "Use jacfwd for complex outputs of real arguments")
    must_fail(lambda: mx.jacrev(lambda x: {"y": x * 1j})(mx.array([1.0])), "output['y'] of <lambda>: array of shape (1,) and dtype complex64")


def test_complex_arguments_must_be_asked_for():
    z = {"z": mx.array([1j])}
    for name in ("jacfwd", "jacrev", "hessian"):
        transform = getattr(mx, name)
        must_fail(lambda: transform(lambda p: p["z"])(z), f"[{name}] cannot differentiate <lambda> with respect to p['z']")
        must_fail(lambda: transform(lambda p: p["z"])(z), "Set holomorphic=True if the function is holomorphic")
        must_fail(lambda: transform(lambda x: x, holomorphic=True)(mx.array([1.0])), "need a complex dtype. holomorphic=True is for complex")
        must_fail(lambda: transform(lambda p: mx.abs(p["z"]), holomorphic=True)(z), "need a complex dtype, since holomorphic=True")


# ---- hessian and hvp


def test_hessians_have_their_closed_forms():
    a = mx.array(np.arange(9.0).reshape(3, 3), mx.float64)
    close(mx.hessian(lambda x: x @ a @ x)(V), a + a.T)
    p = mx.softmax(V)
    close(mx.hessian(mx.logsumexp)(V), mx.diag(p) - mx.outer(p, p))
    close(mx.hessian(lambda x: mx.linalg.norm(x))(V), (mx.eye(3, dtype=mx.float64) - mx.outer(V, V) / (V @ V)) / mx.sqrt(V @ V))
    assert same(mx.hessian(lambda x: x**3)(2.0), mx.array(12.0))


def test_a_hessian_is_symmetric_and_holds_all_blocks():
    f = lambda p, x: layer(p, x)["parts"][0]
    blocks = mx.hessian(f, (0, 1))(TREE, V)
    inner = ({"w": 0, "b": (0, None)}, 0)
    assert structure(blocks) == structure(({"w": inner, "b": (inner, None)}, inner))
    leaves = mx.tree_leaves((TREE, V))
    rows = mx.tree_leaves(blocks)
    full = np.block([[np.array(rows[3 * i + j]).reshape(leaves[i].size, leaves[j].size) for j in range(3)] for i in range(3)])
    close(full, full.T)
    gradient = lambda p, x: mx.grad(f, (0, 1))(p, x)
    close(full, numeric_jacobian(gradient, (TREE, V)))


def test_modes_may_be_combined_in_any_order():
    f = CASES["vector to matrix"][0]
    need = mx.hessian(f)(V)
    assert need.shape == (3, 2, 3, 3)
    for outer in (mx.jacfwd, mx.jacrev):
        for inner in (mx.jacfwd, mx.jacrev):
            close(outer(inner(f))(V), need)
    third = mx.jacfwd(mx.hessian(lambda x: (x**3).prod()))(V)
    assert third.shape == (3, 3, 3)
    close(third, np.transpose(np.array(third), (2, 0, 1)))


def test_hvp_is_the_hessian_times_the_tangents():
    f = lambda p, x: layer(p, x)["parts"][0]
    tangents = ({"w": M * 2 - 1, "b": (W * W, None)}, mx.sin(V))
    value, products = mx.hvp(f, [TREE, V], tangents)
    assert isinstance(products, list)
    close(value, f(TREE, V))
    need = mx.jvp(mx.grad(f, (0, 1)), [TREE, V], tangents)[1]
    for a, b in zip(mx.tree_leaves(products), mx.tree_leaves(need)):
        close(a, b, 1e-12)
    h = mx.hessian(mx.logsumexp)(V)
    close(mx.hvp(mx.logsumexp, [V], [V])[1][0], h @ V)


def test_hvp_takes_none_for_zero():
    f = lambda x, y: (x * y * y).sum()
    x, y = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
    value, (dx, dy) = mx.hvp(f, (x, y), (None, mx.array([1.0, 0.0])))
    assert same((value, dx, dy), (41, mx.array([6.0, 0.0]), mx.array([2.0, 0.0])))
    assert same(mx.hvp(f, [x, y], [None, None])[1], [mx.zeros((2,)), mx.zeros((2,))])
    assert same(mx.hvp(lambda x: x * x, [3.0], [1.0]), (9, [2]))


# ---- has_aux


def with_aux(x):
    return (x**3).sum(), {"twice": 2 * x, "name": "cube"}


def test_aux_is_passed_on():
    x = mx.array([1.0, 2.0])
    aux = {"twice": 2 * x, "name": "cube"}
    gradient = mx.array([3.0, 12.0])
    assert same(mx.grad(with_aux, has_aux=True)(x), (gradient, aux))
    assert same(mx.value_and_grad(with_aux, has_aux=True)(x), ((9, aux), gradient))
    assert same(mx.grad(lambda *, x: with_aux(x), argnames="x", has_aux=True)(x=x), ((None, {"x": gradient}), aux))
    assert same(mx.jacfwd(with_aux, has_aux=True)(x), (gradient, aux))
    assert same(mx.jacrev(with_aux, 0, True)(x), (gradient, aux))
    assert same(mx.hessian(with_aux, has_aux=True)(x), (mx.diag(6 * x), aux))
    assert same(mx.hvp(with_aux, [x], [x], has_aux=True), (9, [6 * x * x], aux))
    y, f_jvp, got = mx.linearize(with_aux, x, has_aux=True)
    assert same((y, f_jvp(x), got), (9, 27, aux))
    y, f_vjp, got = mx.vjp_fn(with_aux, x, has_aux=True)
    assert same((y, f_vjp(1.0), got), (9, (gradient,), aux))


def test_aux_survives_more_transformations():
    x = mx.array([1.0, 2.0])
    inner = lambda x: mx.grad(lambda y: ((y**3).sum(), y * 2), has_aux=True)(x)
    total = lambda x: sum(part.sum() for part in inner(x))
    assert same(mx.grad(total)(x), 6 * x + 2)
    xs = mx.stack([x, 3 * x])
    assert same(mx.vmap(inner)(xs), (3 * xs * xs, 2 * xs))
    assert same(mx.compile(inner)(x), (3 * x * x, 2 * x))
    jac = lambda x: mx.jacrev(lambda y: (y * y, y.sum()), has_aux=True)(x)
    assert same(mx.vmap(jac)(xs)[1], xs.sum(1))


def test_what_is_no_pair_is_refused():
    x = mx.array([1.0])
    for call, op in (
        (lambda f: mx.grad(f, has_aux=True)(x), "grad"),
        (lambda f: mx.value_and_grad(f, has_aux=True)(x), "value_and_grad"),
        (lambda f: mx.jacfwd(f, has_aux=True)(x), "jacfwd"),
        (lambda f: mx.jacrev(f, has_aux=True)(x), "jacrev"),
        (lambda f: mx.hessian(f, has_aux=True)(x), "hessian"),
        (lambda f: mx.hvp(f, [x], [x], has_aux=True), "hvp"),
        (lambda f: mx.linearize(f, x, has_aux=True), "linearize"),
        (lambda f: mx.vjp_fn(f, x, has_aux=True), "vjp_fn"),
    ):
        for f in (lambda x: x.sum(), lambda x: (x.sum(),), lambda x: (x.sum(), 1, 2)):
            must_fail(lambda: call(f), f"[{op}] with has_aux=True <lambda> must return a pair (output, aux)")
    must_fail(lambda: mx.grad(lambda x: (x, 1))(x), "or has_aux=True")


# ---- under other transformations


@pytest.mark.parametrize("transform", [mx.jacfwd, mx.jacrev, mx.hessian])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_jacobians_under_vmap_and_compile(transform, chunk_size):
    f = lambda p, x: {"y": mx.softmax(p * x) * x[0]}
    g = transform(f, (0, 1), chunk_size=chunk_size)
    ps, xs = mx.arange(12.0).reshape(4, 3) / 10, mx.arange(12.0).reshape(4, 3)[::-1] / 7
    each = [g(p, x) for p, x in zip(ps, xs)]
    stacked = mx.tree_map(lambda *rows: mx.stack(rows), *each)
    assert same(mx.vmap(g)(ps, xs), stacked)
    assert same(mx.compile(mx.vmap(g))(ps, xs), stacked)
    assert same(mx.vmap(mx.compile(g), chunk_size=3)(ps, xs), stacked)
    assert same(mx.checkpoint(g)(ps[1], xs[1]), each[1])
    one = mx.vmap(g, in_axes=(None, 0))(ps[0], xs)
    assert same(mx.tree_map(lambda a: a[0], one), each[0])
    empty = mx.vmap(g)(ps[:0], xs[:0])
    assert mx.tree_leaves(empty)[0].shape == (0,) + mx.tree_leaves(each[0])[0].shape


@pytest.mark.parametrize("transform", [mx.jacfwd, mx.jacrev, mx.hessian])
def test_jacobians_can_be_differentiated(transform):
    f = lambda x, y: mx.tanh(mx.outer(x, y)) * y[0]
    check_grads(transform(f, (1, 0)), (V, W), order=1 if transform is mx.hessian else 2)


def test_hvp_under_other_transformations():
    f = lambda x: mx.logsumexp(mx.sin(x) * x)
    product = lambda x, v: mx.hvp(f, [x], [v])[1][0]
    xs, vs = mx.stack([V, 2 * V]), mx.stack([V * V, V])
    need = mx.stack([mx.hessian(f)(x) @ v for x, v in zip(xs, vs)])
    close(mx.vmap(product)(xs, vs), need)
    close(mx.compile(mx.vmap(product))(xs, vs), need)
    check_grads(product, (V, V * V))
    assert mx.vmap(product)(xs[:0], vs[:0]).shape == (0, 3)


# ---- errors


def loss_fn(params, x):
    return (params["layers"][0]["w"] * x).sum()


@pytest.mark.parametrize("name", ["jacfwd", "jacrev", "hessian"])
@pytest.mark.parametrize(
    "leaf, text",
    [
        (mx.array([1, 2]), "array of shape (2,) and dtype int32 came; need a floating dtype. Convert it with astype(mx.float32)"),
        (3, "int 3 came; need a floating dtype. Write it as a float."),
        ("adam", "str 'adam' came; need an array"),
    ],
)
def test_the_leaf_that_cannot_be_differentiated_is_named(name, leaf, text):
    call = lambda: getattr(mx, name)(loss_fn)({"layers": [{"w": leaf}]}, 1.0)
    must_fail(call, f"[{name}] cannot differentiate loss_fn with respect to params['layers'][0]['w']: {text}")


@pytest.mark.parametrize("name", ["jacfwd", "jacrev", "hessian"])
def test_the_output_that_cannot_be_differentiated_is_named(name):
    transform = getattr(mx, name)
    f = lambda x: {"y": [x, x.astype(mx.int32)]}
    must_fail(lambda: transform(f)(mx.array(1.0)), f"[{name}] cannot differentiate output['y'][1] of <lambda>: array of shape () and dtype int32")
    must_fail(lambda: transform(lambda x: x > 0)(mx.array(1.0)), "dtype bool came; need a floating dtype. Return it as the second of a pair")
    must_fail(lambda: transform(lambda x: ("s", x))(mx.array(1.0)), f"[{name}] the output of <lambda> at [0] is str 's'; need an array")


def test_wrong_settings_are_refused():
    f = lambda x: x
    x = mx.ones((2,))
    for transform in (mx.jacfwd, mx.jacrev, mx.hessian):
        must_fail(lambda: transform(f, 1)(x), "argnums has 1 but <lambda> was called with 1 positional argument")
        must_fail(lambda: transform(f, (0, -1))(x), "names argument 0 of <lambda> twice")
        must_fail(lambda: transform(f, ()), "argnums is empty")
        must_fail(lambda: transform(f, "x"), "argnums must be an int", TypeError)
        must_fail(lambda: transform(3), "fun must be callable", TypeError)
        must_fail(lambda: transform(f, chunk_size=0), "chunk_size is 0; need an int of at least 1", ValueError)
        must_fail(lambda: transform(f, chunk_size=1.0), "chunk_size must be an int or None", TypeError)
    for function in (lambda: mx.linearize(3, x), lambda: mx.vjp_fn(3, x), lambda: mx.hvp(3, [x], [x])):
        must_fail(function, "fun must be callable", TypeError)


def test_what_does_not_match_is_named():
    p = {"w": mx.ones((2,))}
    f = lambda p: {"y": p["w"] * 2}
    _, f_jvp = mx.linearize(f, p)
    must_fail(lambda: f_jvp(), "[linearize] 1 primals but 0 tangents")
    must_fail(lambda: f_jvp({"w": mx.ones((3,))}), "[linearize] tangents[0]['w'] has shape (3,) but primals[0]['w'] has shape (2,)")
    must_fail(lambda: f_jvp({"v": mx.ones((2,))}), "[linearize] primals and tangents:")
    must_fail(lambda: f_jvp({"w": "s"}), "tangents[0]['w'] is str 's'; need an array")
    _, f_vjp = mx.vjp_fn(f, p)
    must_fail(lambda: f_vjp({"y": mx.ones((3,))}), "[vjp_fn] cotangents['y'] has shape (3,) but outputs['y'] has shape (2,)")
    must_fail(lambda: f_vjp(mx.ones((2,))), "[vjp_fn] outputs and cotangents:")
    must_fail(lambda: mx.linearize(f, {"w": "s"}), "[linearize] primals[0]['w'] is str 's'; need an array")
    must_fail(lambda: mx.vjp_fn(lambda x: {"y": "s"}, 1.0), "[vjp_fn] the output of <lambda> at ['y'] is str 's'; need an array")
    must_fail(lambda: mx.hvp(lambda x: x * 2, [mx.ones((2,))], [mx.ones((2,))]), "[hvp] <lambda> must return a scalar: array of shape (2,)")
    must_fail(lambda: mx.hvp(lambda p: p["n"], [{"n": mx.array(1)}], [None]), "[hvp] cannot differentiate <lambda> with respect to primals[0]['n']")
    must_fail(lambda: mx.hvp(lambda x: x, [mx.array(1.0)], []), "[hvp] 1 primals but 0 tangents")
    must_fail(lambda: mx.hvp(lambda x: x, mx.array(1.0), []), "primals must be a list or tuple", TypeError)


def test_errors_in_the_function_pass_untouched():
    class Mine(Exception):
        pass

    def fail(*args):
        raise Mine("text")

    x = mx.array(1.0)
    for call in (
        lambda: mx.jacfwd(fail)(x),
        lambda: mx.jacrev(fail)(x),
        lambda: mx.hessian(fail)(x),
        lambda: mx.hvp(fail, [x], [x]),
        lambda: mx.linearize(fail, x),
        lambda: mx.vjp_fn(fail, x),
    ):
        with pytest.raises(Mine, match="text"):
            call()
    assert same(mx.jacfwd(mx.sin)(mx.array(0.0)), 1)  # nothing was left behind


@pytest.mark.parametrize("transform", [mx.jacfwd, mx.jacrev, mx.hessian])
def test_wrapped_functions_look_like_their_function(transform):
    def documented(x, y=2.0, *, z=None):
        """Say something."""
        return x

    wrapped = transform(documented)
    assert wrapped.__name__ == "documented" and wrapped.__doc__ == "Say something."
    assert inspect.signature(wrapped) == inspect.signature(documented)
    transform(functools.partial(documented, 1))  # no name to keep
