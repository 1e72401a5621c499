"""test_errors.py — every wrong call is an exception of the right class whose text names what came; nothing crashes, and
an error loses nothing that was computed. The table of calls is in specs_errors.py."""

import subprocess
import sys

import numpy as np
import pytest

import mxform as mx
from specs import to_np
from specs_errors import TABLE


def names():
    """What the expressions of the table speak of; new for each, since some of them update in place."""
    return {"mx": mx, "np": np, "x": mx.zeros((2, 3)), "y": mx.zeros((4, 5)), "v": mx.zeros(3), "f": mx.array(1.0), "i": mx.array([0, 1]),
            "b": mx.array([True, False]), "c": mx.array([1j])}


@pytest.mark.parametrize("expression, error, words", TABLE, ids=[row[0] for row in TABLE])
def test_a_wrong_call_raises_and_says_what_came(expression, error, words):
    with pytest.raises(error) as caught:
        mx.eval(eval(expression, names()))
    for word in words:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"


def test_the_table_is_long_and_without_repeats():
    assert len(TABLE) >= 150 and len({row[0] for row in TABLE}) == len(TABLE)


def test_exception_classes_are_what_numpy_and_mlx_programs_catch():
    assert issubclass(mx.AxisError, ValueError) and issubclass(mx.AxisError, IndexError)
    assert issubclass(mx.DtypeError, ValueError) and issubclass(mx.DtypeError, TypeError)
    assert issubclass(mx.TransformError, ValueError)
    assert issubclass(mx.BackendError, RuntimeError)


# ---- where an error is raised

def test_shape_and_dtype_errors_come_at_the_call():
    """Not at eval, far from the line at fault."""
    x = mx.zeros((2, 3))
    for wrong in (lambda: x + mx.zeros(4), lambda: x @ x, lambda: mx.sum(x, axis=2), lambda: x.reshape(7), lambda: mx.floor(mx.array(1j))):
        with pytest.raises(ValueError):
            wrong()


def test_static_indices_are_checked_at_the_call():
    x = mx.zeros((2, 3))
    for wrong in (lambda: x[2], lambda: x[0, 3], lambda: mx.take(x, 5, axis=0), lambda: x.at[5].add(1)):
        with pytest.raises(IndexError):
            wrong()


def test_index_arrays_are_checked_where_they_are_read():
    x = mx.arange(6).reshape(2, 3)
    for index in ([2**30], [-(2**30)], [6], [-7]):
        with pytest.raises(IndexError, match="out of bounds"):
            mx.eval(mx.take(x, mx.array(index)))
    for dtype in (mx.int8, mx.uint8, mx.int16, mx.uint32, mx.int64, mx.uint64):
        with pytest.raises(IndexError):
            mx.eval(mx.take(x, mx.array([100], dtype=dtype)))
    with pytest.raises(IndexError):
        mx.eval(mx.take(x, mx.array([2**64 - 1], dtype=mx.uint64)))


# ---- nothing is lost

def test_an_error_is_repeatable():
    bad = mx.take(mx.arange(5), mx.array([9])) * 2
    texts = []
    for _ in range(3):
        with pytest.raises(IndexError) as e:
            mx.eval(bad)
        texts.append(str(e.value))
    assert len(set(texts)) == 1


def test_what_was_computed_before_an_error_is_kept():
    x = mx.arange(4) * 2.0
    good = mx.exp(x * 0.1)
    bad = mx.take(good, mx.array([99]))
    with pytest.raises(IndexError):
        mx.eval(good + 1, bad, good + 2)
    np.testing.assert_allclose(to_np(good), np.exp(np.arange(4) * 0.2), rtol=1e-6)
    np.testing.assert_allclose(to_np(good + 2), np.exp(np.arange(4) * 0.2) + 2, rtol=1e-6)
    with pytest.raises(IndexError):
        mx.eval(bad)


def test_what_failed_in_one_branch_leaves_the_other_alone():
    x = mx.arange(4)
    pair = mx.stack([x, x * 2])
    bad = pair[mx.array([7])]
    with pytest.raises(IndexError):
        mx.eval([bad, pair])
    assert pair.tolist() == [[0, 1, 2, 3], [0, 2, 4, 6]]


def test_an_update_in_place_that_is_refused_leaves_the_array():
    x = mx.array([1.0, 2.0, 3.0])
    for wrong in ("x[5] = 1", "x[0] = mx.zeros((2,))", "x += mx.zeros((2,))", "x @= mx.zeros((2, 2))", "x &= 1", "x['a'] = 1", "x[0] = 'a'"):
        with pytest.raises((ValueError, IndexError, TypeError)):
            exec(wrong, {"x": x, "mx": mx})
        assert x.tolist() == [1, 2, 3], wrong


def test_an_allocation_beyond_memory_is_a_memory_error_and_the_next_succeeds():
    big = mx.ones((2**40,)) + 1
    for _ in range(2):
        with pytest.raises(MemoryError, match="bytes"):
            mx.eval(big)
    assert mx.sum(mx.ones((1000,)) + 1).item() == 2000


def test_the_memory_limit_is_kept_to():
    old = mx.set_memory_limit(mx.get_active_memory() + (1 << 20))
    try:
        with pytest.raises(MemoryError, match="limit"):
            mx.eval(mx.ones((1 << 22,)) + 1)
        mx.eval(mx.ones((1 << 10,)) + 1)
    finally:
        mx.set_memory_limit(old)
    mx.eval(mx.ones((1 << 22,)) + 1)


def test_a_function_that_raises_leaves_no_transformation_behind():
    def boom(x):
        raise KeyError("mine")

    for transform in (mx.grad, mx.vmap, mx.compile, mx.checkpoint, lambda f: mx.value_and_grad(f), lambda f: lambda x: mx.jvp(f, [x], [x]),
                      lambda f: lambda x: mx.vjp(f, [x], [x]), lambda f: mx.vmap(mx.grad(f)), lambda f: mx.grad(mx.compile(f))):
        with pytest.raises(KeyError, match="mine"):
            transform(boom)(mx.array([1.0, 2.0]))
        assert mx.grad(lambda x: x * x)(mx.array(3.0)).item() == 6
        y = mx.array(2.0) + 1
        assert y.item() == 3


def test_a_compiled_function_that_failed_once_works_when_called_rightly():
    f = mx.compile(lambda x, y: x @ y + 1)
    with pytest.raises(ValueError, match="matmul"):
        f(mx.zeros((2, 3)), mx.zeros((2, 3)))
    assert f(mx.ones((2, 3)), mx.ones((3, 2))).tolist() == [[4, 4], [4, 4]]


def test_a_kernel_error_inside_a_compiled_function_is_the_same_error():
    f = mx.compile(lambda x, i: mx.take(x * 2, i) + 1)
    assert f(mx.arange(4), mx.array([1])).tolist() == [3]
    with pytest.raises(IndexError, match="out of bounds"):
        mx.eval(f(mx.arange(4), mx.array([40])))
    assert f(mx.arange(4), mx.array([2])).tolist() == [5]


# ---- transformations

def test_a_gradient_names_the_leaf_at_fault():
    tree = {"layers": [{"w": mx.array([1.0])}, {"w": mx.array([1])}]}
    with pytest.raises(mx.TransformError) as e:
        mx.grad(lambda p: mx.sum(p["layers"][0]["w"]))(tree)
    assert "['layers'][1]['w']" in str(e.value) and "int32" in str(e.value)


def test_errors_name_the_function():
    def my_loss(x):
        return x

    with pytest.raises(mx.TransformError, match="my_loss"):
        mx.grad(my_loss)(mx.zeros(3))
    with pytest.raises(mx.TransformError, match="my_loss"):
        mx.vmap(my_loss, in_axes=(0, 0, 0))(mx.zeros(3))


@pytest.mark.parametrize("read", [
    lambda x: x.item(), lambda x: bool(x > 0), lambda x: float(x), lambda x: int(x), lambda x: x.tolist(), lambda x: np.array(x),
    lambda x: memoryview(x), lambda x: x.__dlpack__(), lambda x: mx.eval(x + 1), lambda x: hash(np.asarray(x).tobytes()),
    lambda x: [0, 1][mx.sum(x).astype(mx.int32)], lambda x: x[x > 0], lambda x: bytes(x),
], ids=["item", "bool", "float", "int", "tolist", "numpy", "memoryview", "dlpack", "eval", "asarray", "index", "mask", "bytes"])
@pytest.mark.parametrize("transform", ["vmap", "compile"])
def test_reading_a_value_inside_a_trace_names_the_transformation(read, transform):
    with pytest.raises(ValueError, match=transform):
        getattr(mx, transform)(lambda x: (read(x), x)[1])(mx.array([1.0]))


def test_reading_a_value_under_grad_is_allowed():
    seen = []

    def f(x):
        seen.append((x * 2).item())
        return x * x if x.item() > 0 else x

    assert mx.grad(f)(mx.array(3.0)).item() == 6 and seen == [6.0]


@pytest.mark.parametrize("transform", ["vmap", "compile"])
def test_a_leaked_placeholder_is_an_error_not_a_crash(transform):
    leaked = []

    def f(x):
        leaked.extend([x, x + 1])
        return x * 2

    getattr(mx, transform)(f)(mx.array([1.0, 2.0]))
    for x in leaked:
        for use in (lambda: mx.eval(x), lambda: x.tolist(), lambda: mx.eval(x * 3), lambda: np.array(x)):
            with pytest.raises(ValueError, match=transform):
                use()


def custom(**rules):
    f = mx.custom_function(lambda x, y: x * y)
    for name, rule in rules.items():
        getattr(f, name)(rule)
    return f


X, Y = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
WRONG_RULES = {
    "vjp returns too few": (custom(vjp=lambda p, ct, out: (ct,)), "vjp", "vjp"),
    "vjp returns too many": (custom(vjp=lambda p, ct, out: (ct, ct, ct)), "vjp", "vjp"),
    "vjp returns a wrong shape": (custom(vjp=lambda p, ct, out: (ct, mx.zeros((5,)))), "vjp", "(5,)"),
    "vjp returns a wrong dtype": (custom(vjp=lambda p, ct, out: (ct, mx.zeros((2,), mx.int32))), "vjp", "int32"),
    "vjp returns no array": (custom(vjp=lambda p, ct, out: (ct, "a")), "vjp", "vjp"),
    "vjp raises": (custom(vjp=lambda p, ct, out: 1 / 0), "vjp", ""),
    "jvp returns too many": (custom(jvp=lambda p, t: (t[0], t[0])), "jvp", "jvp"),
    "jvp returns a wrong shape": (custom(jvp=lambda p, t: mx.zeros((3,))), "jvp", "(3,)"),
    "jvp returns a wrong dtype": (custom(jvp=lambda p, t: mx.zeros((2,), mx.int32)), "jvp", "int32"),
    "jvp returns no array": (custom(jvp=lambda p, t: "a"), "jvp", "jvp"),
    "vmap returns a wrong count": (custom(vmap=lambda xs, axes: ([xs[0], xs[1]], [0, 0])), "vmap", "vmap"),
    "vmap returns a wrong shape": (custom(vmap=lambda xs, axes: (mx.zeros((2, 7)), 0)), "vmap", ""),
    "vmap returns a wrong batch": (custom(vmap=lambda xs, axes: (mx.zeros((9,)), 0)), "vmap", ""),
    "vmap returns no axis": (custom(vmap=lambda xs, axes: xs[0]), "vmap", ""),
}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_wrong_custom_rule_is_an_error(name):
    f, which, word = WRONG_RULES[name]
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)) as e:
        if which == "vjp":
            mx.eval(mx.vjp(f, [X, Y], [X])[1])
        elif which == "jvp":
            mx.eval(mx.jvp(f, [X, Y], [X, Y])[1])
        else:
            mx.eval(mx.vmap(f)(X, Y))
    assert word in str(e.value)


def test_custom_rules_must_be_callable():
    for name in ("vjp", "jvp", "vmap"):
        with pytest.raises(TypeError):
            getattr(mx.custom_function(lambda x: x), name)(3)


def test_a_gradient_of_what_was_evaluated_elsewhere_is_an_error_or_right():
    """Evaluating inside the function must not cut its graph."""
    def f(x):
        y = x * x
        mx.eval(y)
        return mx.sum(y * x)

    assert mx.grad(f)(mx.array([2.0])).tolist() == [12.0]


# ---- nothing crashes: calls that take the peer's process down

CRASHERS = {
    "allocation larger than memory": "mx.eval(mx.zeros((2**45,)) + 1)",
    "take far out of bounds": "mx.eval(mx.take(mx.arange(3), mx.array([2**30])))",
    "scatter far out of bounds": "x = mx.arange(3); x[mx.array([2**30])] = 1; mx.eval(x)",
    "integer division by zero": "mx.eval(mx.array([1]) // mx.array([0]), mx.array([1]) % mx.array([0]))",
    "smallest integer by minus one": "mx.eval(mx.array([-2**31]) // mx.array([-1]))",
    "a hundred thousand operations under vmap": "f = lambda x: [x := x + 1 for _ in range(100000)][-1]; mx.eval(mx.vmap(f)(mx.zeros(3)))",
    "sizes that overflow": "mx.zeros((2**62, 2**62))",
    "strides outside of the array": "mx.eval(mx.as_strided(mx.zeros(4), (100,), (1000,)) + 1)",
    "a slice start out of range": "mx.eval(mx.slice(mx.zeros(4), mx.array([1000000]), (0,), (2,)))",
    "an update start out of range": "mx.eval(mx.slice_update(mx.zeros(4), mx.ones(2), mx.array([1000000]), (0,)))",
    "negative slice start": "mx.eval(mx.slice(mx.zeros(4), mx.array([-1000000]), (0,), (2,)))",
    "tiles without end": "mx.eval(mx.tile(mx.zeros((1000,)), (2**40,)) + 1)",
    "repeat without end": "mx.eval(mx.repeat(mx.zeros((1000,)), 2**50) + 1)",
    "padding without end": "mx.eval(mx.pad(mx.zeros((1000,)), 2**60) + 1)",
    "a range without end": "mx.eval(mx.arange(0, 1e18, 1) + 1)",
    "a list that holds itself": "x = []; x.append(x); mx.array(x)",
    "a tree that holds itself": "x = []; x.append(x); mx.eval(x)",
    "a very deep list": "x = 1\nfor _ in range(100000): x = [x]\nmx.array(x)",
    "draws without end": "mx.eval(mx.random.uniform(shape=(2**45,)))",
    "many dimensions": "mx.eval(mx.zeros((1,) * 1000).sum())",
    "an einsum with many operands": "mx.eval(mx.einsum(','.join(['a'] * 60) + '->a', *[mx.ones(3)] * 60))",
    "categorical of nothing": "mx.eval(mx.random.categorical(mx.zeros((3, 0))))",
    "sorting NaNs": "mx.eval(mx.sort(mx.array([float('nan')] * 1000 + [1.0] * 1000)))",
    "a shift by more than the width": "mx.eval(mx.array([1]) << mx.array([100]), mx.array([1]) >> mx.array([-5]))",
    "integer power with a negative exponent": "mx.eval(mx.power(mx.array([2, 0]), mx.array([-1, -1])))",
    "a placeholder that leaks and is printed": "k = []; mx.vmap(lambda x: (k.append(x), x)[1])(mx.zeros(3)); print(k[0])",
}


@pytest.mark.parametrize("name", CRASHERS)
def test_no_call_takes_the_process_down(name):
    """In a child: it must end with a Python exception or none, never by a signal."""
    body = "\n".join("    " + line for line in CRASHERS[name].split("\n"))
    code = f"import mxform as mx\ntry:\n{body}\nexcept Exception as e:\n    print(type(e).__name__)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.decode()[-500:]}"
