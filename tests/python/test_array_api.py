"""The Python array API standard, 2024.12 and what 2025.12 adds: names, signatures, special values, dtypes, behaviour.

The special values are data in specs_special_values.py. Extensions are in test_array_api_extensions.py, exchange with other
libraries in test_array_api_dispatch.py. What deviates, and why, is in docs/interoperation.md.
"""

import inspect
import itertools
import pickle

import numpy as np
import pytest

import mxform as mx
from specs_special_values import COMPLEX, COMPLEX_BY_IDENTITY, REAL_BINARY, REAL_UNARY, either

FLOATS = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-6, "float64": 1e-14}
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["bool", *INTS, "float32", "float64", "complex64"]

# ---- names and signatures: parameters that a caller may give, in order; those after `*` by name

FUNCTIONS = """
asarray(obj, /, *, dtype, device, copy) arange(start, /, stop, step, *, dtype, device) empty(shape, *, dtype, device)
empty_like(x, /, *, dtype, device) eye(n_rows, n_cols, /, *, k, dtype, device) from_dlpack(x, /, *, device, copy)
full(shape, fill_value, *, dtype, device) full_like(x, /, fill_value, *, dtype, device)
linspace(start, stop, /, num, *, dtype, device, endpoint) meshgrid(*arrays, indexing) ones(shape, *, dtype, device)
ones_like(x, /, *, dtype, device) tril(x, /, *, k) triu(x, /, *, k) zeros(shape, *, dtype, device) zeros_like(x, /, *, dtype, device)
astype(x, dtype, /, *, copy, device) can_cast(from_, to, /) isdtype(dtype, kind) result_type(*arrays_and_dtypes)
matmul(x1, x2, /) matrix_transpose(x, /) tensordot(x1, x2, /, *, axes) vecdot(x1, x2, /, *, axis)
broadcast_arrays(*arrays) broadcast_shapes(*shapes) broadcast_to(x, /, shape) concat(arrays, /, *, axis) expand_dims(x, /, axis)
flip(x, /, *, axis) moveaxis(x, source, destination, /) permute_dims(x, /, axes) repeat(x, repeats, /, *, axis)
reshape(x, /, shape, *, copy) roll(x, /, shift, *, axis) squeeze(x, /, axis) stack(arrays, /, *, axis) tile(x, repetitions, /)
unstack(x, /, *, axis) argmax(x, /, *, axis, keepdims) argmin(x, /, *, axis, keepdims) count_nonzero(x, /, *, axis, keepdims)
nonzero(x, /) searchsorted(x1, x2, /, *, side, sorter) where(condition, x1, x2, /) unique_all(x, /) unique_counts(x, /)
unique_inverse(x, /) unique_values(x, /) isin(x1, x2, /, *, invert) argsort(x, /, *, axis, descending, stable)
sort(x, /, *, axis, descending, stable) cumulative_sum(x, /, *, axis, dtype, include_initial)
cumulative_prod(x, /, *, axis, dtype, include_initial) max(x, /, *, axis, keepdims) mean(x, /, *, axis, keepdims)
min(x, /, *, axis, keepdims) prod(x, /, *, axis, dtype, keepdims) std(x, /, *, axis, correction, keepdims)
sum(x, /, *, axis, dtype, keepdims) var(x, /, *, axis, correction, keepdims) all(x, /, *, axis, keepdims) any(x, /, *, axis, keepdims)
diff(x, /, *, axis, n, prepend, append) take(x, indices, /, *, axis) take_along_axis(x, indices, /, *, axis)
clip(x, /, min, max)
linalg.cholesky(x, /, *, upper) linalg.cross(x1, x2, /, *, axis) linalg.det(x, /) linalg.diagonal(x, /, *, offset) linalg.eigh(x, /)
linalg.eigvalsh(x, /) linalg.eig(x, /) linalg.eigvals(x, /) linalg.inv(x, /) linalg.matmul(x1, x2, /)
linalg.matrix_norm(x, /, *, keepdims, ord) linalg.matrix_power(x, n, /) linalg.matrix_rank(x, /, *, rtol) linalg.matrix_transpose(x, /)
linalg.outer(x1, x2, /) linalg.pinv(x, /, *, rtol) linalg.qr(x, /, *, mode) linalg.slogdet(x, /) linalg.solve(x1, x2, /)
linalg.svd(x, /, *, full_matrices) linalg.svdvals(x, /) linalg.tensordot(x1, x2, /, *, axes) linalg.trace(x, /, *, offset, dtype)
linalg.vecdot(x1, x2, /, *, axis) linalg.vector_norm(x, /, *, axis, keepdims, ord)
fft.fft(x, /, *, n, axis, norm) fft.ifft(x, /, *, n, axis, norm) fft.fftn(x, /, *, s, axes, norm) fft.ifftn(x, /, *, s, axes, norm)
fft.rfft(x, /, *, n, axis, norm) fft.irfft(x, /, *, n, axis, norm) fft.rfftn(x, /, *, s, axes, norm) fft.irfftn(x, /, *, s, axes, norm)
fft.hfft(x, /, *, n, axis, norm) fft.ihfft(x, /, *, n, axis, norm) fft.fftfreq(n, /, *, d, dtype, device)
fft.rfftfreq(n, /, *, d, dtype, device) fft.fftshift(x, /, *, axes) fft.ifftshift(x, /, *, axes)
"""
UNARY = """abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan log log1p
log2 log10 logical_not negative positive real reciprocal round sign signbit sin sinh square sqrt tan tanh trunc""".split()
BINARY = """add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal floor_divide greater
greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow
remainder subtract""".split()
# Names that stand for another of MLX's: both are taken, inspect shows MLX's.
SECOND_NAMES = {"full": "fill_value", "full_like": "fill_value", "clip": "min max"}


def signatures():
    text = " ".join(FUNCTIONS.split())
    while text:
        call, _, text = text.partition(")")
        name, _, parameters = call.strip().partition("(")
        yield name, [p.strip() for p in parameters.split(",")]
        text = text.strip()
    for name in UNARY:
        yield name, ["x", "/"]
    for name in BINARY:
        yield name, ["x1", "x2", "/"]


def find(name):
    out = mx
    for part in name.split("."):
        out = getattr(out, part)
    return out


@pytest.mark.parametrize("name,wanted", list(signatures()), ids=lambda x: x if isinstance(x, str) else "")
def test_signature(name, wanted):
    ours = list(inspect.signature(find(name)).parameters.values())
    by_name = {p.name for p in ours if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} | set(SECOND_NAMES.get(name, "").split())
    by_name |= {"shift", "axis"} if name == "roll" else set()
    place, keyword_only, first_keyword = 0, False, wanted.index("/") if "/" in wanted else 0
    for i, p in enumerate(wanted):
        if p in ("/", "*"):
            keyword_only |= p == "*"
        elif p.startswith("*"):
            assert ours[place].kind == ours[place].VAR_POSITIONAL
            keyword_only = True
        else:
            if not keyword_only:
                assert ours[place].kind in (ours[place].POSITIONAL_ONLY, ours[place].POSITIONAL_OR_KEYWORD)
                place += 1
            if i > first_keyword:
                assert p in by_name, f"{name} takes no {p}="
    required = [p.name for p in ours[place:] if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert not required


def test_constants_dtypes_and_the_rest():
    assert mx.newaxis is None and mx.inf == float("inf") and mx.nan != mx.nan
    assert (mx.e, mx.pi) == (np.e, np.pi)
    assert all(hasattr(mx, t) for t in DTYPES)
    assert mx.bool is mx.bool_
    assert mx.__array_api_version__ == "2024.12"
    for name in "T mT device dtype ndim shape size to_device __dlpack__ __dlpack_device__ __array_namespace__".split():
        assert hasattr(mx.array, name)
    operators = "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()
    for name in operators:
        assert all(hasattr(mx.array, f"__{kind}{name}__") for kind in ("", "r", "i"))
    for name in "abs bool complex eq float ge getitem gt index int invert le lt ne neg pos setitem".split():
        assert hasattr(mx.array, f"__{name}__")


def test_namespace():
    x = mx.zeros(2)
    assert x.__array_namespace__() is mx and x.__array_namespace__(api_version="2023.12") is mx
    with pytest.raises(ValueError, match="is not known"):
        x.__array_namespace__(api_version="1999.12")
    info = mx.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}
    assert info.default_device() in info.devices() and x.device == info.default_device()
    assert info.default_dtypes(device=info.default_device())["integral"] == mx.asarray(3).dtype
    assert list(info.dtypes()) == DTYPES
    assert info.dtypes(kind=("bool", "complex floating")) == {"bool": mx.bool, "complex64": mx.complex64}
    for kind in ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"):
        assert all(mx.isdtype(t, kind) for t in info.dtypes(kind=kind).values())
    with pytest.raises(ValueError, match="unknown kind"):
        info.dtypes(kind="large")


# ---- special values


def cases(rows):
    for arguments, result in rows:
        lists = [a if isinstance(a, list) else [a] for a in arguments]
        for args in itertools.product(*lists):
            yield args, result(*args) if callable(result) and not isinstance(result, either) else result


def as_expected(got, wanted, tolerance):
    if isinstance(wanted, either):
        got, wanted = abs(got), abs(wanted.x)
    if isinstance(wanted, bool):
        return got is wanted
    if wanted != wanted:
        return got != got
    if wanted == 0:
        return got == 0 and np.signbit(got) == np.signbit(wanted)
    return got == wanted or abs(got - wanted) <= tolerance * abs(wanted)


def check_real(f, rows, dtype):
    rows = list(cases(rows))
    t = getattr(mx, dtype)
    columns = [mx.array(list(c), dtype=t) for c in zip(*[args for args, _ in rows])]
    for ((args, wanted), got) in zip(rows, f(*columns).tolist()):
        if isinstance(wanted, str):  # nextafter
            top = float(mx.finfo(t).max)
            assert {"max": got == top, "-max": got == -top, "between": args[0] < got <= args[1] or args[1] <= got < args[0]}[wanted], args
        else:
            assert as_expected(got, wanted, FLOATS[dtype]), f"{args}: {got} is not {wanted}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", REAL_UNARY)
def test_special_values_of_one_argument(name, dtype):
    check_real(getattr(mx, name), REAL_UNARY[name], dtype)


def test_nextafter_steps_through_every_dtype():
    for dtype, bits in (("float16", np.uint16), ("bfloat16", np.uint16), ("float32", np.uint32), ("float64", np.uint64)):
        t = getattr(mx, dtype)
        x = mx.array([1.0, -1.0, 0.0, 1.5, 1024.0, float(mx.finfo(t).smallest_normal)], dtype=t)
        up, down = mx.nextafter(x, mx.inf), mx.nextafter(x, mx.array(-mx.inf, dtype=t))
        assert up.dtype == t and mx.nextafter(up, x).tolist() == x.tolist() == mx.nextafter(down, x).tolist()
        of_up, of_x = (np.array(mx.view(mx.abs(a), getattr(mx, bits.__name__))).astype(object) for a in (up, x))
        assert (of_up - of_x).tolist() == [1, -1, 1, 1, 1, 1]
        if dtype != "bfloat16":
            np.testing.assert_array_equal(np.array(down), np.nextafter(np.array(x), np.array(-np.inf, dtype)))
    assert mx.nextafter(3, 4).dtype == mx.float32
    with pytest.raises(ValueError, match="complex64"):
        mx.nextafter(mx.array(1j), 1.0)


OPERATORS = {
    "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y, "divide": lambda x, y: x / y,
    "floor_divide": lambda x, y: x // y, "remainder": lambda x, y: x % y, "pow": lambda x, y: x**y, "less": lambda x, y: x < y,
    "equal": lambda x, y: x == y, "not_equal": lambda x, y: x != y,
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", REAL_BINARY)
def test_special_values_of_two_arguments(name, dtype):
    check_real(getattr(mx, name), REAL_BINARY[name], dtype)
    if name in OPERATORS:
        check_real(OPERATORS[name], REAL_BINARY[name], dtype)


@pytest.mark.parametrize("name", COMPLEX)
def test_special_values_of_complex_numbers(name):
    rows = list(cases(COMPLEX[name]))
    z = np.empty(len(rows), np.complex64)
    z.real, z.imag = zip(*[args for args, _ in rows])
    f = getattr(mx, name)
    upper, lower = f(mx.array(z)).tolist(), f(mx.array(np.conj(z))).tolist()
    for (args, wanted), got, below in zip(rows, upper, lower):
        if isinstance(wanted, tuple):
            for part, mirrored, want, sign in ((got.real, below.real, wanted[0], 1), (got.imag, below.imag, wanted[1], -1)):
                assert as_expected(part, want, 1e-6), f"{args}: {got} is not {wanted}"
                if not isinstance(want, either):
                    assert as_expected(mirrored, sign * want, 1e-6), f"conjugate of {args}: {below}, {wanted}"
        else:
            assert as_expected(got, wanted, 1e-6), f"{args}: {got} is not {wanted}"


@pytest.mark.parametrize("name", COMPLEX_BY_IDENTITY)
def test_special_values_of_circular_functions_are_those_of_hyperbolic_ones(name):
    values = [0.0, -0.0, 0.5, -2.0, np.inf, -np.inf, np.nan]
    z = np.empty((7, 7), np.complex64)
    z.real, z.imag = np.meshgrid(values, values)
    iz = np.empty_like(z)
    iz.real, iz.imag = -z.imag, z.real
    got = np.array(getattr(mx, name)(mx.array(z)))
    other = np.array(getattr(mx, COMPLEX_BY_IDENTITY[name])(mx.array(iz)))
    wanted = np.empty_like(z)
    wanted.real, wanted.imag = (other.real, other.imag) if name == "cos" else (other.imag, -other.real)
    np.testing.assert_array_equal(got, wanted)
    for part in ("real", "imag"):
        finite = ~np.isnan(getattr(got, part))
        np.testing.assert_array_equal(np.signbit(getattr(got, part))[finite], np.signbit(getattr(wanted, part))[finite])


# ---- dtypes

PROMOTION = {  # of integers: the table of the standard
    ("int8", "int16"): "int16", ("int8", "int32"): "int32", ("int16", "int64"): "int64", ("uint8", "uint16"): "uint16",
    ("uint16", "uint32"): "uint32", ("uint32", "uint64"): "uint64", ("int8", "uint8"): "int16", ("int8", "uint16"): "int32",
    ("int8", "uint32"): "int64", ("int16", "uint8"): "int16", ("int16", "uint16"): "int32", ("int16", "uint32"): "int64",
    ("int32", "uint8"): "int32", ("int32", "uint16"): "int32", ("int32", "uint32"): "int64", ("int64", "uint8"): "int64",
    ("int64", "uint32"): "int64", ("float32", "float64"): "float64", ("float32", "complex64"): "complex64",
}


@pytest.mark.parametrize("pair", PROMOTION, ids="-".join)
def test_promotion(pair):
    wanted = getattr(mx, PROMOTION[pair])
    for a, b in (pair, pair[::-1]):
        x, y = mx.ones((2,), dtype=getattr(mx, a)), mx.ones((2,), dtype=getattr(mx, b))
        assert (x + y).dtype == mx.multiply(x, y).dtype == mx.result_type(x, y.dtype) == mx.where(x == y, x, y).dtype == wanted
        assert mx.concat([x, y]).dtype == wanted
        assert (x == y).dtype == mx.bool
        assert mx.can_cast(getattr(mx, a), wanted) and mx.can_cast(x, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_take_on_the_dtype_of_the_array(dtype):
    t = getattr(mx, dtype)
    x = mx.ones((2,), dtype=t)
    scalars = [True] if dtype == "bool" else [2] if mx.isdtype(t, "integral") else [2, 0.5] + ([1j] if dtype == "complex64" else [])
    for s in scalars:
        assert mx.result_type(x, s) == mx.result_type(t, s) == t
        for f in (mx.multiply, mx.equal, mx.maximum):
            if not isinstance(s, complex) or f is not mx.maximum:
                assert f(x, s).dtype == f(s, x).dtype == (mx.bool if f is mx.equal else t)
        if dtype != "bool":
            y = x
            y *= s
            assert (x * s).dtype == (s * x).dtype == (s - x).dtype == y.dtype == t
    if mx.isdtype(t, "real floating"):
        assert mx.result_type(t, 1j) == mx.complex64
        assert (x * 1j).dtype == mx.complex64


def test_number_alone_has_no_result_type():
    with pytest.raises(ValueError, match="at least one"):
        mx.result_type(1, 2.0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_finfo(dtype):
    t = getattr(mx, dtype)
    want = np.finfo(dtype)
    for info in (mx.finfo(t), mx.finfo(mx.ones((), dtype=t))):
        assert [type(getattr(info, k)) for k in ("eps", "max", "min", "smallest_normal", "bits")] == [float] * 4 + [int]
        assert (info.bits, info.eps, info.max, info.min, info.smallest_normal) == (
            want.bits, float(want.eps), float(want.max), float(want.min), float(want.smallest_normal))
        assert info.dtype == mx.abs(mx.ones((), dtype=t)).dtype


@pytest.mark.parametrize("dtype", INTS)
def test_iinfo(dtype):
    t = getattr(mx, dtype)
    for info in (mx.iinfo(t), mx.iinfo(mx.ones((), dtype=t))):
        assert (info.bits, info.max, info.min, info.dtype) == (np.iinfo(dtype).bits, np.iinfo(dtype).max, np.iinfo(dtype).min, t)


@pytest.mark.parametrize("f", [mx.sum, mx.prod, mx.cumulative_sum, mx.cumulative_prod])
def test_accumulations_widen_small_integers(f):
    for dtype in INTS:
        t = getattr(mx, dtype)
        x = mx.ones((3,), dtype=t)
        kind = "u" if dtype[0] == "u" else ""
        assert f(x).dtype == (t if x.itemsize >= 4 else getattr(mx, kind + "int32"))
        assert f(x, dtype=mx.int64).dtype == mx.int64
        assert f(x, dtype=t).dtype == t
        assert f(x, dtype=mx.float64).dtype == mx.float64


# ---- creation and manipulation


def test_creation_takes_the_device_and_the_standards_names():
    d = mx.zeros(1).device
    assert isinstance(d, mx.Device)
    made = [mx.zeros((2,), device=d), mx.ones((2,), device=d, dtype=None), mx.empty((2,), device=d), mx.full((2,), fill_value=3, device=d),
            mx.zeros_like(mx.ones(2), device=d), mx.ones_like(mx.ones(2), device=d), mx.empty_like(mx.ones(2), device=d),
            mx.full_like(mx.ones(2), fill_value=2.0, device=d), mx.arange(2, device=d), mx.linspace(0, 1, 2, device=d),
            mx.eye(2, device=d)[0], mx.asarray([1, 2], device=d), mx.from_dlpack(mx.ones(2), device=d), mx.astype(mx.ones(2), mx.int8, device=d)]
    assert all(x.shape == (2,) and x.device == d for x in made)
    assert mx.ones(2).to_device(d, stream=None).tolist() == [1, 1]
    with pytest.raises((ValueError, TypeError)):
        mx.zeros(2, device="moon")
    with pytest.raises(TypeError, match="both its names"):
        mx.full((2,), vals=1, fill_value=2)


def test_linspace_of_complex_numbers():
    z = mx.linspace(0, 2 + 4j, 3)
    assert z.dtype == mx.complex64 and z.tolist() == [0, 1 + 2j, 2 + 4j]
    assert mx.linspace(0, 1, 3, dtype=None).dtype == mx.float32
    with pytest.raises(ValueError, match="complex"):
        mx.linspace(0, 1j, 3, dtype=mx.int32)


def test_asarray_copy():
    x = mx.asarray([1.0, 2.0])
    y = mx.asarray(x, copy=False)
    assert mx.asarray(x, copy=True).tolist() == y.tolist() == [1.0, 2.0]
    assert mx.asarray(x, copy=True) is not x
    assert y is x and mx.astype(x, mx.float32, copy=False) is x and mx.from_dlpack(x, copy=False) is x
    x[0] = 3.0
    assert y.tolist() == [3.0, 2.0]
    with pytest.raises(ValueError, match="copy"):
        mx.asarray([1.0], copy=False)
    with pytest.raises(ValueError, match="copy"):
        mx.asarray(x, dtype=mx.int32, copy=False)


def test_reshape_copy():
    x = mx.arange(6)
    assert mx.reshape(x, (2, 3), copy=False).shape == mx.reshape(x, (2, 3), copy=True).shape == (2, 3)
    t = mx.reshape(x, (2, 3)).T
    mx.eval(t)
    with pytest.raises(ValueError, match="copy"):
        mx.reshape(t, (6,), copy=False)


def test_clip():
    x = mx.array([-1.0, 0.5, 9.0])
    assert mx.clip(x, min=0.0).tolist() == [0.0, 0.5, 9.0]
    assert mx.clip(x, max=1.0).tolist() == [-1.0, 0.5, 1.0]
    assert mx.clip(x, 0, 1).tolist() == mx.clip(x, min=0, max=1).tolist() == [0.0, 0.5, 1.0]


def test_repeat_by_an_array():
    x = mx.array([[1, 2], [3, 4]])
    assert mx.repeat(x, mx.array([2, 0]), axis=0).tolist() == [[1, 2], [1, 2]]
    assert mx.repeat(x, mx.array([0, 1, 2, 3])).tolist() == [2, 3, 3, 4, 4, 4]
    assert mx.repeat(x, mx.array([2]), axis=1).tolist() == mx.repeat(x, mx.array(2), axis=1).tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    assert mx.grad(lambda v: mx.sum(mx.repeat(v, mx.array([2, 0, 1])) * mx.array([1.0, 2.0, 3.0])))(mx.ones(3)).tolist() == [3, 0, 3]
    with pytest.raises(ValueError, match="does not fit"):
        mx.repeat(x, mx.array([1, 2, 3]), axis=0)
    with pytest.raises(ValueError, match=">= 0"):
        mx.repeat(x, mx.array([1, -1]), axis=0)
    with pytest.raises(ValueError, match="integers"):
        mx.repeat(x, mx.array([1.0, 2.0]), axis=0)
    with pytest.raises(mx.TransformError, match="repeats"):
        mx.vmap(lambda n: mx.repeat(x, n, axis=0))(mx.array([[1, 2], [1, 2]]))


def test_diff_with_ends():
    x = mx.array([[1, 4, 9]])
    assert mx.diff(x, prepend=mx.array([[0]]), append=mx.array([[16]])).tolist() == [[1, 3, 5, 7]]
    assert mx.diff(x, n=2).tolist() == [[2]]


def test_cumulative_with_the_initial_value():
    x = mx.array([[1, 2], [3, 4]])
    assert mx.cumulative_sum(x, axis=0, include_initial=True).tolist() == [[0, 0], [1, 2], [4, 6]]
    assert mx.cumulative_prod(x, axis=1, include_initial=True).tolist() == [[1, 1, 2], [1, 3, 12]]
    assert mx.cumulative_sum(mx.array([1, 2]), include_initial=True, reverse=True).tolist() == [3, 2, 0]
    assert mx.cumulative_sum(mx.zeros((0,)), include_initial=True).tolist() == [0.0]


@pytest.mark.parametrize("f", [mx.var, mx.std])
def test_correction(f):
    x = np.random.default_rng(0).normal(size=(4, 5))
    reference = getattr(np, f.__name__)
    for correction in (0, 1, 1.0, 0.5, 2.5):
        got = f(mx.array(x, dtype=mx.float64), axis=1, correction=correction, keepdims=True)
        np.testing.assert_allclose(np.array(got), reference(x, axis=1, ddof=correction, keepdims=True), rtol=1e-12)
    with pytest.raises(ValueError, match="ddof"):
        f(mx.array(x), ddof=1, correction=1)


# ---- sorting, searching, sets


def test_sort_descending_is_stable():
    x = mx.array([[2, 1, 2, 3, 1]])
    assert mx.sort(x, descending=True).tolist() == [[3, 2, 2, 1, 1]]
    assert mx.argsort(x, descending=True, stable=True).tolist() == [[3, 0, 2, 1, 4]]
    assert mx.argsort(x, axis=0, descending=True).tolist() == [[0] * 5]
    assert mx.sort(mx.zeros((0,)), descending=True).shape == mx.argsort(mx.zeros((0,)), descending=True).shape == (0,)
    assert mx.grad(lambda v: mx.sort(v, descending=True)[0])(mx.array([1.0, 3.0, 2.0])).tolist() == [0, 1, 0]
    assert mx.vmap(lambda v: mx.argsort(v, descending=True))(x).tolist() == [[3, 0, 2, 1, 4]]


def test_searchsorted_with_a_sorter():
    x = mx.array([3.0, 1.0, 2.0])
    assert mx.searchsorted(x, mx.array([0.0, 2.0, 9.0]), sorter=mx.argsort(x)).tolist() == [0, 1, 3]
    assert mx.searchsorted(mx.array([1.0, 2.0]), 1.5).item() == 1


def test_isin():
    x = mx.array([[1, 2], [3, 4]])
    assert mx.isin(x, mx.array([[4], [1]])).tolist() == [[True, False], [False, True]]
    assert mx.isin(x, mx.array([4, 1]), invert=True).tolist() == [[False, True], [True, False]]
    assert mx.isin(x, 3).tolist() == [[False, False], [True, False]]
    assert mx.isin(3, x).item() is True
    assert mx.isin(x, mx.array([], dtype=mx.int32)).tolist() == [[False, False], [False, False]]
    assert mx.isin(mx.array([mx.nan, -0.0]), mx.array([mx.nan, 0.0])).tolist() == [False, True]
    assert mx.vmap(mx.isin)(x, x).tolist() == [[True, True], [True, True]]


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32", "complex64", "bool"])
def test_unique(dtype):
    x = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 5, (4, 5)).astype(dtype)
    values, indices, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    ours = mx.unique_all(mx.array(x))
    assert type(ours).__name__ == "UniqueAllResult" and ours._fields == ("values", "indices", "inverse_indices", "counts")
    for got, want in zip(ours, (values, indices, inverse.reshape(x.shape), counts)):
        np.testing.assert_array_equal(np.array(got), want)
    assert ours.values.dtype == getattr(mx, dtype) and ours.indices.dtype == ours.counts.dtype == mx.int64
    assert mx.unique_counts(mx.array(x))._fields == ("values", "counts")
    assert mx.unique_inverse(mx.array(x))._fields == ("values", "inverse_indices")
    np.testing.assert_array_equal(np.array(mx.unique_values(mx.array(x))), values)
    assert pickle.loads(pickle.dumps(ours)).counts.tolist() == counts.tolist()


def test_unique_zeros_and_nans():
    u = mx.unique_all(mx.array([mx.nan, 0.0, -0.0, mx.nan]))
    assert u.counts.tolist() == [2, 1, 1] and u.indices.tolist() == [1, 0, 3] and u.inverse_indices.tolist() == [1, 0, 0, 2]
    empty = mx.unique_all(mx.zeros((0, 2)))
    assert [a.shape for a in empty] == [(0,), (0,), (0, 2), (0,)]
    assert mx.unique_values(mx.array(3)).tolist() == [3]
    assert mx.grad(lambda v: mx.sum(mx.unique_values(mx.stop_gradient(v))))(mx.ones(2)).tolist() == [0, 0]
    with pytest.raises(mx.TransformError):
        mx.vmap(mx.unique_values)(mx.zeros((2, 3)))


# ---- array objects


def test_conversions_to_python():
    assert (bool(mx.array(2)), int(mx.array(2.7)), float(mx.array(3)), complex(mx.array(1.5))) == (True, 2, 3.0, 1.5 + 0j)
    assert complex(mx.array(1 + 2j)) == 1 + 2j and [10, 20, 30][mx.array(1)] == 20
    assert int(mx.array(2**63, dtype=mx.uint64)) == 2**63
    for f, x in ((float, 1j), (int, 1j), (int, float("nan"))):
        with pytest.raises((TypeError, ValueError)):
            f(mx.array(x))
    with pytest.raises(OverflowError):
        int(mx.array(float("inf")))
    for x in (mx.array(1.0), mx.array([1]), mx.array(True)):
        with pytest.raises(TypeError):
            [10, 20, 30][x]


def test_transposes():
    x = mx.zeros((2, 3, 4))
    assert x.mT.shape == (2, 4, 3) and mx.zeros((2, 3)).T.shape == (3, 2)
    with pytest.raises(ValueError):
        mx.zeros((3,)).mT


def test_indexing():
    x = mx.reshape(mx.arange(24), (2, 3, 4))
    n = np.arange(24).reshape(2, 3, 4)
    i, j = mx.array([0, 1, 1]), mx.array([2, 0, 1])
    mask = n % 5 == 0
    for key, ours in [((..., 1), (..., 1)), ((None, 0, slice(None, None, -1)), (None, 0, slice(None, None, -1))),
                      ((np.array(i), np.array(j)), (i, j)), ((np.array(i), 1, np.array(j)), (i, 1, j)), (mask, mx.array(mask)),
                      ((), ()), ((1, slice(2, 0, -1)), (1, slice(2, 0, -1)))]:
        np.testing.assert_array_equal(np.array(x[ours]), n[key])
    with pytest.raises(IndexError):
        x[0, 0, 0, 0]
    with pytest.raises(IndexError):
        x[2]
    y = mx.array(n)
    y[mx.array(mask)] = -1
    y[0, ..., 1] = mx.array([7, 8, 9])
    n[mask] = -1
    n[0, ..., 1] = [7, 8, 9]
    np.testing.assert_array_equal(np.array(y), n)


def test_squeeze_and_expand_dims_errors():
    with pytest.raises(ValueError):
        mx.squeeze(mx.zeros((2, 1)), axis=0)
    with pytest.raises(IndexError):
        mx.expand_dims(mx.zeros((2,)), axis=3)
    with pytest.raises(ValueError):
        mx.nonzero(mx.array(1))
