"""test_quantized.py — quantized formats bit for bit against quantized_reference.py and against recorded words; how MLX programs
call them; edges, errors, derivatives that rows cannot say. Rows are in specs_quantized.py."""

import numpy as np
import pytest

import mxform as mx
from conftest import ON_GPU
import quantized_reference as ref
from specs import carry, name_of, to_mx, to_np

AFFINE = [(bits, size) for bits in (1, 2, 3, 4, 5, 6, 8) for size in (32, 64, 128)]
FLOATING = ("mxfp4", "mxfp8", "nvfp4")
DTYPES = ("float32", "float16", "bfloat16", "float64")
GROUPS = {"mxfp4": 32, "mxfp8": 32, "nvfp4": 16}


def draws(dtype):
    """Named matrices (6, 256) that quantization may find hard."""
    rng = np.random.default_rng(5)
    w = rng.normal(size=(6, 256))
    ties = np.round(w * 4) / 8 + 0.125
    some = {"normal": w, "small": w * 1e-3, "tiny": w * 1e-7, "large": w * 2e3, "positive": np.abs(w), "negative": -np.abs(w), "grid": np.round(w * 8) / 8,
            "ties": ties, "zeros": w * 0, "signed zeros": np.where(w > 0, 0.0, -0.0), "constant": np.broadcast_to(w[:, :1], w.shape),
            "many sizes": w * np.exp(2 * rng.normal(size=w.shape))}
    if dtype != "float16":
        some |= {"huge": w * 1e30, "subnormal": w * 1e-39}
    return {k: carry(v, dtype) for k, v in some.items()}


def bits_of(x):
    """What is in memory, NaNs all alike."""
    x = np.asarray(x)
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), np.nan, x).astype(x.dtype)
        return x.view({2: np.uint16, 4: np.uint32, 8: np.uint64}[x.itemsize])
    return x


def assert_bits(got, want, what):
    got, want = to_np(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    differ = bits_of(got) != bits_of(want.astype(got.dtype))
    if differ.any():
        i = tuple(np.argwhere(differ)[0])
        raise AssertionError(f"{what}: {differ.sum()} of {differ.size} differ, first at {i}: {got[i]!r}, expected {want[i]!r}")


# ---- quantize and dequantize

@pytest.mark.parametrize("dtype", DTYPES)
def test_affine_words_scales_and_biases_are_exact(dtype):
    for name, w in draws(dtype).items():
        for bits, size in AFFINE:
            got, want = mx.quantize(to_mx(w, dtype), size, bits), ref.quantize(w, size, bits, dtype=dtype)
            for part, g, r in zip(("words", "scales", "biases"), got, want):
                assert_bits(g, r, f"{name} {bits} bits, {size}: {part}")
            assert name_of(got[0]) == "uint32" and name_of(got[1]) == name_of(got[2]) == dtype
            back = mx.dequantize(*got, size, bits)
            assert_bits(back, ref.dequantize(*want, size, bits, dtype=dtype), f"{name} {bits} bits, {size}: back")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", FLOATING)
def test_floating_words_and_scales_are_exact(mode, dtype):
    for name, w in draws(dtype).items():
        for g in (None, 1.0, float(np.abs(w).max()), 0.37) if mode == "nvfp4" else (None,):
            if g == 0:
                continue
            kw = {} if g is None else {"global_scale": mx.array(g, mx.float32)}
            with np.errstate(all="ignore"):
                g = None if g is None else np.float32(g)
            got = mx.quantize(to_mx(w, dtype), mode=mode, **kw)
            want = ref.quantize(w, mode=mode, dtype=dtype, global_scale=g)
            for part, a, b in zip(("words", "scales"), got, want):
                assert_bits(a, b, f"{name} {mode} {g}: {part}")
            for out in ("bfloat16", "float32", "float16", "float64"):
                back = mx.dequantize(*got, mode=mode, dtype=getattr(mx, out), **kw)
                assert_bits(back, ref.dequantize(*want, mode=mode, dtype=out, global_scale=g), f"{name} {mode} {g}: back to {out}")


# MLX 0.32.4 on a CPU.
RECORDED = {'affine 4': [[3894037615, 1567724485, 2765490475, 440168066, 1888728535, 3337103949, 996045219, 2192889609]],
 'scale': (-0.5375000238418579, 5.375),
 'affine 3': [[3018904991, 822959498, 359129515, 1449270460, 4167749571, 2259600697]],
 'mxfp4': [[[3261094476, 1530271396, 95711593, 1617579046, 1192662467, 2764202075, 1767650821, 647345009]], [[127, 127]]],
 'mxfp8': [[[1995075826, 4033509632, 1551361650, 1961782650, 2070182112, 3497388912, 1928423801, 2052617960, 3799248748, 1870291576,
             2044228844, 3916558952, 1803178102, 2028237552, 3983440480, 1719196788]],
           [[121, 121]]],
 'nvfp4': [[[3547360093, 1816598181, 112489065, 1902796087, 1192662467, 3050465643, 1784428294, 647349361]], [[53, 54, 54, 54]]],
 'nvfp4 global': [[[3278924621, 1548162725, 112489065, 1902795814, 1192662468, 3050469740, 1784428294, 647414897]], [[125, 126, 125, 125]]]}


def test_words_recorded_from_mlx():
    w = mx.array([[((i * 37) % 64 - 20) / 8 for i in range(64)]])
    words, scales, biases = mx.quantize(w, 64, 4)
    assert to_np(words).tolist() == RECORDED["affine 4"]
    assert (scales.item(), biases.item()) == RECORDED["scale"]
    assert to_np(mx.quantize(w, 64, 3)[0]).tolist() == RECORDED["affine 3"]
    for mode in FLOATING:
        assert [to_np(x).tolist() for x in mx.quantize(w, mode=mode)] == RECORDED[mode]
    words, scales = mx.quantize(w, mode="nvfp4", global_scale=mx.array(5.5))
    assert [to_np(words).tolist(), to_np(scales).tolist()] == RECORDED["nvfp4 global"]


@pytest.mark.parametrize("mode", FLOATING)
def test_every_scale_byte_and_every_code_has_its_number(mode):
    size, bits = GROUPS[mode], ref.BITS[mode]
    words = np.random.default_rng(1).integers(0, 2**32, (256, size * bits // 32), dtype=np.uint32)
    scales = np.arange(256, dtype=np.uint8)[:, None]
    for dtype in DTYPES:
        got = mx.dequantize(mx.array(words), mx.array(scales), mode=mode, dtype=getattr(mx, dtype))
        assert_bits(got, ref.dequantize(words, scales, mode=mode, dtype=dtype), f"{mode} {dtype}")


def test_nan_and_infinity():
    w = np.ones((4, 64), np.float32)
    w[1, 3], w[2, 40] = np.nan, np.inf
    for mode in ("mxfp4", "mxfp8"):  # the group is lost
        back = to_np(mx.dequantize(*mx.quantize(mx.array(w), mode=mode), mode=mode))
        assert np.isnan(back[1, :32]).all() and np.isnan(back[2, 32:]).all() and np.isnan(back).sum() == 64
    back = to_np(mx.dequantize(*mx.quantize(mx.array(w), mode="nvfp4"), mode="nvfp4"))
    assert back[1, 3] == 0 and back[2, 40] == 2688
    words, scales, biases = mx.quantize(mx.array(w))
    assert np.isfinite(to_np(scales)[1]).all() and to_np(mx.dequantize(words, scales, biases))[1, 3] == 1


def test_an_all_zero_tensor_with_its_own_global_scale_stays_zero():
    q = mx.quantize(mx.zeros((2, 32)), mode="nvfp4", global_scale=mx.array(0.0))
    assert not to_np(mx.dequantize(*q, mode="nvfp4", global_scale=mx.array(0.0))).any()


def test_fp8_of_every_half():
    halves = np.arange(65536, dtype=np.uint16)
    for dtype in ("float16", "bfloat16"):
        x = mx.array(halves).view(getattr(mx, dtype))
        assert_bits(mx.to_fp8(x), ref.to_e4m3(to_np(x)), dtype)
    codes = np.arange(256, dtype=np.uint8)
    for dtype in DTYPES:
        assert_bits(mx.from_fp8(mx.array(codes), getattr(mx, dtype)), carry(ref.from_e4m3(codes), dtype), dtype)
    assert name_of(mx.from_fp8(mx.array(codes))) == "bfloat16"


def test_dtypes_of_dequantize():
    w = mx.random.normal((2, 64))
    words, scales, biases = mx.quantize(w)
    half = mx.dequantize(words, scales.astype(mx.float16), biases.astype(mx.bfloat16))
    assert half.dtype == mx.float32
    assert mx.dequantize(words, scales, biases, dtype=mx.float16).dtype == mx.float16
    q = mx.quantize(w, mode="nvfp4")
    assert mx.dequantize(*q, mode="nvfp4").dtype == mx.bfloat16
    assert mx.dequantize(*q, mode="nvfp4", global_scale=mx.array(1.0)).dtype == mx.float32
    assert mx.dequantize(*q, mode="nvfp4", global_scale=mx.array([1.0]), dtype=mx.float16).dtype == mx.float16


# ---- products

def exact(x, q, transpose, **kw):
    w = ref.dequantize(*[to_np(a) for a in q], **kw)
    return to_np(x).astype(np.float64) @ (np.swapaxes(w, -1, -2) if transpose else w)


@pytest.mark.parametrize("dtype, eps", [("float32", 2.0**-23), ("bfloat16", 2.0**-7), ("float16", 2.0**-10)])
@pytest.mark.parametrize("mode, size, bits", [("affine", size, bits) for bits, size in AFFINE] + [(m, GROUPS[m], ref.BITS[m]) for m in FLOATING])
def test_products_of_every_format(mode, size, bits, dtype, eps):
    """Few and many rows take different paths; rows and groups that no vector divides."""
    kw = dict(group_size=size, bits=bits, mode=mode)
    rng = np.random.default_rng(3)
    n = 3 * 128 + (16 if mode == "nvfp4" else 0)
    for rows in (1, 2, 7):
        q = mx.quantize(to_mx(rng.normal(size=(rows, n)), dtype), **kw)
        for m in (1, 3, 6, 150):
            for transpose in (True, False):
                x = to_mx(rng.normal(size=(m, n if transpose else rows)), dtype)
                got, want = to_np(mx.quantized_matmul(x, *q, transpose=transpose, **kw)), exact(x, q, transpose, **kw)
                assert np.abs(got - want).max() <= (16 if ON_GPU else 8) * eps * np.abs(want).max(), (rows, m, transpose)


def test_batches_broadcast():
    rng = np.random.default_rng(4)
    for of_x, of_w in (((5,), ()), ((), (5,)), ((3, 1), (5,)), ((5,), (3, 5)), ((0,), ()), ((1,), (0,))):
        x, w = mx.array(rng.normal(size=(*of_x, 2, 64)), mx.float32), mx.array(rng.normal(size=(*of_w, 3, 64)), mx.float32)
        q = mx.quantize(w)
        got, want = mx.quantized_matmul(x, *q), x @ mx.swapaxes(mx.dequantize(*q), -1, -2)
        assert got.shape == want.shape and mx.allclose(got, want, atol=1e-4).item(), (of_x, of_w)
        assert mx.quantized_matmul(x[..., 0, :] if not of_x else mx.ones(64), *q).shape == (*of_w, 3)


def test_words_may_lie_anywhere():
    w = np.random.default_rng(6).normal(size=(4, 10, 128)).astype(np.float32)
    q = mx.quantize(mx.array(w), bits=5)
    x = mx.array(np.random.default_rng(7).normal(size=(4, 3, 128)).astype(np.float32))
    want = to_np(mx.quantized_matmul(x, *q, bits=5))
    layouts = {"reversed": lambda a: a[::-1, ::-1, ::-1][::-1, ::-1, ::-1], "columns": lambda a: mx.swapaxes(mx.array(np.swapaxes(np.array(a), 1, 2).copy()), 1, 2),
               "sliced": lambda a: mx.repeat(a, 2, axis=2)[:, :, ::2]}
    for name, f in layouts.items():
        assert np.array_equal(to_np(mx.quantized_matmul(x, *map(f, q), bits=5)), want), name
        assert np.array_equal(to_np(mx.quantized_matmul(f(x), *q, bits=5)), want), name
        assert np.array_equal(to_np(mx.dequantize(*map(f, q), bits=5)), to_np(mx.dequantize(*q, bits=5))), name


def test_gathered_products_are_those_of_the_chosen_pairs():
    rng = np.random.default_rng(8)
    q = mx.quantize(mx.array(rng.normal(size=(2, 3, 8, 64)).astype(np.float32)))
    w = mx.dequantize(*q).reshape(6, 8, 64)
    x = mx.array(rng.normal(size=(5, 2, 64)).astype(np.float32))
    lhs, rhs = mx.array(rng.integers(0, 5, (4, 30)).astype(np.uint32)), mx.array(rng.integers(-6, 6, (30,)))
    want = x[lhs] @ mx.swapaxes(w, -1, -2)[rhs]
    for hint in (False, True):
        got = mx.gather_qmm(x, *q, lhs, rhs, sorted_indices=hint)
        assert got.shape == (4, 30, 2, 8) and mx.allclose(got, want, atol=1e-4).item()
    assert mx.gather_qmm(x, *q, lhs_indices=mx.array(3), rhs_indices=mx.array(-1)).shape == (2, 8)
    bad = mx.gather_qmm(x, *q, lhs_indices=mx.array([5]), rhs_indices=mx.array([0]))
    with pytest.raises(IndexError, match="gather_qmm.*index 5"):
        mx.eval(bad)


def test_an_index_of_one_example_does_not_reach_the_next():
    q = mx.quantize(mx.ones((2, 3, 8, 64)))
    out = mx.vmap(lambda x, q, i: mx.gather_qmm(x, *q, rhs_indices=i), in_axes=(None, 0, None))(mx.ones((1, 64)), q, mx.array([3]))
    with pytest.raises(IndexError):
        mx.eval(out)


def test_global_scales_of_products():
    rng = np.random.default_rng(9)
    x, w = rng.normal(size=(3, 2, 64)).astype(np.float32) * 5, rng.normal(size=(3, 8, 64)).astype(np.float32) / 4
    gx, gw = mx.array(np.abs(x).max()), mx.array(np.abs(w).max())
    q = mx.quantize(mx.array(w), mode="nvfp4", global_scale=gw)
    whole = mx.swapaxes(mx.dequantize(*q, mode="nvfp4", global_scale=gw), -1, -2)
    for got in (mx.gather_qmm(mx.array(x), *q, mode="nvfp4", global_scale=gw),
                mx.gather_qmm(mx.array(x), *q, rhs_indices=mx.array([0, 1, 2]), mode="nvfp4", global_scale=gw)):
        assert mx.allclose(got, mx.array(x) @ whole, rtol=1e-4, atol=1e-6).item()
    rounded = mx.dequantize(*mx.quantize(mx.array(x), mode="nvfp4", global_scale=gx), mode="nvfp4", global_scale=gx)
    scales = dict(global_scale_x=gx, global_scale_w=gw)
    for dtype, tol in ((mx.float32, 1e-4), (mx.float16, 1e-2), (mx.bfloat16, 3e-2)):
        a = mx.array(x).astype(dtype)
        for got in (mx.qqmm(a[0], q[0][0], q[1][0], **scales), mx.qqmm(a[0], mx.array(w[0]).astype(dtype), **scales),
                    mx.gather_qqmm(a, *q, **scales)[0], mx.gather_qqmm(a, mx.array(w), rhs_indices=mx.array([0, 1, 2]), **scales).astype(dtype)[0]):
            assert got.dtype == dtype
            assert mx.allclose(got.astype(mx.float32), (rounded @ whole)[0], rtol=0, atol=tol * mx.abs(rounded @ whole).max().item()).item()


def test_positional_and_keyword_calls_as_mlx_layers_make_them():
    w, x = mx.random.normal((32, 64)), mx.random.normal((2, 64))
    words, scales, *biases = mx.quantize(w, 64, 4, mode="affine")
    biases = biases[0] if biases else None
    a = mx.quantized_matmul(x, words, scales=scales, biases=biases, transpose=True, group_size=64, bits=4, mode="affine")
    b = mx.quantized_matmul(x, words, scales, biases, True, 64, 4, "affine")
    c = mx.quantized_matmul(x, words, scales, biases, stream=mx.cpu)
    assert mx.array_equal(a, b).item() and mx.allclose(a, c, rtol=1e-5, atol=1e-5).item()
    words, scales, *biases = mx.quantize(w, group_size=32, bits=4, mode="mxfp4")
    assert biases == []
    y = mx.quantized_matmul(x, words, scales=scales, biases=None, transpose=True, group_size=32, bits=4, mode="mxfp4")
    assert y.shape == (2, 32)
    ids = mx.array([[1, 3], [0, 31]])  # an embedding
    rows = mx.dequantize(words[ids], scales=scales[ids], biases=None, group_size=32, bits=4, mode="mxfp4")
    assert rows.shape == (2, 2, 64) and rows.dtype == mx.bfloat16


# ---- derivatives

def test_tangents_of_scales_come_from_the_edge_of_a_group():
    w = np.random.default_rng(10).normal(size=(2, 64)).astype(np.float32)
    edge = np.abs(w).argmax(-1)
    ds = to_np(mx.grad(lambda w: mx.quantize(w)[1].sum())(mx.array(w)))
    db = to_np(mx.grad(lambda w: mx.quantize(w)[2].sum())(mx.array(w)))
    _, scales, biases = mx.quantize(mx.array(w))
    steps = np.round(to_np(biases) / to_np(scales))[:, 0]
    for r in range(2):
        assert np.flatnonzero(ds[r]).tolist() == np.flatnonzero(db[r]).tolist() == [edge[r]]
        assert db[r, edge[r]] == 1 and abs(ds[r, edge[r]] * steps[r] - 1) < 1e-5


def test_derivatives_at_zeros_ties_and_nan_are_finite():
    for w in (mx.zeros((1, 64)), mx.ones((1, 64)), mx.full((1, 64), 1e-9), mx.concatenate([mx.ones((1, 32)), -mx.ones((1, 32))], 1)):
        for bits in (1, 4):
            for k in (1, 2):
                g = to_np(mx.grad(lambda w: mx.quantize(w, bits=bits)[k].sum())(w))
                assert np.isfinite(g).all() and abs(g.sum()) <= 1.001


def test_rounding_passes_gradients_through():
    x, w = mx.random.normal((3, 32)), mx.random.normal((4, 32))
    ct = mx.random.normal((3, 4))
    rounded = [mx.dequantize(*mx.quantize(a, mode="mxfp8"), mode="mxfp8", dtype=mx.float32) for a in (x, w)]
    dx, dw = mx.vjp(lambda x, w: mx.qqmm(x, w, mode="mxfp8"), [x, w], [ct])[1]
    assert mx.allclose(dx, ct @ rounded[1], atol=1e-5).item() and mx.allclose(dw, ct.T @ rounded[0], atol=1e-5).item()
    packed = mx.quantize(w, mode="mxfp8")
    assert mx.allclose(mx.grad(lambda x: (mx.qqmm(x, *packed, mode="mxfp8") * ct).sum())(x), dx, atol=1e-5).item()


def test_scales_of_chosen_matrices_gather_their_gradients():
    rng = np.random.default_rng(11)
    words, scales, biases = mx.quantize(mx.array(rng.normal(size=(3, 4, 64)).astype(np.float32)))
    x, rhs = mx.array(rng.normal(size=(5, 2, 64)).astype(np.float32)), mx.array([2, 0, 2, 2, 0])
    slow = lambda x, s, b: (x @ mx.swapaxes(mx.dequantize(words, s, b)[rhs], -1, -2)).square().sum()  # noqa: E731
    fast = lambda x, s, b: mx.gather_qmm(x, words, s, b, rhs_indices=rhs).square().sum()  # noqa: E731
    for got, want in zip(mx.grad(fast, argnums=(0, 1, 2))(x, scales, biases), mx.grad(slow, argnums=(0, 1, 2))(x, scales, biases)):
        assert mx.allclose(got, want, rtol=1e-4, atol=1e-3).item()
    assert not to_np(mx.grad(fast, argnums=1)(x, scales, biases))[1].any()


# ---- wrong calls

W = mx.zeros((4, 128))
Q = mx.quantize(W)
N = mx.quantize(W, mode="nvfp4")
X = mx.zeros((3, 128))
ONE = mx.array(1.0)

WRONG = [
    (lambda: mx.quantize(W, mode="int4"), ["[quantize]", "int4", "nvfp4"]),
    (lambda: mx.quantize(W, 16), ["[quantize]", "16", "32, 64 or 128"]),
    (lambda: mx.quantize(W, bits=7), ["[quantize]", "7"]),
    (lambda: mx.quantize(W, 64, 4, "mxfp4"), ["[quantize]", "64", "32"]),
    (lambda: mx.quantize(W, bits=4, mode="mxfp8"), ["[quantize]", "mxfp8", "8 bits"]),
    (lambda: mx.quantize(mx.zeros((4, 100))), ["[quantize]", "(4, 100)", "64"]),
    (lambda: mx.quantize(mx.zeros(64)), ["[quantize]", "(64,)"]),
    (lambda: mx.quantize(mx.array(1.0)), ["[quantize]", "()"]),
    (lambda: mx.quantize(W.astype(mx.int32)), ["[quantize]", "int32"]),
    (lambda: mx.quantize(W.astype(mx.complex64)), ["[quantize]", "complex64"]),
    (lambda: mx.quantize(W, global_scale=ONE), ["[quantize]", "affine", "nvfp4"]),
    (lambda: mx.quantize(W, mode="nvfp4", global_scale=mx.array([1.0, 2.0])), ["[quantize]", "(2,)"]),
    (lambda: mx.quantize(W, mode="nvfp4", global_scale=mx.array(1)), ["[quantize]", "int32", "float32"]),
    (lambda: mx.dequantize(*Q[:2]), ["[dequantize]", "biases"]),
    (lambda: mx.dequantize(*N, N[1], mode="nvfp4"), ["[dequantize]", "nvfp4", "no biases"]),
    (lambda: mx.dequantize(*Q, group_size=32), ["[dequantize]", "(4, 16)", "(4, 2)", "(4, 4)"]),
    (lambda: mx.dequantize(*Q, bits=8), ["[dequantize]", "(4, 16)", "(4, 1)"]),
    (lambda: mx.dequantize(Q[0], Q[1], Q[2][:2]), ["[dequantize]", "(2, 2)"]),
    (lambda: mx.dequantize(Q[0].astype(mx.int32), *Q[1:]), ["[dequantize]", "int32", "uint32"]),
    (lambda: mx.dequantize(N[0], N[1].astype(mx.float32), mode="nvfp4"), ["[dequantize]", "float32", "uint8"]),
    (lambda: mx.dequantize(*Q, dtype=mx.int32), ["[dequantize]", "int32"]),
    (lambda: mx.dequantize(Q[0][0], Q[1][0], Q[2][0]), ["[dequantize]", "(16,)"]),
    (lambda: mx.quantized_matmul(X[:, :64], *Q), ["[quantized_matmul]", "(3, 64)", "(4, 128)", "128"]),
    (lambda: mx.quantized_matmul(X, *Q, transpose=False), ["[quantized_matmul]", "(3, 128)", "False"]),
    (lambda: mx.quantized_matmul(mx.array(1.0), *Q), ["[quantized_matmul]", "scalar"]),
    (lambda: mx.quantized_matmul(X, *Q[:2]), ["[quantized_matmul]", "biases"]),
    (lambda: mx.quantized_matmul(X, *N, N[1], mode="nvfp4"), ["[quantized_matmul]", "biases"]),
    (lambda: mx.quantized_matmul(X.astype(mx.complex64), *Q), ["[quantized_matmul]", "complex64"]),
    (lambda: mx.quantized_matmul(X.astype(mx.int32), *N, mode="nvfp4"), ["[quantized_matmul]", "int32"]),
    (lambda: mx.quantized_matmul(X, Q[0], Q[1].astype(mx.int32), Q[2]), ["[quantized_matmul]", "int32"]),
    (lambda: mx.quantized_matmul(mx.zeros((2, 3, 128)), *mx.quantize(mx.zeros((5, 4, 128)))), ["[quantized_matmul]", "(2,)", "(5,)"]),
    (lambda: mx.gather_qmm(X, *Q, rhs_indices=mx.array([0.0])), ["[gather_qmm]", "rhs_indices", "float32"]),
    (lambda: mx.gather_qmm(X[0], *Q, rhs_indices=mx.array([0])), ["[gather_qmm]", "(128,)"]),
    (lambda: mx.gather_qmm(X, *Q, mx.array([0, 0]), mx.array([0, 0, 0])), ["[gather_qmm]", "(2,)", "(3,)"]),
    (lambda: mx.qqmm(X, Q[0], mode="affine"), ["[qqmm]", "affine"]),
    (lambda: mx.qqmm(X, N[0]), ["[qqmm]", "scales"]),
    (lambda: mx.qqmm(X, W, N[1]), ["[qqmm]", "scales"]),
    (lambda: mx.qqmm(X, *N, global_scale_x=ONE), ["[qqmm]", "global_scale_w"]),
    (lambda: mx.qqmm(X, *mx.quantize(W, mode="mxfp8"), mode="mxfp8", global_scale_x=ONE, global_scale_w=ONE), ["[qqmm]", "mxfp8"]),
    (lambda: mx.qqmm(X, W[None]), ["[qqmm]", "(1, 4, 128)"]),
    (lambda: mx.qqmm(X[:, :64], W), ["[qqmm]", "(3, 64)", "(4, 128)"]),
    (lambda: mx.qqmm(X[:, :64], *N), ["[qqmm]", "(3, 64)"]),
    (lambda: mx.qqmm(X.astype(mx.int32), W), ["[qqmm]", "int32"]),
    (lambda: mx.gather_qqmm(X, W[0], rhs_indices=mx.array([0])), ["[gather_qqmm]", "(128,)"]),
    (lambda: mx.to_fp8(X.astype(mx.int32)), ["[to_fp8]", "int32"]),
    (lambda: mx.from_fp8(X), ["[from_fp8]", "float32", "uint8"]),
    (lambda: mx.from_fp8(mx.zeros(2, mx.uint8), mx.int32), ["[from_fp8]", "int32"]),
]


@pytest.mark.parametrize("call, words", WRONG, ids=range(len(WRONG)))
def test_a_wrong_call_says_what_came(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{str(caught.value)!r} does not speak of {word!r}"

