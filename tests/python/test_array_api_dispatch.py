"""Arrays of mxform in other libraries: DLPack, and libraries that dispatch on the namespace of the array API standard."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mxform as mx
from test_array_api import DTYPES

# ---- DLPack


def test_dlpack_of_our_own():
    for dtype in DTYPES:
        x = mx.ones((2, 3), dtype=getattr(mx, dtype)).T
        y = mx.from_dlpack(x)
        assert y.dtype == x.dtype and y.shape == x.shape
    assert mx.zeros(1).__dlpack_device__() == (1, 0)
    for keywords in ({}, {"stream": None}, {"max_version": (1, 0)}, {"max_version": None}, {"dl_device": (1, 0)}, {"copy": True}, {"copy": False}):
        assert "dltensor" in repr(mx.ones(2).__dlpack__(**keywords))
    with pytest.raises(BufferError):
        mx.ones(2).__dlpack__(dl_device=(2, 0))


def test_dlpack_with_numpy():
    for dtype in DTYPES:
        if dtype == "bool" and np.lib.NumpyVersion(np.__version__) < "1.25.0":
            continue
        x = mx.reshape(mx.arange(6), (2, 3)).astype(getattr(mx, dtype)).T
        n = np.from_dlpack(x)
        assert n.dtype == dtype
        np.testing.assert_array_equal(n, np.array(x))
        back = mx.from_dlpack(n)
        assert back.tolist() == x.tolist() and back.dtype == (mx.float32 if dtype == "float64" else x.dtype)
    assert mx.asarray(np.ones(2), dtype=mx.float64).dtype == mx.float64
    owner = np.arange(3, dtype=np.int32)
    shared, copied = mx.from_dlpack(owner, copy=False), mx.from_dlpack(owner, copy=True)
    owner[0] = 7
    assert shared.tolist() == [7, 1, 2] and copied.tolist() == [0, 1, 2]


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    for dtype in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"):
        x = mx.reshape(mx.arange(6), (2, 3)).astype(getattr(mx, dtype)).T
        t = torch.from_dlpack(x)
        assert str(t.dtype) == f"torch.{dtype}" and t.tolist() == x.tolist()
        back = mx.from_dlpack(t)
        assert back.tolist() == x.tolist() and back.dtype == (mx.float32 if dtype == "float64" else x.dtype)


# ---- libraries that dispatch on the array's namespace


def test_array_api_compat_takes_mxform_as_a_namespace():
    try:
        import array_api_compat as compat
    except ImportError:
        compat = pytest.importorskip("scipy._lib.array_api_compat")
    x = mx.zeros((2, 3))
    assert compat.is_array_api_obj(x) and compat.array_namespace(x, x) is mx
    assert compat.device(x) == x.device and compat.size(x) == 6
    assert compat.to_device(x, x.device).shape == (2, 3)


SCIPY = """
import os
os.environ["SCIPY_ARRAY_API"] = "1"
import numpy as np
import scipy.special, scipy.stats, scipy.signal
import mxform as mx
n = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
x = mx.array(n)
for f in (lambda a: scipy.special.logsumexp(a, axis=1), lambda a: scipy.stats.zscore(a, axis=0), lambda a: scipy.special.softmax(a, axis=1),
          lambda a: scipy.stats.skew(a, axis=1), lambda a: scipy.stats.entropy(a * a, axis=0), lambda a: scipy.special.expit(a)):
    y = f(x)
    assert isinstance(y, mx.array), type(y)
    np.testing.assert_allclose(np.asarray(y), f(n), rtol=2e-4, atol=1e-5)
g = mx.grad(lambda a: mx.sum(scipy.special.logsumexp(a, axis=1)))(x)
np.testing.assert_allclose(np.asarray(g), scipy.special.softmax(n, axis=1), rtol=1e-4)
"""

SKLEARN = """
import os
os.environ["SCIPY_ARRAY_API"] = "1"
import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import MinMaxScaler
import mxform as mx
n = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
x = mx.array(n)
scaled, reduced = MinMaxScaler().fit_transform(n), PCA(n_components=2, svd_solver="full").fit_transform(n)
with sklearn.config_context(array_api_dispatch=True):
    y, z = MinMaxScaler().fit_transform(x), PCA(n_components=2, svd_solver="full").fit_transform(x)
    error = mean_squared_error(x, y)
assert isinstance(y, mx.array) and isinstance(z, mx.array)
np.testing.assert_allclose(np.asarray(y), scaled, rtol=1e-4, atol=1e-5)
np.testing.assert_allclose(np.abs(np.asarray(z)), np.abs(reduced), rtol=1e-3, atol=1e-4)
np.testing.assert_allclose(float(error), mean_squared_error(n, scaled), rtol=1e-4)
"""


@pytest.mark.parametrize("library,program", [("scipy", SCIPY), ("sklearn", SKLEARN)], ids=["scipy", "sklearn"])
def test_libraries_dispatch_to_mxform(library, program):
    """In a process of its own: the switch is read when the library is imported."""
    pytest.importorskip(library)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert run.returncode == 0, run.stderr


@pytest.mark.filterwarnings("ignore:.*complex128")
def test_hypothesis_finds_its_strategies():
    pytest.importorskip("hypothesis")
    from hypothesis import given, settings
    from hypothesis.extra.array_api import make_strategies_namespace

    xps = make_strategies_namespace(mx, api_version="2024.12")

    @settings(max_examples=30, deadline=None, database=None)
    @given(xps.arrays(xps.numeric_dtypes() | xps.boolean_dtypes(), xps.array_shapes(min_dims=0)))
    def check(x):
        assert isinstance(x, mx.array)
        np.testing.assert_array_equal(np.array(mx.flip(mx.flip(x))), np.array(x))

    check()
