"""test_printing.py — what arrays, dtypes and devices look like. The strings are those that MLX prints."""

import pickle

import numpy as np
import pytest

import mxform as mx

PRINTED = [
    ('mx.array(1)', 'array(1, dtype=int32)'),
    ('mx.array(True)', 'array(True, dtype=bool)'),
    ('mx.array(1.5)', 'array(1.5, dtype=float32)'),
    ('mx.array(1+2j)', 'array(1+2j, dtype=complex64)'),
    ('mx.array(-0.0)', 'array(-0, dtype=float32)'),
    ('mx.array([])', 'array([], dtype=float32)'),
    ('mx.array([1, 2, 3])', 'array([1, 2, 3], dtype=int32)'),
    ('mx.array([1.0, 2.0])', 'array([1, 2], dtype=float32)'),
    ('mx.array([0.1, 0.25, 1e-8])', 'array([0.1, 0.25, 1e-08], dtype=float32)'),
    ('mx.array([1e10, 1e-10])', 'array([1e+10, 1e-10], dtype=float32)'),
    ('mx.array([1/3, 2/3])', 'array([0.333333, 0.666667], dtype=float32)'),
    ('mx.array([True, False])', 'array([True, False], dtype=bool)'),
    ('mx.array([1+2j, -1.5j])', 'array([1+2j, -0-1.5j], dtype=complex64)'),
    ('mx.array([complex(0.1, -0.0)])', 'array([0.1+-0j], dtype=complex64)'),
    ('mx.array([float("nan"), float("inf"), -float("inf")])', 'array([nan, inf, -inf], dtype=float32)'),
    ('mx.array([[1, 2], [3, 4]])', 'array([[1, 2],\n       [3, 4]], dtype=int32)'),
    ('mx.array([[1.5, -2], [3, 4]])', 'array([[1.5, -2],\n       [3, 4]], dtype=float32)'),
    ('mx.array([[[1], [2]], [[3], [4]]])', 'array([[[1],\n        [2]],\n       [[3],\n        [4]]], dtype=int32)'),
    ('mx.zeros((0,))', 'array([], dtype=float32)'),
    ('mx.zeros((2, 0))', 'array([[],\n       []], dtype=float32)'),
    ('mx.zeros((0, 2))', 'array([], dtype=float32)'),
    ('mx.zeros((1, 1, 1))', 'array([[[0]]], dtype=float32)'),
    ('mx.arange(5)', 'array([0, 1, 2, 3, 4], dtype=int32)'),
    ('mx.arange(6)', 'array([0, 1, 2, 3, 4, 5], dtype=int32)'),
    ('mx.arange(7)', 'array([0, 1, 2, ..., 4, 5, 6], dtype=int32)'),
    ('mx.arange(8)', 'array([0, 1, 2, ..., 5, 6, 7], dtype=int32)'),
    ('mx.arange(1001)', 'array([0, 1, 2, ..., 998, 999, 1000], dtype=int32)'),
    ('mx.arange(1000)', 'array([0, 1, 2, ..., 997, 998, 999], dtype=int32)'),
    ('mx.zeros((8, 2))', 'array([[0, 0],\n'
        '       [0, 0],\n'
        '       [0, 0],\n'
        '       ...,\n'
        '       [0, 0],\n'
        '       [0, 0],\n'
        '       [0, 0]], dtype=float32)'),
    ('mx.zeros((2, 8))', 'array([[0, 0, 0, ..., 0, 0, 0],\n       [0, 0, 0, ..., 0, 0, 0]], dtype=float32)'),
    ('mx.arange(64).reshape(8, 8)', 'array([[0, 1, 2, ..., 5, 6, 7],\n'
        '       [8, 9, 10, ..., 13, 14, 15],\n'
        '       [16, 17, 18, ..., 21, 22, 23],\n'
        '       ...,\n'
        '       [40, 41, 42, ..., 45, 46, 47],\n'
        '       [48, 49, 50, ..., 53, 54, 55],\n'
        '       [56, 57, 58, ..., 61, 62, 63]], dtype=int32)'),
    ('mx.arange(49).reshape(7, 7)', 'array([[0, 1, 2, ..., 4, 5, 6],\n'
        '       [7, 8, 9, ..., 11, 12, 13],\n'
        '       [14, 15, 16, ..., 18, 19, 20],\n'
        '       ...,\n'
        '       [28, 29, 30, ..., 32, 33, 34],\n'
        '       [35, 36, 37, ..., 39, 40, 41],\n'
        '       [42, 43, 44, ..., 46, 47, 48]], dtype=int32)'),
    ('mx.array([1, 2], dtype=mx.int8)', 'array([1, 2], dtype=int8)'),
    ('mx.array([1, 255], dtype=mx.uint8)', 'array([1, 255], dtype=uint8)'),
    ('mx.array([-1, 32767], dtype=mx.int16)', 'array([-1, 32767], dtype=int16)'),
    ('mx.array([1], dtype=mx.uint16)', 'array([1], dtype=uint16)'),
    ('mx.array([1], dtype=mx.uint32)', 'array([1], dtype=uint32)'),
    ('mx.array([-1], dtype=mx.int64)', 'array([-1], dtype=int64)'),
    ('mx.array([0.1], dtype=mx.float16)', 'array([0.0999756], dtype=float16)'),
    ('mx.array([0.1], dtype=mx.bfloat16)', 'array([0.100098], dtype=bfloat16)'),
    ('mx.array([0.1, 1/3], dtype=mx.float64)', 'array([0.1, 0.333333], dtype=float64)'),
    ('mx.array([65504], dtype=mx.float16)', 'array([65504], dtype=float16)'),
    ('mx.array([1e38], dtype=mx.bfloat16)', 'array([9.96921e+37], dtype=bfloat16)'),
    ('mx.array([123456789.0])', 'array([1.23457e+08], dtype=float32)'),
    ('mx.array([1234567.0])', 'array([1.23457e+06], dtype=float32)'),
    ('mx.array([123456.0])', 'array([123456], dtype=float32)'),
    ('mx.array([0.000123456789])', 'array([0.000123457], dtype=float32)'),
    ('mx.array([3.14159265358979])', 'array([3.14159], dtype=float32)'),
    ('mx.array([1e5, 1e6, 1e7])', 'array([100000, 1e+06, 1e+07], dtype=float32)'),
    ('mx.array(3.14159265358979)', 'array(3.14159, dtype=float32)'),
    ('mx.array(1e-45)', 'array(1.4013e-45, dtype=float32)'),
    ('mx.array(2**31 - 1)', 'array(2147483647, dtype=int32)'),
    ('mx.array(2**31)', 'array(2147483648, dtype=int64)'),
    ('mx.float32', 'mxform.float32'),
    ('mx.bool_', 'mxform.bool'),
    ('mx.bfloat16', 'mxform.bfloat16'),
    ('mx.complex64', 'mxform.complex64'),
    ('mx.Device(mx.cpu)', 'Device(cpu, 0)'),
    ('mx.Device(mx.cpu, 0)', 'Device(cpu, 0)'),
    ('mx.cpu', 'DeviceType.cpu'),
    ('mx.default_device()', 'Device(cpu, 0)'),
    ('mx.random.key(7)', 'array([0, 7], dtype=uint32)'),
    ('mx.floating', 'DtypeCategory.floating'),
    ('mx.inexact', 'DtypeCategory.inexact'),
    ("mx.array([2**63], dtype=mx.uint64)", "array([9223372036854775808], dtype=uint64)"),
]


@pytest.mark.parametrize("expression, text", PRINTED)
def test_repr_and_str_are_as_in_mlx(expression, text):
    value = eval(expression)
    assert repr(value) == text
    assert str(value) == text


@pytest.mark.parametrize("precision, single, double", [
    (1, "array([0.3, 100.5, 0.0], dtype=float32)", "array(0.3, dtype=float64)"),
    (3, "array([0.333, 100.500, 0.000], dtype=float32)", "array(0.333, dtype=float64)"),
    (8, "array([0.33333334, 100.50000000, 0.00001000], dtype=float32)", "array(0.33333333, dtype=float64)"),
])
def test_printoptions_set_the_digits_and_are_undone(precision, single, double):
    before = repr(mx.array(1 / 3))
    with mx.printoptions(precision=precision):
        assert repr(mx.array([1 / 3, 100.5, 1e-5])) == single
        assert repr(mx.array(1 / 3, dtype=mx.float64)) == double
        assert mx.get_printoptions().precision == precision
    assert repr(mx.array(1 / 3)) == before


def test_printoptions_are_undone_after_an_error():
    with pytest.raises(ZeroDivisionError), mx.printoptions(precision=2):
        1 / 0
    assert repr(mx.array(1 / 3)) == "array(0.333333, dtype=float32)"


def test_set_printoptions_lasts():
    mx.set_printoptions(precision=2)
    try:
        assert repr(mx.array(1 / 3)) == "array(0.33, dtype=float32)"
    finally:
        mx.set_printoptions(precision=-1)
    assert repr(mx.array(1 / 3)) == "array(0.333333, dtype=float32)"


def test_format_applies_to_scalars():
    assert f"{mx.array(1.5):.3f}" == "1.500"
    assert f"{mx.array(7):04d}" == "0007"
    assert f"{mx.array([1, 2])}" == "array([1, 2], dtype=int32)"


def test_printing_evaluates_a_lazy_array():
    x = mx.array([1.0, 2.0])
    assert repr(x * 2 + 1) == "array([3, 5], dtype=float32)"
    assert repr(x[::-1]) == "array([2, 1], dtype=float32)"
    assert repr(mx.broadcast_to(x, (2, 2)).T) == "array([[1, 1],\n       [2, 2]], dtype=float32)"


def test_printing_does_not_change_the_array():
    x = mx.random.normal((3,), key=mx.random.key(0)) * 2
    first = repr(x)
    assert repr(x) == first and repr(pickle.loads(pickle.dumps(x))) == first


def test_long_arrays_print_in_bounded_time():
    assert len(repr(mx.zeros((1000, 1000, 20)))) < 5000
    assert len(repr(mx.zeros((2,) * 12))) < 2**12 * 40


def test_printing_a_placeholder_says_what_it_is():
    """Inside a batch there is no value to print; a leaked placeholder must not crash either."""
    leaked = []

    def f(x):
        leaked.append(x)
        return x * 2

    mx.vmap(f)(mx.ones((3, 2)))
    for make in (repr, str):
        try:
            text = make(leaked[0])
        except ValueError as e:
            text = str(e)
        assert "vmap" in text


def test_tolist_and_item_are_python_numbers():
    assert mx.array([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert type(mx.array(1.5).item()) is float and type(mx.array(1).item()) is int
    assert type(mx.array(True).item()) is bool and type(mx.array(1j).item()) is complex
    assert mx.array(1.5).tolist() == 1.5
    assert mx.zeros((2, 0)).tolist() == [[], []]
    assert mx.array([1.5], dtype=mx.bfloat16).tolist() == [1.5]
    assert mx.array([2**63 + 1], dtype=mx.uint64).tolist() == [2**63 + 1]
    assert np.isnan(mx.array(float("nan")).item())


def test_precision_options_nest():
    a = mx.array([1 / 3, 1e10])
    with mx.printoptions(precision=2) as options:
        assert options.precision == 2 and repr(a) == "array([0.33, 10000000000.00], dtype=float32)"
        with mx.printoptions(precision=0):
            assert repr(mx.array(2 / 3)) == "array(1, dtype=float32)"
        assert mx.get_printoptions().precision == 2
    assert mx.get_printoptions().precision == -1
    mx.set_printoptions(precision=1)
    assert repr(mx.array([1 + 0.25j, float("inf")])) == "array([1.0+0.2j, inf+0.0j], dtype=complex64)"
    mx.set_printoptions()
    assert mx.PrintOptions(3).precision == 3


def test_views_print_in_their_own_order():
    a = mx.array([1, 2]) + 1
    assert repr(a.T) == "array([2, 3], dtype=int32)"
    assert repr(a[::-1]) == "array([3, 2], dtype=int32)"


def test_reprlib_knows_arrays_of_both_kinds():
    import array
    import reprlib
    assert reprlib.repr(mx.array([1, 2])) == "array([1, 2], dtype=int32)"
    assert reprlib.repr(array.array("i", [1, 2])) == "array('i', [1, 2])"
