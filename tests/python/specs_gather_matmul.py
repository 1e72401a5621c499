"""specs_gather_matmul.py — rows of products of chosen, masked or segmented matrices, against NumPy."""

import numpy as np

import mxform as mx
from specs import C, a, at, ix, mask, row


def product(name, f, ref, *cases, **kw):
    return row(name, f, ref, *cases, sums=True, ulp=8, **kw)


def flat(x):
    return x.reshape(int(np.prod(x.shape[:-2])), *x.shape[-2:])


def gather_mm(x, y, lhs=None, rhs=None):
    """Both operands are at least matrices."""
    lhs = np.arange(len(flat(x))).reshape(x.shape[:-2]) if lhs is None else lhs
    rhs = np.arange(len(flat(y))).reshape(y.shape[:-2]) if rhs is None else rhs
    lhs, rhs = np.broadcast_arrays(lhs, rhs)
    return np.matmul(flat(x)[lhs], flat(y)[rhs])


def only_rhs(f):
    return lambda x, y, i: f(x, y, None, i)


BLOCK = 32


def whole(m, shape):
    """A mask of blocks as one of elements."""
    return m.repeat(BLOCK, -2).repeat(BLOCK, -1)[..., :shape[-2], :shape[-1]]


def block_masked_mm(x, y, out=None, lhs=None, rhs=None):
    x = x if lhs is None else x * whole(lhs, x.shape)
    y = y if rhs is None else y * whole(rhs, y.shape)
    z = x @ y
    return z if out is None else z * whole(out, z.shape)


def masked(f):
    return lambda x, y, *masks, which: f(x, y, **dict(zip(which, masks)))


def mx_masked(x, y, **masks):
    return mx.block_masked_mm(x, y, BLOCK, **{f"mask_{k}": m for k, m in masks.items()})


def segmented_mm(x, y, segments):
    out = [x[:, s:e] @ y[s:e] for s, e in segments.reshape(-1, 2)]
    return np.stack(out).reshape(*segments.shape[:-1], x.shape[0], y.shape[1]) if out else np.zeros((*segments.shape[:-1], x.shape[0], y.shape[1]))


def seg(*pairs):
    return at(pairs, dtype="int32")


ALL3 = ("out", "lhs", "rhs")
EXPERTS = [C(a(5, 1, 3), a(3, 3, 2), at([0, 2, 0, 0, 2], "int32"))]

SPECS = [
    product("gather_mm", mx.gather_mm, gather_mm, C(a(3, 2, 3), a(2, 3, 2), ix(4, n=3), ix(4, n=2)),
            C(a(2, 2, 2, 3), a(3, 2), ix(2, 1, n=4, lo=-4), ix(3, n=1)), C(a(2, 3), a(2, 3, 2), ix(n=1), ix(2, n=2)),
            C(a(2, 1, 3), a(2, 3, 1), ix(0, n=2), ix(0, n=2)), C(a(2, 2, 0), a(2, 0, 2), ix(3, n=2), ix(3, n=2)),
            C(a(2, 0, 2), a(2, 2, 3), ix(2, n=2), ix(2, n=2)), order=3,
            big=[C(a(5, 20, 70), a(4, 70, 40), ix(30, n=5), ix(30, n=4)), C(a(4, 70, 80), a(3, 80, 50), ix(9, n=4), ix(9, n=3)),
                 C(a(300, 1, 64), a(8, 64, 96), ix(300, n=300), ix(300, n=8))]),
    product("gather_mm_experts", only_rhs(mx.gather_mm), only_rhs(gather_mm), *EXPERTS, C(a(2, 2, 3), a(4, 3, 2), ix(3, 2, n=4)),
            big=[C(a(500, 1, 30), a(6, 30, 40), at(np.sort(np.arange(500) % 5), "int32"))]),
    product("block_masked_mm", masked(mx_masked), masked(block_masked_mm), C(a(34, 33), a(33, 2), mask(2, 2), which=("lhs",)),
            C(a(2, 40), a(40, 35), mask(1, 2), a(1, 2), a(2, 2), which=ALL3), C(a(2, 3, 33), a(33, 3), a(2, 1, 1), mask(1, 2), which=("out", "lhs")),
            C(a(2, 3), a(3, 2), a(1, 1), which=("rhs",)), C(a(0, 3), a(3, 2), mask(0, 1), which=("out",)),
            C(a(3, 0), a(0, 2), mask(1, 0), which=("lhs",)), order=2,
            big=[C(a(130, 257), a(257, 200), mask(5, 7), mask(5, 9), mask(9, 7), which=ALL3), C(a(2, 100, 70), a(70, 90), a(4, 3), a(2, 3, 3), which=("out", "rhs"))]),
    product("segmented_mm", mx.segmented_mm, segmented_mm, C(a(2, 5), a(5, 3), seg([0, 2], [2, 5])),
            C(a(2, 5), a(5, 2), at([[[0, 5], [1, 4]], [[3, 3], [4, 2]]], "int32")), C(a(2, 4), a(4, 1), at([1, 3], "int32")),
            C(a(2, 4), a(4, 2), at(np.zeros((0, 2)), "int32")), C(a(2, 0), a(0, 2), seg([0, 0])), order=3,
            big=[C(a(40, 300), a(300, 50), seg([0, 100], [50, 300], [299, 300], [7, 7]))]),
]
