"""test_signature.py — the text of a signature is its documentation and its parser, for every function."""

import copy
import inspect
import pickle
import pydoc
import weakref

import pytest

import mxform as mx

FUNCTION, METHOD = type(mx.sin), type(mx.array.sum)
MODULES = [m for m in [mx, *vars(mx).values()] if inspect.ismodule(m) and m.__name__.startswith("mxform") and m.__name__ != "mxform._core"]
FUNCTIONS = [f for m in MODULES for f in vars(m).values() if isinstance(f, FUNCTION)]
METHODS = [f for f in vars(mx.array).values() if isinstance(f, METHOD)]


def test_there_are_many():
    assert len(FUNCTIONS) > 150 and len(METHODS) > 40


@pytest.mark.parametrize("f", FUNCTIONS + METHODS, ids=lambda f: f.__qualname__)
def test_every_function_is_documented_and_has_a_signature(f):
    assert f.__doc__ and f.__doc__[0].isupper() and f.__module__.startswith("mxform")
    signature = inspect.signature(f)
    shown = str(signature).replace("mxform.", "")
    assert shown.replace("float32", "").replace("bfloat16", "") == f.__text_signature__.replace("float32", "").replace("bfloat16", "") or \
        "inf" in f.__text_signature__ or "e-0" in f.__text_signature__
    assert f.__name__ in repr(f)
    for name, p in signature.parameters.items():
        if name == "stream":
            assert p.default is None or p.default is p.empty


def test_functions_are_ordinary_python_functions_otherwise():
    for f in (mx.sin, mx.array.sum):
        assert pickle.loads(pickle.dumps(f)) is f and copy.deepcopy(f) is f and weakref.ref(f)() is f
        assert callable(f) and inspect.isroutine(f)
    assert "Sum" in pydoc.render_doc(mx.sum)

    class Layer:
        activation = mx.sin

    assert Layer().activation(mx.array(0.0)).item() == 0
    assert list(map(mx.array.item, [mx.array(1)])) == [1]
    with pytest.raises(TypeError):
        FUNCTION()


@pytest.mark.parametrize("call, text", [
    (lambda: mx.sum(), "argument 'a' is missing"),
    (lambda: mx.sum(a=mx.array(1)), "'a' can only be given by position"),
    (lambda: mx.sum(mx.array(1), axes=0), "no argument is called 'axes'"),
    (lambda: mx.sum(mx.array(1), None, False, 3), "too many arguments by position: 4 were given; at most 3"),
    (lambda: mx.add(1, b=2, a=3), "'a' was given by position and by name"),
    (lambda: mx.sum(mx.array(1), axis="x"), r"\[sum\] axis is a str; need an int, or a list or tuple of ints"),
    (lambda: mx.sum(mx.array(1), axis=1.5), r"\[sum\] axis is a float"),
    (lambda: mx.sum(mx.array(1), keepdims=None), r"\[sum\] keepdims is None; need a bool"),
    (lambda: mx.sin("a"), r"\[sin\] a: a str is not an array"),
    (lambda: mx.zeros("a"), r"\[zeros\] shape is a str"),
    (lambda: mx.zeros(2, dtype=3), r"\[zeros\] dtype is 3; need a Dtype"),
    (lambda: mx.concatenate(3), r"\[concatenate\] arrays is an int; need a list or tuple"),
    (lambda: mx.array([1]).reshape("a"), r"\[reshape\] shape is a str"),
    (lambda: mx.array([1]).sum(foo=1), "no argument is called 'foo'. Signature: sum"),
])
def test_a_wrong_call_is_a_type_error_that_says_what_to_do(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_errors_have_their_python_classes():
    assert issubclass(mx.AxisError, (ValueError, IndexError)) and issubclass(mx.AxisError, IndexError)
    assert issubclass(mx.DtypeError, ValueError) and issubclass(mx.DtypeError, TypeError)
    assert issubclass(mx.TransformError, ValueError) and issubclass(mx.BackendError, RuntimeError)
    with pytest.raises(mx.AxisError, match=r"\[sum\] axis 5 is out of range"):
        mx.sum(mx.zeros((2,)), axis=5)
    with pytest.raises(mx.DtypeError):
        mx.bitwise_invert(mx.array(1.5))
    with pytest.raises(OverflowError):
        mx.zeros(2**63)
    with pytest.raises(ValueError, match="broadcast"):
        mx.zeros((2,)) + mx.zeros((3,))


def test_an_error_raised_while_converting_passes_through():
    class Failing:
        def __index__(self):
            raise KeyError("mine")

    for call in (lambda: mx.sum(mx.array(1), axis=Failing()), lambda: mx.zeros(Failing()), lambda: mx.zeros((1, Failing()))):
        with pytest.raises(KeyError, match="mine"):
            call()


def test_int_like_arguments():
    np = pytest.importorskip("numpy")
    x = mx.zeros((2, 3))
    for axis in (1, np.int64(1), mx.array(1), (1,), [1], np.array([1])):
        assert mx.sum(x, axis=axis).shape == (2,)
    for shape in ((2, 3), [2, 3], np.array([2, 3]), mx.array([2, 3]), x.shape, range(2, 4)):
        assert mx.zeros(shape).shape == (2, 3)
    for flag in (1, np.bool_(True), True):
        assert mx.sum(x, keepdims=flag).shape == (1, 1)


def test_submodules_are_importable():
    import mxform.metal
    import mxform.random

    assert mxform.random is mx.random and mxform.random.__name__ == "mxform.random"
    assert mx.random.uniform.__module__ == "mxform.random"
