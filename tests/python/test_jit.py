"""Generated code and tiles give the same bits: every script runs in two processes, with and without MXFORM_JIT=0."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(script, **env):
    code = textwrap.dedent(script)
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def same_with_and_without(script):
    generated = run(script, MXFORM_JIT="1")
    assert generated == run(script, MXFORM_JIT="0")
    return generated


START = """
import hashlib
import mxform as mx
import numpy as np

def show(*arrays):
    for a in arrays:
        x = np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a)
        if x.dtype.kind == "f":
            x = np.where(np.isnan(x), np.asarray(np.nan, x.dtype), x)  # One kind of NaN.
        print(x.dtype, x.shape, hashlib.sha256(x.tobytes()).hexdigest())

rng = np.random.default_rng(1)
def numbers(shape, dtype):
    x = rng.normal(size=shape) * np.exp(rng.normal(size=shape) * 3)
    return mx.array(x).astype(dtype)
"""


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_functions_give_the_bits_of_tiles(dtype):
    same_with_and_without(
        START
        + f"""
@mx.compile
def f(x, y):
    a = mx.exp(-mx.abs(x)) + mx.log(mx.abs(y) + 1) * mx.sin(x)
    b = mx.tanh(a) * mx.sigmoid(y) + mx.erf(x) - mx.sqrt(mx.abs(a))
    c = mx.where(a > b, mx.maximum(x, y), mx.power(mx.abs(x), 0.3) / (1 + mx.square(y)))
    return a, b, c, c < a

for n in (1, 7, 16, 33, 1000, 12345):
    show(*f(numbers(n, mx.{dtype}), numbers(n, mx.{dtype})))
"""
    )


def test_integers_bools_and_casts_give_the_bits_of_tiles():
    same_with_and_without(
        START
        + """
@mx.compile
def f(x, i, j, k):
    m = (i > j) | (x < 0)
    a = mx.where(m, i * 3 + j, mx.abs(j) - (i >> 2))
    b = a.astype(mx.float32) * x + m.astype(mx.float32)
    return a, b, (b * 100).astype(mx.int32), (x * 1000).astype(mx.uint8) + k, mx.logical_not(m)

for n in (1, 15, 64, 777):
    i, j = (mx.array(rng.integers(-(2**31), 2**31, n), dtype=mx.int32) for _ in range(2))
    show(*f(numbers(n, mx.float32), i, j, mx.array(rng.integers(0, 256, n), dtype=mx.uint8)))
"""
    )


def test_rows_give_the_bits_of_tiles():
    same_with_and_without(
        START
        + """
@mx.compile
def softmax_and_norm(x, w):
    e = mx.exp(x - mx.max(x, axis=-1, keepdims=True))
    s = e / mx.sum(e, axis=-1, keepdims=True)
    d = x - mx.mean(x, axis=-1, keepdims=True)
    return s, d * mx.rsqrt(mx.mean(mx.square(d), axis=-1, keepdims=True) + 1e-5) * w

for shape in ((3, 5), (40, 1000), (2, 5000), (700, 24), (1, 100000)):
    show(*softmax_and_norm(numbers(shape, mx.float32), numbers(shape[-1:], mx.float32)))
show(mx.compile(lambda x, y: mx.sum(mx.square(x - y)))(numbers(100001, mx.float32), numbers(100001, mx.float32)))
"""
    )


def test_long_programs_give_the_bits_of_tiles():
    same_with_and_without(
        START
        + """
@mx.compile
def chain(x):
    for k in range(40):
        x = mx.sin(x * 1.1 + k) + mx.exp(-mx.square(x))
    return x

show(chain(numbers(5000, mx.float32)), chain(numbers(333, mx.float64)))
"""
    )


def test_large_outputs_give_the_bits_of_tiles():
    same_with_and_without(
        START
        + """
x = mx.arange(9_000_001).astype(mx.float32)
y = mx.compile(lambda x: x * 0.5 + 1)(x)
show(y, mx.compile(lambda x: x * 0.5 + 1)(x[1:]))
"""
    )


def test_the_switch_is_read():
    script = "import mxform as mx; print(mx.compile(lambda x: mx.exp(x) + 1)(mx.zeros(3)))"
    assert run(script, MXFORM_JIT="0") == run(script)
