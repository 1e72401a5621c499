"""specs_quantized.py — rows of quantized formats and their products. Group sizes are 16 at least, so the arrays are not tiny."""

import numpy as np

import mxform as mx
import quantized_reference as ref
from specs import A, C, a, at, fixed, ix, row

WORDS, BYTES = fixed("uint32"), fixed("uint8")


def words(*shape):
    """Any codes."""
    return A(shape, lo=0, hi=2**32 - 1, dtype="uint32")


def fp8_words(*shape):
    """Any e4m3 numbers but NaN."""
    return A(shape, maker=lambda rng: rng.integers(0, 2**32, shape) & 0xBFBFBFBF, dtype="uint32")


def powers(*shape):
    """e8m0 scales from 1/4 to 4."""
    return A(shape, lo=125, hi=129, dtype="uint8")


def eighths(*shape):
    """e4m3 scales from 0.5 to 2."""
    return A(shape, lo=48, hi=64, dtype="uint8")


def product(name, f, reference, *cases, **kw):
    return row(name, f, reference, *cases, sums=True, ulp=16, **kw)


# ---- the argument orders of rows: arrays first, the rest by name

def quantize_floating(w, mode):
    return mx.quantize(w, mode=mode)


def gather_affine(x, w, scales, biases, lhs, rhs, **kw):
    return mx.gather_qmm(x, w, scales, biases, lhs, rhs, **kw)


def gather_floating(x, w, scales, rhs, **kw):
    return mx.gather_qmm(x, w, scales, rhs_indices=rhs, **kw)


def qq_packed(x, w, scales, mode):
    return mx.qqmm(x, w, scales, mode=mode)


def qq_packed_reference(x, w, scales, mode):
    return ref.rounded(x, mode) @ ref.dequantize(w, scales, mode=mode).T


def qq_floating(x, w, mode):
    return mx.qqmm(x, w, mode=mode)


def qq_floating_reference(x, w, mode):
    return ref.rounded(x, mode) @ ref.rounded(w, mode).T


def gather_qq(x, w, lhs, rhs, mode):
    return mx.gather_qqmm(x, w, None, lhs, rhs, mode=mode)


def gather_qq_reference(x, w, lhs, rhs, mode):
    return ref.gather(ref.rounded(x, mode), np.swapaxes(ref.rounded(w, mode), -1, -2), lhs, rhs)


def with_global_scale(w, scales, g):
    return mx.dequantize(w, scales, mode="nvfp4", global_scale=g)


EIGHT = dict(group_size=32, bits=8)
FP8_EDGES = [0.0, -0.0, 448.0, 464.0, 480.0, 1e30, np.inf, -np.inf, np.nan, 2.0**-9, 2.0**-10, 1.01 * 2.0**-10, 1e-20, 2.0**-6, 17.0, 19.0]

SPECS = [
    row("quantize", mx.quantize, lambda w, group_size=64, bits=4: ref.quantize(w, group_size, bits),
        C(a(1, 64)), C(a(2, 32), **EIGHT), C(a(2, 64), group_size=32, bits=3), C(a(0, 32), **EIGHT),
        C(a(1, 32), group_size=32, bits=1), out=(WORDS, lambda d: d, lambda d: d), domain=(-2.0, 1.5)),
    row("quantize_floating", quantize_floating, lambda w, mode: ref.quantize(w, mode=mode), C(a(2, 32), mode="mxfp4"),
        C(a(1, 64), mode="mxfp8"), C(a(2, 48), mode="nvfp4"), out=(WORDS, BYTES), order=0),
    row("dequantize", mx.dequantize, lambda w, s, b, group_size=64, bits=4: ref.dequantize(w, s, b, group_size, bits),
        C(words(2, 8), a(2, 1), a(2, 1)), C(words(1, 8), a(1, 1), a(1, 1), **EIGHT), C(words(2, 6), a(2, 2), a(2, 2), group_size=32, bits=3),
        C(words(0, 8), a(0, 1), a(0, 1)), C(words(1, 1), a(1, 1), a(1, 1), group_size=32, bits=1), sums=True,
        big=[C(words(70, 96), a(70, 4), a(70, 4), group_size=128, bits=6)]),
    row("dequantize_mxfp4", lambda w, s: mx.dequantize(w, s, mode="mxfp4"), lambda w, s: ref.dequantize(w, s, mode="mxfp4"),
        C(words(2, 8), powers(2, 2)), dtypes=("bfloat16",), order=0),
    row("dequantize_global", with_global_scale, lambda w, s, g: ref.dequantize(w, s, mode="nvfp4") * g / 2688,
        C(words(2, 4), eighths(2, 2), A((), lo=0.5, hi=4.0)), dtypes=("float32",), fd=False),
    product("quantized_matmul", mx.quantized_matmul, ref.quantized_matmul,
            C(a(2, 64), words(3, 8), a(3, 1), a(3, 1)), C(a(64), words(3, 8), a(3, 1), a(3, 1)),
            C(a(2, 3), words(3, 8), a(3, 1), a(3, 1), transpose=False, **EIGHT),
            C(a(2, 2, 32), words(3, 8), a(3, 1), a(3, 1), **EIGHT), C(a(2, 1, 2, 32), words(3, 2, 3), a(3, 2, 1), a(3, 2, 1), group_size=32, bits=3),
            C(a(0, 64), words(2, 8), a(2, 1), a(2, 1)), C(a(2, 64), words(0, 8), a(0, 1), a(0, 1)),
            C(a(2, 0), words(0, 8), a(0, 1), a(0, 1), transpose=False),
            big=[C(a(5, 512), words(130, 64), a(130, 8), a(130, 8)), C(a(40, 256), words(70, 48), a(70, 4), a(70, 4), bits=6),
                 C(a(5, 130), words(130, 64), a(130, 8), a(130, 8), transpose=False), C(a(40, 70), words(70, 40), a(70, 8), a(70, 8), group_size=32, bits=5,
                                                                                        transpose=False)]),
    product("quantized_matmul_floating", mx.quantized_matmul, ref.quantized_matmul,
            C(a(2, 48), words(3, 6), eighths(3, 3), mode="nvfp4"), C(a(2, 3), fp8_words(3, 8), powers(3, 1), mode="mxfp8", transpose=False),
            C(a(2, 2, 32), words(2, 3, 4), powers(2, 3, 1), mode="mxfp4"),
            big=[C(a(3, 528), words(130, 66), eighths(130, 33), mode="nvfp4"), C(a(30, 64), fp8_words(40, 16), powers(40, 2), mode="mxfp8")]),
    product("gather_qmm", gather_affine, ref.gather_qmm,
            C(a(3, 2, 32), words(2, 3, 4), a(2, 3, 1), a(2, 3, 1), ix(4, n=3), ix(4, n=2), group_size=32),
            C(a(2, 1, 3), words(2, 3, 8), a(2, 3, 1), a(2, 3, 1), ix(2, 1, n=2, lo=-2), ix(3, n=2), transpose=False, **EIGHT),
            C(a(3, 1, 32), words(2, 3, 4), a(2, 3, 1), a(2, 3, 1), ix(0, n=3), ix(0, n=2), group_size=32)),
    product("gather_qmm_floating", gather_floating, lambda x, w, s, rhs, mode: ref.gather_qmm(x, w, s, None, None, rhs, mode=mode),
            C(a(2, 1, 16), words(3, 4, 2), eighths(3, 4, 1), ix(2, n=3), mode="nvfp4")),
    product("qqmm_packed", qq_packed, qq_packed_reference, C(a(2, 16), words(3, 2), eighths(3, 1), mode="nvfp4"),
            C(a(32), fp8_words(3, 8), powers(3, 1), mode="mxfp8"), dtypes=("float32", "float64"), fd=False),
    product("qqmm", qq_floating, qq_floating_reference, C(a(2, 16), a(3, 16), mode="nvfp4"), C(a(2, 2, 32), a(2, 32), mode="mxfp8"),
            dtypes=("float32", "float64"), fd=False),
    product("gather_qqmm", gather_qq, gather_qq_reference, C(a(3, 1, 32), a(2, 3, 32), ix(2, n=3), ix(2, n=2), mode="mxfp4"),
            dtypes=("float32", "float64"), fd=False),
    row("to_fp8", mx.to_fp8, ref.to_e4m3, C(a(3, 5)), C(a()), C(a(0)), out=BYTES, order=0, edges=[C(at(FP8_EDGES))], big=[C(a(3000))]),
    row("from_fp8", lambda x: mx.from_fp8(x, mx.float32), ref.from_e4m3, C(A((2, 3), lo=0, hi=126, dtype="uint8")), C(A((), lo=128, hi=254, dtype="uint8")),
        C(A((256,), values=np.arange(256), dtype="uint8")), dtypes=("float32",), out=fixed("float32"), ulp=0, order=0),
]
