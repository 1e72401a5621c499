"""test_print.py — the text of arrays."""

import pytest

import mxform as mx

INF, NAN = float("inf"), float("nan")


@pytest.fixture(autouse=True)
def default_options():
    yield
    mx.set_printoptions()


@pytest.mark.parametrize("value, text", [
    ([1, 2, 3], "array([1, 2, 3], dtype=int32)"),
    (5, "array(5, dtype=int32)"),
    ([1.5, -2.25, 1e10, 0.1, 1 / 3], "array([1.5, -2.25, 1e+10, 0.1, 0.333333], dtype=float32)"),
    ([INF, -INF, NAN, 0.0, -0.0], "array([inf, -inf, nan, 0, -0], dtype=float32)"),
    ([True, False], "array([True, False], dtype=bool)"),
    ([1 + 2j, -1.5 - 0.25j], "array([1+2j, -1.5-0.25j], dtype=complex64)"),
    ([[1, -1], [100, 2]], "array([[1, -1],\n       [100, 2]], dtype=int32)"),
    ([[[1], [2]], [[3], [4]]], "array([[[1],\n        [2]],\n       [[3],\n        [4]]], dtype=int32)"),
    ([], "array([], dtype=float32)"),
    ([[], []], "array([[],\n       []], dtype=float32)"),
    (list(range(6)), "array([0, 1, 2, 3, 4, 5], dtype=int32)"),
    (list(range(7)), "array([0, 1, 2, ..., 4, 5, 6], dtype=int32)"),
])
def test_text(value, text):
    assert repr(mx.array(value)) == str(mx.array(value)) == text


def test_long_axes_are_elided_in_every_dimension():
    lines = repr(mx.arange(100).reshape(10, 10)).split("\n")
    assert lines[0] == "array([[0, 1, 2, ..., 7, 8, 9]," and lines[3] == "       ...," and len(lines) == 7


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "bfloat16"])
def test_small_types_print_as_numbers(dtype):
    assert repr(mx.array([1, 77], dtype=getattr(mx, dtype))) == f"array([1, 77], dtype={dtype})"


def test_precision():
    a = mx.array([1 / 3, 1e10])
    with mx.printoptions(precision=2) as options:
        assert options.precision == 2 and repr(a) == "array([0.33, 10000000000.00], dtype=float32)"
        with mx.printoptions(precision=0):
            assert repr(mx.array(2 / 3)) == "array(1, dtype=float32)"
        assert mx.get_printoptions().precision == 2
    assert mx.get_printoptions().precision == -1
    mx.set_printoptions(precision=1)
    assert repr(mx.array([1 + 0.25j, INF])) == "array([1.0+0.2j, inf+0.0j], dtype=complex64)"
    assert mx.PrintOptions(3).precision == 3


def test_printing_computes_and_does_not_change():
    a = mx.array([1, 2]) + 1
    assert repr(a.T) == "array([2, 3], dtype=int32)"
    assert repr(a[::-1]) == "array([3, 2], dtype=int32)"


def test_a_traced_array_shows_its_type():
    seen = []

    def f(x):
        seen.append(repr(x))
        return x * 2

    mx.vmap(f)(mx.zeros((2, 3)))
    assert "traced" in seen[0] and "shape=(3,)" in seen[0] and "dtype=float32" in seen[0]
