"""test_array_object.py — the array type: construction, operators with numbers, conversion to Python values, copies."""

import copy
import gc
import math
import pickle
import sys
import weakref

import numpy as np
import pytest

import mxform as mx

DTYPES = ["bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64", "complex64"]


# ---- construction

@pytest.mark.parametrize("value, dtype", [
    (True, "bool_"), (3, "int32"), (2**31, "int64"), (-2**31 - 1, "int64"), (1.5, "float32"), (1j, "complex64"),
    ([], "float32"), ([[], []], "float32"), ([True, 2], "int32"), ([1, 2.5], "float32"), ([1, 2**40], "int64"),
    ([True, 2.5, 1j], "complex64"), ((1, 2), "int32"),
    (np.float64(1.5), "float32"), (np.int64(3), "int64"), (np.uint8(3), "uint8"), (np.bool_(True), "bool_"),
    (np.array([1.5]), "float32"), (np.array([1 + 2j]), "complex64"), (np.array([1]), "int64"),
    (np.array([1], dtype=np.longdouble), "float32"), ([np.uint8(3), np.uint8(4)], "uint8"), (b"abc", "uint8"),
])
def test_the_default_dtype_follows_from_the_value(value, dtype):
    a = mx.array(value)
    assert a.dtype is getattr(mx, dtype)
    assert a.shape == np.shape(value) or isinstance(value, bytes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_construction_with_a_dtype_converts(dtype):
    t = getattr(mx, dtype)
    for value in ([0, 1, 2], [0.0, 1.0, 2.0], np.arange(3), np.arange(3.0), mx.array([0, 1, 2])):
        a = mx.array(value, dtype=t)
        assert a.dtype is t
        assert a.tolist() == ([False, True, True] if dtype == "bool_" else [0, 1, 2])


def test_floats_become_integers_as_astype_makes_them():
    values = [1.7, -1.7, 300.0, -300.0, math.inf, -math.inf, math.nan]
    for t in (mx.int8, mx.uint8, mx.int32, mx.int64, mx.uint64):
        assert mx.array(values, dtype=t).tolist() == mx.array(values).astype(t).tolist()


def test_numpy_layouts_are_read_through_their_strides():
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for view in (base, base.T, base[:, ::-1], base[..., ::2], base[1:, 0], np.broadcast_to(base[0, 0], (3, 4)), base.astype(">f4"),
                 np.asfortranarray(base), base[:0]):
        assert np.array_equal(np.array(mx.array(view)), view)
    packed = np.zeros(3, dtype=[("pad", "u1"), ("value", "f4")])
    packed["value"] = [1, 2, 3]
    assert mx.array(packed["value"]).tolist() == [1, 2, 3]


def test_arrays_in_lists_are_stacked_and_differentiable():
    x = mx.array(2.0)
    assert mx.array([[x, 1], [3, x]]).tolist() == [[2, 1], [3, 2]]
    assert mx.array([mx.array([1, 2]), [3.0, 4.0]]).tolist() == [[1, 2], [3, 4]]
    assert mx.array([mx.array(1, mx.float16), 2]).dtype is mx.float16
    assert mx.grad(lambda v: (mx.array([v, 3.0, v * v]) * mx.array([1.0, 10.0, 100.0])).sum())(x).item() == 401


@pytest.mark.parametrize("value, error, text", [
    ([[1], [2, 3]], ValueError, "ragged"), ([[1], 2], ValueError, "ragged"), ([1, [2]], ValueError, "ragged"),
    (["a"], ValueError, "contains a str"), ("a", ValueError, "a str is not an array"), (None, TypeError, "None is not an array"),
    ([None], ValueError, "contains None"), ({}, ValueError, "a dict"), (object(), ValueError, "an object"),
    (2**64, OverflowError, "does not fit 64 bits"), ([mx.array([1]), mx.array([1, 2])], ValueError, "ragged"),
    (np.array(["a"]), ValueError, "str32"), (np.array(["2020"], dtype="M8[D]"), ValueError, "datetime64"),
    (np.datetime64("2020"), ValueError, "datetime64"), (np.array([object()]), ValueError, "object"),
])
def test_what_is_not_an_array_is_refused(value, error, text):
    with pytest.raises(error, match=text):
        mx.array(value)


def test_a_list_that_holds_itself_is_an_error():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested"):
        mx.array(loop)


def test_the_type_cannot_make_an_empty_handle():
    for make in (lambda: mx.array(), lambda: mx.array.__new__(mx.array), lambda: mx.array(1, mx.int8, 2)):
        with pytest.raises(TypeError):
            make()


# ---- operators

@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_numbers_take_on_the_dtype_beside_them(dtype):
    t = getattr(mx, dtype)
    x = mx.array([1, 2], dtype=t)
    inexact = mx.issubdtype(t, mx.inexact)
    assert (x + 1).dtype is t and (2 * x).dtype is t and (x - True).dtype is t
    assert (x + 1.5).dtype is (t if inexact else mx.float32)
    assert (x + 1j).dtype is mx.complex64
    assert mx.add(x, 1).dtype is t and mx.add(1, x).dtype is t
    assert mx.maximum(x, 1.5).dtype is (t if inexact else mx.float32)


def test_foreign_arrays_adapt_their_width_but_not_their_kind():
    assert (mx.array([1], dtype=mx.float16) + np.array([1.5])).dtype is mx.float16
    assert (mx.array([1], dtype=mx.int8) + np.array([1])).dtype is mx.int8
    total = mx.array([1]) + np.array([1.5])
    assert total.dtype is mx.float32 and total.item() == 2.5
    assert (np.float64(3) * mx.array([1.0], dtype=mx.float16)).dtype is mx.float16


@pytest.mark.parametrize("number", [256, -1, 2**70])
def test_an_integer_that_does_not_fit_is_an_error(number):
    with pytest.raises(ValueError, match="does not fit uint8"):
        mx.array([1], dtype=mx.uint8) + number
    with pytest.raises(ValueError, match="does not fit uint8"):
        number > mx.array([1], dtype=mx.uint8)
    assert (mx.array([True]) + 2**40).item() == 2**40 + 1


OPERATORS = ["+", "-", "*", "/", "//", "%", "**"]


@pytest.mark.parametrize("op", OPERATORS)
def test_operators_both_ways_and_in_place(op):
    a, b = np.array([5.0, 7.0, 2.0], dtype=np.float32), np.array([2.0, 3.0, 4.0], dtype=np.float32)
    x, y = mx.array(a), mx.array(b)
    for left, right, ref in ((x, y, (a, b)), (x, 3, (a, 3)), (3, x, (3, a)), (a, y, (a, b)), (x, b, (a, b))):
        out = eval(f"left {op} right")
        assert isinstance(out, mx.array)
        assert np.allclose(out, eval(f"ref[0] {op} ref[1]"))
    z = alias = mx.array(a)
    scope = {"z": z, "y": y}
    exec(f"z {op}= y", scope)
    assert scope["z"] is alias
    assert np.allclose(alias, eval(f"a {op} b"))


@pytest.mark.parametrize("op", ["&", "|", "^", "<<", ">>"])
def test_bit_operators(op):
    a, b = np.array([5, 7, 2], dtype=np.int32), np.array([1, 3, 2], dtype=np.int32)
    x, y = mx.array(a), mx.array(b)
    assert np.array_equal(eval(f"x {op} y"), eval(f"a {op} b"))
    assert np.array_equal(eval(f"x {op} 2"), eval(f"a {op} 2"))
    assert np.array_equal(eval(f"2 {op} y"), eval(f"2 {op} b"))


def test_unary_operators_and_divmod():
    x = mx.array([-2, 3])
    assert (-x).tolist() == [2, -3] and (+x).tolist() == [-2, 3] and abs(x).tolist() == [2, 3] and (~x).tolist() == [1, -4]
    assert (~mx.array([True])).tolist() == [False]
    assert [v.tolist() for v in divmod(x, 2)] == [[-1, 1], [0, 1]]
    assert [v.tolist() for v in divmod(7, mx.array([2]))] == [[3], [1]]
    assert round(mx.array(2.567), 1).item() == pytest.approx(2.6)


def test_an_in_place_operator_leaves_computed_arrays_alone():
    x = mx.array([1.0])
    y = x + 1
    x += 10
    assert y.item() == 2 and x.item() == 11


def test_comparisons_with_what_is_not_an_array():
    x = mx.array([1, 2])
    for other in (None, "a", [1, 2], (1, 2), object()):
        assert (x == other) is False and (x != other) is True
        with pytest.raises(TypeError):
            x < other
    assert (x == np.array([1, 3])).tolist() == [True, False]
    assert (x == 1).tolist() == [True, False]


@pytest.mark.parametrize("other", [[1, 2], (1, 2), "ab", b"ab"])
def test_sequences_are_not_operands(other):
    x = mx.array(2)
    with pytest.raises(ValueError, match="do not combine"):
        x * other
    with pytest.raises(ValueError, match="do not combine"):
        other * x


def test_other_types_get_their_turn():
    class Other:
        def __radd__(self, x):
            return "radd"

        def __eq__(self, x):
            return "eq"

    x = mx.array([1])
    assert x + Other() == "radd" and (x == Other()) == "eq"
    with pytest.raises(TypeError):
        x + None
    with pytest.raises(TypeError):
        pow(x, 2, 3)


def test_objects_with_mlx_array_are_operands():
    class Parameter:
        def __init__(self, value):
            self.value = value

        def __mlx_array__(self):
            return self.value

    p = Parameter(mx.array([1.0, 2.0]))
    assert (mx.array([1.0, 1.0]) + p).tolist() == [2, 3]
    assert mx.sum(p).item() == 3
    assert mx.grad(lambda v: mx.sum(mx.array([3.0, 4.0]) * Parameter(v)))(p.value).tolist() == [3, 4]


# ---- values

@pytest.mark.parametrize("dtype", DTYPES)
def test_item_and_tolist_give_python_numbers(dtype):
    kind = bool if dtype == "bool_" else complex if dtype == "complex64" else float if "float" in dtype else int
    a = mx.array([[0, 1], [1, 1]], dtype=getattr(mx, dtype))
    assert a.T.tolist() == [[0, 1], [1, 1]] and type(a.tolist()[0][0]) is kind
    assert type(a[0, 1].item()) is kind and a[0, 1].item() == 1


def test_conversions_to_python_numbers():
    assert int(mx.array([2.7])) == 2 and float(mx.array(1)) == 1.0 and complex(mx.array(1.5)) == 1.5
    assert int(mx.array(2**63 + 1, dtype=mx.uint64)) == 2**63 + 1
    assert bool(mx.array([0.0])) is False and bool(mx.array(math.nan)) is True
    assert [1, 2, 3][mx.array(1)] == 2 and list(range(mx.array(2))) == [0, 1]
    assert f"{mx.array(1.5):.3f}" == "1.500" and f"{mx.array([1])}" == "array([1], dtype=int32)"
    assert bytes(mx.array([[1, 2], [3, 4]], dtype=mx.int8).T) == b"\x01\x03\x02\x04"
    for wrong in (lambda: mx.array([1, 2]).item(), lambda: bool(mx.array([])), lambda: int(mx.array([1, 2]))):
        with pytest.raises(ValueError, match="one element"):
            wrong()
    for wrong in (lambda: float(mx.array(1j)), lambda: [1, 2][mx.array([1])], lambda: [1, 2][mx.array(1.0)], lambda: len(mx.array(1)),
                  lambda: iter(mx.array(1)), lambda: f"{mx.array([1]):.3f}"):
        with pytest.raises(TypeError):
            wrong()


def test_attributes():
    a = mx.zeros((2, 3, 4), dtype=mx.float16)
    assert (a.shape, a.ndim, a.size, a.itemsize, a.nbytes, a.dtype) == ((2, 3, 4), 3, 24, 2, 48, mx.float16)
    assert a.T.shape == (4, 3, 2) and a.mT.shape == (2, 4, 3)
    assert mx.array([1 + 2j]).real.tolist() == [1] and mx.array([1 + 2j]).imag.tolist() == [2]
    with pytest.raises(AttributeError):
        a.shape = (24,)
    with pytest.raises(AttributeError):
        a.nothing


def test_iteration_and_membership():
    a = mx.array([[1, 2], [3, 4]])
    assert [row.tolist() for row in a] == [[1, 2], [3, 4]] and len(a) == 2
    assert 3 in a and 5 not in a
    first, second = a
    assert second.tolist() == [3, 4]


def test_methods_are_the_functions():
    a = mx.array([[1.0, 2.0], [3.0, 5.0]])
    for name in ("sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "argmax", "argmin", "logsumexp", "cumsum", "cumprod",
                 "cummax", "cummin", "logcumsumexp", "flatten", "transpose", "diag", "diagonal", "sqrt", "exp", "log", "sin", "cos",
                 "abs", "square", "rsqrt", "reciprocal", "log2", "log10", "log1p", "conj", "round", "squeeze"):
        assert mx.array_equal(getattr(a, name)(), getattr(mx, name)(a)).item(), name
        assert getattr(mx.array, name).__doc__
    assert a.reshape(4, 1).shape == a.reshape((4, 1)).shape == a.reshape([4, -1]).shape == (4, 1)
    assert a.transpose(1, 0).tolist() == a.transpose([1, 0]).tolist() == a.transpose(None).tolist() == a.T.tolist()
    assert a.var(ddof=1).item() == a.var(correction=1).item()
    assert [p.shape for p in a.split(2, axis=1)] == [(2, 1), (2, 1)] and [p.shape for p in a.split([1])] == [(1, 2), (1, 2)]
    with pytest.raises(TypeError, match="must be an array"):
        mx.array.sum(3)


# ---- identity, copies, pickles

def test_arrays_hash_by_identity_and_can_be_weakly_referenced():
    a, b = mx.array([1]), mx.array([1])
    assert len({a, b}) == 2 and a in {a: 1}
    ref = weakref.ref(a)
    assert ref() is a
    del a
    assert ref() is None


def test_copies_are_independent():
    a = mx.array([1.0, 2.0])
    for b in (copy.copy(a), copy.deepcopy(a), copy.deepcopy({"x": a})["x"], mx.array(a)):
        b[0] = 7
        assert a.tolist() == [1, 2] and b.tolist() == [7, 2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickling(dtype, protocol):
    for a in (mx.array([[0, 1], [1, 0]], dtype=getattr(mx, dtype)).T, mx.array(1).astype(getattr(mx, dtype)),
              mx.zeros((0, 2), dtype=getattr(mx, dtype))):
        b = pickle.loads(pickle.dumps(a, protocol))
        assert b.dtype is a.dtype and b.shape == a.shape and b.tolist() == a.tolist()


def test_bad_state_is_refused():
    a = mx.array([1.0])
    for state in ((mx.float32, (2,), b"123"), (mx.float32, (-1,), b""), (mx.float32, (2**40, 2**40), b""), 3, (1, 2), (1, 2, 3)):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            a.__setstate__(state)
    assert a.tolist() == [1]
    a.__setstate__(mx.array([2, 3]).__getstate__())
    assert a.tolist() == [2, 3]


def test_reference_counts_stay_level():
    a, b, l = mx.array([1.0, 2.0]), np.array([1.0, 2.0], dtype=np.float32), [1.0, 2.0]

    def work():
        x = a + b
        x += 2
        x = x * 3.0
        mx.array(l), mx.array(b), mx.asarray(b), np.array(a), memoryview(a), a.tolist(), a.shape, a.dtype, list(a), repr(a)
        mx.from_dlpack(a), np.from_dlpack(a), pickle.loads(pickle.dumps(a)), a == None, a == "x"  # noqa: E711
        for wrong in (lambda: a + "x", lambda: mx.array([[1], 2]), lambda: a.reshape(7), lambda: mx.sum(a, axis=9), lambda: mx.sum(a, axis="x")):
            try:
                wrong()
            except (ValueError, TypeError):
                pass

    work()
    gc.collect()
    before = [sys.getrefcount(o) for o in (a, b, l, mx.float32, mx.array, None)]
    for _ in range(200):
        work()
    gc.collect()
    after = [sys.getrefcount(o) for o in (a, b, l, mx.float32, mx.array, None)]
    assert all(abs(x - y) < 50 for x, y in zip(before, after)), (before, after)
