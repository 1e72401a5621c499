"""quantized_reference.py — quantized formats in NumPy, bit for bit: what docs/quantization.md says, as plainly as possible.

Arrays of bfloat16 are carried as float32 (see specs.py). `dtype` names the dtype that the values have.
"""

import numpy as np

from specs import carry

GROUP = {"affine": 64, "mxfp4": 32, "mxfp8": 32, "nvfp4": 16}
BITS = {"affine": 4, "mxfp4": 4, "mxfp8": 8, "nvfp4": 4}
LARGEST = {"mxfp4": 6.0, "mxfp8": 448.0, "nvfp4": 6.0}

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
E2M1 = np.concatenate([E2M1, -E2M1])


def _e4m3(code):
    sign, exponent, mantissa = -1.0 if code >> 7 else 1.0, code >> 3 & 15, code & 7
    if exponent == 15 and mantissa == 7:
        return np.nan
    return sign * (mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7))


E4M3 = np.array([_e4m3(c) for c in range(256)])
E8M0 = np.append(2.0 ** (np.arange(255) - 127.0), np.nan)


def computed_in(dtype):
    return np.float64 if dtype == "float64" else np.float32


# ---- codes in words

def pack(codes, bits):
    """(..., n) small integers -> (..., n * bits / 32) uint32, lowest bits first."""
    each = codes[..., None].astype(np.uint8) >> np.arange(bits, dtype=np.uint8) & 1
    stream = each.reshape(*codes.shape[:-1], codes.shape[-1] * bits)
    return np.ascontiguousarray(np.packbits(stream, axis=-1, bitorder="little")).view("<u4").astype(np.uint32)


def unpack(words, bits):
    shape = (*words.shape[:-1], words.shape[-1] * 32 // bits)
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
    return (stream.reshape(*shape, bits).astype(np.int64) << np.arange(bits)).sum(-1)


# ---- small floats

def to_e2m1(x):
    """Nearest, ties towards zero, zeros positive; NaN gives 0."""
    a, steps = np.abs(x), E2M1[:8].astype(x.dtype)
    code = sum((a > (lo + hi) / 2).astype(np.int64) for lo, hi in zip(steps, steps[1:]))
    return np.where((x < 0) & (code > 0), code + 8, code)


def to_e4m3(x):
    """Nearest, ties to even; at most 448; NaN gives 448."""
    x = np.asarray(x)
    positive = E4M3[:127]
    with np.errstate(invalid="ignore"):
        a = np.abs(x).astype(np.float64)
    above = np.clip(np.searchsorted(positive, a), 1, 126)
    middle = (positive[above - 1] + positive[above]) / 2
    code = np.where((a > middle) | ((a == middle) & (above % 2 == 0)), above, above - 1)
    code = np.where(a <= 448, code, 126)
    return (code | np.signbit(x).astype(np.int64) << 7).astype(np.uint8)


def from_e4m3(codes):
    return E4M3[codes]


# ---- quantize

def quantize(w, group_size=None, bits=None, mode="affine", dtype="float64", global_scale=None):
    size, bits = group_size or GROUP[mode], bits or BITS[mode]
    wide = computed_in(dtype)
    groups = np.asarray(w).astype(wide).reshape(*w.shape[:-1], w.shape[-1] // size, size)
    with np.errstate(all="ignore"):
        codes, *rest = _affine(groups, bits, wide) if mode == "affine" else _floating(groups, mode, wide, dtype, global_scale)
    packed = pack(codes.reshape(w.shape).astype(np.int64), bits)
    return (packed, *(carry(r, dtype) for r in rest)) if mode == "affine" else (packed, *rest)


def _affine(g, bits, wide):
    top, smallest = wide(2**bits - 1), wide(1e-7)
    low = np.where(np.isnan(g), wide(np.inf), g).min(-1)
    high = np.where(np.isnan(g), wide(-np.inf), g).max(-1)
    scale = (high - low) / top
    scale = np.where(scale < smallest, smallest, scale)
    if bits == 1:
        first_zero = np.take_along_axis(g, (g == 0).argmax(-1)[..., None], -1)[..., 0]
        bias = np.where(low == 0, first_zero, low)
    else:
        from_low = np.abs(low) > np.abs(high)
        scale = np.where(from_low, scale, -scale)
        edge = np.where(from_low, low, high)
        steps = np.rint(edge / scale)
        scale = np.where(steps != 0, edge / np.where(steps != 0, steps, 1), scale)
        bias = np.where(steps != 0, edge, wide(0))
    codes = np.clip(np.rint((g - bias[..., None]) / scale[..., None]), 0, top)
    return np.where(np.isnan(codes), 0, codes), scale, bias


def _floating(g, mode, wide, dtype, global_scale):
    largest = np.abs(g).max(-1)
    quotient = carry(largest / wide(LARGEST[mode]), dtype).astype(wide)
    if mode == "nvfp4":
        inverse = None if global_scale is None else np.float32(2688) / np.float32(global_scale)
        scale = to_e4m3(quotient if inverse is None else quotient * wide(inverse))
        divisor = E4M3[scale].astype(wide)[..., None]
        x = carry(g / divisor, dtype).astype(wide)
        x = x if inverse is None else x * wide(inverse)
        return np.where(divisor == 0, 0, to_e2m1(x)), scale
    fraction, exponent = np.frexp(quotient)
    exponent = np.clip(np.where(fraction == 0.5, exponent - 1, exponent), -127, 127)
    broken = ~np.isfinite(quotient)
    scale = np.where(broken, 255, np.where(quotient == 0, 127, exponent + 127)).astype(np.uint8)
    x = g / np.where(broken, 1.0, E8M0[scale])[..., None].astype(wide)
    codes = to_e2m1(x) if mode == "mxfp4" else to_e4m3(x)
    return np.where(broken[..., None], 0, codes), scale


# ---- and back

def dequantize(words, scales, biases=None, group_size=None, bits=None, mode="affine", dtype="float64", global_scale=None):
    """Rounded as the kernels round; give dtype float64 for exact numbers."""
    size, bits = group_size or GROUP[mode], bits or BITS[mode]
    wide = computed_in(dtype)
    codes = unpack(words, bits).reshape(*scales.shape, size)
    shape = (*words.shape[:-1], scales.shape[-1] * size)
    with np.errstate(all="ignore"):
        if mode == "affine":
            product = carry(codes.astype(wide) * scales[..., None].astype(wide), dtype).astype(wide)
            return carry(product + biases[..., None].astype(wide), dtype).reshape(shape)
        scale = (E4M3 if mode == "nvfp4" else E8M0)[scales].astype(np.float32)
        if global_scale is not None:
            scale = scale * (np.float32(global_scale) / np.float32(2688))
        numbers = (E4M3 if mode == "mxfp8" else E2M1)[codes]
        return carry((numbers.astype(wide) * scale[..., None].astype(wide)), dtype).reshape(shape)


def rounded(x, mode, dtype="float64", global_scale=None):
    """x as the format stores it."""
    q = quantize(x, mode=mode, dtype=dtype, global_scale=global_scale)
    return dequantize(*q, mode=mode, dtype="float64" if dtype == "float64" else "float32", global_scale=global_scale)


# ---- products

def quantized_matmul(x, words, scales, biases=None, transpose=True, group_size=None, bits=None, mode="affine"):
    w = dequantize(words, scales, biases, group_size, bits, mode)
    return x @ (np.swapaxes(w, -1, -2) if transpose else w)


def gather(x, w, lhs=None, rhs=None):
    """x[lhs] @ w[rhs], indices into the flattened batch axes."""
    if lhs is None and rhs is None:
        return x @ w
    pick = []
    for m, i in ((x, lhs), (w, rhs)):
        i = np.arange(int(np.prod(m.shape[:-2]))).reshape(m.shape[:-2]) if i is None else np.asarray(i)
        pick.append((m.reshape(-1, *m.shape[-2:]), i))
    (a, i), (b, j) = pick
    i, j = np.broadcast_arrays(i, j)
    return a[i] @ b[j]


def gather_qmm(x, words, scales, biases=None, lhs=None, rhs=None, transpose=True, group_size=None, bits=None, mode="affine"):
    w = dequantize(words, scales, biases, group_size, bits, mode)
    return gather(x, np.swapaxes(w, -1, -2) if transpose else w, lhs, rhs)
