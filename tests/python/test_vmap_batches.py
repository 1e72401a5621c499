"""The size of the batch in vmap: given, empty, or worked through in chunks."""

import pytest

import mxform as mx
from helpers import must_fail, same

X = mx.arange(42.0).reshape(7, 6) / 10
Y = mx.arange(6.0)


# ---- axis_size


def test_axis_size_makes_a_batch_of_nothing():
    assert same(mx.vmap(lambda: mx.array(2.0), axis_size=3)(), mx.full((3,), 2.0))
    assert same(mx.vmap(lambda x: x * 2, in_axes=None, axis_size=2)(Y), mx.stack([2 * Y, 2 * Y]))
    assert same(mx.vmap(lambda x: x, in_axes=None, out_axes=1, axis_size=2)(Y), mx.stack([Y, Y], axis=1))
    assert same(mx.vmap(lambda x: (x, x), in_axes=None, out_axes=(None, 0), axis_size=2)(Y), (Y, mx.stack([Y, Y])))
    assert same(mx.vmap(lambda n: mx.array(float(n)), in_axes=(None,), axis_size=2)(3), mx.full((2,), 3.0))
    assert mx.vmap(lambda: mx.ones((2,)), axis_size=0)().shape == (0, 2)


def test_axis_size_draws_for_each_example():
    draws = mx.vmap(lambda: mx.random.uniform(), axis_size=5)()
    assert draws.shape == (5,) and len(set(draws.tolist())) == 5
    nested = mx.vmap(lambda x: mx.vmap(lambda: mx.random.uniform(), axis_size=3)() + x)(mx.zeros((2,)))
    assert nested.shape == (2, 3) and len(set(nested.reshape(-1).tolist())) == 6


def test_axis_size_must_be_that_of_the_arrays():
    double = lambda x: x * 2
    assert same(mx.vmap(double, axis_size=7)(X), 2 * X)
    must_fail(lambda: mx.vmap(double, axis_size=6)(X), "axis_size of <lambda> is 6 but x of shape (7, 6) has 7 along axis 0")
    must_fail(lambda: mx.vmap(double, in_axes=None)(X), "or axis_size")
    must_fail(lambda: mx.vmap(double, axis_size=-1), "axis_size is -1; need an int of at least 0", ValueError)
    must_fail(lambda: mx.vmap(double, axis_size=2.0), "axis_size must be an int or None: 2.0 came", TypeError)
    must_fail(lambda: mx.vmap(double, axis_size=True), "need an int", ValueError)


# ---- chunk_size

FUNCTIONS = {
    "two": lambda x, y: mx.softmax(x * y),
    "tree": lambda x, y: {"a": [x.sum(), None], "b": mx.outer(x, y)},
    "constant": lambda x, y: (x, y, mx.ones((2,))),
    "gradient": lambda x, y: mx.grad(lambda x: (mx.sin(x) * y).sum())(x),
    "nested": lambda x, y: mx.vmap(lambda a: a * y, chunk_size=4)(x),
    "indexed": lambda x, y: y[(x[:2] * 10).astype(mx.int32) % 6],
}


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_chunks_change_nothing(name, chunk_size):
    f = FUNCTIONS[name]
    need = mx.vmap(f, in_axes=(0, None))(X, Y)
    chunked = mx.vmap(f, in_axes=(0, None), chunk_size=chunk_size)
    assert same(chunked(X, Y), need)
    assert same(mx.compile(chunked)(X, Y), need)
    assert same(mx.vmap(f, in_axes=(1, None), chunk_size=chunk_size)(X.T, Y), need)


def test_chunks_have_out_axes_keywords_and_other_arguments():
    f = lambda x, how, *, y: (x * y, how, Y)
    got = mx.vmap(f, in_axes=(-1, None), out_axes=(-1, None, None), chunk_size=3)(X.T, "how", y=X)
    assert same(got, (X.T * X.T, "how", Y))
    must_fail(lambda: mx.vmap(lambda x: x, out_axes=None, chunk_size=2)(X), "depends on the batch")


def test_an_empty_batch_is_one_chunk():
    assert mx.vmap(lambda x: x.sum(), chunk_size=2)(X[:0]).shape == (0,)


def test_chunks_draw_the_same_numbers():
    f = lambda x: x + mx.random.normal((3,))
    mx.random.seed(1)
    need = mx.vmap(f)(X[:, :3])
    mx.random.seed(1)
    assert same(mx.vmap(f, chunk_size=2)(X[:, :3]), need)
    mx.random.seed(1)
    draws = mx.vmap(lambda: mx.random.normal(()), axis_size=5, chunk_size=2)()
    mx.random.seed(1)
    assert same(mx.vmap(lambda: mx.random.normal(()), axis_size=5)(), draws)


def test_the_function_is_traced_once():
    calls = []

    def f(x):
        calls.append(x)
        return x * 2

    mx.vmap(f, chunk_size=1)(X)
    assert len(calls) == 1


def test_chunks_are_differentiated_and_batched():
    f = lambda x: mx.tanh(x * x).sum()
    total = lambda chunk_size: lambda x: (mx.vmap(f, chunk_size=chunk_size)(x) ** 2).sum()
    assert same(mx.grad(total(3))(X), mx.grad(total(None))(X))
    assert same(mx.jvp(total(3), [X], [X]), mx.jvp(total(None), [X], [X]))
    batch = X.reshape(7, 2, 3)
    assert same(mx.vmap(mx.vmap(f, chunk_size=1), chunk_size=4)(batch), mx.vmap(mx.vmap(f))(batch))
    # A custom rule sees each chunk as a batch.
    sizes = []

    @mx.custom_function
    def identity(x):
        return x * 1

    @identity.vmap
    def identity_vmap(inputs, axes):
        sizes.append(inputs.shape[0])
        return inputs * 1, axes

    assert same(mx.vmap(identity, chunk_size=3)(X), X)
    assert sizes == [3, 3, 1]


def test_memory_is_that_of_a_chunk():
    x = mx.random.normal((64, 100))
    mx.eval(x)

    def peak(chunk_size):
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(mx.vmap(lambda x: mx.softmax(mx.sin(mx.outer(x, x)) @ mx.cos(mx.outer(x, x))).sum(), chunk_size=chunk_size)(x))
        return mx.get_peak_memory() - before

    assert peak(4) < peak(None) / 8


def test_chunk_size_must_be_a_positive_int():
    for wrong in (0, -1, True):
        must_fail(lambda: mx.vmap(lambda x: x, chunk_size=wrong), "need an int of at least 1, or None", ValueError)
    for wrong in ("2", 2.0):
        must_fail(lambda: mx.vmap(lambda x: x, chunk_size=wrong), "chunk_size must be an int or None", TypeError)
