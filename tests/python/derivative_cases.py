"""Functions to differentiate, in float64, that several test files share: name -> (function, arguments)."""

import numpy as np
import pytest

import mxform as mx


def double(*values):
    return mx.array(np.array(values), mx.float64)


V, W = double(0.3, -0.7, 1.1), double(1.5, 0.2)
M = mx.array(np.linspace(-1, 1, 6).reshape(2, 3), mx.float64)
TREE = {"w": M, "b": (W, None)}


@mx.custom_function
def slow_sin(x):
    return mx.sin(x)


@slow_sin.vjp
def slow_sin_vjp(x, ct, y):
    return ct * mx.cos(x)


def layer(p, x):
    h = mx.tanh(p["w"] @ x + p["b"][0])
    return {"h": h, "parts": [(h * h).sum(), None, h[1] * x]}


CASES = {
    "scalar to scalar": (lambda x: mx.sin(x) * x, (mx.array(0.4, mx.float64),)),
    "scalar to vector": (lambda x: mx.stack([x, x * x]), (mx.array(0.4, mx.float64),)),
    "vector to scalar": (lambda x: mx.logsumexp(x), (V,)),
    "vector to matrix": (lambda x: mx.outer(x, mx.exp(x[:2])), (V,)),
    "matrix to matrix": (lambda a: mx.sin(a @ a.T), (M,)),
    "two arguments": (lambda x, y: mx.outer(mx.cos(x), y), (V, W)),
    "trees": (layer, (TREE, V)),
    "expanded": (lambda x: mx.softmax(x * x), (V,)),
    "indexed": (lambda x: x[mx.array([2, 0, 2, 1])] * x[1], (V,)),
    "scanned": (lambda x: mx.cumprod(x), (V,)),
    "sorted": (lambda x: mx.sort(mx.sin(x)), (V,)),
    "custom": (lambda x: slow_sin(x) * x, (V,)),
    "checkpointed": (mx.checkpoint(lambda x: mx.exp(mx.sin(x)) * x[0]), (V,)),
    "compiled": (mx.compile(lambda x: mx.exp(mx.sin(x)) * x[0]), (V,)),
    "batched": (mx.vmap(lambda x: mx.stack([x, x * x])), (V,)),
    "a gradient": (mx.grad(lambda x: (mx.sin(x) * x[0]).sum()), (V,)),
    "partly constant": (lambda x: (x * x, mx.ones((2,), mx.float64)), (V,)),
}
case = pytest.mark.parametrize("name", CASES)


def holomorphic(z):
    return mx.stack([mx.exp(z[0]) * z[1], z[1] * z[1] * 1j, z[0] + 0 * z[1]])


def close(a, b, tolerance=1e-6):
    return np.testing.assert_allclose(np.array(a), np.array(b), rtol=tolerance, atol=tolerance)
