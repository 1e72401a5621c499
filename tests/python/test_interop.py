"""test_interop.py — memory shared with NumPy, DLPack and the buffer protocol: values, lifetimes, refusals."""

import array as stdlib_array
import gc

import numpy as np
import pytest

import mxform as mx

NUMPY_TYPES = ["bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"]


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_round_trip_through_numpy(dtype):
    a = mx.array([[0, 1, 2], [3, 4, 5]]).astype(getattr(mx, dtype))
    for x in (a, a.T, a[:, ::2], a[::-1], a[:0], a[0, 0], mx.broadcast_to(a[0], (2, 3))):
        n = np.array(x)
        assert n.dtype == np.dtype(dtype) and n.shape == x.shape and n.tolist() == x.tolist()
        assert mx.array(n, dtype=x.dtype).tolist() == x.tolist()
        assert np.from_dlpack(x).tolist() == x.tolist()
        assert mx.asarray(n, dtype=x.dtype, copy=False).tolist() == x.tolist()


def test_export_shares_memory_and_keeps_it():
    a = mx.array([1.0, 2.0])
    n = np.asarray(a)
    assert np.shares_memory(n, np.asarray(a)) and n.flags.writeable
    del a
    gc.collect()
    assert n.tolist() == [1, 2]
    assert np.array(mx.array([1, 2]) + 1).tolist() == [2, 3]


def test_memory_shared_between_elements_is_read_only():
    zeros = mx.zeros((2, 2))
    assert not np.asarray(zeros).flags.writeable and memoryview(zeros).readonly
    with pytest.raises(ValueError):
        np.asarray(zeros)[0, 0] = 1
    assert np.array(zeros).flags.writeable


def test_an_exported_view_survives_operations_that_could_reuse_memory():
    a = mx.array([1.0, 2.0, 3.0]) * 1
    n = np.asarray(a)
    b = a + 1
    del a
    mx.eval(b)
    assert n.tolist() == [1, 2, 3] and b.tolist() == [2, 3, 4]


def test_bfloat16_is_refused_with_advice():
    a = mx.array([1.5], dtype=mx.bfloat16)
    for convert in (np.array, memoryview, lambda x: x.__array__()):
        with pytest.raises(ValueError, match="astype"):
            convert(a)


def test_bfloat16_is_read_from_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a = mx.array(np.array([1.5, -2.0], dtype=ml_dtypes.bfloat16))
    assert a.dtype is mx.bfloat16 and a.tolist() == [1.5, -2.0]


def test_array_method():
    a = mx.array([1, 2])
    assert a.__array__(np.float64).dtype == np.float64
    assert not np.shares_memory(a.__array__(copy=True), np.asarray(a))
    with pytest.raises(ValueError, match="copy"):
        a.__array__(np.float64, copy=False)


def test_numpy_functions_and_operators():
    a = mx.array([1.0, 4.0])
    assert isinstance(np.sqrt(a), np.ndarray) and np.allclose(np.sqrt(a), [1, 2])
    assert isinstance(np.ones(2) + a, mx.array) and isinstance(np.ones(2) < a, mx.array)
    np.testing.assert_array_equal(a, [1, 4])
    n = np.ones(2)
    n += a
    assert n.tolist() == [2, 5]


# ---- import

def test_asarray_shares_and_array_copies():
    n = np.arange(3, dtype=np.float32)
    shared, copied = mx.asarray(n), mx.array(n)
    n[0] = 9
    assert shared.tolist() == [9, 1, 2] and copied.tolist() == [0, 1, 2]
    assert mx.asarray(n, copy=True).tolist() == [9, 1, 2]
    del n
    gc.collect()
    assert shared.tolist() == [9, 1, 2]


def test_asarray_copies_only_where_it_may():
    with pytest.raises(ValueError, match="float64"):
        mx.asarray(np.zeros(2), copy=False)
    assert mx.asarray(np.zeros(2), dtype=mx.float64, copy=False).dtype is mx.float64
    assert mx.asarray(np.zeros(2)).dtype is mx.float32
    for value in ([1, 2], 3, 2.5):
        with pytest.raises(ValueError, match="copy"):
            mx.asarray(value, copy=False)
    with pytest.raises(ValueError, match="byte order"):
        mx.asarray(np.zeros(2, dtype=">f4"), copy=False)
    a = mx.array([1])
    assert mx.asarray(a) is not None and mx.asarray(a, dtype=mx.float16).dtype is mx.float16


def test_a_conversion_does_not_see_later_changes():
    n = np.ones(3)
    a = mx.asarray(n)
    n[:] = 5
    assert a.tolist() == [1, 1, 1]


def test_results_never_overwrite_foreign_memory():
    n = np.arange(4, dtype=np.float32)
    for _ in range(3):
        mx.eval(mx.asarray(n) + 1, -mx.asarray(n), mx.from_dlpack(n) * 2)
    assert n.tolist() == [0, 1, 2, 3]


def test_other_buffers():
    assert mx.array(bytearray(b"ab")).tolist() == [97, 98]
    assert mx.array(stdlib_array.array("d", [1.5, 2.5]), dtype=mx.float64).tolist() == [1.5, 2.5]
    assert mx.array(stdlib_array.array("l", [1, 2])).dtype is mx.int64
    assert mx.array(memoryview(np.arange(6, dtype=np.int16).reshape(2, 3))).shape == (2, 3)


def test_failures_of_foreign_objects_pass_through():
    class Failing:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("no value today")

    class Wrong:
        def __mlx_array__(self):
            return 3

    for use in (mx.array, mx.sin, lambda x: mx.array([1]) + x):
        with pytest.raises(RuntimeError, match="no value today"):
            use(Failing())
    with pytest.raises((TypeError, ValueError), match="__mlx_array__"):
        mx.array(Wrong())


# ---- DLPack

def test_dlpack_capsules_can_be_used_once():
    a = mx.array([1, 2])
    for version in (None, (1, 0)):
        capsule = a.__dlpack__(max_version=version)
        assert mx.from_dlpack(capsule).tolist() == [1, 2]
        with pytest.raises(TypeError, match="used before"):
            mx.from_dlpack(capsule)
    a.__dlpack__()  # dropped without use: freed by the capsule


def test_dlpack_devices_and_copies():
    a = mx.array([1, 2])
    assert a.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(a).tolist() == [1, 2]
    with pytest.raises(BufferError):
        a.__dlpack__(dl_device=(2, 0))
    n = np.arange(3)
    shared, copied = mx.from_dlpack(n), mx.from_dlpack(n, copy=True)
    n[0] = 7
    assert shared.tolist() == [7, 1, 2] and copied.tolist() == [0, 1, 2]
    assert mx.from_dlpack(np.arange(6).reshape(2, 3).T).tolist() == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(TypeError, match="__dlpack__"):
        mx.from_dlpack([1, 2])


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    t = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    assert mx.array(t).tolist() == t.tolist() and mx.from_dlpack(t.T).tolist() == t.T.tolist()
    assert torch.from_dlpack(mx.array([1.5], dtype=mx.bfloat16)).dtype is torch.bfloat16
    assert mx.array(torch.tensor([1.5], dtype=torch.bfloat16)).dtype is mx.bfloat16
