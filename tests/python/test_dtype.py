"""test_dtype.py — Dtype, categories, limits and the promotion queries."""

import copy
import pickle

import numpy as np
import pytest

import mxform as mx

ALL = [mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64, mx.float16, mx.bfloat16, mx.float32,
       mx.float64, mx.complex64]


def test_dtypes_are_singletons():
    for t in ALL:
        assert mx.zeros((1,), dtype=t).dtype is t
        assert pickle.loads(pickle.dumps(t)) is t and copy.deepcopy(t) is t
        assert t == t and t != "float32" and len({t, t}) == 1
    assert len(set(ALL)) == 14
    assert repr(mx.float32) == "mxform.float32" and repr(mx.bool_) == "mxform.bool"
    assert [t.size for t in (mx.bool_, mx.bfloat16, mx.float32, mx.complex64)] == [1, 2, 4, 8]
    with pytest.raises(TypeError):
        mx.Dtype()


def test_dtype_arguments_accept_python_and_numpy_types():
    for given, expected in ((bool, mx.bool_), (int, mx.int32), (float, mx.float32), (complex, mx.complex64), (np.float16, mx.float16),
                            (np.dtype("int8"), mx.int8), (np.bool_, mx.bool_)):
        assert mx.zeros(2, dtype=given).dtype is expected
    for wrong in ("float32", 3, np.array([1]), str, np.dtype("datetime64[D]")):
        with pytest.raises(TypeError, match="need a Dtype"):
            mx.zeros(2, dtype=wrong)


def test_categories():
    assert repr(mx.floating) == "DtypeCategory.floating" and pickle.loads(pickle.dumps(mx.floating)) is mx.floating
    assert mx.issubdtype(mx.float32, mx.floating) and mx.issubdtype(mx.floating, mx.inexact) and mx.issubdtype(mx.inexact, mx.number)
    assert mx.issubdtype(mx.bool_, mx.generic) and not mx.issubdtype(mx.bool_, mx.number)
    assert mx.issubdtype(mx.uint8, mx.unsignedinteger) and not mx.issubdtype(mx.uint8, mx.signedinteger)
    assert not mx.issubdtype(mx.inexact, mx.floating) and not mx.issubdtype(mx.floating, mx.float32)
    for wrong in (float, "floating", 3):
        with pytest.raises(ValueError):
            mx.issubdtype(mx.float32, wrong)
        with pytest.raises(ValueError):
            mx.issubdtype(wrong, mx.floating)


def test_isdtype():
    kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")
    table = {mx.bool_: "bool", mx.int8: "signed integer integral numeric", mx.uint8: "unsigned integer integral numeric",
             mx.bfloat16: "real floating numeric", mx.complex64: "complex floating numeric"}
    for t, text in table.items():
        words = [k for k in kinds if mx.isdtype(t, k)]
        assert " ".join(words) == text
    assert mx.isdtype(mx.float32, ("bool", mx.float32)) and not mx.isdtype(mx.float32, mx.float16)
    for wrong in ("x", 3, mx.floating):
        with pytest.raises(ValueError):
            mx.isdtype(mx.float32, wrong)


def test_limits_agree_with_numpy():
    for t, n in ((mx.float16, np.float16), (mx.float32, np.float32), (mx.float64, np.float64)):
        a, b = mx.finfo(t), np.finfo(n)
        assert (a.min, a.max, a.eps, a.smallest_normal, a.bits, a.dtype) == (b.min, b.max, b.eps, b.smallest_normal, b.bits, t)
    for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"):
        a, b = mx.iinfo(getattr(mx, name)), np.iinfo(name)
        assert (a.min, a.max, a.bits) == (b.min, b.max, b.bits)
    assert mx.finfo(mx.complex64).dtype is mx.float32 and mx.finfo(mx.bfloat16).eps == 2**-7
    assert repr(mx.iinfo(mx.int8)) == "iinfo(min=-128, max=127, dtype=int8)"
    for wrong in (lambda: mx.finfo(mx.int32), lambda: mx.iinfo(mx.float32), lambda: mx.iinfo(mx.bool_)):
        with pytest.raises(ValueError):
            wrong()


def test_result_type_is_what_addition_gives():
    for a in ALL:
        for b in ALL:
            t = mx.result_type(a, b)
            assert t is mx.result_type(b, a) is (mx.zeros((), dtype=a) + mx.zeros((), dtype=b)).dtype
            assert mx.can_cast(a, b) == (t is b)
    assert mx.result_type(mx.float16, mx.array([1])) is mx.float16
    for wrong in (lambda: mx.result_type(), lambda: mx.result_type(1, 2.0), lambda: mx.result_type(mx.float32, "1"), lambda: mx.can_cast(1, mx.int8)):
        with pytest.raises(ValueError):
            wrong()
