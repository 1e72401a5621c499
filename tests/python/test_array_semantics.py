"""test_array_semantics.py — what arrays mean: how they are made, which dtype meets which, operators, methods, devices, streams."""

import copy

import numpy as np
import pytest

import mxform as mx
from specs import CARRIER, name_of, to_np

DTYPES = ["bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64", "complex64"]


def dtype(name):
    return getattr(mx, "bool_" if name == "bool" else name)


# ---- making

MADE = [
    ('mx.array(3)', 'int32', 3, ()),
    ('mx.array(2**31)', 'int64', 2147483648, ()),
    ('mx.array(-2**31)', 'int32', -2147483648, ()),
    ('mx.array(-2**31 - 1)', 'int64', -2147483649, ()),
    ('mx.array(True)', 'bool', True, ()),
    ('mx.array(1.0)', 'float32', 1.0, ()),
    ('mx.array(1j)', 'complex64', 1j, ()),
    ('mx.array(2, mx.float16)', 'float16', 2.0, ()),
    ('mx.array(1.9, mx.int32)', 'int32', 1, ()),
    ('mx.array(-1.9, mx.int32)', 'int32', -1, ()),
    ('mx.array(300, mx.uint8)', 'uint8', 44, ()),
    ('mx.array(-1, mx.uint8)', 'uint8', 255, ()),
    ('mx.array(0.5, mx.bool_)', 'bool', True, ()),
    ('mx.array([1, 2.5])', 'float32', [1.0, 2.5], (2,)),
    ('mx.array([True, 2])', 'int32', [1, 2], (2,)),
    ('mx.array([True, 2.0])', 'float32', [1.0, 2.0], (2,)),
    ('mx.array([1, 2j])', 'complex64', [(1+0j), 2j], (2,)),
    ('mx.array([1, 2**40])', 'int64', [1, 1099511627776], (2,)),
    ('mx.array([True, False])', 'bool', [True, False], (2,)),
    ('mx.array([[1, 2], [3, 4]])', 'int32', [[1, 2], [3, 4]], (2, 2)),
    ('mx.array(((1, 2), (3, 4)))', 'int32', [[1, 2], [3, 4]], (2, 2)),
    ('mx.array([(1, 2), [3, 4]])', 'int32', [[1, 2], [3, 4]], (2, 2)),
    ('mx.array([])', 'float32', [], (0,)),
    ('mx.array([[], []])', 'float32', [[], []], (2, 0)),
    ('mx.array([[[]]])', 'float32', [[[]]], (1, 1, 0)),
    ('mx.array([], dtype=mx.int8)', 'int8', [], (0,)),
    ('mx.array(np.float64(1.5))', 'float32', 1.5, ()),
    ('mx.array(np.float32(1.5))', 'float32', 1.5, ()),
    ('mx.array(np.float16(1.5))', 'float16', 1.5, ()),
    ('mx.array(np.int64(7))', 'int64', 7, ()),
    ('mx.array(np.int8(7))', 'int8', 7, ()),
    ('mx.array(np.bool_(True))', 'bool', True, ()),
    ('mx.array(np.complex64(1j))', 'complex64', 1j, ()),
    ('mx.array(np.arange(3))', 'int64', [0, 1, 2], (3,)),
    ('mx.array(np.arange(3.0))', 'float32', [0.0, 1.0, 2.0], (3,)),
    ('mx.array(np.arange(3, dtype=np.int8))', 'int8', [0, 1, 2], (3,)),
    ('mx.array(np.array([1.5], np.float16))', 'float16', [1.5], (1,)),
    ('mx.array(np.array([1j]))', 'complex64', [1j], (1,)),
    ('mx.array(np.array([True]))', 'bool', [True], (1,)),
    ('mx.array(np.array(5))', 'int64', 5, ()),
    ('mx.array(np.zeros((2, 0)))', 'float32', [[], []], (2, 0)),
    ('mx.array(np.arange(6).reshape(2, 3).T)', 'int64', [[0, 3], [1, 4], [2, 5]], (3, 2)),
    ('mx.array(np.arange(6)[::-2])', 'int64', [5, 3, 1], (3,)),
    ('mx.array(np.arange(3.0), dtype=mx.float64)', 'float64', [0.0, 1.0, 2.0], (3,)),
    ('mx.array(np.arange(3), dtype=mx.float16)', 'float16', [0.0, 1.0, 2.0], (3,)),
    ('mx.array(mx.array([1, 2]))', 'int32', [1, 2], (2,)),
    ('mx.array(mx.array([1, 2]), dtype=mx.float32)', 'float32', [1.0, 2.0], (2,)),
    ('mx.array([mx.array(1), mx.array(2)])', 'int32', [1, 2], (2,)),
    ('mx.array([mx.array([1, 2]), mx.array([3, 4])])', 'int32', [[1, 2], [3, 4]], (2, 2)),
    ('mx.array([mx.array([1.0, 2.0]), mx.array([3, 4])])', 'float32', [[1.0, 2.0], [3.0, 4.0]], (2, 2)),
    ('mx.array([np.array([1, 2]), np.array([3, 4])])', 'int64', [[1, 2], [3, 4]], (2, 2)),
    ('mx.array([np.float32(1), 2])', 'float32', [1.0, 2.0], (2,)),
    ('mx.array([np.int64(1), 2])', 'int64', [1, 2], (2,)),
    ('mx.array([mx.array(1), 2.5])', 'float32', [1.0, 2.5], (2,)),
    ('mx.array(memoryview(b"abc"))', 'uint8', [97, 98, 99], (3,)),
    ('mx.array(bytearray(b"ab"))', 'uint8', [97, 98], (2,)),
    ('mx.asarray([1, 2])', 'int32', [1, 2], (2,)),
    ('mx.asarray(mx.array([1.5]))', 'float32', [1.5], (1,)),
    ('mx.asarray(np.arange(2, dtype=np.float32))', 'float32', [0.0, 1.0], (2,)),
    ('mx.array([[mx.array([1]), mx.array([2])]])', 'int32', [[[1], [2]]], (1, 2, 1)),
    ('mx.array(float("nan"), mx.int32)', 'int32', 0, ()),
    ('mx.array([2**31])', 'int64', [2147483648], (1,)),
]


@pytest.mark.parametrize("expression, dtype_, value, shape", MADE)
def test_array_takes_dtype_shape_and_value_from_what_it_is_given(expression, dtype_, value, shape):
    got = eval(expression)
    assert name_of(got).rstrip("_") == dtype_
    assert got.shape == shape
    assert got.tolist() == value


@pytest.mark.parametrize("name", DTYPES)
def test_array_of_every_dtype_holds_its_values(name):
    values = [0, 1, 1, 0] if name == "bool_" else [0, 1, 2, 100]
    got = mx.array(values, dtype=dtype(name))
    assert name_of(got) == name
    assert got.dtype.size == got.itemsize and got.nbytes == 4 * got.itemsize
    assert [complex(v) for v in got.tolist()] == [complex(v) for v in values]
    assert mx.array(1, dtype=dtype(name)).item() == 1


def test_extreme_integers_survive():
    for name, low, high in [("int8", -128, 127), ("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1), ("int32", -(2**31), 2**31 - 1),
                            ("uint32", 0, 2**32 - 1), ("int64", -(2**63), 2**63 - 1), ("uint64", 0, 2**64 - 1)]:
        assert mx.array([low, high], dtype=dtype(name)).tolist() == [low, high]
        assert (mx.iinfo(dtype(name)).min, mx.iinfo(dtype(name)).max) == (low, high)


def test_float_info_is_numpys():
    for name in ("float16", "float32", "float64"):
        got, want = mx.finfo(dtype(name)), np.finfo(name)
        assert (got.min, got.max, got.eps) == (want.min, want.max, want.eps)
    assert mx.finfo(mx.bfloat16).max == 3.3895313892515355e38 and mx.finfo(mx.bfloat16).eps == 0.0078125


def test_rounding_to_narrow_floats_is_to_nearest_even():
    x = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, 65519.0, 65520.0, 2.0**-25, 2.0**-24, 6e-8], np.float32)
    with np.errstate(over="ignore"):
        assert np.array_equal(to_np(mx.array(x).astype(mx.float16)), x.astype(np.float16))
    y = mx.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 3.4e38, float("inf")]).astype(mx.bfloat16)
    assert y.tolist() == [1.0, 1 + 2.0**-6, float("inf"), float("inf")]


def test_every_float16_round_trips():
    bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = bits[np.isfinite(bits)]
    assert np.array_equal(to_np(mx.array(finite).astype(mx.float32).astype(mx.float16)), finite)


def test_casts_between_all_dtypes_agree_with_numpy():
    for a in DTYPES:
        for b in DTYPES:
            x = mx.array([0, 1, 1, 0], dtype=dtype(a)) if a == "bool_" else mx.array([0, 1, 2, 100], dtype=dtype(a))
            got = x.astype(dtype(b))
            assert name_of(got) == b
            with np.errstate(all="ignore"):
                want = to_np(x).real if a == "complex64" and b != "complex64" and b != "bool_" else to_np(x)
                assert np.array_equal(to_np(got), want.astype(CARRIER[b])), (a, b)


def test_a_nan_becomes_zero_as_an_integer_and_large_values_are_defined():
    assert mx.array(float("nan")).astype(mx.int32).item() == 0
    for name in ("int8", "int32", "int64", "uint8", "uint64"):
        x = mx.array([float("inf"), -float("inf"), 1e30, float("nan")]).astype(dtype(name))
        assert x.tolist() == mx.array([float("inf"), -float("inf"), 1e30, float("nan")]).astype(dtype(name)).tolist()


def test_a_copy_is_another_array_with_the_same_value():
    x = mx.array([1.0, 2.0])
    for y in (mx.array(x), copy.copy(x), copy.deepcopy(x), x + 0):
        assert y is not x and y.tolist() == x.tolist()
        y[0] = 5.0
        assert x.tolist() == [1.0, 2.0]


def test_an_alias_sees_an_update_in_place():
    x = mx.array([1.0, 2.0])
    y = x
    y += 1
    assert y is x and x.tolist() == [2.0, 3.0]


# ---- dtypes that meet

PROMOTED = """
         b    u8   u16  u32  u64  i8   i16  i32  i64  f16  bf16 f32  f64  c64
    b    b    u8   u16  u32  u64  i8   i16  i32  i64  f16  bf16 f32  f64  c64
    u8   u8   u8   u16  u32  u64  i16  i16  i32  i64  f16  bf16 f32  f64  c64
    u16  u16  u16  u16  u32  u64  i32  i32  i32  i64  f16  bf16 f32  f64  c64
    u32  u32  u32  u32  u32  u64  i64  i64  i64  i64  f16  bf16 f32  f64  c64
    u64  u64  u64  u64  u64  u64  f32  f32  f32  f32  f16  bf16 f32  f64  c64
    i8   i8   i16  i32  i64  f32  i8   i16  i32  i64  f16  bf16 f32  f64  c64
    i16  i16  i16  i32  i64  f32  i16  i16  i32  i64  f16  bf16 f32  f64  c64
    i32  i32  i32  i32  i64  f32  i32  i32  i32  i64  f16  bf16 f32  f64  c64
    i64  i64  i64  i64  i64  f32  i64  i64  i64  i64  f16  bf16 f32  f64  c64
    f16  f16  f16  f16  f16  f16  f16  f16  f16  f16  f16  f32  f32  f64  c64
    bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 f32  bf16 f32  f64  c64
    f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f64  c64
    f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  c64
    c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64
"""
SHORT = dict(zip("b u8 u16 u32 u64 i8 i16 i32 i64 f16 bf16 f32 f64 c64".split(), DTYPES))


def test_promotion_follows_the_table():
    header, *lines = [line.split() for line in PROMOTED.strip().splitlines()]
    assert len(lines) == 14 and [line[0] for line in lines] == header
    for a, *row in lines:
        for b, want in zip(header, row):
            x, y = (mx.array([1], dtype=dtype(SHORT[n])) for n in (a, b))
            assert name_of(x + y) == SHORT[want], (a, b)
            assert str(mx.result_type(x, dtype(SHORT[b]))).split(".")[-1] == SHORT[want].rstrip("_")
            assert name_of(mx.where(mx.array([True]), x, y)) == SHORT[want]
            assert name_of(mx.concatenate([x, y])) == SHORT[want]


def test_promotion_is_symmetric_and_has_the_operands_as_fixed_points():
    for a in DTYPES:
        for b in DTYPES:
            ab = mx.result_type(dtype(a), dtype(b))
            assert ab == mx.result_type(dtype(b), dtype(a)) and mx.result_type(ab, dtype(a)) == ab, (a, b)


# A Python number takes part with its kind, not with a width.
WEAK = [
    ('x + True', "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('x + 1', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('x + 1.5',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('x + 1j',
     "complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64 complex64"),
    ('1 - x', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('x * 2.5',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('x / 2',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('2 / x',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('x ** 2', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('2.0 ** x',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('x % 2', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 -"),
    ('-x', "- uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('abs(x)', "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 float32"),
    ('x < 1', "bool bool bool bool bool bool bool bool bool bool bool bool bool bool"),
    ('x == 1.5', "bool bool bool bool bool bool bool bool bool bool bool bool bool bool"),
    ('x & 1', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 - - - - -"),
    ('x & True', "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 - - - - -"),
    ('~x', "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 - - - - -"),
    ('x << 1', "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 - - - - -"),
    ('mx.where(x > 0, x, 0.5)',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('mx.maximum(x, 1)',
     "int32 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"),
    ('mx.maximum(x, 0.5)',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('mx.power(x, 0.5)',
     "float32 float32 float32 float32 float32 float32 float32 float32 float32 float16 bfloat16 float32 float64 complex64"),
    ('x + 2**40', "int64 - - - uint64 - - - int64 float16 bfloat16 float32 float64 complex64"),
]


@pytest.mark.parametrize("expression, dtypes", WEAK)
def test_python_numbers_are_weak(expression, dtypes):
    for name, want in zip(DTYPES, dtypes.split()):
        x = mx.array([1, 0]).astype(dtype(name))
        if want == "-":
            with pytest.raises((ValueError, TypeError, OverflowError)):
                mx.eval(eval(expression))
        else:
            assert name_of(eval(expression)).rstrip("_") == want, name


def test_dtype_categories():
    assert mx.issubdtype(mx.float32, mx.floating) and mx.issubdtype(mx.complex64, mx.inexact)
    assert not mx.issubdtype(mx.int8, mx.inexact) and mx.issubdtype(mx.uint8, mx.unsignedinteger)
    assert mx.issubdtype(mx.floating, mx.inexact) and mx.issubdtype(mx.int64, mx.integer) and mx.issubdtype(mx.bool_, mx.generic)
    assert not mx.issubdtype(mx.bool_, mx.number)
    assert mx.can_cast(mx.int8, mx.float32) and not mx.can_cast(mx.float32, mx.int8)
    assert mx.isdtype(mx.int8, "integral") and mx.isdtype(mx.float32, ("bool", "real floating")) and not mx.isdtype(mx.bool_, "numeric")


def test_dtypes_compare_and_hash():
    assert mx.float32 == mx.float32 and mx.float32 != mx.int32 and not mx.float32 == "float32"
    assert len({mx.float32, mx.float32, mx.int8}) == 2
    assert {mx.float32: 1}[mx.zeros(1).dtype] == 1


# ---- operators and methods

OPERATORS = {
    "x + y": "add", "x - y": "subtract", "x * y": "multiply", "x / y": "divide", "x // y": "floor_divide", "x % y": "remainder",
    "x ** y": "power", "x < y": "less", "x <= y": "less_equal", "x > y": "greater", "x >= y": "greater_equal", "x == y": "equal",
    "x != y": "not_equal",
}


@pytest.mark.parametrize("expression, function", OPERATORS.items())
def test_operators_are_the_functions(expression, function):
    for x, y in [(mx.array([1.0, 5.0, 2.5]), mx.array([2.0, 2.0, 2.5])), (mx.array([1, 5, 2]), 2), (3, mx.array([1, 2, 4])),
                 (mx.array([[1.0], [2.0]]), mx.array([3.0, 4.0]))]:
        got, want = eval(expression), getattr(mx, function)(x, y)
        assert got.dtype == want.dtype and got.tolist() == want.tolist()


@pytest.mark.parametrize("expression, function", {"x & y": "bitwise_and", "x | y": "bitwise_or", "x ^ y": "bitwise_xor",
                                                  "x << y": "left_shift", "x >> y": "right_shift"}.items())
def test_bit_operators_are_the_functions(expression, function):
    for x, y in [(mx.array([12, 10]), mx.array([3, 2])), (mx.array([12, 10]), 2), (6, mx.array([1, 2]))]:
        if not isinstance(x, mx.array) and "<" in expression + ">" and function.endswith("shift"):
            continue
        assert eval(expression).tolist() == getattr(mx, function)(x, y).tolist()


@pytest.mark.parametrize("statement", ["x += y", "x -= y", "x *= y", "x /= y", "x //= y", "x %= y", "x **= y"])
def test_updates_in_place_keep_the_object(statement):
    x, y = mx.array([5.0, 7.0]), mx.array([2.0, 3.0])
    names = {"x": x, "y": y}
    exec(statement, names)
    numbers = {"x": np.array([5.0, 7.0], np.float32), "y": np.array([2.0, 3.0], np.float32)}
    exec(statement, numbers)
    assert names["x"] is x
    np.testing.assert_allclose(to_np(x), numbers["x"], rtol=1e-6)


@pytest.mark.parametrize("statement", ["x &= y", "x |= y", "x ^= y", "x <<= y", "x >>= y"])
def test_bit_updates_in_place_keep_the_object(statement):
    names = {"x": mx.array([12, 10]), "y": mx.array([3, 2])}
    x = names["x"]
    exec(statement, names)
    numbers = {"x": np.array([12, 10]), "y": np.array([3, 2])}
    exec(statement, numbers)
    assert names["x"] is x and x.tolist() == numbers["x"].tolist()


def test_matmul_operator_and_its_update():
    x, y = mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([[0.0, 1.0], [1.0, 0.0]])
    assert (x @ y).tolist() == [[2, 1], [4, 3]]
    x @= y
    assert x.tolist() == [[2, 1], [4, 3]]


METHODS = [
    ("abs", (), {}), ("all", (), {}), ("any", (), {"axis": 0}), ("argmax", (), {"axis": 1}), ("argmin", (), {}), ("conj", (), {}),
    ("cos", (), {}), ("cummax", (), {"axis": 1}), ("cummin", (1,), {}), ("cumprod", (), {"axis": 0, "reverse": True}),
    ("cumsum", (), {"axis": 1, "inclusive": False}), ("diag", (), {"k": 1}), ("diagonal", (), {"offset": 1}), ("exp", (), {}),
    ("flatten", (), {}), ("log", (), {}), ("log10", (), {}), ("log1p", (), {}), ("log2", (), {}), ("logcumsumexp", (), {"axis": 0}),
    ("logsumexp", (), {"axis": 1, "keepdims": True}), ("max", (), {"axis": (0, 1)}), ("mean", (1,), {}), ("min", (), {}), ("moveaxis", (0, 1), {}),
    ("prod", (), {"axis": 0}), ("reciprocal", (), {}), ("round", (), {"decimals": 1}), ("rsqrt", (), {}), ("sin", (), {}), ("sqrt", (), {}),
    ("square", (), {}), ("squeeze", (), {}), ("std", (), {"ddof": 1}), ("sum", (), {"axis": -1, "keepdims": True}), ("swapaxes", (0, 1), {}),
    ("transpose", (), {}), ("var", (), {"axis": 0}), ("view", (mx.int32,), {}), ("astype", (mx.float16,), {}),
]


@pytest.mark.parametrize("name, args, kwargs", METHODS, ids=[m[0] for m in METHODS])
def test_methods_are_the_functions(name, args, kwargs):
    x = mx.array([[0.5, 1.25, 2.0], [3.0, 0.75, 1.5]])
    got, want = getattr(x, name)(*args, **kwargs), getattr(mx, name)(x, *args, **kwargs)
    assert got.dtype == want.dtype and got.shape == want.shape and got.tolist() == want.tolist()


def test_methods_with_spread_arguments():
    x = mx.arange(6)
    assert x.reshape(2, 3).shape == x.reshape((2, 3)).shape == x.reshape([2, -1]).shape == (2, 3)
    y = x.reshape(1, 2, 3)
    assert y.transpose(2, 0, 1).shape == y.transpose((2, 0, 1)).shape == (3, 1, 2)
    assert [p.tolist() for p in x.split(3)] == [[0, 1], [2, 3], [4, 5]]
    assert y.T.shape == (3, 2, 1) and y.mT.shape == (1, 3, 2)
    z = mx.array([1 + 2j])
    assert z.real.tolist() == [1.0] and z.imag.tolist() == [2.0] and z.conj().tolist() == [1 - 2j]


def test_names_of_one_function_are_that_function():
    for alias, name in {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
                        "atanh": "arctanh", "pow": "power", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
                        "cumulative_sum": "cumsum", "cumulative_prod": "cumprod", "concat": "concatenate"}.items():
        f, g = getattr(mx, alias), getattr(mx, name)
        args = [mx.array([0.25, 0.5])] * (2 if name in ("arctan2", "power") else 1)
        if name == "concatenate":
            args = [args * 2]
        if "shift" in name:
            args = [mx.array([1, 2]), mx.array([1, 1])]
        if name == "arccosh":
            args = [mx.array([1.5])]
        assert f(*args).tolist() == g(*args).tolist()


def test_an_array_is_a_sequence_of_its_rows():
    x = mx.arange(6).reshape(3, 2)
    assert len(x) == 3 and [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]]
    first, *rest = x
    assert first.tolist() == [0, 1] and len(rest) == 2
    assert mx.array(3) in list(mx.arange(4))


def test_scalars_convert_to_python_numbers():
    assert bool(mx.array(1)) is True and int(mx.array(2.7)) == 2 and float(mx.array(2)) == 2.0 and complex(mx.array(2)) == 2
    assert int(mx.array([[3]])) == 3 and [10, 20, 30][mx.array(1)] == 20
    assert "abc"[mx.array(2, dtype=mx.uint8)] == "c" and list(range(mx.array(3))) == [0, 1, 2]


def test_comparison_with_something_else_is_false():
    x = mx.array([1])
    assert (x == "a") is False and (x == None) is False and (x != None) is True  # noqa: E711


def test_arrays_hash_by_identity():
    x, y = mx.array([1]), mx.array([1])
    assert len({x, y}) == 2 and hash(x) == hash(x)


def test_divmod_is_quotient_and_remainder():
    q, r = divmod(mx.array([7.5, -7.5]), 2)
    assert q.tolist() == [3.0, -4.0] and r.tolist() == [1.5, 0.5]


def test_integer_division_and_remainder_round_down_as_in_python():
    for n in (-7, 7):
        for d in (-2, 2):
            assert (mx.array(n) // mx.array(d)).item() == n // d and (mx.array(n) % mx.array(d)).item() == n % d
            assert (mx.array(float(n)) // d).item() == n // d and (mx.array(float(n)) % d).item() == n % d


@pytest.mark.parametrize("name", [d for d in DTYPES if "int" in d])
def test_integer_division_by_zero_is_no_crash(name):
    x, zero = mx.array([5, 0, 100], dtype=dtype(name)), mx.array([0, 0, 0], dtype=dtype(name))
    mx.eval(x // zero, x % zero, mx.divmod(x, zero))
    if name.startswith("int"):
        least = mx.array([mx.iinfo(dtype(name)).min], dtype=dtype(name))
        mx.eval(least // mx.array([-1], dtype=dtype(name)), least % mx.array([-1], dtype=dtype(name)))
        assert (least % mx.array([-1], dtype=dtype(name))).item() == 0


def test_shifts_beyond_the_width_are_no_crash():
    mx.eval(mx.array([1, 2]) << 40, mx.array([1, 2]) >> 40, mx.array([1], dtype=mx.int8) << 9)


# ---- devices and streams

def test_the_cpu_is_there():
    assert mx.is_available(mx.cpu) and mx.device_count(mx.cpu) >= 1
    assert mx.Device(mx.cpu) == mx.Device(mx.cpu, 0) and mx.Device(mx.cpu).type == mx.cpu
    assert isinstance(mx.device_info(), dict) and "device_name" in mx.device_info()
    assert mx.default_device().type == mx.cpu or mx.is_available(mx.gpu)


def test_every_op_takes_a_stream_or_a_device():
    s = mx.new_stream(mx.cpu)
    x = mx.array([1.0, 2.0])
    assert mx.add(x, x, stream=s).tolist() == [2, 4]
    assert mx.add(x, x, stream=mx.cpu).tolist() == [2, 4]
    assert mx.sum(mx.exp(x, stream=s), stream=mx.default_stream(mx.cpu)).item() == pytest.approx(10.107, abs=1e-3)
    assert x.sum(stream=s).item() == 3


def test_streams_are_distinct_and_default_streams_are_kept():
    s, t = mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)
    assert s != t and s == s and s.device == mx.Device(mx.cpu)
    before = mx.default_stream(mx.cpu)
    with mx.stream(s):
        assert mx.default_stream(mx.cpu) == s
        x = mx.array([1.0]) + 1
    assert mx.default_stream(mx.cpu) == before and x.item() == 2
    with mx.stream(mx.cpu):
        assert (mx.array(1) + 1).item() == 2


def test_results_may_cross_streams():
    s, t = mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)
    x = mx.arange(100, stream=s)
    for k in range(20):
        x = mx.add(x, 1, stream=t if k % 2 else s)
    assert mx.sum(x).item() == 4950 + 2000
    mx.synchronize(s)
    mx.synchronize()


def test_a_stream_context_is_left_after_an_error():
    before = mx.default_stream(mx.cpu)
    with pytest.raises(ZeroDivisionError), mx.stream(mx.new_stream(mx.cpu)):
        1 / 0
    assert mx.default_stream(mx.cpu) == before


def test_gradients_run_on_the_stream_of_the_function():
    s = mx.new_stream(mx.cpu)
    f = lambda x: mx.sum(mx.multiply(x, x, stream=s), stream=s)  # noqa: E731
    assert mx.grad(f)(mx.array([1.0, 2.0])).tolist() == [2, 4]


def test_constants():
    assert (mx.pi, mx.e, mx.inf, mx.newaxis) == (np.pi, np.e, np.inf, None)
    assert np.isnan(mx.nan) and mx.euler_gamma == np.euler_gamma


# ---- exactness

def test_unique_and_nonzero_work_eagerly():
    assert mx.unique(mx.array([3, 1, 3]), size=4).tolist() == [1, 3, 1, 1]
    x = mx.array([0.0, 2.0, 0.0, 5.0])
    assert x[x > 1].tolist() == [2, 5]
    assert [i.tolist() for i in mx.nonzero(x)] == [[1, 3]]
    assert [i.tolist() for i in mx.nonzero(mx.array([[0, 1], [1, 1]]))] == [[0, 1, 1], [1, 0, 1]]


def test_double_precision_is_double():
    """Peers compute float64 with float32 polynomials: 1e-7 where 1e-16 is asked for."""
    x = np.linspace(0.1, 0.9, 50)
    for name in ("sin", "cos", "exp", "log", "tanh", "sqrt", "arcsin", "expm1", "log1p"):
        np.testing.assert_allclose(to_np(getattr(mx, name)(mx.array(x, dtype=mx.float64))), getattr(np, name)(x), rtol=1e-15)
    y = mx.array(x, dtype=mx.float64)
    np.testing.assert_allclose(to_np(mx.softmax(y)), np.exp(x) / np.exp(x).sum(), rtol=1e-14)
    np.testing.assert_allclose(to_np(y @ y), x @ x, rtol=1e-14)
    np.testing.assert_allclose(to_np(mx.mean(y)), x.mean(), rtol=1e-15)


def test_large_arguments_are_reduced_exactly():
    x = np.array([1e5, 1e10, 1e20, 3.4e38, -1e15], np.float32)
    np.testing.assert_allclose(to_np(mx.sin(mx.array(x))), np.sin(x.astype(np.float64)), rtol=1e-6)
    np.testing.assert_allclose(to_np(mx.cos(mx.array(x))), np.cos(x.astype(np.float64)), rtol=1e-6)
    y = np.array([1e5, 1e15, 1e22, 1e300])
    np.testing.assert_allclose(to_np(mx.sin(mx.array(y, dtype=mx.float64))), np.sin(y), rtol=1e-14)


def test_reductions_of_many_small_numbers_are_accurate():
    x = np.full(1 << 20, 0.1, np.float32)
    assert mx.sum(mx.array(x)).item() == pytest.approx(x.astype(np.float64).sum(), rel=1e-6)
    assert mx.mean(mx.array(x)).item() == pytest.approx(0.1, rel=1e-6)
    y = mx.array(np.full(5000, 1.0)).astype(mx.float16)
    assert mx.sum(y).item() == 5000 and mx.mean(y).item() == 1
    assert mx.var(mx.array(1e4 + np.arange(100, dtype=np.float32) % 2)).item() == pytest.approx(0.25, rel=1e-4)
