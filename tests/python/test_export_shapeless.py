"""test_export_shapeless.py — exported functions at other sizes: right, or refused when exported or called; never a guess.

OPEN must work, REFUSED must not be exported, and programs drawn at random must never give another result than the
function itself. MXFORM_LONG=1 draws 3 000 of them.
"""

import itertools
import os
import random

import numpy as np
import pytest

import mxform as mx
from conftest import LONG
from helpers import agree

rng = np.random.default_rng(0)


def normal(*shape):
    return mx.array(rng.standard_normal(shape).astype(np.float32))


W, B, TABLE = normal(8, 5), normal(5), normal(64, 8)


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    n, m = scores.shape[-1], scores.shape[-2]
    causal = mx.arange(m)[:, None] + (n - m) >= mx.arange(n)[None]
    return mx.softmax(mx.where(causal, scores, -1e9), axis=-1) @ v


OPEN = {  # name: function, shapes of the example, other shapes it must take, shapes it must refuse
    "a layer": (lambda x: x @ W + B, [(3, 8)], [[(1, 8)], [(7, 8)], [(0, 8)], [(1000, 8)]], [[(3, 9)], [(3,)]]),
    "batches of one": (lambda x: x @ W + B, [(1, 8)], [[(1, 8)], [(7, 8)]], []),
    "weights as inputs": (lambda x, w, b, v: mx.maximum(x @ w + b, 0) @ v, [(4, 4), (4, 4), (4,), (4, 4)],
                          [[(1, 2), (2, 3), (3,), (3, 5)]], [[(1, 2), (3, 3), (3,), (3, 5)]]),
    "mean": (lambda x: x - mx.mean(x, axis=-1, keepdims=True) + mx.mean(x), [(3, 4)], [[(1, 1)], [(5, 7)], [(100, 3)]], []),
    "variance": (lambda x: mx.var(x, axis=0, ddof=1) + mx.std(x), [(3, 4)], [[(5, 7)], [(2, 2)]], []),
    "broadcast": (lambda x, y: x + y, [(3, 1), (1, 4)], [[(6, 1), (1, 9)], [(1, 1), (1, 1)]], []),
    "reshape": (lambda x: (x.reshape(x.shape[0], -1), x.reshape(-1), x.reshape(x.shape[0] * x.shape[1], x.shape[2])), [(3, 4, 5)],
                [[(1, 1, 1)], [(6, 2, 3)], [(2, 0, 3)]], []),
    "reshape to even rows": (lambda x: x.reshape(-1, 2), [(4, 4)], [[(1, 2)], [(6, 3)]], [[(3, 3)]]),
    "heads": (lambda x: x.reshape(*x.shape[:2], 4, 2).transpose(0, 2, 1, 3), [(2, 3, 8)], [[(1, 1, 8)], [(5, 6, 8)]], [[(2, 3, 7)]]),
    "attention": (attention, [(2, 3, 4, 8)] * 3, [[(1, 1, 1, 8)] * 3, [(1, 1, 2, 8), (1, 1, 5, 8), (1, 1, 5, 3)]], [[(1, 1, 2, 8), (1, 2, 5, 8), (1, 2, 5, 3)]]),
    "attention of equal sizes": (attention, [(4, 4, 4, 4)] * 3, [[(1, 1, 2, 8), (1, 1, 5, 8), (1, 1, 5, 3)]], []),
    "self attention": (lambda x: attention(x, x, x), [(1, 1, 4, 8)], [[(1, 1, 1, 8)], [(3, 2, 7, 8)]], []),
    "mask": (lambda x: x * mx.tril(mx.ones((x.shape[0],) * 2)), [(4, 4)], [[(1, 1)], [(9, 9)]], [[(4, 5)]]),
    "slices": (lambda x: x[:-1] + x[1:], [(8, 4)], [[(5, 2)], [(2, 1)]], []),
    "reversed and strided": (lambda x: (x[::-1], x[::2], x[: x.shape[0] // 2]), [(8, 4)], [[(5, 2)], [(101, 2)], [(1, 3)]], []),
    "the first five": (lambda x: x[:5], [(8, 4)], [[(5, 2)], [(100, 2)]], [[(4, 2)]]),
    "table": (lambda x: x + TABLE[: x.shape[1]], [(2, 4, 8)], [[(1, 64, 8)], [(1, 1, 8)]], [[(1, 65, 8)]]),
    "split": (lambda x: mx.split(x, 2), [(8, 4)], [[(6, 2)]], [[(5, 2)]]),
    "concatenate": (lambda x, y: mx.concatenate([x, y]), [(8, 4), (3, 4)], [[(5, 2), (1, 2)]], [[(5, 2), (1, 3)]]),
    "pad to eight": (lambda x: mx.pad(x, [(0, -x.shape[0] % 8), (1, 2)]), [(5, 4)], [[(1, 5)], [(16, 3)], [(17, 3)]], []),
    "python numbers": (lambda x: x / np.sqrt(x.shape[-1]) + 0.1 / x.shape[0] + np.log(x.shape[0]), [(5, 4)], [[(1, 1)], [(7, 2)]], []),
    "squeeze": (lambda x: x.squeeze(), [(1, 4)], [[(1, 5)]], [[(2, 5)]]),
    "nothing changes": (lambda x: x + mx.zeros((3,)), [(3,)], [[(3,)]], [[(4,)]]),
    "scalar": (lambda x: x + 1, [()], [[()]], [[(1,)]]),
    "gradient": (lambda x: mx.grad(lambda y: mx.mean(mx.tanh(y @ W)))(x), [(2, 8)], [[(1, 8)], [(5, 8)]], []),
    "batch": (lambda x: mx.vmap(lambda y: y @ W + 1)(x), [(2, 3, 8)], [[(1, 1, 8)], [(5, 2, 8)]], []),
    "compiled": (lambda x: mx.compile(lambda y: mx.exp(y @ W + 1) * y.shape[0])(x), [(3, 8)], [[(1, 8)], [(5, 8)]], []),
    "checkpoint": (lambda x: mx.checkpoint(lambda y: mx.exp(y @ W) * y.shape[0] + mx.mean(y))(x), [(3, 8)], [[(2, 8)], [(5, 8)]], []),
    "convolution": (lambda x: mx.conv1d(x, W[:3, :, None].transpose(1, 0, 2) @ mx.ones((1, 2)), stride=2, padding=1), [(1, 9, 2)],
                    [[(2, 4, 2)], [(3, 20, 2)]], []),
    "a constant of sizes": (lambda x: mx.take(x, mx.array([0, x.shape[0] - 1, x.shape[0] // 2]), axis=0) * mx.array([1.0, 0.5 / x.shape[1], 2.0])[:, None],
                            [(6, 4)], [[(3, 5)], [(9, 1)], [(100, 3)]], []),
    "index": (lambda x: (x[0], x[:, -1], x[mx.array([0, 2])], mx.take(TABLE, mx.argmax(x, axis=1), axis=0)), [(4, 4)], [[(3, 5)], [(9, 1)]], [[(0, 5)]]),
}


@pytest.mark.parametrize("name", OPEN)
def test_shapeless(name, path):
    f, example, takes, refuses = OPEN[name]
    mx.export_function(path, f, *[normal(*s) for s in example], shapeless=True)
    g = mx.import_function(path)
    for shapes in [example, *takes]:
        xs = [normal(*s) for s in shapes]
        want = f(*xs)
        for got, w in zip(g(*xs), want if isinstance(want, (tuple, list)) else [want], strict=True):
            assert agree(got, w), shapes
    for shapes in refuses:
        with pytest.raises((ValueError, IndexError)):
            mx.eval(g(*[normal(*s) for s in shapes]))


REFUSED = {
    "a loop over an axis": (lambda x: sum(x[i] for i in range(x.shape[0])), "the operation slice depends on the size of axis 0 of input 0"),
    "a branch": (lambda x: x + 1 if x.shape[0] > 100 else x * 2, "the operation (add|multiply) depends on the sizes"),
    "a near branch": (lambda x: x + 1 if x.shape[0] > 4 else x * 2, "depends on the size of axis 0"),
    "a constant made outside": (lambda x: x * mx.array(np.tri(x.shape[0], dtype=np.float32)), r"a constant of shape \(4, 4\), used by the operation multiply"),
    "a number from a table": (lambda x: x * [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0][x.shape[0] % 10], "constant that the operation (broadcast|multiply)"),
    "odd sizes": (lambda x: x.reshape(-1) if x.shape[0] % 7 == 5 else x, "depends on the sizes?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_shapeless_refuses(name, path):
    f, text = REFUSED[name]
    with pytest.raises(ValueError, match="shapeless=True: .*" + text + ".*exporter"):
        mx.export_function(path, f, normal(4, 4), shapeless=True)
    assert not os.path.exists(path)


# Rules that many sizes cannot tell apart from others: at every size of a grid right, or refused when exported or called.
ALMOST = {  # name: function, shape of the example
    "wrong only beyond twice the divisor": (lambda x: x * (-x.shape[0] % 24) + mx.arange(x.shape[0]), (2,)),
    "rounded up to a large divisor": (lambda x: x * ((x.shape[0] + 39) // 40), (3,)),
    "one size apart": (lambda x: x * (2 if x.shape[0] == 12 else 3), (4, 8)),
    "one size apart, below the example": (lambda x: x * (2 if x.shape[0] == 19 else 3), (60,)),
    "the larger of two": (lambda x: x * max(4 * x.shape[0], x.shape[1]), (8, 10)),
    "the smaller of a product": (lambda x: x * min(x.size, 20), (5, 5, 10)),
    "a difference without its sign": (lambda x: x * abs(x.shape[0] - x.shape[1] * x.shape[2]), (8, 5, 5)),
    "a quotient that is 0": (lambda x: x * (x.shape[0] // max(x.shape[1] * x.shape[2], 1)), (5, 5, 8)),
    "a case of a product": (lambda x: x.reshape(-1)[:40] if x.size > 40 else x.reshape(-1), (4, 4)),
    "equal to twice": (lambda x: x * (1 if x.shape[0] == 2 * x.shape[1] else 3), (6, 5)),
}


@pytest.mark.parametrize("name", ALMOST)
def test_shapeless_is_right_or_refused(name, path):
    f, example = ALMOST[name]
    try:
        mx.export_function(path, f, mx.ones(example), shapeless=True)
    except ValueError as e:
        assert "shapeless=True: " in str(e)
        return
    g = mx.import_function(path)
    assert mx.array_equal(g(mx.ones(example))[0], f(mx.ones(example)))
    grid = [*range(1, 10), 12, 19, 23, 24, 25, 35, 40, 41, 47, 48, 49, 59, 72, 80, 81, 120, 128, 300] if len(example) < 3 else [1, 2, 3, 4, 5, 6, 8, 9, 15, 35]
    for shape in itertools.product(grid, repeat=len(example)):
        x = mx.ones(shape)
        try:
            got = g(x)[0]
        except ValueError:
            continue
        want = f(x)
        assert agree(got, want), shape


def test_shapeless_traces_side_by_side(path):
    with mx.exporter(path, lambda x: mx.sum(x, axis=-1), shapeless=True) as export:
        export(normal(3, 4))
        export(normal(3, 4, 5))
        export(mx.zeros((3, 4), mx.int32))
        with pytest.raises(RuntimeError, match="already"):
            export(normal(7, 2))
    f = mx.import_function(path)
    for shape in [(1, 1), (5, 6, 7)]:
        x = normal(*shape)
        assert mx.array_equal(f(x)[0], mx.sum(x, axis=-1))
    assert f(mx.ones((2, 2), mx.int32))[0].dtype == mx.int32


# ---- programs drawn at random

def cut(x, axis, *bounds):
    index = [slice(None)] * x.ndim
    index[axis] = slice(*bounds)
    return x[tuple(index)]


def window(x, n):
    flat = x.reshape(-1)
    count = (flat.shape[0] - n) // 2 + 1
    return mx.as_strided(flat, (count, n), (2, 1)) if count > 0 else x


# name: function of an array, one of its axes and a small number; sizes reach the graph in all ways that Python has.
STEPS = {
    "mean": lambda x, i, n: x - mx.mean(x, axis=i, keepdims=True),
    "sum": lambda x, i, n: mx.sum(x, axis=i),
    "drop": lambda x, i, n: cut(x, i, n - 1, None),
    "part": lambda x, i, n: cut(x, i, 0, (x.shape[i] + n - 1) // n),
    "every": lambda x, i, n: cut(x, i, None, None, n),
    "reverse": lambda x, i, n: cut(x, i, None, None, -1),
    "first": lambda x, i, n: cut(x, i, 0, min(x.shape[i], 2 * n)),
    "all but": lambda x, i, n: cut(x, i, 0, max(x.shape[i] - n, 1)),
    "pad": lambda x, i, n: mx.pad(x, [(n, -x.shape[i] % (n + 1)) if k == i else (0, 0) for k in range(x.ndim)]),
    "join": lambda x, i, n: mx.concatenate([x] * (n % 3 + 1), axis=i),
    "transpose": lambda x, i, n: x.T,
    "rows": lambda x, i, n: x.reshape(x.shape[0], -1) if x.shape[0] else x,
    "flatten": lambda x, i, n: x.reshape(-1),
    "tile": lambda x, i, n: mx.tile(x, (n,)),
    "repeat": lambda x, i, n: mx.repeat(x, n, axis=i),
    "over size": lambda x, i, n: x / max(x.size, 1),
    "root": lambda x, i, n: x * np.sqrt(x.shape[i] + n),
    "larger": lambda x, i, n: x * max(x.shape[i], 3 * n),
    "arange": lambda x, i, n: x + mx.arange(x.shape[-1]) * n,
    "mask": lambda x, i, n: mx.where(mx.arange(x.shape[-1]) < (x.shape[-1] + n) // 2, x, 0.0),
    "split": lambda x, i, n: mx.split(x, n, axis=i)[-1] if x.shape[i] % n == 0 else x,
    "roll": lambda x, i, n: mx.roll(x, n, axis=i),
    "norm": lambda x, i, n: (x[..., None, :] @ x[..., :, None])[..., 0],
    "outer": lambda x, i, n: mx.outer(x.reshape(-1)[:7], x.reshape(-1)),
    "ends": lambda x, i, n: mx.take(x, mx.array([0, max(x.shape[i] - 1, 0)]), axis=i),
    "cumsum": lambda x, i, n: mx.cumsum(x, axis=i),
    "sort": lambda x, i, n: mx.sort(x, axis=i),
    "window": lambda x, i, n: window(x, n),
    "broadcast": lambda x, i, n: mx.broadcast_to(x[None], (n, *x.shape)) if x.ndim < 4 else x,
    "swap": lambda x, i, n: mx.swapaxes(x, 0, i),
}


def run(program, x, *others):
    for name, axis, n in program:
        x = x.reshape(1) if x.ndim == 0 else x
        x = STEPS[name](x, axis % x.ndim, n)
    for y in others:
        x = x + mx.sum(y) * y.shape[0]
    return x


def attempt(seed, path):
    """Returns how many calls were right; raises if one was wrong."""
    draw = random.Random(seed)
    program = [(draw.choice(list(STEPS)), draw.randint(0, 3), draw.randint(1, 4)) for _ in range(draw.randint(1, 6))]
    shapes = [tuple(draw.choice([1, 2, 3, 4, 5, 6, 8]) for _ in range(draw.randint(1, 3)))]
    if draw.random() < 0.4:
        shapes.append(tuple(draw.choice([1, 2, 3, 4]) for _ in range(draw.randint(1, 2))))
    f = lambda *xs: run(program, *xs)
    try:
        f(*[normal(*s) for s in shapes])
    except ValueError:
        return 0  # a program that does not fit its own example
    try:
        mx.export_function(path, f, *[normal(*s) for s in shapes], shapeless=True)
    except ValueError as e:
        assert "shapeless=True: " in str(e), (program, shapes, e)
        return 0
    g, right = mx.import_function(path), 0
    for _ in range(12):
        others = [tuple(draw.choice([d, d, 0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 31, 40, 57]) for d in s) for s in shapes]
        xs = [normal(*s) for s in others]
        try:
            got = g(*xs)[0]
        except ValueError:
            continue
        try:
            want = f(*xs)
            mx.eval(want)
        except (ValueError, IndexError, ZeroDivisionError):
            continue  # the function refuses by itself what its operations would take
        same = agree(got, want)
        assert same, f"seed {seed}: {program} exported at {shapes}, called at {others}: {got.shape} instead of {want.shape}"
        right += 1
    return right


def test_random_programs_are_right_or_refused(path):
    n = 3000 if LONG else 150
    first = random.SystemRandom().randrange(10**9) if LONG else 0
    assert sum(attempt(seed, path) for seed in range(first, first + n)) > 5 * n
