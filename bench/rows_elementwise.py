"""Rows of elementwise work and of reductions over elementwise work, and what a call costs."""

import numpy as np

from bench.rows import Row, normal

MEGA = 1 << 20
GELU = 0.7978845608028654


# --- 1: the result of a + b. Called without a function around it: this row counts nanoseconds.


def small_sum_mx(mx, jit):
    return lambda a, b: lambda: mx.eval(a + b)


def small_sum_jax(jax, jit):
    return lambda a, b: lambda: (a + b).block_until_ready()


def small_sum_eager(lib, jit):
    return lambda a, b: lambda: a + b


# --- 3


def multiply_add(lib, jit):
    return jit(lambda x, y, z: x * y + z)


# --- 4


def gelu_formula(tanh):
    return lambda x: 0.5 * x * (1 + tanh(GELU * (x + 0.044715 * x * x * x)))


GELU_PROGRAMS = {
    "mx": lambda mx, jit: jit(gelu_formula(mx.tanh)),
    "jax": lambda jax, jit: jit(lambda x: jax.nn.gelu(x, approximate=True)),
    "torch": lambda torch, jit: jit(lambda x: torch.nn.functional.gelu(x, approximate="tanh")),
    "numpy": lambda np, jit: gelu_formula(np.tanh),
}


# --- 5: 24 operations, 11 of them transcendental


def chain(m, x):
    y = m.exp(m.sin(x) * m.cos(x) * 0.5)
    w = m.tanh(m.log(y + 1.0) * x)
    v = m.sqrt(m.abs(w) + 0.1)
    u = m.sin(v) + m.cos(w)
    t = m.exp(-(u * u))
    return m.tanh(m.log(t * t + 1.0)) * v + w


def with_namespace(f):
    """The same formula for all: numpy's function names, from each library's own namespace."""
    return {
        "mx": lambda mx, jit: jit(lambda *args: f(mx, *args)),
        "jax": lambda jax, jit: jit(lambda *args: f(jax.numpy, *args)),
        "torch": lambda torch, jit: jit(lambda *args: f(torch, *args)),
        "numpy": lambda np, jit: lambda *args: f(np, *args),
    }


# --- 6. The tolerance is wide because MLX adds in a single chain: 3 % off at 16M.


def squared_distance(m, x, y):
    return m.sum(m.square(x - y))


# --- 7


def softmax_numpy(np, jit):
    def f(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    return f


SOFTMAX_PROGRAMS = {
    "mx": lambda mx, jit: jit(lambda x: mx.softmax(x, axis=-1)),
    "jax": lambda jax, jit: jit(lambda x: jax.nn.softmax(x, axis=-1)),
    "torch": lambda torch, jit: jit(lambda x: torch.softmax(x, -1)),
    "numpy": softmax_numpy,
}


# --- 8: layer norm, its value and the gradients of input, weight and bias for a given cotangent


def layer_norm_mx(mx, jit):
    def f(x, w, b, ct):
        outputs, grads = mx.vjp(lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5), [x, w, b], [ct])
        return [*outputs, *grads]

    return jit(f)


def layer_norm_jax(jax, jit):
    def norm(x, w, b):
        mean = x.mean(-1, keepdims=True)
        var = x.var(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(var + 1e-5) * w + b

    def f(x, w, b, ct):
        y, pull = jax.vjp(norm, x, w, b)
        return [y, *pull(ct)]

    return jit(f)


def layer_norm_torch(torch, jit):
    norm = jit(lambda x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b, 1e-5))

    def f(x, w, b, ct):
        inputs = [a.detach().requires_grad_() for a in (x, w, b)]
        y = norm(*inputs)
        return [y, *torch.autograd.grad(y, inputs, ct)]

    return f


def layer_norm_data(rng):
    x, ct = normal((1000, 1000), (1000, 1000))(rng)
    w, b = normal((1000,), (1000,))(rng)
    return [x, w, b, ct]


# --- 19: what the first call of a compiled function costs. Each call compiles a new function; its constant differs, so
# that no library finds the code of the one before, in memory or on disk.


def first_call(make):
    def program(lib, jit):
        constants = np.random.default_rng()
        return lambda x: make(lib, jit, float(np.float32(constants.uniform(0.03, 0.06))))(x)

    return program


def new_gelu(tanh, c):
    return lambda x: 0.5 * x * (1 + tanh(GELU * (x + c * x * x * x)))


FIRST_CALL = {
    "mx": first_call(lambda mx, jit, c: jit(new_gelu(mx.tanh, c))),
    "jax": first_call(lambda jax, jit, c: jit(new_gelu(jax.numpy.tanh, c))),
    "inductor": first_call(lambda torch, jit, c: jit(new_gelu(torch.tanh, c))),
}


ROWS = [
    Row("1", "result of a + b, 4 elements", normal((4,), (4,)),
        {"mx": small_sum_mx, "jax": small_sum_jax, "torch": small_sum_eager, "numpy": small_sum_eager},
        bar=2.0, skip=("inductor",), not_counted=("numpy",), whole=True),
    Row("3", "x*y+z, 16M", normal(*[(16 * MEGA,)] * 3),
        {"mx": multiply_add, "jax": multiply_add, "torch": multiply_add, "numpy": multiply_add},
        bar=2.0, bytes=16 * 16 * MEGA),
    Row("4a", "gelu (tanh), 10k", normal((10_000,)), GELU_PROGRAMS, bar=2.0),
    Row("4b", "gelu (tanh), 1M", normal((1_000_000,)), GELU_PROGRAMS, bar=2.0, bytes=8e6),
    Row("5", "24-op transcendental chain, 1M", normal((1_000_000,)), with_namespace(chain), bar=2.0, bytes=8e6),
    Row("6a", "sum((x-y)^2), 1M", normal((1_000_000,), (1_000_000,)), with_namespace(squared_distance), bar=2.0,
        bytes=8e6, tolerance=0.05),
    Row("6b", "sum((x-y)^2), 16M", normal((16 * MEGA,), (16 * MEGA,)), with_namespace(squared_distance), bar=2.0,
        bytes=8 * 16 * MEGA, tolerance=0.05),
    Row("7a", "softmax 1000x1000", normal((1000, 1000)), SOFTMAX_PROGRAMS, bar=2.0, bytes=8e6),
    Row("7b", "softmax 16M (4096x4096)", normal((4096, 4096)), SOFTMAX_PROGRAMS, bar=2.0, bytes=8 * 16 * MEGA),
    Row("8", "layer norm, forward + backward, 1000x1000", layer_norm_data,
        {"mx": layer_norm_mx, "jax": layer_norm_jax, "torch": layer_norm_torch}, bar=2.0, bytes=16e6),
    Row("19", "first call of a compiled gelu", lambda rng: [rng.standard_normal(1000, dtype=np.float32)], FIRST_CALL,
        bar=2.0, once=True, tolerance=1.0),
]
