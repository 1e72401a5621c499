"""Block-quantised tensors of .gguf files: rows of blocks of 32 or 256 elements with their scales, as ggml defines them.

Q4_0, Q4_1 and Q8_0 become what mx.quantize makes, with group size 32: packed weights, scales and biases, exactly. The
others are dequantised to float16. A table gives for each type the length of a block, and a function from an array
(blocks, bytes) to (blocks, elements) in float32.
"""

from collections import namedtuple

import numpy as np

from .. import _core as mx
from . import memory

Block = namedtuple("Block", "n_elems n_bytes dequantize")

NAMES = {2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
         15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
         29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0"}


def _half(b, at):
    """The float16 at that byte of each block, as a column of float32."""
    return np.ascontiguousarray(b[:, at:at + 2]).view(np.float16).astype(np.float32)


def _shifted(bits, shifts):
    """(n, bytes) -> (n, shifts, bytes): the bytes shifted right by each number."""
    return bits[:, None, :] >> np.array(shifts, np.uint8)[:, None]


def _nibbles(b):
    """(n, bytes) -> (n, 2 * bytes): the low halves of all bytes, then the high ones."""
    return (_shifted(b, (0, 4)) & 15).reshape(len(b), 2 * b.shape[1])


def _signed(b):
    return np.ascontiguousarray(b).view(np.int8)


# ---- blocks of 32

def _fifth_bits(b):
    """(n, 4) -> (n, 32): bit i of a little-endian 32-bit number, as 16 or 0."""
    return np.unpackbits(np.ascontiguousarray(b), axis=1, bitorder="little") << 4


def _q5_0(b):
    q = (_nibbles(b[:, 6:]) | _fifth_bits(b[:, 2:6])).astype(np.int8) - np.int8(16)
    return _half(b, 0) * q


def _q5_1(b):
    return _half(b, 0) * (_nibbles(b[:, 8:]) | _fifth_bits(b[:, 4:8])) + _half(b, 2)


# Sixteen values, closer together around zero.
IQ4_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
# Twice the values of a 4-bit float: a sign, two bits of exponent, one of mantissa.
MXFP4_VALUES = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)


def _iq4_nl(b):
    return _half(b, 0) * IQ4_VALUES[_nibbles(b[:, 2:])]


def _mxfp4(b):
    # The scale is a power of two: exponent e stands for 2 ** (e - 127), half of it for the doubled values.
    return np.ldexp(MXFP4_VALUES[_nibbles(b[:, 1:])], b[:, :1].astype(np.int32) - 128)


# ---- blocks of 256, in groups of 16 or 32 with scales of their own

def _grouped(d, scales, q, m=None):
    """d * scale * q (- m) for q (n, 256), with one scale, and one m, for each group: (n, groups)."""
    n, groups = scales.shape
    x = (d * scales)[:, :, None] * q.reshape(n, groups, -1)
    return (x if m is None else x - m[:, :, None]).reshape(n, -1)


def _q2_k(b):
    scales, qs = b[:, :16], b[:, 16:80]
    q = _shifted(qs.reshape(-1, 32), (0, 2, 4, 6)) & 3
    return _grouped(_half(b, 80), scales & 15, q, _half(b, 82) * (scales >> 4))


def _q3_k(b):
    mask, qs, packed = b[:, :32], b[:, 32:96], b[:, 96:108]
    low = _nibbles(packed[:, :8])
    high = (_shifted(packed[:, 8:], (0, 2, 4, 6)) & 3).reshape(-1, 16)
    scales = (low | high << 4).astype(np.int8) - np.int8(32)
    q = (_shifted(qs.reshape(-1, 32), (0, 2, 4, 6)) & 3).reshape(-1, 256)
    bit = (_shifted(mask, range(8)) & 1).reshape(-1, 256)
    return _grouped(_half(b, 108), scales, q.astype(np.int8) - ((bit ^ 1) << 2).astype(np.int8))


def _scales_and_mins(p):
    """Eight scales and eight minima of 6 bits, out of 12 bytes."""
    a, b, c = p[:, :4], p[:, 4:8], p[:, 8:]
    return np.hstack([a & 63, c & 15 | a >> 6 << 4]), np.hstack([b & 63, c >> 4 | b >> 6 << 4])


def _q4_k(b):
    scales, mins = _scales_and_mins(b[:, 4:16])
    q = _nibbles(b[:, 16:].reshape(-1, 32))
    return _grouped(_half(b, 0), scales, q, _half(b, 2) * mins)


def _q5_k(b):
    scales, mins = _scales_and_mins(b[:, 4:16])
    q = _nibbles(b[:, 48:].reshape(-1, 32)).reshape(-1, 256) | (_shifted(b[:, 16:48], range(8)) & 1).reshape(-1, 256) << 4
    return _grouped(_half(b, 0), scales, q, _half(b, 2) * mins)


def _q6_k(b):
    low = _nibbles(b[:, :128].reshape(-1, 64)).reshape(-1, 256)
    high = (_shifted(b[:, 128:192].reshape(-1, 32), (0, 2, 4, 6)) & 3).reshape(-1, 256)
    return _grouped(_half(b, 208), _signed(b[:, 192:208]), (low | high << 4).astype(np.int8) - np.int8(32))


def _q8_k(b):
    return np.ascontiguousarray(b[:, :4]).view(np.float32) * _signed(b[:, 4:260])


def _iq4_xs(b):
    high = _shifted(b[:, 2:4], (0, 2, 4, 6)).transpose(0, 2, 1).reshape(-1, 8) & 3
    low = _shifted(b[:, 4:8], (0, 4)).transpose(0, 2, 1).reshape(-1, 8) & 15
    scales = (low | high << 4).astype(np.int8) - np.int8(32)
    return _grouped(_half(b, 0), scales, IQ4_VALUES[_nibbles(b[:, 8:].reshape(-1, 16))])


BLOCKS = {2: Block(32, 18, None), 3: Block(32, 20, None), 8: Block(32, 34, None), 6: Block(32, 22, _q5_0), 7: Block(32, 24, _q5_1),
          10: Block(256, 84, _q2_k), 11: Block(256, 110, _q3_k), 12: Block(256, 144, _q4_k), 13: Block(256, 176, _q5_k),
          14: Block(256, 210, _q6_k), 15: Block(256, 292, _q8_k), 20: Block(32, 18, _iq4_nl), 23: Block(256, 136, _iq4_xs),
          39: Block(32, 17, _mxfp4)}
# Those that are not dequantised.
PACKED = (2, 3, 8)


def dequantize(number, data, shape):
    """A float16 array of the elements in ``data``, bytes that begin with the first block."""
    block = BLOCKS[number]
    a = memory.allocate(shape, mx.float16)
    out = np.asarray(memory.view(a)).view(np.float16).reshape(-1, block.n_elems)
    blocks = data.reshape(-1, block.n_bytes)
    step = (1 << 17) // block.n_elems  # so that what is computed in between stays in the cache
    with np.errstate(all="ignore"):
        for i in range(0, len(blocks), step):
            out[i:i + step] = block.dequantize(blocks[i:i + step])
    return a


def unpack(number, data, shape):
    """Weights packed into uint32, scales and biases: element = scale * weight + bias."""
    blocks = data.reshape(-1, BLOCKS[number].n_bytes)
    bits = 8 if number == 8 else 4
    rows, n = shape[:-1], shape[-1]
    weight = memory.allocate((*rows, n * bits // 32), mx.uint32)
    scales, biases = (memory.allocate((*rows, n // 32), mx.float16) for _ in range(2))
    packed = np.asarray(memory.view(weight)).reshape(-1, 4 * bits)
    d, m = (np.asarray(memory.view(a)).view(np.float16) for a in (scales, biases))
    d[:] = np.ascontiguousarray(blocks[:, :2]).view(np.float16)[:, 0]
    with np.errstate(all="ignore"):
        if number == 3:
            m[:] = np.ascontiguousarray(blocks[:, 2:4]).view(np.float16)[:, 0]
        else:
            # The numbers are signed in the file: 0 there is the middle here.
            np.multiply(d, np.float16(-8 if number == 2 else -128), out=m)
    if number == 8:
        np.bitwise_xor(blocks[:, 2:], 0x80, out=packed)
    else:
        # In the file, a byte holds elements i and i + 16; here, neighbours.
        q = _nibbles(blocks[:, 2 if number == 2 else 4:])
        np.bitwise_or(q[:, ::2], q[:, 1::2] << 4, out=packed)
    return weight, scales, biases
